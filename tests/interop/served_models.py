"""Models of the kinds that people serve, made by TensorFlow, Keras 3 and Keras 2, answer in Tenon as they do in TensorFlow.

    PYTHONPATH=tests/support .venv/bin/python tests/interop/served_models.py [PART OF A NAME ...]
"""
import importlib
import os
import sys
import tempfile
import traceback

from served import MODELS, np, tf

from common import Checks, attempt

BATCHES, THREADS = (1, 3, 8), (1, 2)
MAKERS = ("served_text", "served_vision", "served_sequence", "served_modules", "served_tables", "served_v1", "served_keras2")


def widened(value):
    return value.astype(np.float32) if value.dtype.name in ("bfloat16", "float16") else value


def difference(got, want, tolerance):
    """What is wrong with an output, or None."""
    if want.dtype.name == "bfloat16":  # .npy files have its bits
        got = got.view(want.dtype)
    got, want = widened(got), widened(want)
    if got.shape != want.shape:
        return f"shape {got.shape}, want {want.shape}"
    if want.dtype.kind in "OSU":
        return None if np.array_equal(got.astype("S"), want.astype("S")) else f"{got.ravel()[:5]}, want {want.ravel()[:5]}"
    if got.dtype != want.dtype:
        return f"dtype {got.dtype}, want {want.dtype}"
    if want.dtype.kind not in "fc":
        return None if np.array_equal(got, want) else f"{got.ravel()[:8]}, want {want.ravel()[:8]}"
    if not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return f"not finite at other places: {got.ravel()[:5]}, want {want.ravel()[:5]}"
    finite = np.isfinite(want)
    largest = np.max(np.abs(want[finite]), initial=1e-30)
    error = np.max(np.abs(got[finite] - want[finite]), initial=0) / largest
    return None if error <= tolerance else f"off by {error:.3g} of the largest"


def answer(folder, work, signature, inputs, threads):
    """Tenon's outputs by name, or what it said."""
    pairs = []
    for index, (name, value) in enumerate(inputs.items()):
        path = os.path.join(work, f"in{index}.npy")
        value = np.asarray(value)
        np.save(path, value.astype("S") if value.dtype == object else value)
        pairs.append(f"{name}={path}")
    outdir = os.path.join(work, "out")
    done = attempt("run", "--dir", folder, "--tag_set", "serve", "--signature_def", signature, "--inputs", ";".join(pairs),
                   "--outdir", outdir, "--overwrite", "--threads", threads)
    if done.returncode:
        return done.stderr.strip() or f"exit code {done.returncode}"
    return outdir


def run(check, name, maker, work):
    folder = os.path.join(work, name, "1")
    tolerance = 2e-2 if "float16" in name else 1e-4
    signatures = maker(folder)
    for signature, makers in signatures.items():
        for batch in BATCHES:
            inputs = {key: make(batch) for key, make in makers.items()}
            loaded = tf.saved_model.load(folder, tags=["serve"])  # anew: models may have a state
            call = loaded.signatures[signature]
            specs = call.structured_input_signature[1]
            want = call(**{key: tf.constant(value, specs[key].dtype) for key, value in inputs.items()})
            want = {key: np.asarray(value) for key, value in want.items()}
            for threads in THREADS:
                what = f"{name} {signature} batch {batch} threads {threads}"
                got = answer(folder, work, signature, inputs, threads)
                if not os.path.isdir(got):
                    check.that(False, what, got)
                    continue
                wrong = [f"{key}: {d}" for key in want if (d := difference(np.load(os.path.join(got, key + ".npy")), want[key], tolerance))]
                check.that(not wrong, what, "; ".join(wrong))


def main():
    for maker in MAKERS:
        importlib.import_module(maker)
    check = Checks()
    with tempfile.TemporaryDirectory() as work:
        for name, maker in MODELS.items():
            if len(sys.argv) == 1 or any(part in name for part in sys.argv[1:]):
                try:
                    run(check, name, maker, work)
                except Exception:  # a model that TensorFlow cannot make or run is a fault of this test
                    check.that(False, name, traceback.format_exc(limit=-3, chain=False))
    print(f"{len(MODELS)} models")
    check.done()


if __name__ == "__main__":
    main()
