"""The reference cases of shared/cases as a flat list: what to run, what must come out. Rules: the READMEs there."""
import dataclasses
import glob
import json
import os
import re

import numpy as np


@dataclasses.dataclass
class Case:
    """One run of `tenon run`. `group` is the line of expected.txt it belongs to, `name` its name there."""
    group: str
    name: str
    model: str
    signature: str
    golden: str  # .npz file of the values below
    inputs: dict  # name -> key
    outputs: dict  # name -> key
    dtypes: dict = dataclasses.field(default_factory=dict)  # of outputs, where the case says
    gradients: dict = dataclasses.field(default_factory=dict)  # output -> key of the upstream gradient
    rtol: float = 0.0
    atol: float = 0.0
    int_atol: int = 0
    error: str | None = None
    shape_only: bool = False
    files: dict = dataclasses.field(default_factory=dict)  # name in the working folder -> file
    after: "Case | None" = None  # the case of the sequence that must run before, on one model

    @property
    def id(self):
        return f"{self.group} {self.name}"


def under(keys, prefix):
    return {key[len(prefix):]: key for key in keys if key.startswith(prefix)}


def read_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def model_cases(root):
    for folder in sorted(glob.glob(os.path.join(root, "models", "*", ""))):
        info, golden = read_json(folder + "case.json"), folder + "golden.npz"
        with np.load(golden) as values:
            keys = list(values.files)
        requests = sorted({tuple(key.split("/")[:2]) for key in keys},
                          key=lambda request: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", request[0])])
        before = None
        for number, signature in requests:
            prefix = f"{number}/{signature}/"
            signature_outputs = info["signatures"][signature]["outputs"]
            case = Case(group=f"models/{info['name']}", name=number, model=folder + "1", signature=signature, golden=golden,
                        inputs=under(keys, prefix + "in/"), outputs=under(keys, prefix + "out/"),
                        dtypes={name: output["dtype"] for name, output in signature_outputs.items()},
                        rtol=info["rtol"], atol=info["atol"])
            if number.startswith("seq"):
                case.after, before = before, case
            yield case


def op_cases(root):
    for path in sorted(glob.glob(os.path.join(root, "ops", "*", "case.json"))):
        folder, info = os.path.dirname(path), read_json(path)
        golden = os.path.join(folder, "golden.npz")
        for name, case in sorted(info["cases"].items()):
            files = {os.path.basename(file)[len(name) + 1:]: file
                     for file in glob.glob(os.path.join(folder, "files", name + "-*"))}
            yield Case(group=f"ops/{info['op']}", name=name, model=os.path.join(folder, "1"), signature=name, golden=golden,
                       inputs={key: f"{name}/in/{key}" for key in case["inputs"]},
                       outputs={key: f"{name}/out/{key}" for key in case["outputs"] or []},
                       rtol=case["rtol"], atol=case["atol"], int_atol=case.get("int_atol", 0), error=case["error"],
                       shape_only=case.get("check") == "shape", files=files)


def gradient_cases(root):
    for path in sorted(glob.glob(os.path.join(root, "ops", "gradients", "*.json"))):
        info, golden = read_json(path), path.removesuffix(".json") + ".npz"
        with np.load(golden) as values:
            keys = list(values.files)
        for name, case in sorted(info["cases"].items()):
            yield Case(group=f"gradients/{info['op']}", name=name, model=os.path.join(root, "ops", info["op"], "1"),
                       signature=name, golden=golden, inputs={key: f"{name}/in/{key}" for key in case["fed"]},
                       outputs={"grad_" + key: f"{name}/grad/{key}" for key in case["grad"]},
                       gradients=under(keys, f"{name}/dy/"), rtol=case["rtol"], atol=case["atol"])


SETS = {"models": model_cases, "ops": op_cases, "gradients": gradient_cases}
