"""Steps that carry something from element to element, and those that choose among datasets."""
from tenon import _tenon, raw_ops
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec
from tenon.tf import graphs
from tenon.tf.data import structure
from tenon.tf.data.dataset import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Dataset, symbolic
from tenon.tf.data.seeds import one_seed_of
from tenon.tf.data.traced import TracedFunction, converted

_INT64 = TensorSpec([], "int64")


def reduce(dataset, initial_state, reduce_func):
    from tenon.function import function
    state = structure.normalize(initial_state)
    wanted = structure.spec_of(state)
    reduce_func = converted(reduce_func)

    @function
    def step(flat_state, flat_element):
        found = structure.normalize(reduce_func(structure.pack(wanted, flat_state),
                                                structure.pack(dataset.element_spec, flat_element)))
        spec = structure.spec_of(found)
        if not structure.compatible(wanted, spec):
            raise TypeError("The element types for the new state must match the initial state. Expected "
                            f"{wanted}; got {spec}.")
        return structure.encoded(found)

    flat = structure.encoded(state)
    if _tenon.tracing():
        return structure.pack(wanted, _reduce_in_graph(dataset, flat, step))
    iterator = iter(dataset)
    while (element := iterator._read()) is not None:
        flat = step(flat, element)
    return structure.pack(wanted, flat)


def _reduce_in_graph(dataset, flat, step):
    from tenon.tf.control_flow import while_loop
    elements = dataset._in_graph()
    kinds = [structure.dtype_and_shape(leaf) for leaf in structure.tensor_leaves(dataset.element_spec)]
    once = graphs.trace(lambda *given: step(list(given[:len(flat)]), list(given[len(flat):])),
                        [(each.dtype, each.shape) for each in flat] + kinds)[1]
    shapes = [before.shape.most_specific_compatible_shape(after.shape) for before, after in zip(flat, once)]

    def body(optional, *state):
        state = step(list(state), elements.tensors(optional))
        return [elements.optional(), *state]

    return while_loop(lambda optional, *_: raw_ops.OptionalHasValue(optional=optional), body, [elements.optional(), *flat],
                      shape_invariants=[TensorShape([]), *shapes])[1:]


def scan(dataset, initial_state, scan_func):
    state = structure.normalize(initial_state)
    spec = structure.spec_of(state)
    while True:  # the state's shapes may change from element to element
        traced = TracedFunction(scan_func, (spec, dataset.element_spec))
        if not isinstance(traced.spec, tuple) or len(traced.spec) != 2:
            raise TypeError("Invalid `scan_func`. `scan_func` should return a pair consisting of new state and the output value, "
                            f"but its return type is {traced.spec}.")
        if not structure.compatible(spec, traced.spec[0]):
            raise TypeError(f"Invalid `scan_func`. The element types for the new state must match the initial state. Expected "
                            f"{spec}; got {traced.spec[0]}.")
        widest = structure.common(spec, traced.spec[0])
        if widest == spec:
            break
        spec = widest
    flat = structure.encoded(structure.without_datasets(state))
    return Dataset(dataset.pipeline.scan(traced.native, flat), traced.spec[1], dataset._cardinality, [dataset],
                   traced.symbols + symbolic(flat), traced, kind="Scan")


def group_by_window(dataset, key_func, reduce_func, window_size, window_size_func):
    if (window_size is None) == (window_size_func is None):
        raise ValueError("Either the `window_size` argument or the `window_size_func` argument must be specified.")
    if window_size is not None:
        size = structure.constant(int(window_size), "int64")
        if int(size) < 1:
            raise ValueError(f"Invalid `window_size`. `window_size` must be positive but is {window_size}.")
        window_size_func = lambda _: size  # noqa: E731
    key = TracedFunction(key_func, dataset.element_spec)
    if not (isinstance(key.spec, TensorSpec) and key.spec == _INT64):
        raise ValueError(f"Invalid `key_func`. `key_func` must return a single `tf.int64` scalar tensor but its return type is "
                         f"{key.spec}.")
    size = TracedFunction(window_size_func, _INT64)
    reduce = TracedFunction(reduce_func, (_INT64, structure.DatasetSpec(dataset.element_spec)))
    if reduce.dataset is None:
        raise TypeError(f"Invalid `reduce_func`. `reduce_func` must return a single `tf.data.Dataset` object but its return type "
                        f"is {reduce.spec}.")
    pipeline = dataset.pipeline.group_by_window(key.native, reduce.native, size.native)
    return Dataset(pipeline, reduce.dataset.element_spec, UNKNOWN_CARDINALITY, [dataset],
                   key.symbols + size.symbols + reduce.symbols, (key, size, reduce), kind="GroupByWindow")


def choose(datasets, choices, stop_on_empty):
    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
    if choices.element_spec != _INT64:
        raise TypeError(f"Invalid `choice_dataset`. Elements of `choice_dataset` must be scalar `tf.int64` tensors but are "
                        f"{choices.element_spec}.")
    spec = datasets[0].element_spec
    for dataset in datasets[1:]:
        if not structure.compatible(spec, dataset.element_spec):
            raise TypeError(f"Incompatible dataset elements:\n  {spec} vs.   {dataset.element_spec}")
        spec = structure.common(spec, dataset.element_spec)
    endless = all(each._cardinality == INFINITE_CARDINALITY for each in [*datasets, choices])
    return Dataset(choices.pipeline.choose([each.pipeline for each in datasets], bool(stop_on_empty)), spec,
                   INFINITE_CARDINALITY if endless else UNKNOWN_CARDINALITY, [choices, *datasets], kind="DirectedInterleave")


def sample(datasets, weights, seed, stop_on_empty, redraw):
    if isinstance(weights, Dataset):
        raise NotImplementedError("weights that are a dataset: give numbers, or `choose_from_datasets` a dataset of choices.")
    if weights is None:
        weights = [1.0] * len(datasets)
    weights = [float(weight) for weight in (weights.numpy() if isinstance(weights, _tenon.Tensor) else weights)]
    if len(weights) != len(datasets):
        raise ValueError(f"Invalid `weights`. The shape of `weights` should be compatible with `[len(datasets)]` but is "
                         f"[{len(weights)}].")
    if not datasets or any(not weight >= 0 for weight in weights) or not 0 < sum(weights) < float("inf"):
        raise ValueError("Invalid `weights`: numbers of 0 or more are expected, one of them above 0.")
    if sum(weight > 0 for weight in weights) == 1:
        return next(dataset for dataset, weight in zip(datasets, weights) if weight > 0)
    drawn = Dataset(_tenon.Pipeline.draws(weights, one_seed_of(seed), bool(redraw)), _INT64, INFINITE_CARDINALITY, kind="Draws")
    return choose(datasets, drawn, stop_on_empty)
