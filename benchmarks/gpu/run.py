#!/usr/bin/env python3
"""Training steps and inference on a GPU beside PyTorch's (eager and compiled) and JAX's, in turns on one machine: a table of medians in milliseconds.

    benchmarks/gpu/run.py --tenon build/tenon --plugin build/plugins/cuda.so --models FOLDER

FOLDER holds what `benchmarks/gpu/models.py FOLDER` writes: mlp.json, cnn.json, resnet50.json and bert.json, as Keras' Model.to_json() writes them; all end
in logits. The peers are those of the python3 on the path; one that is not there, or fails, is left out. The whole takes up to ten minutes: each peer is
compiled once. `--only NAME` takes the rows of one model.
"""
import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# Model, rows, what of them a second, peers. "_infer": one call after another, from host memory and back to it.
ROWS = (("mlp", 64, 1, ("torch", "compiled", "jax")), ("cnn", 64, 1, ("torch", "compiled")), ("resnet50", 256, 1, ("torch", "compiled")),
        ("bert", 64, 128, ("torch", "compiled")), ("resnet50_infer", 1, 1, ("torch", "compiled")), ("resnet50_infer", 128, 1, ("torch", "compiled")))
PEERS = ("torch", "compiled", "jax")
LONGEST = 150  # seconds of one peer, compiling included


def last_line(options, arguments):
    environment = dict(os.environ, TENON_PLUGIN_PATH=options.plugin)
    done = subprocess.run([options.tenon, *arguments], env=environment, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def training(options, model, batch):
    return ["bench", "--train", "--model", os.path.join(options.models, model + ".json"), "--batch", str(batch), "--optimizer", "adam",
            "--loss", "sparse_categorical_crossentropy", "--from_logits", "--int_limit", "30000", "--seconds", "2"]


def npy(path, dtype, shape, data):
    header = str({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data)


def exported(options, model, folder):
    """A SavedModel of the network after one step, made once."""
    place = os.path.join(folder, model)
    if not os.path.exists(place):
        npy(os.path.join(folder, "x.npy"), "<f4", (8, 224, 224, 3), bytes(8 * 224 * 224 * 3 * 4))
        npy(os.path.join(folder, "y.npy"), "<i8", (8,), bytes(8 * 8))
        last_line(options, ["train", "--model", os.path.join(options.models, model + ".json"), "--data", os.path.join(folder, "x.npy"),
                            "--labels", os.path.join(folder, "y.npy"), "--optimizer", "sgd", "--loss", "sparse_categorical_crossentropy",
                            "--from_logits", "--epochs", "1", "--batch_size", "8", "--export_dir", os.path.join(place, "1")])
    return place


def of_tenon(options, model, batch, folder):
    if model.endswith("_infer"):
        place = exported(options, model.removesuffix("_infer"), folder)
        arguments = ["bench", "--model", place, "--batch", str(batch), "--seconds", "2"]
    else:
        arguments = training(options, model, batch)
    return json.loads(last_line(options, arguments))["median_ms"]


def of_peer(model, batch, peer):
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    try:
        done = subprocess.run(["python3", os.path.join(HERE, "peers.py"), model, str(batch), peer], env=environment, check=True, capture_output=True,
                              text=True, timeout=LONGEST)
    except (OSError, subprocess.SubprocessError) as failed:
        print(f"{model} by {peer}: {getattr(failed, 'stderr', None) or failed}"[-300:], file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default="build/tenon")
    parser.add_argument("--plugin", default="build/plugins/cuda.so")
    parser.add_argument("--models", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print("| | rows | Tenon | PyTorch | PyTorch compiled | JAX | rows (tokens) a second | best peer / Tenon |\n|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model, batch, each, wanted in ROWS:
            if options.only not in model:
                continue
            before = of_tenon(options, model, batch, folder)
            peers = [of_peer(model, batch, peer) if peer in wanted else None for peer in PEERS]
            ours = (before + of_tenon(options, model, batch, folder)) / 2
            known = [peer for peer in peers if peer]
            texts = [f"{peer:.3f}" if peer else "" for peer in peers]
            ratio = f"{min(known) / ours:.2f}" if known else ""
            print(f"| {model} | {batch} | {ours:.3f} | {' | '.join(texts)} | {batch * each * 1e3 / ours:,.0f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
