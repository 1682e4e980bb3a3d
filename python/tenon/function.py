"""function: Python traced into a graph once for each kind of arguments, and run as a graph from then on."""
import functools
import itertools
import threading
import weakref

from tenon import _tenon, nest
from tenon.composite import CompositeSpec, is_composite
from tenon.eager import init_scope
from tenon.errors import OutOfTraceError
from tenon.held import Holder, hold
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec


_saving = threading.local()
_numbers = itertools.count()


def saving():
    """Whether functions are traced for a file: what they capture by its handle has to be made by their graphs then."""
    return getattr(_saving, "depth", 0) > 0


class ConcreteFunction:
    """A graph for arguments of one kind. Made by Function."""

    def __init__(self, python_function, args, kwargs, name):
        """`args` and `kwargs` hold TensorSpecs where tensors will come; everything else stands as it is."""
        self._name, self._number = name, next(_numbers)
        self.structured_input_signature = (args, kwargs)
        self._python_function = python_function
        trace = _tenon.Trace()
        self._specs, flat = [], []
        for i, leaf in enumerate(nest.flatten((args, kwargs), True)):
            if isinstance(leaf, TensorSpec):
                self._specs.append(leaf)
                leaf = trace.argument(leaf.name or f"args_{i}", leaf.dtype, leaf.shape)
            flat.append(leaf)
        args, kwargs = nest.pack_sequence_as((args, kwargs), flat, True)
        given = nest.flatten((args, kwargs))
        tapes, placed = _tenon.stop_recording(), _tenon.enter_device("")
        self._held = []  # what its graph calls in Python
        try:
            with trace, Holder(self._held):
                self._result = python_function(*args, **kwargs)
                _check_unchanged(given, nest.flatten((args, kwargs)), name)
                leaves = nest.flatten(self._result, True)
                self._kept = [leaf is None for leaf in leaves]
                try:
                    trace.finish([leaf for leaf in leaves if leaf is not None])
                except (TypeError, ValueError) as error:
                    raise TypeError("To be compatible with tf.function, Python functions must return zero or more Tensors or "
                                    f"ExtensionTypes or None values; in compilation of {name}, found a return value that is "
                                    f"none: {error}") from None
        finally:
            _tenon.enter_device(placed)
            _tenon.resume_recording(tapes)
        self.captured_inputs = trace.captures
        self.variables = tuple(trace.variables)
        self.graph_function = trace.function()
        self._around = list(self.captured_inputs) + list(self.variables)
        self._result = nest.map_structure(lambda leaf: leaf._type_spec if is_composite(leaf) else None, self._result)
        self._is_single = len(leaves) == 1 and self._result is None and leaves[0] is not None

    def for_file(self):
        """The function as a file has it: itself, or where it has captured handles, which mean something in this process
        alone, one that makes what they stand for."""
        if not any(value.dtype == "resource" for value in self.captured_inputs):
            return self
        _saving.depth = getattr(_saving, "depth", 0) + 1
        try:
            return ConcreteFunction(self._python_function, *self.structured_input_signature, self._name)
        finally:
            _saving.depth -= 1

    @property
    def calls_python(self):
        """Whether its graph means something in this process alone."""
        return bool(self._held)

    @property
    def trainable_variables(self):
        return tuple(v for v in self.variables if v.trainable)

    @property
    def name(self):
        """Unique in the process."""
        return f"__inference_{self._name}_{self._number}".encode()

    @property
    def graph(self):
        """Its nodes, to be looked at."""
        from tenon.func_graph import FuncGraph
        return FuncGraph(self)

    @property
    def inputs(self):
        """The tensors of its graph that stand for arguments and for what it captures."""
        return self.graph.inputs

    @property
    def outputs(self):
        return self.graph.outputs

    @property
    def output_shapes(self):
        """The shapes of what it returns; an unknown one for None."""
        return nest.map_structure(lambda spec: TensorShape(None) if spec is None else spec.shape, self.structured_outputs)

    @property
    def output_dtypes(self):
        return nest.map_structure(lambda spec: None if spec is None else spec.dtype, self.structured_outputs)

    @property
    def structured_outputs(self):
        specs = iter([TensorSpec(shape, dtype) for shape, dtype in self.graph_function.outputs])
        return nest.pack_sequence_as(self._result, [None if none else next(specs) for none in self._kept], True)

    def __call__(self, *args, **kwargs):
        """Takes the tensors of the signature, in its structure or by the names of its specs."""
        leaves = nest.flatten((args, kwargs), True)
        named = {spec.name: kwargs[spec.name] for spec in self._specs if spec.name in kwargs}
        if named and not args and len(named) == len(self._specs):
            leaves = [named[spec.name] for spec in self._specs]
        else:
            leaves = [x for x in leaves if isinstance(x, (_tenon.Tensor, _tenon.VariableBase)) or hasattr(x, "__array__")
                      or len(leaves) == len(self._specs)]
        if len(leaves) != len(self._specs):
            raise TypeError(f"{self._name} takes {len(self._specs)} tensors, {len(leaves)} were given.")
        return self.run([_tenon.convert(x, spec.dtype) for x, spec in zip(leaves, self._specs)])

    def run(self, tensors):
        """Takes the tensors of the signature in its order."""
        results = self._run_with_python(tensors) if self._held else self.graph_function(tensors + self._around)
        if self._is_single:
            return results[0]
        values = iter(results)
        return nest.pack_sequence_as(self._result, [None if none else next(values) for none in self._kept], True)

    def _run_with_python(self, tensors):
        if _tenon.tracing():
            hold(self)  # its nodes are copied into the graph around
            return self.graph_function(tensors + self._around)
        try:
            return self.graph_function(tensors + self._around)
        finally:
            _tenon.close_abandoned_pipelines()  # of datasets that it read

    def pretty_printed_signature(self, verbose=True):
        """What it takes and returns, for people."""
        lines = [f"{self._name}({', '.join(spec.name or f'args_{i}' for i, spec in enumerate(self._specs))})"]
        lines += ["Args:"] + [f"  {spec.name or f'args_{i}'}: {spec}" for i, spec in enumerate(self._specs)]
        lines += ["Returns:"] + [f"  {spec}" for spec in nest.flatten(self.structured_outputs)]
        return "\n".join(lines)

    def __repr__(self):
        return f"<ConcreteFunction {self._name}{self.structured_input_signature}>"


class Function:
    """What `function` makes of a Python function. Thread-safe."""

    run_eagerly = False  # all of them, for who looks for a mistake

    def __init__(self, python_function, input_signature=None, reduce_retracing=False, name=None, autograph=True):
        functools.update_wrapper(self, python_function)
        self.python_function = python_function
        self.input_signature = None if input_signature is None else tuple(input_signature)
        self._reduce_retracing = reduce_retracing
        self._autograph = autograph
        self._name = name or getattr(python_function, "__name__", "function")
        self._traced = {}  # by key
        self._similar = {}  # by key without shapes: [(flat specs, ConcreteFunction)]
        self._lock = threading.RLock()
        self._of_instances = weakref.WeakKeyDictionary()
        self.of_strategies = weakref.WeakKeyDictionary()  # what tf.distribute's strategies made of it
        self._signature = self._num_places = None

    def __get__(self, instance, owner):
        """A method: of each instance a Function of its own, which does not keep it alive."""
        if instance is None:
            return self
        found = self._of_instances.get(instance)
        if found is None:
            weak, traced = weakref.ref(instance), self._traced_function

            @functools.wraps(self.python_function)
            def method(*args, **kwargs):
                return traced()(weak(), *args, **kwargs)

            found = Function(method, self.input_signature, self._reduce_retracing, self._name, autograph=False)
            method.__signature__ = found._signature = _without_self(self.python_function)
            self._of_instances[instance] = found
        bound = object.__new__(Function)
        bound.__dict__ = found.__dict__ | {"_instance": instance}  # for as long as somebody has the method
        return bound

    def _traced_function(self):
        """The Python function, with tensors in its control flow."""
        if not self._autograph:
            return self.python_function
        from tenon.autograph import conversion  # slow to load, and not needed before something is traced
        return conversion.convert(self.python_function)

    def experimental_get_tracing_count(self):
        return len({id(concrete) for concrete in self._traced.values()})

    def __call__(self, *args, **kwargs):
        if Function.run_eagerly and not _tenon.tracing():
            return self.python_function(*args, **kwargs)
        args, kwargs = self._canonical(args, kwargs)
        if saving() and _tenon.tracing():
            return self._traced_function()(*args, **kwargs)
        leaves = nest.flatten((args, kwargs), True)
        tensors, key = self._key(args, kwargs, leaves)
        concrete = self._traced.get(key)
        if concrete is None:
            try:
                concrete = self._trace(args, kwargs, leaves, tensors, key)
            except OutOfTraceError:
                if not _tenon.tracing():
                    raise
                # It uses a tensor of the function around it, and belongs to this trace alone.
                return self._traced_function()(*args, **kwargs)
        return concrete.run(tensors)

    def _list_all_concrete_functions(self):
        """The graphs made so far; that of the input_signature in any case."""
        if self.input_signature is not None:
            self.get_concrete_function()
        return list({id(f): f for f in self._traced.values()}.values())

    def _trackable_children(self, save_type="checkpoint", **kwargs):
        return {f"trace_{i}": f for i, f in enumerate(self._list_all_concrete_functions())}

    def get_concrete_function(self, *args, **kwargs):
        """The graph for these tensors, TensorSpecs and Python values."""
        if self.input_signature is not None and not args and not kwargs:
            args = self.input_signature
        args, kwargs = self._canonical(args, kwargs)
        leaves = nest.flatten((args, kwargs), True)
        tensors, key = self._key(args, kwargs, leaves)
        concrete = self._traced.get(key)
        return concrete or self._trace(args, kwargs, leaves, tensors, key)

    def pretty_printed_concrete_signatures(self, verbose=True):
        """What the graphs made so far take and return, for people."""
        return "\n\n".join(f.pretty_printed_signature(verbose) for f in self._list_all_concrete_functions())

    def _canonical(self, args, kwargs):
        """Keyword arguments and defaults at their places, where there are any; checks the input signature."""
        if kwargs:
            bound = self._python_signature().bind(*args, **kwargs)
            args, kwargs = bound.args, bound.kwargs
        if self.input_signature is None and len(args) < self._places():
            args, kwargs = self._with_defaults(args, kwargs)
        if self.input_signature is None:
            return args, kwargs
        if kwargs or len(args) != len(self.input_signature):
            raise TypeError(f"{self._name}() has an input_signature of {len(self.input_signature)} arguments; "
                            f"{len(args)} positional and {len(kwargs)} keyword arguments were given.")
        args = tuple(_tenon.convert(arg, spec.dtype) if isinstance(spec, TensorSpec) and isinstance(arg, (list, tuple)) else arg
                     for spec, arg in zip(self.input_signature, args))
        nest.assert_same_structure(list(self.input_signature), list(args), check_types=False)
        fitted = []
        for spec, value in zip(nest.flatten(self.input_signature), nest.flatten(args)):
            if isinstance(spec, CompositeSpec):
                if not spec.is_compatible_with(value):
                    raise TypeError(f"{self._name}(): can not cast {value} to {spec}, as its input_signature has it.")
            elif not isinstance(value, TensorSpec):
                try:
                    value = _tenon.convert(value, spec.dtype)
                except ValueError as error:
                    raise TypeError(f"{self._name}(): can not cast {value!r} to {spec}, as its input_signature has "
                                    "it.") from error
                if not spec.shape.is_compatible_with(value.shape):
                    raise TypeError(f"{self._name}(): can not cast {TensorSpec.from_tensor(value)} to {spec}, as its "
                                    "input_signature has it.")
            fitted.append(value)
        return nest.pack_sequence_as(args, fitted), kwargs

    def _key(self, args, kwargs, leaves):
        """The tensors among the leaves, and what a trace depends on."""
        tensors, parts = [], []
        fixed = nest.flatten(self.input_signature, True) if self.input_signature is not None else None
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, _tenon.Tensor):
                tensors.append(leaf)
                parts.append(None if fixed else leaf._kind)
            elif isinstance(leaf, TensorSpec):
                parts.append(None if fixed else _tenon.kind(leaf.dtype, leaf.shape))
            elif isinstance(leaf, _tenon.VariableBase):
                parts.append(("variable", leaf._id))
            elif leaf is None or isinstance(leaf, (bool, int, float, complex, str, bytes)):
                parts.append((type(leaf), leaf))
            elif hasattr(leaf, "__array__") and hasattr(leaf, "dtype"):
                tensor = leaves[i] = _tenon.convert(leaf)
                tensors.append(tensor)
                parts.append(None if fixed else tensor._kind)
            else:
                parts.append(_object_key(leaf))
        structure = _structure((args, kwargs)) if kwargs or len(leaves) != len(args) or any(
            nest.is_nested(arg) or is_composite(arg) for arg in args) else None
        return tensors, (structure, tuple(parts), _tenon.replica_context())

    def _trace(self, args, kwargs, leaves, tensors, key):
        with self._lock:
            concrete = self._traced.get(key)
            if concrete is not None:
                return concrete
            specs = self._specs_of(args, kwargs, leaves)
            similar = []
            if self.input_signature is None:
                parts = tuple(p[:1] if isinstance(s, TensorSpec) else p for p, s in zip(key[1], specs))
                similar = self._similar.setdefault((key[0], parts, key[2]), [])
                found = _most_specific([each for each in similar if _takes(each[0], specs)])
                if found is not None:
                    self._traced[key] = found
                    return found
                if self._reduce_retracing and similar:
                    specs = [s.most_specific_common_supertype([k]) if isinstance(s, TensorSpec) else s
                             for s, k in zip(specs, similar[-1][0])]
            packed = nest.pack_sequence_as((args, kwargs), specs, True)
            with init_scope():
                concrete = self._concrete(*self._with_defaults(*packed))
            concrete._keywords = self._keywords(args, kwargs, leaves)
            self._traced[key] = concrete
            similar.append((specs, concrete))
            return concrete

    def _concrete(self, args, kwargs):
        function = self._traced_function()
        try:
            return ConcreteFunction(function, args, kwargs, self._name)
        except Exception as error:
            from tenon.autograph import conversion
            raise error.with_traceback(conversion.without_machinery(error.__traceback__))

    def _specs_of(self, args, kwargs, leaves):
        """The leaves with TensorSpecs in the place of tensors, named as the arguments are."""
        given = leaves if self.input_signature is None else nest.flatten(self.input_signature, True)
        return [TensorSpec(leaf.shape, leaf.dtype, getattr(leaf, "_name", None) or name)
                if isinstance(leaf, (_tenon.Tensor, TensorSpec)) else leaf
                for leaf, name in zip(given, self._leaf_names(args, kwargs))]

    def _leaf_names(self, args, kwargs):
        """What the leaves are called after: their argument and their places in it."""
        return [path for name, arg in self._named(args, kwargs) for path in _paths(arg, name)]

    def _named(self, args, kwargs):
        """The arguments with their names."""
        names, rest = self._argument_names()
        names = names[:len(args)] + [f"{rest}_{i}" for i in range(len(args) - len(names))]
        return [*zip(names, args), *((key, kwargs[key]) for key in nest._keys(kwargs))]

    def _keywords(self, args, kwargs, leaves):
        """The names by which signatures take the tensors: those that their specs were given, or those of the arguments that
        they are in, which are numbered where there are several."""
        given = leaves if self.input_signature is None else nest.flatten(self.input_signature, True)
        names = [name for name, arg in self._named(args, kwargs) for _ in nest.flatten(arg, True)]
        taken = []
        for leaf, name in zip(given, names):
            if isinstance(leaf, (_tenon.Tensor, TensorSpec)):
                wanted = getattr(leaf, "_name", None) or name
                numbered = (wanted if i == 0 else f"{wanted}_{i}" for i in itertools.count())
                taken.append(next(each for each in numbered if each not in taken))
        return taken

    def _argument_names(self):
        """Those of the parameters that take arguments by their places, and that of what takes all further ones."""
        try:
            parameters = self._python_signature().parameters.values()
        except (TypeError, ValueError):
            return [], "args"
        rest = [p.name for p in parameters if p.kind is p.VAR_POSITIONAL]
        return [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)], rest[0] if rest else "args"

    def _places(self):
        """How many arguments there are at places, with a default for each that may be left out; more where some have names
        alone."""
        if self._num_places is None:
            try:
                parameters = self._python_signature().parameters.values()
            except (TypeError, ValueError):
                parameters = ()
            self._num_places = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
            if any(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in parameters):
                self._num_places = float("inf")
        return self._num_places

    def _with_defaults(self, args, kwargs):
        """The arguments with those that were left out."""
        try:
            bound = self._python_signature().bind(*args, **kwargs)
        except (TypeError, ValueError):
            return args, kwargs  # the call says what is wrong
        bound.apply_defaults()
        return bound.args, bound.kwargs

    def _python_signature(self):
        if self._signature is None:
            import inspect  # slow to load, and not needed by every program
            self._signature = inspect.signature(self.python_function)
        return self._signature

    def __repr__(self):
        return f"<tenon.function {self._name}>"


def _without_self(python_function):
    import inspect
    signature = inspect.signature(python_function)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


def _check_unchanged(before, after, name):
    """ValueError where a function that was traced has put something into its arguments, or taken it out."""
    if len(after) != len(before) or any(a is not b for a, b in zip(after, before)):
        raise ValueError(f"{name} should not modify its Python input arguments. Modifying a copy is allowed.")


def _takes(general, specs):
    """Whether what was traced for the specs `general` takes such tensors as `specs`."""
    return all(_is_within(s.shape, g.shape) for s, g in zip(specs, general) if isinstance(s, TensorSpec))


def _is_within(shape, general):
    return general.rank is None or shape.rank == general.rank and all(g is None or g == n for n, g in zip(shape, general))


def _most_specific(candidates):
    """Of several that take the arguments the one that the others would take for theirs."""
    for specs, concrete in candidates:
        if all(_takes(others, specs) for others, _ in candidates):
            return concrete
    return candidates[0][1] if candidates else None


def _paths(value, path):
    """For each leaf its place; None for the parts of a ragged or sparse tensor."""
    if not nest.is_nested(value):
        return [None] * len(value._parts()) if is_composite(value) else [path]
    keys = nest._keys(value) if isinstance(value, dict) else getattr(value, "_fields", range(len(value)))
    return [each for key, child in zip(keys, nest._children(value)) for each in _paths(child, f"{path}_{key}")]


def _object_key(value):
    """Objects that compare by value are told apart by it, others by identity; the key does not keep these alive."""
    try:
        hash(value)
    except TypeError:
        raise TypeError(f"An argument of a traced function is a {type(value).__name__}, which is neither a tensor nor "
                        "hashable.") from None
    try:
        return weakref.ref(value)
    except TypeError:
        return (type(value), value)


def _structure(value):
    if isinstance(value, dict):
        return (type(value), tuple((key, _structure(value[key])) for key in nest._keys(value)))
    if nest.is_nested(value):
        return (type(value), tuple(map(_structure, value)))
    return value._type_spec._kind if is_composite(value) else None


def function(func=None, input_signature=None, autograph=True, jit_compile=None, reduce_retracing=False,
             experimental_implements=None, experimental_autograph_options=None, experimental_attributes=None,
             experimental_relax_shapes=None, experimental_compile=None, experimental_follow_type_hints=None):
    """Makes of a Python function one that is traced into a graph, once for each kind of arguments.

    Every graph is planned and fused, so `jit_compile` changes nothing. With `autograph`, Python's `if`, `for` and `while` on
    tensors become a part of the graph; without, they raise OperatorNotAllowedInGraphError. On Python's values they run
    while the function is traced.
    """
    def make(python_function):
        if not callable(python_function):
            raise TypeError(f"{python_function} is not a callable object")
        if isinstance(python_function, Function):
            python_function = python_function.python_function
        return Function(python_function, input_signature, bool(reduce_retracing or experimental_relax_shapes),
                        autograph=autograph)

    return make if func is None else make(func)
