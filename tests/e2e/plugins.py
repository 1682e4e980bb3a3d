"""Plug-ins: a custom op built from the SDK runs in a SavedModel, a model trains and is served on a device that a
plug-in brings, and what cannot be loaded is one clear sentence.

    tests/e2e/plugins.py BUILD
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request

from common import ROOT, Checks, attempt, digits, run_saved_model, served, tenon, train_digits

import numpy as np
from tensorflow.core.framework import graph_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

BUILD = os.path.abspath(sys.argv[1])
LAZY = os.path.join(BUILD, "plugins", "lazy.so")

WRONG_VERSION = """
#include "tenon/plugin.h"
TenonStatus* tenon_open_plugin(const TenonHost* host, const TenonPlugin** plugin) {
  static TenonPlugin old = {sizeof(TenonPlugin), TENON_PLUGIN_ABI, "0.0.1", "old", 0, 0, 0, 0, 0, 0};
  (void)host;
  *plugin = &old;
  return 0;
}
"""
NO_DRIVER = """
#include "tenon/plugin.h"
TenonStatus* tenon_open_plugin(const TenonHost* host, const TenonPlugin** plugin) {
  TenonText message = {"there is no driver for the card: install it", 43};
  (void)plugin;
  return host->make_status(14, message);
}
"""


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        sys.exit(f"FAIL {' '.join(command)}\n{done.stdout}{done.stderr}")


def built_from_sdk(folder):
    """examples/custom_op, built against an installed SDK and nothing else of this tree."""
    sdk, source, build = (os.path.join(folder, name) for name in ("sdk", "source", "build-op"))
    run("cmake", "--install", BUILD, "--component", "sdk", "--prefix", sdk)
    shutil.copytree(os.path.join(ROOT, "examples", "custom_op"), source)
    run("cmake", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={sdk}")
    run("cmake", "--build", build)
    return sdk, os.path.join(build, "fold_angle.so")


def compiled(folder, sdk, name, text):
    """A plug-in in C."""
    source, library = os.path.join(folder, name + ".c"), os.path.join(folder, name + ".so")
    with open(source, "w", encoding="ascii") as f:
        f.write(text)
    run("cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{sdk}/include", source, "-o", library)
    return library


def fold_angle_model(folder):
    """y = FoldAngle(x) with period 4, as a TensorFlow 1 SavedModel."""
    graph = graph_pb2.GraphDef()
    x = graph.node.add(name="x", op="Placeholder")
    x.attr["dtype"].type = types_pb2.DT_FLOAT
    x.attr["shape"].shape.unknown_rank = True
    fold = graph.node.add(name="fold", op="FoldAngle", input=["x"])
    fold.attr["T"].type = types_pb2.DT_FLOAT
    fold.attr["period"].f = 4.0
    meta = meta_graph_pb2.MetaGraphDef(graph_def=graph)
    meta.meta_info_def.tags.append("serve")
    signature = meta.signature_def["serving_default"]
    signature.method_name = "tensorflow/serving/predict"
    for info, name in ((signature.inputs["x"], "x:0"), (signature.outputs["y"], "fold:0")):
        info.name, info.dtype = name, types_pb2.DT_FLOAT
        info.tensor_shape.unknown_rank = True
    os.makedirs(folder)
    with open(os.path.join(folder, "saved_model.pb"), "wb") as f:
        f.write(saved_model_pb2.SavedModel(saved_model_schema_version=1, meta_graphs=[meta]).SerializeToString())


def ask_rest(port, instances):
    body = json.dumps({"instances": instances}).encode()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/digits:predict", body, timeout=30) as answer:
        return json.load(answer)["predictions"]


def custom_op(check, folder):
    sdk, library = built_from_sdk(folder)
    model = os.path.join(folder, "fold", "1")
    fold_angle_model(model)
    x = np.array([[-5, -2, -1], [0, 1.5, 2], [3, 9.25, 100]], np.float32)
    path = os.path.join(folder, "x.npy")
    np.save(path, x)
    done = attempt("run", "--dir", model, "--tag_set=serve", "--signature_def=serving_default", f"--inputs=x={path}")
    check.that(done.returncode == 1 and "UNIMPLEMENTED" in done.stderr and "FoldAngle" in done.stderr,
               "without the plug-in the error names the op", done.stderr)
    os.environ["TENON_PLUGIN_PATH"] = library
    check.close(run_saved_model(model, x=x)["y"], (x + 2) % 4 - 2, "a custom op of the SDK runs in a SavedModel", 1e-7)
    np.save(os.path.join(folder, "dy.npy"), 2 * x)
    tenon("run", "--dir", model, "--tag_set=serve", "--signature_def=serving_default", f"--inputs=x={path}",
          f"--grad_outputs=y={folder}/dy.npy", f"--outdir={folder}/grad")
    check.close(np.load(os.path.join(folder, "grad", "grad_x.npy")), 2 * x, "and so does its gradient", 1e-7)
    check.that("FoldAngle" in tenon("ops"), "`tenon ops` lists it")
    os.environ["TENON_PLUGIN_PATH"] = f"{library}:{LAZY}"
    done = attempt("run", "--dir", model, "--tag_set=serve", "--signature_def=serving_default", f"--inputs=x={path}",
                   env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"})
    check.that(done.returncode == 0 and done.stderr.count("/device:LAZY:0 has no kernel for FoldAngle as used here: it runs on the host") == 1,
               "an op that a device has no kernel for is named in one line, and runs on the host", done.stderr)
    for name, text, code, part in (("old", WRONG_VERSION, "FAILED_PRECONDITION", "made for Tenon 0.0.1"),
                                   ("card", NO_DRIVER, "UNAVAILABLE", "there is no driver for the card: install it")):
        os.environ["TENON_PLUGIN_PATH"] = compiled(folder, sdk, name, text)
        done = attempt("devices")
        check.that(done.returncode == 1 and code in done.stderr and part in done.stderr and done.stderr.count("\n") == 1,
                   f"a plug-in that cannot be used ({name}) is one line", done.stderr)
        check.that(part in tenon("doctor"), "which `tenon doctor` prints too")
    # In a folder, what can be used is.
    os.environ["TENON_PLUGIN_PATH"] = f"{folder}:{os.path.dirname(library)}"
    report = tenon("doctor")
    check.that("there is no driver" in report and "fold_angle.so: 1 ops, 2 kernels" in report,
               "in a folder, one that cannot be used does not keep the others away", report)


def lazy_device(check, folder):
    on_cpu, on_lazy = os.path.join(folder, "cpu", "digits"), os.path.join(folder, "lazy", "digits")
    os.environ["TENON_PLUGIN_PATH"] = LAZY
    listed = [json.loads(line) for line in tenon("devices", "--json").splitlines()]
    check.that([d["name"] for d in listed if d["used"]] == ["/device:LAZY:0"], "the plug-in's device is the one in use", listed)
    history = train_digits(on_lazy)
    placed = json.loads(tenon("inspect", on_lazy, "--device=LAZY", "--json"))["signatures"]["serving_default"]["on_host"]
    steps = json.loads(tenon("bench", "--model", on_lazy, "--seconds=0.1", "--profile", "--json"))["steps"]
    check.that(sorted(step["node"] for step in placed) == sorted(step["node"] for step in steps if step.get("on_host")),
               "`tenon inspect --device` names what a run leaves to the host", (placed, steps))
    os.environ["TENON_DEVICE"] = "CPU"
    want = train_digits(on_cpu)
    check.that(all(abs(got["loss"] - wanted["loss"]) < 1e-3 * wanted["loss"] for got, wanted in zip(history, want)),
               "the digits' CNN learns on the lazy device as on the CPU", (history, want))
    x = digits("test")[0][:40]
    answers = {}
    for device in ("CPU", "LAZY"):
        os.environ["TENON_DEVICE"] = device
        with served("digits", on_lazy) as (_, port):
            answers[device] = np.concatenate([ask_rest(port, x[begin:begin + 8].tolist()) for begin in range(0, 40, 8)])
    check.close(answers["LAZY"], answers["CPU"], "and is served there with the same answers", 1e-5)
    del os.environ["TENON_DEVICE"]
    mirrored = train_digits(os.path.join(folder, "two", "digits"), strategy="mirrored", devices="LAZY:0,LAZY:1")
    check.that(mirrored[-1]["loss"] < mirrored[0]["loss"], "two of them train it together", mirrored)


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as folder:
        custom_op(check, folder)
        lazy_device(check, folder)
    check.done()


if __name__ == "__main__":
    main()
