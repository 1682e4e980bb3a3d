"""The example's program: the stored network hears the wake word in speech that is made here, its features are those
that it was trained on, WAV files of all kinds are read or refused with a sentence. Arguments: how to start it."""
import io
import os
import struct
import subprocess
import sys
import tempfile
import wave

import numpy as np

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "wake_word")
sys.path.insert(0, EXAMPLE)
import features  # noqa: E402

MODEL = os.path.join(EXAMPLE, "wake.tflite")
PROGRAM = sys.argv[1:]


def listen(data, *flags):
    """(exit code, stdout, stderr) on the bytes of a WAV file, by a pipe."""
    done = subprocess.run([*PROGRAM, MODEL, "-", *flags], input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return done.returncode, done.stdout, done.stderr.decode()


def wav(samples, width=2, channels=1, rate=features.RATE):
    """Samples in -1 to 1 as a WAV file; the channels are mirrored around them, so that their mean is the samples."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        if channels == 2:
            samples = np.stack([1.5 * samples, 0.5 * samples], axis=1)
        whole = np.round(samples * (127 if width == 1 else 32767))
        file.writeframes((whole + 128).astype("u1").tobytes() if width == 1 else whole.astype("<i2").tobytes())
    return buffer.getvalue()


def check(condition, text):
    if not condition:
        sys.exit(f"FAIL: {text}")


def check_refused(data, sentence):
    code, out, error = listen(data)
    check(code == 1 and out == b"" and error.count("\n") == 1 and sentence in error,
          f"'{sentence}' expected: {code}, {out[:80]}, {error}")


def check_features(data, tolerance):
    """The bands are numpy's, of the samples as the wave module reads them."""
    with wave.open(io.BytesIO(data)) as file:
        width, channels, raw = file.getsampwidth(), file.getnchannels(), file.readframes(file.getnframes())
    samples = (np.frombuffer(raw, "u1") - 128.0) / 128 if width == 1 else np.frombuffer(raw, "<i2") / 32768
    want = features.log_mel(samples.reshape(-1, channels).mean(axis=1))
    code, out, error = listen(data, "--features")
    got = np.frombuffer(out, np.float32).reshape(-1, features.BANDS)
    check(code == 0 and got.shape == want.shape, f"features: {code}, {got.shape}, {want.shape}: {error}")
    apart = np.abs(got - want).max(initial=0)
    check(apart <= tolerance, f"features of {width} bytes, {channels} channels: {apart} apart")


def check_formats(samples):
    for width, channels in ((1, 1), (1, 2), (2, 1), (2, 2)):
        check_features(wav(samples, width, channels), 2e-3)
    # Loud tones, silence, and lengths around the first window.
    check_features(wav(0.9 * np.sin(np.arange(8000) ** 1.5 / 50)), 2e-3)
    for count in (0, 1, 479, 480, 799, 800):
        check_features(wav(np.zeros(count)), 2e-3)
    # A header as programs write it into a pipe, another chunk of odd length before the samples, the extensible kind.
    plain = wav(samples)
    want = listen(plain)
    check(want[0] == 0 and want[1], f"nothing is heard: {want}")
    for size in (0, 0x7ffff000, 0xffffffff):
        check(listen(plain[:40] + struct.pack("<I", size) + plain[44:])[:2] == want[:2], f"a length of {size}")
    check(listen(plain[:12] + b"LIST\3\0\0\0abc\0" + plain[12:])[:2] == want[:2], "a chunk of odd length")
    extensible = struct.pack("<HHIIHHHHIH14s", 0xfffe, 1, 16000, 32000, 2, 16, 22, 16, 0, 1, b"\0" * 14)
    check(listen(plain[:16] + struct.pack("<I", 40) + extensible + plain[36:])[:2] == want[:2], "the extensible kind")


def check_errors(samples):
    plain = wav(samples)
    check_refused(b"", "it is empty")
    check_refused(b"ID3 some other file", "it is no WAV file")
    check_refused(b"RIFF\0\0\0\0AVI LIST", "it is no WAV file")
    for length in range(1, 44):
        check_refused(plain[:length], "the WAV header is cut short")
    check_refused(plain[:12] + plain[36:], "its samples come before their format")
    check_refused(wav(samples, rate=8000), "8000 samples a second; 16000 are needed")
    check_refused(wav(samples, rate=44100), "44100 samples a second; 16000 are needed")
    check_refused(plain[:20] + b"\3\0" + plain[22:], "format 3 of 16 bits")
    check_refused(plain[:34] + b"\x18\0" + plain[36:], "format 1 of 24 bits")
    check_refused(plain[:22] + b"\6\0" + plain[24:], "in 6 channels")
    code, out, error = listen(plain[:-1001])
    check(code == 1 and out and "it ends before all its samples" in error, f"cut samples: {code}, {error}")
    for arguments, sentence in (((MODEL, "missing.wav"), "cannot be opened"), (("missing.tflite", "-"), "missing.tflite"),
                                ((os.path.join(EXAMPLE, "../../tenon/lite/testdata/net_mlp.tflite"), "-"), "windows of 64")):
        done = subprocess.run([*PROGRAM, *arguments], input=plain, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        check(done.returncode == 1 and sentence in done.stderr.decode(), f"{arguments}: {done.stderr}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        said = subprocess.run([sys.executable, "-B", os.path.join(EXAMPLE, "sounds.py"), folder, "--stream", "6", "--seed", "3"])
        check(said.returncode == 0, "espeak-ng does not speak")
        with open(os.path.join(folder, "words.wav"), "rb") as file:
            data = file.read()
        heard = os.path.join(folder, "heard")
        code, out, error = listen(data)
        check(code == 0, error)
        with open(heard, "wb") as file:
            file.write(out)
        code = subprocess.call([sys.executable, os.path.join(EXAMPLE, "check.py"), heard, os.path.join(folder, "words.txt"),
                                "--missed", "0.17", "--false", "0"])
        check(code == 0, "it misses or invents wake words")
        samples = np.frombuffer(data[44:], "<i2") / 32768
        quiet = 0.6 * samples[:6 * features.RATE]
        check_formats(quiet)
        check_errors(quiet)


if __name__ == "__main__":
    main()
