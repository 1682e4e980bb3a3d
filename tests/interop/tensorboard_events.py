"""TensorBoard's own reader reads the events of `tenon train --log_dir`."""
import os
import tempfile

from common import DIGITS, Checks, train_digits

from tensorboard.backend.event_processing import event_accumulator
from tensorboard.util import tensor_util


def scalars(folder):
    """tag of an epoch's value -> [(step, value)]"""
    events = event_accumulator.EventAccumulator(folder, size_guidance={event_accumulator.TENSORS: 0})
    events.Reload()
    return {tag: [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in events.Tensors(tag)]
            for tag in events.Tags()["tensors"] if tag.startswith("epoch_")}


def main():
    check = Checks()
    with tempfile.TemporaryDirectory() as base:
        log = os.path.join(base, "log")
        epochs = train_digits(base, log_dir=log, validation_data=os.path.join(DIGITS, "test.csv"))
        for part, prefix in (("train", ""), ("validation", "val_")):
            found = scalars(os.path.join(log, part))
            for metric in ("loss", "accuracy"):
                values = found.get(f"epoch_{metric}", [])
                check.that([step for step, _ in values] == [0, 1], f"{part}: epoch_{metric} at steps 0 and 1", found)
                check.close([value for _, value in values], [epoch[prefix + metric] for epoch in epochs],
                            f"{part}: epoch_{metric} is what training printed", 1e-6)
    check.done()


if __name__ == "__main__":
    main()
