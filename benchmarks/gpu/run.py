#!/usr/bin/env python3
"""Training steps on a GPU beside PyTorch's (eager and compiled) and JAX's, in turns on one machine: a table of medians in milliseconds.

    benchmarks/gpu/run.py --tenon build/tenon --plugin build/plugins/cuda.so --models FOLDER

FOLDER holds mlp.json, resnet50.json (mixed_bfloat16) and bert.json (mixed_bfloat16), as Keras' Model.to_json() writes them; all end in logits. The peers
are those of the python3 on the path; one that is not there, or fails, is left out. It takes some five minutes.
"""
import argparse
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = (("mlp", 64, 0), ("resnet50", 256, 0), ("bert", 64, 128))  # model, rows, tokens of a row
PEERS = ("torch", "compiled", "jax")
LONGEST = 150  # seconds of one peer, compiling included


def of_tenon(options, model, batch):
    command = [options.tenon, "bench", "--train", "--model", os.path.join(options.models, model + ".json"), "--batch", str(batch), "--optimizer", "adam",
               "--loss", "sparse_categorical_crossentropy", "--from_logits", "--int_limit", "30000", "--seconds", "2"]
    environment = dict(os.environ, TENON_PLUGIN_PATH=options.plugin)
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()[-1])["median_ms"]


def of_peer(model, peer):
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    try:
        done = subprocess.run(["python3", os.path.join(HERE, "peers.py"), model, peer], env=environment, check=True, capture_output=True, text=True,
                              timeout=LONGEST)
    except (OSError, subprocess.SubprocessError) as failed:
        print(f"{model} by {peer}: {getattr(failed, 'stderr', None) or failed}"[-300:], file=sys.stderr)
        return None
    return float(done.stdout.split()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenon", default="build/tenon")
    parser.add_argument("--plugin", default="build/plugins/cuda.so")
    parser.add_argument("--models", required=True)
    options = parser.parse_args()
    print("| | rows | Tenon | PyTorch | PyTorch compiled | JAX | rows (tokens) a second | best peer / Tenon |\n|---|---|---|---|---|---|---|---|")
    for model, batch, tokens in ROWS:
        before = of_tenon(options, model, batch)
        peers = [of_peer(model, peer) for peer in PEERS]
        ours = (before + of_tenon(options, model, batch)) / 2
        known = [each for each in peers if each]
        texts = [f"{each:.3f}" if each else "" for each in peers]
        ratio = f"{min(known) / ours:.2f}" if known else ""
        print(f"| {model} | {batch} | {ours:.3f} | {' | '.join(texts)} | {batch * (tokens or 1) * 1e3 / ours:,.0f} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
