"""What inference_bench and training_bench share: a row is a model and a batch, timed by `tenon bench` and by TensorFlow in turns."""
import json
import subprocess

import keras_models

SECONDS, ROUNDS = 3.0, 3


class Row:
    """`kind` is infer or train."""

    def __init__(self, kind, model, batch):
        self.kind, self.model, self.batch = kind, model, batch
        self.name = f"{'one call' if kind == 'infer' else 'training step'}, {model}, batch {batch}, median ms"

    def line(self, tenon, seconds=SECONDS):
        """The line that `tenon bench` prints; RuntimeError with its error when the program cannot run the model."""
        saved_model, keras_file = keras_models.cached(self.model)
        command = [tenon, "bench", "--batch", str(self.batch), "--seconds", str(seconds), "--int_limit", str(keras_models.INT_LIMIT)]
        if self.kind == "infer":
            command += ["--model_base_path", saved_model]
        else:
            command += ["--train", "--model", keras_file, "--optimizer", "adam", "--loss", "sparse_categorical_crossentropy"]
            command += [] if self.model in keras_models.PROBABILITIES else ["--from_logits"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout.strip().splitlines()[-1])

    def measure(self, tenon):
        return self.line(tenon)["median_ms"]

    def figure(self, tenon):
        try:
            self.line(tenon, 0.1)
        except RuntimeError as error:
            return {"figure": self.name, "tenon": None, "error": str(error)}
        ours, theirs = [], []
        with keras_models.Peer(self.kind, self.model, self.batch) as peer:
            for _ in range(ROUNDS):
                theirs.append(peer.measure(SECONDS))
                ours.append(self.line(tenon))
        us, them = (min(lines, key=lambda line: line["median_ms"]) for lines in (ours, theirs))
        return {"figure": self.name, "tenon": round(us["median_ms"], 4), "tensorflow": round(them["median_ms"], 4),
                "times faster": round(them["median_ms"] / us["median_ms"], 2),
                "peak MB": {"tenon": round(us["peak_rss_mb"]), "tensorflow": round(them["peak_rss_mb"])}}
