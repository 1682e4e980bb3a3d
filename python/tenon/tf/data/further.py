"""Datasets made of others by steps that there are: counters, draws, samples by class, distinct elements, records of one length."""
from tenon import _tenon, errors, raw_ops
from tenon.tensor_spec import TensorSpec
from tenon.tf.data.dataset import _LARGEST, INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset


def counter(start=0, step=1, dtype="int64", name=None):
    """start, start + step, ... without end."""
    if not isinstance(step, int) or step == 0:
        raise ValueError("Dataset.counter() takes a step other than 0.")
    made = Dataset.range(start, _LARGEST if step > 0 else -_LARGEST, step, output_type=dtype)
    made._cardinality = INFINITE_CARDINALITY
    return made


def random(seed=None, rerandomize_each_iteration=None, name=None):
    """Numbers of 32 random bits without end, equal ones in each pass."""
    from tenon.tf import random as draws
    first, second = draws._seeds(seed)
    key = _tenon.convert([first, second], "int64")

    def draw(i):
        own = raw_ops.Pack(values=[key[0] + i, key[1]])
        bits = raw_ops.StatelessRandomUniformFullInt(shape=[], seed=own, dtype=_tenon.as_dtype("uint32"))
        return raw_ops.Cast(x=bits, DstT="int64")

    made = counter().map(draw)
    made._cardinality = INFINITE_CARDINALITY
    return made


def unique(self, name=None):
    """Each element once, when it is first met."""
    spec = self.element_spec
    if not isinstance(spec, TensorSpec) or spec.shape.rank not in (0, None):
        raise TypeError(f"unique() takes datasets of scalars, not of {spec}.")

    def distinct():
        met = set()
        for element in self.as_numpy_iterator():
            if element not in met:
                met.add(element)
                yield element

    return Dataset.from_generator(distinct, output_signature=spec)


def rebatch(self, batch_size, drop_remainder=False, name=None):
    """The rows of the elements in batches of another size."""
    sizes = _tenon.convert(batch_size)
    if sizes.shape.rank != 0:
        raise NotImplementedError("rebatch() takes one size for all batches.")
    return self.unbatch().batch(batch_size, drop_remainder)


def rejection_resample(self, class_func, target_dist, initial_dist=None, seed=None, name=None):
    """(class, element), leaving elements out so that classes are as frequent as `target_dist` says. Without `initial_dist`
    how frequent they are is counted on the way."""
    from tenon.tf import random as draws
    from tenon.tf import reductions
    target = _tenon.convert(target_dist, "float32")
    classes = target.shape.num_elements()
    known = None if initial_dist is None else _tenon.convert(initial_dist, "float32")
    key = _tenon.convert(list(draws._seeds(seed)), "int64")

    def step(state, *element):
        count, seen = state
        kind = class_func(*element)
        seen = seen + raw_ops.OneHot(indices=kind, depth=classes, on_value=_tenon.convert(1.0), off_value=_tenon.convert(0.0))
        frequent = seen / reductions.reduce_sum(seen) if known is None else known
        odds = raw_ops.DivNoNan(x=target, y=frequent)
        share = raw_ops.GatherV2(params=odds, indices=kind, axis=0) / reductions.reduce_max(odds)
        draw = draws.stateless_uniform([], raw_ops.Pack(values=[key[0] + count, key[1]]))
        return (count + 1, seen), (draw < share, (kind, element[0] if len(element) == 1 else element))

    start = (_tenon.convert(0, "int64"), raw_ops.Fill(dims=[classes], value=_tenon.convert(0.0)))
    marked = self.scan(start, step)
    return marked.filter(lambda kept, _: kept).map(lambda _, pair: pair)


class FixedLengthRecordDataset(Dataset):
    """The records of files, each of `record_bytes` bytes."""

    def __init__(self, filenames, record_bytes, header_bytes=None, footer_bytes=None, buffer_size=None, compression_type=None,
                 num_parallel_reads=None, name=None):
        from tenon.tf.io import _python_text
        if compression_type:
            raise NotImplementedError("FixedLengthRecordDataset reads files that are not compressed.")
        names, length = _python_text(_tenon.convert(filenames, "string")), int(record_bytes)
        header, footer = int(header_bytes or 0), int(footer_bytes or 0)

        def records():
            for name in names:
                yield from _records_of(name, length, header, footer)

        made = Dataset.from_generator(records, output_signature=TensorSpec([], "string"))
        super().__init__(made.pipeline, made.element_spec, UNKNOWN_CARDINALITY, [made], keeps=made._keeps, kind="FixedLengthRecord")


def _records_of(name, length, header, footer):
    import os
    with open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size - header - footer
        if size % length:
            raise errors.InvalidArgumentError(
                None, None, f"Excluding the header ({header} bytes) and footer ({footer} bytes), input file {name} has body length "
                f"{size} bytes, which is not an exact multiple of the record length ({length} bytes).")
        file.seek(header)
        for _ in range(size // length):
            yield file.read(length)


def _method(name):
    """The function of tf.data.experimental that gives what Dataset.apply() takes."""
    def function(*args, **kwargs):
        return lambda dataset: getattr(dataset, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    return function


def _shuffle_and_repeat(buffer_size, count=None, seed=None):
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def _map_and_batch(map_func, batch_size, num_parallel_batches=None, drop_remainder=False, num_parallel_calls=None):
    return lambda dataset: dataset.map(map_func, num_parallel_calls).batch(batch_size, drop_remainder)


def _parse_examples(features, num_parallel_calls=1, deterministic=None):
    from tenon.tf.io import parse_example
    return lambda dataset: dataset.map(lambda examples: parse_example(examples, features), num_parallel_calls)


def _from_list(elements, name=None):
    from tenon import nest
    from tenon.tf import arrays
    if not elements:
        raise ValueError("Empty list.")
    return Dataset.from_tensor_slices(nest.map_structure(lambda *rows: arrays.stack(list(rows)), *elements))


def _to_device(*_, **__):
    """Elements are on the processor; functions take them to their device."""
    return lambda dataset: dataset


EXPERIMENTAL = {
    "unique": _method("unique"), "enumerate_dataset": _method("enumerate"), "take_while": _method("take_while"),
    "scan": _method("scan"), "group_by_window": _method("group_by_window"), "snapshot": _method("snapshot"),
    "bucket_by_sequence_length": _method("bucket_by_sequence_length"), "dense_to_ragged_batch": _method("ragged_batch"),
    "dense_to_sparse_batch": _method("sparse_batch"), "rejection_resample": _method("rejection_resample"),
    "shuffle_and_repeat": _shuffle_and_repeat, "map_and_batch": _map_and_batch, "parse_example_dataset": _parse_examples,
    "from_list": _from_list, "Counter": counter, "RandomDataset": random, "prefetch_to_device": _to_device,
    "copy_to_device": _to_device, "choose_from_datasets": Dataset.choose_from_datasets,
    "sample_from_datasets": Dataset.sample_from_datasets, "load": Dataset.load, "save": Dataset.save}
for _function in (unique, rebatch, rejection_resample):
    setattr(Dataset, _function.__name__, _function)
Dataset.counter, Dataset.random = staticmethod(counter), staticmethod(random)
