"""Two training runs with the same seed and threads give the same bits."""
import os
import tempfile
import zipfile

from common import Checks, train_digits


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


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        epochs = [train_digits(folder, save=os.path.join(folder, "digits.keras"), threads=2) for folder in (first, second)]
        losses = [[epoch["loss"] for epoch in run] for run in epochs]
        check.that(losses[0] == losses[1], "the same losses", losses)
        a, b = contents(first), contents(second)
        check.that(sorted(a) == sorted(b) and len(a) >= 3, "the same files", sorted(a))
        for name in a:
            check.that(a[name] == b.get(name), f"the same bytes in {name}")
    check.done()


if __name__ == "__main__":
    main()
