#!/usr/bin/env python3
"""Makes the sounds of the wake word by espeak-ng, and from them the examples that the network learns.

  sounds.py OUT [--seed N] [--words N]   train.npz, test.npz and representative.npz: windows of features (x) and whether
                                         they end where the wake word does (y); words.wav with the wake word's ends
                                         in words.txt, and other.wav without it
  sounds.py OUT --stream N               only words.wav and words.txt, with N times the wake word

What is drawn comes from the seed: the same seed gives the same files.
"""
import argparse
import io
import os
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from features import BANDS, FRAMES, HOP, RATE, WINDOW, log_mel

WAKE = "hey tenon"
# Words that begin, end or sound like it stand among the others.
OTHER = """hey tennis tenant ten pen on lemon hey there they ten on hey lennon hey tina ate enough heaven denim tendon
  heyday satin on the melon hey ten tent linen kitchen pennant hey kevin hey jenny time weather music kitchen light
  seven window morning garden table orange number picture mountain water yesterday tomorrow please stop play louder
  quiet open close the door what is it who are you call my mother remember the milk turn left at the station
  good evening thank you very much nine eight three machine computer letter paper train river winter summer
  coffee bread butter sugar where when why because nobody somebody never always sometimes and or but without""".split()
PHRASES = ["hey tennis", "hey ten", "ten on", "tenon", "hey", "hey lemon", "hey there", "hey kevin", "tenant", "hey denim",
           "hey jenny", "they tend on", "hey linen"]
VOICES = ["en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029"]
VARIANTS = """m1 m2 m3 m4 m6 m7 f1 f2 f3 f4 Alex Andy Annie Gene Hugo anika belinda david edward linda max quincy
  rob steph travis aunty ed grandma iven klatt4 shelby sandro victor benjamin robert""".split()
TEST_VARIANTS = ["m5", "m8", "f5", "Alicia", "Michael", "paul"]  # nobody who speaks these is heard in training


def speak(utterance):
    """(text, voice, speed, pitch) -> samples at RATE, without the silence around them, the loudest 1."""
    text, voice, speed, pitch = utterance
    said = subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdout", text],
                          check=True, stdout=subprocess.PIPE).stdout
    with wave.open(io.BytesIO(said)) as file:
        rate = file.getframerate()
    sound = np.frombuffer(said[44:len(said) // 2 * 2], "<i2") / 32768
    # To RATE: the spectrum without what lies above half of it.
    count = round(len(sound) * RATE / rate)
    sound = np.fft.irfft(np.fft.rfft(sound)[:count // 2 + 1], count)
    loud = np.flatnonzero(np.abs(sound) > 0.03 * np.abs(sound).max())
    sound = sound[loud[0]:loud[-1] + 1]
    return sound / np.abs(sound).max()


def utterances(rng, wakes, others, variants):
    """What is said: the wake word and other phrases in a drawn order, each with voice, speed and pitch."""
    texts = [WAKE] * wakes
    for _ in range(others):
        texts.append(str(rng.choice(PHRASES)) if rng.random() < 0.15
                     else " ".join(rng.choice(OTHER, rng.integers(1, 6))))
    rng.shuffle(texts)
    return [(text, f"{rng.choice(VOICES)}+{rng.choice(variants)}", int(rng.integers(140, 221)), int(rng.integers(20, 81)))
            for text in texts]


def noise(rng, count):
    """White to pink, of deviation 1."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** rng.uniform(0, 0.6)
    sound = np.fft.irfft(spectrum, count)
    return sound / sound.std()


def stream(rng, said):
    """Utterances one after the other, each louder or softer, over noise -> samples, [(first, end) of each wake word]."""
    pieces, words, at = [], [], 0
    for text, sound in said:
        pause = int(rng.uniform(0.15, 1.2) * RATE)
        piece = np.concatenate([np.zeros(pause), sound * 10 ** rng.uniform(-1.2, -0.1)])
        if text == WAKE:
            words.append((at + pause, at + len(piece)))
        pieces.append(piece + noise(rng, len(piece)) * 10 ** rng.uniform(-3.5, -2))
        at += len(piece)
    pieces.append(noise(rng, RATE) * 1e-3)
    return np.clip(np.concatenate(pieces), -1, 32767 / 32768), words


def examples(rng, samples, words, negatives):
    """Windows of FRAMES frames: of those that end 0.04 to 0.24 s after a wake word half are positive; those that end within
    it, later, or anywhere else are not; between them, none are taken."""
    frames = log_mel(samples)
    ends = (np.arange(len(frames)) * HOP + WINDOW) / RATE  # in seconds, of each frame
    kind = np.zeros(len(frames), np.int8)
    near = np.zeros(len(frames), bool)
    for first, end in np.array(words) / RATE:
        kind[(ends > end - 0.12) & (ends < end + 0.36)] = -1
        kind[(ends >= end + 0.04) & (ends < end + 0.24)] = 1
        near |= (ends > first) & (ends < end + 1)
    kind[:FRAMES - 1] = -1
    others = np.flatnonzero(kind == 0)
    weight = np.where(near[others], 2.0, 1)
    drawn = rng.choice(others, min(negatives, len(others)), replace=False, p=weight / weight.sum())
    at = np.concatenate([np.flatnonzero(kind == 1)[::2], np.sort(drawn)])
    x = np.stack([frames[i - FRAMES + 1:i + 1] for i in at])
    return {"x": x, "y": (kind[at] == 1).astype(np.int32)}


def write_wav(path, samples):
    with wave.open(path, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(samples * 32768).astype("<i2").tobytes())


def write_words(path, words):
    with open(path, "w") as file:
        file.writelines(f"{end / RATE:.3f}\n" for _, end in words)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--words", type=int, default=700, help="wake words to learn from")
    parser.add_argument("--stream", type=int, help="only words.wav and words.txt, with so many wake words")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)

    def spoken(rng, wakes, others, variants):
        what = utterances(rng, wakes, others, variants)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return [(u[0], sound) for u, sound in zip(what, pool.map(speak, what))]

    def path(name):
        return os.path.join(args.out, name)

    def say(text):
        print(text, file=sys.stderr, flush=True)

    rng = np.random.default_rng([args.seed, 1])
    wakes = args.stream or 40
    samples, words = stream(rng, spoken(rng, wakes, wakes, TEST_VARIANTS))
    write_wav(path("words.wav"), samples)
    write_words(path("words.txt"), words)
    if args.stream:
        return
    np.savez(path("test.npz"), **examples(rng, samples, words, 1000))
    say(f"words.wav: {len(samples) / RATE:.0f} s, {len(words)} times '{WAKE}'")
    rng = np.random.default_rng([args.seed, 2])
    samples, _ = stream(rng, spoken(rng, 0, args.words, TEST_VARIANTS))
    write_wav(path("other.wav"), samples)
    say(f"other.wav: {len(samples) / RATE:.0f} s of other words")
    rng = np.random.default_rng([args.seed, 3])
    said = spoken(rng, args.words, 2 * args.words, VARIANTS)
    samples, words = stream(rng, said + said)  # twice, with other loudness and noise
    train = examples(rng, samples, words, 16 * args.words)
    np.savez(path("train.npz"), **train)
    np.savez(path("representative.npz"), x=train["x"][rng.choice(len(train["x"]), 200, replace=False)])
    say(f"train.npz: {len(train['y'])} windows of {FRAMES} x {BANDS}, {train['y'].sum()} with the wake word at their end, "
        f"of {len(samples) / RATE:.0f} s")


if __name__ == "__main__":
    main()
