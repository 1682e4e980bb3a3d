"""Dataset: elements from files, tensors and generators, step by step, by the C++ pipeline."""
import functools
import os

from tenon import _tenon, errors, nest, raw_ops
from tenon.composite import CompositeSpec
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec
from tenon.tf.data import iterator, structure
from tenon.tf.data.in_graph import Elements, begin
from tenon.tf.data.options import AUTOTUNE, Options, threads_of
from tenon.tf.data.seeds import seeds_of
from tenon.tf.data.traced import TracedFunction

INFINITE_CARDINALITY = -1
UNKNOWN_CARDINALITY = -2
_LARGEST = 2 ** 63 - 1


def _number(value):
    """An int64 scalar for the pipeline."""
    if isinstance(value, (_tenon.Tensor, _tenon.VariableBase)):
        value = _tenon.convert(value)
        return value if value.dtype == "int64" else raw_ops.Cast(x=value, DstT="int64")
    return structure.constant(int(value), "int64")


def _known(value):
    """The number that a tensor holds; None where it is traced."""
    return None if value.is_symbolic else int(value)


def symbolic(values):
    return [value for value in values if value is not None and value.is_symbolic]


class Dataset:
    """Elements, as often as they are asked for. Immutable; each step gives another Dataset."""

    def __init__(self, pipeline, element_spec, cardinality, inputs=(), symbols=(), keeps=None, kind=""):
        self.pipeline, self._element_spec, self._cardinality = pipeline, element_spec, cardinality
        # What the pipeline knows by name only, and must therefore live as long.
        self._inputs, self._keeps = tuple(inputs), keeps
        # Tensors of functions that are being traced for whose values the pipeline waits.
        self.symbols = list(symbols) + [symbol for each in self._inputs for symbol in each.symbols]
        self._kind, self._passes = kind, 0
        self._repeated = pipeline.repeat  # shuffle() has a way of its own, as tf.data fuses the two
        self._options = Options()
        for each in self._inputs:
            self._options = self._options.merge(each._options)
        if not self.symbols:
            pipeline.settle()

    # Sources.

    @staticmethod
    def from_tensors(tensors, name=None):
        """One element: `tensors`."""
        element = structure.normalize(tensors)
        flat = structure.encoded(structure.without_datasets(element))
        return Dataset(_tenon.Pipeline.single(flat), structure.spec_of(element), 1, symbols=symbolic(flat), kind="Tensor")

    @staticmethod
    def from_tensor_slices(tensors, name=None):
        """The rows of `tensors`."""
        element = structure.normalize(tensors)
        leaves = [leaf for leaf in nest.flatten(structure.without_datasets(element)) if leaf is not None]
        if not leaves:
            raise ValueError("Invalid `element`. `element` should not be empty.")
        rows = None
        for tensor in leaves:
            if tensor.shape.rank == 0:
                raise ValueError("Unbatching a tensor is only supported for rank >= 1")
            found = None if tensor.shape.rank is None else tensor.shape[0]
            if None not in (rows, found) and rows != found:
                raise ValueError(f"Dimensions {rows} and {found} are not compatible")
            rows = found if rows is None else rows
        flat = structure.encoded(element, rows=True)
        spec = structure.map_shapes(lambda shape: shape[1:], structure.spec_of(element), lambda leaf: leaf._unbatched())
        return Dataset(_tenon.Pipeline.slices(flat), spec, UNKNOWN_CARDINALITY if rows is None else rows,
                       symbols=symbolic(flat), kind="TensorSlice")

    @staticmethod
    def range(*args, output_type="int64", name=None):
        """The numbers of Python's range()."""
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Invalid `args`. Length of `args` should be between 1 and 3, but got {len(args)}.")
        start, stop, step = (0, *args, 1) if len(args) == 1 else (*args, 1) if len(args) == 2 else args
        numbers = [_number(n) for n in (start, stop, step)]
        known = [_known(n) for n in numbers]
        count = UNKNOWN_CARDINALITY if None in known else len(range(*known)) if known[2] else 0
        made = Dataset(_tenon.Pipeline.range(*numbers), TensorSpec([], "int64"), count, symbols=symbolic(numbers),
                       kind="Range")
        dtype = _tenon.as_dtype(output_type)
        return made if dtype == "int64" else made.map(lambda x: raw_ops.Cast(x=x, DstT=dtype))

    @staticmethod
    def from_generator(generator, output_types=None, output_shapes=None, args=None, output_signature=None, name=None):
        """What the iterator yields that `generator`, called with the arrays of `args` for each pass, returns."""
        from tenon.tf.data.generator import starter
        if not callable(generator):
            raise TypeError("`generator` must be a Python callable.")
        if output_signature is None:
            if output_types is None:
                raise TypeError("Either `output_signature` or `output_types` must be specified.")
            output_signature = structure.signature(output_types, output_shapes)
        elif output_types is not None or output_shapes is not None:
            raise TypeError("`output_types` and `output_shapes` must not be used together with `output_signature`.")
        for leaf in nest.flatten(output_signature):
            if not isinstance(leaf, (TensorSpec, CompositeSpec)):
                raise TypeError(f"`output_signature` must contain objects that are TensorSpecs but found {type(leaf)}.")
        args = [_tenon.convert(arg) for arg in args or ()]
        spec = structure.map_leaves(lambda leaf: leaf if isinstance(leaf, CompositeSpec) else TensorSpec(
            leaf.shape, leaf.dtype), output_signature)
        start = starter(generator, spec)
        return Dataset(_tenon.Pipeline.generator(start, args), spec, UNKNOWN_CARDINALITY, symbols=symbolic(args), keeps=start,
                       kind="FlatMap")

    @staticmethod
    def zip(*args, datasets=None, name=None):
        """Elements of all datasets side by side, as long as all have one."""
        if datasets is None:
            datasets = args[0] if len(args) == 1 else args
        for leaf in nest.flatten(datasets):
            if not isinstance(leaf, Dataset):
                raise TypeError("Invalid input to `zip`. Inputs are expected to be (nested structures of) `tf.data.Dataset` "
                                f"objects. Encountered object of type {type(leaf)}.")
        flat = nest.flatten(datasets)
        counts = [each._cardinality for each in flat]
        finite = [count for count in counts if count != INFINITE_CARDINALITY]
        count = UNKNOWN_CARDINALITY if UNKNOWN_CARDINALITY in counts else min(finite, default=INFINITE_CARDINALITY)
        spec = structure.map_leaves(lambda each: each.element_spec, datasets)
        return Dataset(_tenon.Pipeline.zip([each.pipeline for each in flat]), spec, count, flat, kind="Zip")

    @staticmethod
    def list_files(file_pattern, shuffle=None, seed=None, name=None):
        """The names of the files that match a glob pattern, or one of several, in random order unless `shuffle` is False."""
        import glob
        patterns = file_pattern if isinstance(file_pattern, (list, tuple)) else _tenon.convert(file_pattern).numpy()
        patterns = patterns.ravel().tolist() if hasattr(patterns, "ravel") else patterns
        patterns = [os.fsdecode(p) for p in (patterns if isinstance(patterns, (list, tuple)) else [patterns])]
        found = sorted({path for pattern in patterns for path in glob.glob(pattern)})
        if not found:
            raise errors.InvalidArgumentError(None, None, f"No files matched pattern: {', '.join(patterns)}")
        files = Dataset.from_tensor_slices(_tenon.convert(found, "string"))
        return files if shuffle is False else files.shuffle(len(found), seed)

    # Steps that take functions.

    def map(self, map_func, num_parallel_calls=None, deterministic=None, synchronous=None, use_unbounded_threadpool=False,
            name=None):
        """`map_func` of each element, in order; traced once and run on several threads where that is asked for."""
        return self._map(map_func, num_parallel_calls)

    def _map(self, map_func, num_parallel_calls=None, rows=False):
        """`rows`: ragged and sparse tensors become vectors of their rows."""
        traced = TracedFunction(map_func, self.element_spec, rows)
        if traced.dataset is not None:
            raise TypeError("A function of `map` gives tensors; this one gives a dataset: use `flat_map` or `interleave`.")
        return self._then(self.pipeline.map(traced.native, threads_of(num_parallel_calls)), traced.spec, self._cardinality,
                          function=traced, kind="Map" if num_parallel_calls is None else "ParallelMap")

    def filter(self, predicate, name=None):
        """The elements for which `predicate` is true."""
        return self._where("filter", predicate, "Filter")

    def take_while(self, predicate, name=None):
        """The elements before the first for which `predicate` is false."""
        return self._where("take_while", predicate, "TakeWhile")

    def _where(self, step, predicate, kind):
        traced = TracedFunction(predicate, self.element_spec)
        if not (isinstance(traced.spec, TensorSpec) and traced.spec.dtype.is_bool and traced.spec.shape.rank in (0, None)):
            raise ValueError(f"Invalid `predicate`. `predicate` must return a `tf.bool` scalar tensor, but its return type is "
                             f"{traced.spec}.")
        return self._then(getattr(self.pipeline, step)(traced.native), self.element_spec, UNKNOWN_CARDINALITY,
                          function=traced, kind=kind)

    def flat_map(self, map_func, name=None):
        """The elements of the datasets that `map_func` gives, one after the other."""
        return self._interleaved(map_func, 1, 1, "FlatMap")

    def interleave(self, map_func, cycle_length=None, block_length=None, num_parallel_calls=None, deterministic=None,
                   name=None):
        """As flat_map, from `cycle_length` datasets in turn, which `num_parallel_calls` threads read ahead; in the same
        order, unless `deterministic` is False."""
        if cycle_length in (None, AUTOTUNE):
            cycle_length = os.cpu_count() or 1
        block_length = 1 if block_length is None else block_length
        for what, value in (("cycle_length", cycle_length), ("block_length", block_length)):
            if value < 1:
                raise errors.InvalidArgumentError(None, None, f"`{what}` must be > 0")
        if num_parallel_calls not in (None, AUTOTUNE) and num_parallel_calls > cycle_length:
            raise errors.InvalidArgumentError(None, None, "If `cycle_length` is set to a fixed value, `num_parallel_calls` must be "
                                              "either `tf.data.AUTOTUNE` or a value less than or equal to `cycle_length`. However, "
                                              f"`num_parallel_calls` is {num_parallel_calls} and `cycle_length` is {cycle_length}")
        threads = min(threads_of(num_parallel_calls), int(cycle_length))
        return self._interleaved(map_func, cycle_length, block_length,
                                 "Interleave" if num_parallel_calls is None else "ParallelInterleave", threads,
                                 self._keeps_order(deterministic))

    def _keeps_order(self, deterministic):
        return (self._options.deterministic if deterministic is None else deterministic) is not False

    def _interleaved(self, map_func, cycle_length, block_length, kind, threads=1, deterministic=True):
        traced = TracedFunction(map_func, self.element_spec)
        if traced.dataset is None:
            raise TypeError(f"`map_func` must return a `Dataset` object. Got {traced.spec}.")
        pipeline = self.pipeline.interleave(traced.native, int(cycle_length), int(block_length), threads, deterministic)
        return self._then(pipeline, traced.dataset.element_spec, UNKNOWN_CARDINALITY, function=traced, kind=kind)

    def scan(self, initial_state, scan_func, name=None):
        """The second of what `scan_func` gives of the state and each element; the first is the next state."""
        from tenon.tf.data import grouping
        return grouping.scan(self, initial_state, scan_func)

    def group_by_window(self, key_func, reduce_func, window_size=None, window_size_func=None, name=None):
        """The elements of `reduce_func(key, dataset)` of each `window_size` elements of equal `key_func`."""
        from tenon.tf.data import grouping
        return grouping.group_by_window(self, key_func, reduce_func, window_size, window_size_func)

    @staticmethod
    def choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset=True):
        """Elements of the datasets that the numbers of `choice_dataset` name."""
        from tenon.tf.data import grouping
        return grouping.choose(datasets, choice_dataset, stop_on_empty_dataset)

    @staticmethod
    def sample_from_datasets(datasets, weights=None, seed=None, stop_on_empty_dataset=False,
                             rerandomize_each_iteration=None):
        """Elements of datasets that are drawn by the weights."""
        from tenon.tf.data import grouping
        return grouping.sample(datasets, weights, seed, stop_on_empty_dataset, rerandomize_each_iteration)

    def reduce(self, initial_state, reduce_func, name=None):
        """What is left when `reduce_func` has put each element to the state."""
        from tenon.tf.data import grouping
        return grouping.reduce(self, initial_state, reduce_func)

    def save(self, path, compression=None, shard_func=None, checkpoint_args=None):
        """Writes the elements to a folder, for load()."""
        from tenon.tf.data import stored
        stored.save(self, path, compression, shard_func)

    @staticmethod
    def load(path, element_spec=None, compression=None, reader_func=None, wait=False):
        """What save() has written."""
        from tenon.tf.data import stored
        return stored.load(path, element_spec, compression, reader_func)

    def snapshot(self, path, compression="AUTO", reader_func=None, shard_func=None, name=None):
        """The elements, from files once a first pass has written them."""
        from tenon.tf.data import stored
        return stored.snapshot(self, path, None if compression == "AUTO" else compression, reader_func, shard_func)

    # Steps that do not look into elements.

    def batch(self, batch_size, drop_remainder=False, num_parallel_calls=None, deterministic=None, name=None):
        """`batch_size` elements stacked; the last may be fewer unless `drop_remainder`."""
        size = _number(batch_size)
        rows = _known(size) if drop_remainder else None
        spec = structure.map_shapes(lambda shape: TensorShape([rows]) + shape, self.element_spec,
                                    lambda leaf: leaf._batched(rows))
        return self._then(self.pipeline.batch(size, bool(drop_remainder)), spec, self._batches(size, drop_remainder),
                          symbols=symbolic([size]), kind="Batch")

    def padded_batch(self, batch_size, padded_shapes=None, padding_values=None, drop_remainder=False, name=None):
        """As batch, of elements that differ in size: filled up to `padded_shapes`, or to the largest."""
        from tenon.tf.data.padding import padding_of
        size = _number(batch_size)
        rows = _known(size) if drop_remainder else None
        shapes, values = padding_of(self.element_spec, padded_shapes, padding_values)
        leaves = iter(shapes)
        spec = structure.map_shapes(lambda _: TensorShape([rows]) + next(leaves), self.element_spec)
        return self._then(self.pipeline.padded_batch(size, shapes, values, bool(drop_remainder)), spec,
                          self._batches(size, drop_remainder), symbols=symbolic([size]), kind="PaddedBatch")

    def ragged_batch(self, batch_size, drop_remainder=False, row_splits_dtype="int64", name=None):
        """As batch, of elements that differ in size: these are ragged in it."""
        from tenon.tf.data.ragged import as_rows
        return as_rows(self, row_splits_dtype).batch(batch_size, drop_remainder)

    def sparse_batch(self, batch_size, row_shape, name=None):
        """As batch, of sparse tensors, whose rows have the shape `row_shape`."""
        from tenon.tf.data.ragged import sparse_batch
        return sparse_batch(self, batch_size, row_shape)

    def bucket_by_sequence_length(self, element_length_func, bucket_boundaries, bucket_batch_sizes, padded_shapes=None,
                                  padding_values=None, pad_to_bucket_boundary=False, no_padding=False,
                                  drop_remainder=False, name=None):
        """Padded batches of elements of like length: of bucket i, up to its boundary, `bucket_batch_sizes[i]`."""
        from tenon.tf.data.padding import padding_of
        if len(bucket_batch_sizes) != len(bucket_boundaries) + 1:
            raise ValueError("`len(bucket_batch_sizes)` must equal `len(bucket_boundaries) + 1`.")
        if no_padding:
            raise NotImplementedError("no_padding: the elements of a batch would have to be of one size or ragged.")
        traced = TracedFunction(element_length_func, self.element_spec)
        if padded_shapes is None:  # None: as long as the longest of the batch
            padded_shapes = structure.map_leaves(lambda leaf: leaf.shape, self.element_spec)
        shapes, values = padding_of(self.element_spec, padded_shapes, padding_values)
        pipeline = self.pipeline.bucket_by_length(traced.native, list(bucket_boundaries), list(bucket_batch_sizes),
                                                  bool(pad_to_bucket_boundary), shapes, values, bool(drop_remainder))
        leaves = iter(shapes)
        spec = structure.map_shapes(lambda _: TensorShape([None]) + next(leaves), self.element_spec)
        return self._then(pipeline, spec, UNKNOWN_CARDINALITY, function=traced, kind="BucketBySequenceLength")

    def _batches(self, size, drop_remainder):
        rows = _known(size)
        if self._cardinality < 0 or not rows or rows < 0:
            return self._cardinality if rows else UNKNOWN_CARDINALITY
        return self._cardinality // rows if drop_remainder else -(-self._cardinality // rows)

    def unbatch(self, name=None):
        """The rows of each element."""
        rows = [leaf.shape[0] for leaf in nest.flatten(self.element_spec)
                if isinstance(leaf, (TensorSpec, CompositeSpec)) and leaf.shape.rank]
        spec = structure.map_shapes(structure.row_shape, self.element_spec, lambda leaf: leaf._unbatched())
        known = next((n for n in rows if n is not None), None)
        count = UNKNOWN_CARDINALITY if known is None or self._cardinality == UNKNOWN_CARDINALITY else (
            self._cardinality * known if self._cardinality > 0 else self._cardinality)
        rowwise = self
        if structure.has_composites(self.element_spec):
            rowwise = self._map(lambda *element: element if len(element) > 1 or type(self.element_spec) is tuple
                                else element[0], rows=True)
        return rowwise._then(rowwise.pipeline.unbatch(), spec, count, kind="Unbatch")

    def window(self, size, shift=None, stride=1, drop_remainder=False, name=None):
        """Datasets of `size` elements that are `stride` apart, each beginning `shift` after the one before."""
        size = _number(size)
        shift, stride = size if shift is None else _number(shift), _number(stride)
        known = [_known(n) for n in (size, shift, stride)]
        count = self._cardinality
        if count >= 0:
            if None in known or min(known) < 1:
                count = UNKNOWN_CARDINALITY
            elif drop_remainder:
                count = max(0, (count - (known[0] - 1) * known[2] - 1) // known[1] + 1)
            else:
                count = -(-count // known[1])
        spec = structure.map_leaves(structure.DatasetSpec, self.element_spec)
        return self._then(self.pipeline.window(size, shift, stride, bool(drop_remainder)), spec, count,
                          symbols=symbolic([size, shift, stride]), kind="Window")

    def shuffle(self, buffer_size, seed=None, reshuffle_each_iteration=True, name=None):
        """In random order: of a buffer of `buffer_size` elements one is drawn."""
        if not isinstance(buffer_size, (_tenon.Tensor, _tenon.VariableBase)) and buffer_size == UNKNOWN_CARDINALITY:
            buffer_size = _LARGEST
        buffer = _number(buffer_size)
        reshuffle = reshuffle_each_iteration is None or bool(reshuffle_each_iteration)
        seeds = seeds_of(seed)
        shuffled = self._then(self.pipeline.shuffle(buffer, *seeds, reshuffle), self.element_spec, self._cardinality,
                              symbols=symbolic([buffer]), kind="Shuffle")
        if reshuffle:
            shuffled._repeated = functools.partial(self.pipeline.shuffle_and_repeat, buffer, *seeds)
        return shuffled

    def repeat(self, count=None, name=None):
        """`count` passes over the elements; without end where it is None or below 0."""
        count = _number(-1 if count is None else count)
        times, each = _known(count), self._cardinality
        if times is None:
            total = UNKNOWN_CARDINALITY
        elif times == 0 or each == 0:
            total = 0
        elif times < 0:
            total = INFINITE_CARDINALITY
        else:
            total = each * times if each > 0 else each
        return self._then(self._repeated(count), self.element_spec, total, symbols=symbolic([count]), kind="Repeat")

    def take(self, count, name=None):
        """The first `count` elements; all where it is below 0."""
        count = _number(count)
        most, total = _known(count), self._cardinality
        if most is None:
            total = UNKNOWN_CARDINALITY
        elif most >= 0 and total != UNKNOWN_CARDINALITY:
            total = most if total == INFINITE_CARDINALITY else min(total, most)
        return self._then(self.pipeline.take(count), self.element_spec, total, symbols=symbolic([count]), kind="Take")

    def skip(self, count, name=None):
        """All but the first `count` elements; none where it is below 0."""
        count = _number(count)
        passed, total = _known(count), self._cardinality
        if passed is None:
            total = UNKNOWN_CARDINALITY
        elif passed < 0:
            total = 0
        elif total > 0:
            total = max(0, total - passed)
        return self._then(self.pipeline.skip(count), self.element_spec, total, symbols=symbolic([count]), kind="Skip")

    def shard(self, num_shards, index, name=None):
        """Every `num_shards`-th element from `index` on."""
        shards, index = _number(num_shards), _number(index)
        known = [_known(shards), _known(index)]
        total = self._cardinality
        if total > 0:
            total = UNKNOWN_CARDINALITY if None in known else -(-max(0, total - known[1]) // max(1, known[0]))
        return self._then(self.pipeline.shard(shards, index), self.element_spec, total,
                          symbols=symbolic([shards, index]), kind="Shard")

    def concatenate(self, dataset, name=None):
        """These elements, then those of `dataset`."""
        if not structure.compatible(self.element_spec, dataset.element_spec):
            raise TypeError(f"Incompatible dataset elements:\n  {self.element_spec} vs.   {dataset.element_spec}")
        counts = (self._cardinality, dataset._cardinality)
        total = (INFINITE_CARDINALITY if INFINITE_CARDINALITY in counts else UNKNOWN_CARDINALITY
                 if UNKNOWN_CARDINALITY in counts else sum(counts))
        return Dataset(self.pipeline.concatenate(dataset.pipeline), structure.common(self.element_spec, dataset.element_spec),
                       total, [self, dataset], kind="Concatenate")

    def enumerate(self, start=0, name=None):
        """(number, element) from `start` on."""
        numbered = Dataset.zip((Dataset.range(start, _LARGEST), self))
        numbered._cardinality = self._cardinality
        return numbered

    def cache(self, filename="", name=None):
        """What the first full pass gives, from memory or a file from then on."""
        return self._then(self.pipeline.cache(os.fspath(filename)), self.element_spec, self._cardinality, kind="Cache")

    def prefetch(self, buffer_size, name=None):
        """A thread makes up to `buffer_size` elements ahead; with AUTOTUNE as many as help, up to 512 of 64 MiB."""
        depth = AUTOTUNE if buffer_size is None else max(AUTOTUNE, int(buffer_size))
        return self._then(self.pipeline.prefetch(depth), self.element_spec, self._cardinality, kind="Prefetch")

    def with_options(self, options, name=None):
        same = self._then(self.pipeline, self.element_spec, self._cardinality, kind="Options")
        same._options = self._options.merge(options)
        return same

    def options(self):
        return self._options

    def apply(self, transformation_func):
        """`transformation_func` of this dataset."""
        made = transformation_func(self)
        if not isinstance(made, Dataset):
            raise TypeError(f"`transformation_func` must return a `tf.data.Dataset` object. Got {type(made)}.")
        return made

    def _then(self, pipeline, spec, cardinality, symbols=(), function=None, kind=""):
        if function is not None:
            symbols = function.symbols
        return Dataset(pipeline, spec, cardinality, [self], symbols, function, kind)

    # Reading.

    @property
    def element_spec(self):
        return self._element_spec

    def cardinality(self, name=None):
        return _tenon.convert(self._cardinality, "int64")

    def get_single_element(self, name=None):
        """The only element."""
        elements = list(self.take(2))
        if len(elements) != 1:
            raise errors.InvalidArgumentError(None, None, "Dataset had more than one element." if elements
                                              else "Dataset was empty.")
        return elements[0]

    def as_numpy_iterator(self):
        return iterator.NumpyIterator(self)

    def __iter__(self):
        if _tenon.tracing() or not self.symbols:
            return self._in_graph() if _tenon.tracing() else self._pass()
        raise RuntimeError("The dataset depends on a tensor of a function that was traced: it has elements only there.")

    def _pass(self, ids=(), values=()):
        self._passes += 1  # `values`: of the traced tensors of these ids, for which the pipeline waits
        return iterator.Iterator(self, self._passes - 1, ids, values)

    def _in_graph(self):
        return begin(Elements(self.element_spec), self._pass, self.symbols)

    def __len__(self):
        if self._cardinality == INFINITE_CARDINALITY:
            raise TypeError("The dataset is infinite.")
        if self._cardinality == UNKNOWN_CARDINALITY:
            raise TypeError("The dataset length is unknown.")
        return self._cardinality

    def __bool__(self):
        return True

    def __repr__(self):
        name = type(self).__name__ if type(self) is not Dataset else f"_{self._kind}Dataset"
        return f"<{name} element_spec={self.element_spec!r}>"


def dataset_in(variant, element_spec):
    """The dataset that a component of an element is."""
    return Dataset(_tenon.Pipeline.of(variant), element_spec, UNKNOWN_CARDINALITY, symbols=symbolic([variant]), kind="Variant")
