"""Training runs with the same seed give the same bits, whatever the threads and the steps' teams; so do predictions."""
import os
import tempfile
import zipfile

import numpy as np
from common import Checks, digits, run_saved_model, train_digits

TEAMS = (2, 2, 1, 3, 8, 32)


def contents(folder):
    """What training decided: the exported variables and the weights inside the .keras file."""
    found = {}
    variables = os.path.join(folder, "1", "variables")
    for name in sorted(os.listdir(variables)):
        with open(os.path.join(variables, name), "rb") as f:
            found[name] = f.read()
    with zipfile.ZipFile(os.path.join(folder, "digits.keras")) as archive:
        found["model.weights.h5"] = archive.read("model.weights.h5")
    return found


def outcome(folder, team, x):
    """Losses, files and predictions of a run whose every step has a team of so many."""
    os.environ["TENON_TEAM"] = str(team)
    epochs = train_digits(folder, save=os.path.join(folder, "digits.keras"), threads=team)
    outputs = run_saved_model(os.path.join(folder, "1"), pixels=x)
    return [epoch["loss"] for epoch in epochs], contents(folder), np.concatenate([y.ravel() for y in outputs.values()])


def replicas_outcome(threads):
    """Losses and weights of three replicas on so many threads."""
    os.environ.pop("TENON_TEAM", None)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "digits.keras")
        epochs = train_digits(folder, save=path, threads=threads, strategy="mirrored", virtual_cpus=3)
        with zipfile.ZipFile(path) as archive:
            return [epoch["loss"] for epoch in epochs], archive.read("model.weights.h5")


def main():
    check = Checks()
    x = digits("test")[0][:37]
    first = None
    for team in TEAMS:
        with tempfile.TemporaryDirectory() as folder:
            losses, files, outputs = outcome(folder, team, x)
        first = first or (losses, files, outputs)
        check.that(losses == first[0], f"the same losses, team {team}", (losses, first[0]))
        check.that(sorted(files) == sorted(first[1]) and len(files) >= 3, "the same files", sorted(files))
        for name, data in files.items():
            check.that(data == first[1].get(name), f"the same bytes in {name}, team {team}")
        check.that(outputs.tobytes() == first[2].tobytes(), f"the same predictions, team {team}")
    mirrored = {threads: replicas_outcome(threads) for threads in (1, 2, 7, 16)}
    for threads, outcome_ in mirrored.items():
        check.that(outcome_ == mirrored[1], f"the same bits of three replicas with {threads} threads")
    check.done()


if __name__ == "__main__":
    main()
