"""TensorBoard's own reader reads the events of `tenon train --log_dir`."""
import os
import tempfile

from common import DIGITS, Checks, train_digits

from tensorboard.backend.event_processing import event_accumulator


def scalars(folder):
    """tag -> [(step, value)]"""
    events = event_accumulator.EventAccumulator(folder, size_guidance={event_accumulator.TENSORS: 0})
    events.Reload()
    found = {}
    for tag in events.Tags()["tensors"]:
        found[tag] = [(event.step, float(event.tensor_proto.float_val[0]) if event.tensor_proto.float_val else
                       scalar_of(event.tensor_proto)) for event in events.Tensors(tag)]
    for tag in events.Tags()["scalars"]:
        found[tag] = [(event.step, event.value) for event in events.Scalars(tag)]
    return found


def scalar_of(proto):
    from tensorboard.util import tensor_util
    return float(tensor_util.make_ndarray(proto))


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
