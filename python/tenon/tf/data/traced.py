"""Functions that users give to datasets, traced for their elements."""
from tenon import _tenon
from tenon.composite import CompositeSpec
from tenon.held import Holder
from tenon.tf.data import structure


def converted(function):
    """`function` with tensors in its control flow."""
    from tenon.autograph import conversion  # slow to load, and not needed by every program
    return conversion.convert(function)


class TracedFunction:
    """A function of elements of `spec`, as a graph that pipelines run without Python.

    It gives elements, or a dataset for each element: then `dataset` is what it returned while it was traced.
    """

    def __init__(self, function, spec, rows=False):
        from tenon.tf.data.dataset import Dataset
        function = converted(function)
        trace = _tenon.Trace(_tenon.tracing())
        leaves = structure.tensor_leaves(spec)
        tensors = [trace.argument(f"args_{i}", *structure.dtype_and_shape(leaf)) for i, leaf in enumerate(leaves)]
        tapes = _tenon.stop_recording()
        self._held = []  # what its graph calls in Python
        try:
            with trace, Holder(self._held):
                element = structure.pack(spec, tensors)
                result = function(*element) if type(element) is tuple else function(element)
                result = structure.normalize(tuple(result) if isinstance(result, list) else result)
                self.dataset = result if isinstance(result, Dataset) else None
                waits_for = result.symbols if self.dataset else _tensors(structure.encoded(result, rows))
                trace.finish(waits_for)
        finally:
            _tenon.resume_recording(tapes)
        graph = trace.function()
        self.captured = trace.captures
        self.symbols = [value for value in self.captured if value.is_symbolic]
        self._variables = trace.variables  # the graph knows them by name: they must live as long
        self.spec = structure.spec_of(result)
        if not self.dataset:
            outputs = iter(graph.outputs)
            self.spec = structure.map_leaves(lambda leaf: leaf if isinstance(leaf, structure.NoneTensorSpec)
                                             else _told(leaf, *next(outputs)), self.spec)
        self.native = _tenon.PipelineFunction(graph, self.captured, self.dataset.pipeline if self.dataset else None,
                                              waits_for if self.dataset else [])


def _told(leaf, shape, dtype):
    """The spec of a result whose tensor has this shape and dtype."""
    return leaf if isinstance(leaf, CompositeSpec) else structure.TensorSpec(shape, dtype)


def _tensors(tensors):
    if not tensors:
        raise ValueError("The function gives no tensor: elements need one at least.")
    for leaf in tensors:
        if not isinstance(leaf, _tenon.Tensor):
            raise TypeError("A function of `map` gives tensors; datasets of elements are what `flat_map`, `interleave` and "
                            "`window` are for.")
    return tensors
