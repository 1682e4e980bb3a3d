"""What the network hears: 40 logarithmic mel bands of 30 ms, every 20 ms; features.c computes the same."""
import numpy as np

RATE = 16000
WINDOW, HOP, POINTS, BANDS = 480, 320, 512, 40
LOWEST, HIGHEST = 60.0, 7600.0
FRAMES = 64  # of a window of the network: 1.29 s


def mel(hertz):
    return 2595 * np.log10(1 + hertz / 700)


def mel_weights():
    """[BANDS, POINTS / 2 + 1]: triangles over the frequencies, equally wide in mel."""
    edges = mel(LOWEST) + np.arange(BANDS + 2) * (mel(HIGHEST) - mel(LOWEST)) / (BANDS + 1)
    at = mel(np.arange(POINTS // 2 + 1) * RATE / POINTS)
    rising = (at - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - at) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


WEIGHTS = mel_weights()
HANN = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)


def log_mel(samples):
    """[n] samples in -1 to 1 -> [frames, BANDS] float32, a frame for each window that is whole."""
    count = max(0, (len(samples) - WINDOW) // HOP + 1)
    frames = np.empty((count, BANDS), np.float32)
    for first in range(0, count, 4096):
        at = np.arange(first, min(first + 4096, count))[:, None] * HOP + np.arange(WINDOW)
        power = np.abs(np.fft.rfft(samples[at] * HANN, POINTS)) ** 2 / POINTS
        frames[first:first + 4096] = np.log(power @ WEIGHTS.T + 1e-6)
    return frames
