"""Functions of a SavedModel that is loaded: graphs that were saved, chosen by what they are called with."""
import inspect
import os
import pprint
import re
import tempfile
import threading

from tenon import _tenon, nest, wire
from tenon.composite import CompositeSpec
from tenon.eager import init_scope
from tenon.function import ConcreteFunction, Function, saving
from tenon.saved_model import messages, named_inputs, structured_value
from tenon.tensor_shape import TensorShape
from tenon.tensor_spec import TensorSpec

_BOOL = 10  # of DataType
_UNKNOWN_SHAPE = structured_value.encode_shape(TensorShape(None))
_TAG = "functions"


class Library:
    """The functions of a graph. The engine reads them when the first is needed."""

    def __init__(self, graph):
        self._kept = b"".join(wire.bytes_field(number, value) for number, kind, value in wire.fields(graph)
                              if number != messages.NODES and kind == wire.BYTES)
        self._types = messages.types_of_functions(graph)
        self._wanted, self._model = [], None
        self._lock = threading.Lock()

    def add(self, name, shapes):
        """A function that may be wanted; `shapes` are those of its first arguments, what it captures follows. Returns its
        number."""
        if name not in self._types:
            raise ValueError(f"The model has no function '{name}'.")
        self._wanted.append((name, shapes))
        return len(self._wanted) - 1

    def num_arguments(self, name):
        return len(self._types[name][0])

    def function(self, number):
        """Takes the arguments and what it captures, and gives the results, as lists."""
        with self._lock:
            if self._model is None:
                with tempfile.TemporaryDirectory(prefix="tenon-functions-") as folder:
                    with open(os.path.join(folder, "saved_model.pb"), "wb") as file:
                        file.write(self._as_model())
                    self._model = _tenon.SavedModel.load(folder, [_TAG])
                self._kept = None
        function, has_results = self._model.function(str(number)), bool(self._types[self._wanted[number][0]][1])
        return lambda tensors: list(function(tensors)) if has_results else function(tensors)[1:]

    def _as_model(self):
        """A SavedModel whose signatures are the functions, with what they capture as arguments."""
        nodes, signatures = [], b""
        for i, (name, shapes) in enumerate(self._wanted):
            takes, gives = self._types[name]
            call = f"{name.lstrip('_')}_{i}"
            arguments = [f"{call}/argument_{j}" for j in range(len(takes))]
            known = [structured_value.encode_shape(shape) for shape in shapes]
            known += [_UNKNOWN_SHAPE] * (len(takes) - len(known))
            for argument, dtype, shape in zip(arguments, takes, known):
                nodes.append(messages.node(argument, "Placeholder", dtype=messages.type_attribute(dtype),
                                           shape=wire.bytes_field(7, shape)))
            nodes.append(messages.node(call, "StatefulPartitionedCall", arguments, Tin=messages.types_attribute(takes),
                                       Tout=messages.types_attribute(gives), f=messages.function_attribute(name)))
            results = [(f"{call}:{j}", dtype) for j, dtype in enumerate(gives)]
            if not results:  # it is called for what it does
                true = wire.varint_field(1, _BOOL) + wire.bytes_field(2, b"") + wire.bytes_field(11, b"\1")
                nodes.append(messages.node(f"{call}/done", "Const", [f"^{call}"], dtype=messages.type_attribute(_BOOL),
                                           value=wire.bytes_field(8, true)))
                results = [(f"{call}/done:0", _BOOL)]
            signature = b"".join(
                messages.map_entry(1, f"{j:09}", _tensor_info(argument + ":0", dtype, shape))
                for j, (argument, dtype, shape) in enumerate(zip(arguments, takes, known)))
            signature += b"".join(messages.map_entry(2, f"{j:09}", _tensor_info(result, dtype, _UNKNOWN_SHAPE))
                                  for j, (result, dtype) in enumerate(results))
            signatures += messages.map_entry(messages.SIGNATURES, str(i), signature)
        graph = self._kept + b"".join(wire.bytes_field(messages.NODES, each) for each in nodes)
        meta = wire.bytes_field(messages.INFO, wire.text_field(4, _TAG)) + wire.bytes_field(messages.GRAPH, graph)
        return wire.varint_field(1, 1) + wire.bytes_field(2, meta + signatures)


def _tensor_info(name, dtype, shape):
    return wire.text_field(1, name) + wire.varint_field(2, dtype) + wire.bytes_field(3, shape)


def bare_name(name):
    """Of a function, without what files put around it."""
    return re.sub(r"^__inference_|_\d+$", "", name)


class RestoredConcreteFunction(ConcreteFunction):
    """A graph that was saved. It is read when it is first needed."""

    def __init__(self, name, library, saved, captures):
        """`captures` gives what the saved function captures: variables and tensors."""
        arguments = structured_value.decode(saved.arguments)
        if not (isinstance(arguments, tuple) and len(arguments) == 2):
            raise ValueError(f"The arguments of the function '{name}' are not those of a function.")
        leaves = nest.flatten(arguments, True)
        shapes = [leaf.shape for leaf in leaves if isinstance(leaf, TensorSpec)]
        results = structured_value.decode(saved.results) if saved.results else None
        number = library.add(name, shapes)
        if library.num_arguments(name) != len(shapes) + len(saved.captures):
            raise ValueError(f"The function '{name}' takes {library.num_arguments(name)} tensors; {len(shapes)} arguments and "
                             f"{len(saved.captures)} captures are said.")

        def call(*args, **kwargs):
            given = nest.flatten((args, kwargs), True)
            tensors = [tensor for tensor, leaf in zip(given, leaves) if isinstance(leaf, TensorSpec)]
            values = iter(library.function(number)(tensors + captures()))
            return nest.pack_sequence_as(results, [None if leaf is None else _shaped(next(values), leaf)
                                                   for leaf in nest.flatten(results, True)], True)

        vars(self).update(_saved_name=name, structured_input_signature=arguments, _python_function=call, _results=results,
                          _reading=threading.RLock(),
                          _keywords=[leaf.name or f"args_{i}" for i, leaf in enumerate(leaves) if isinstance(leaf, TensorSpec)])

    def __getattr__(self, name):
        """What is known once the graph has been read."""
        if name.startswith("__") or "_reading" not in vars(self):
            raise AttributeError(name)
        with self._reading:
            if name in vars(self):  # another thread has read it meanwhile
                return vars(self)[name]
            if "_specs" in vars(self):
                raise AttributeError(f"'{type(self).__name__}' has no attribute '{name}'.")
            try:
                with init_scope():
                    super().__init__(self._python_function, *self.structured_input_signature, bare_name(self._saved_name))
            except BaseException:
                vars(self).pop("_specs", None)
                raise
            return getattr(self, name)

    @property
    def name(self):
        return self._saved_name.encode()

    @property
    def structured_outputs(self):
        return self._results

    def matched(self, args, kwargs, converts):
        """The tensors that it takes of these arguments; None where they are not such as it takes."""
        tensors = []
        fits = _match(self.structured_input_signature, (args, kwargs), converts, tensors)
        return tensors if fits else None


def _shaped(tensor, spec):
    """The tensor, of the shape that was saved for it."""
    if isinstance(spec, TensorSpec) and tensor.is_symbolic:
        tensor.set_shape(spec.shape)
    return tensor


def _match(expected, given, converts, tensors):
    """Whether `given` is as `expected`; adds its tensors."""
    if isinstance(expected, TensorSpec):
        if isinstance(given, _tenon.VariableBase):
            given = given.read_value()
        elif not isinstance(given, (_tenon.Tensor, TensorSpec)):
            given = _converted(given, expected.dtype) if converts else None
        if given is None or given.dtype != expected.dtype or not expected.shape.is_compatible_with(given.shape):
            return False
        tensors.append(given)
        return True
    if isinstance(expected, CompositeSpec):
        if not hasattr(given, "_type_spec") or not expected.is_compatible_with(given):
            return False
        tensors.extend(given._parts())
        return True
    if not nest.is_nested(expected):
        return not isinstance(given, (_tenon.Tensor, _tenon.VariableBase)) and type(expected) in (
            type(given), *((int, float) if isinstance(given, (int, float)) else ())) and expected == given
    if not nest.is_nested(given) or len(expected) != len(given) or not _are_of_one_kind(expected, given):
        return False
    if isinstance(expected, dict):
        return set(expected) == set(given) and all(_match(expected[key], given[key], converts, tensors)
                                                   for key in nest._keys(expected))
    return all(_match(e, g, converts, tensors) for e, g in zip(expected, given))


def _are_of_one_kind(expected, given):
    if hasattr(expected, "_fields"):
        return getattr(given, "_fields", None) == expected._fields
    return isinstance(given, dict if isinstance(expected, dict) else type(expected)) and not hasattr(given, "_fields")


def _converted(value, dtype):
    """A tensor, of the dtype if that is possible; None where there is none."""
    for wanted in (dtype, None):
        try:
            return _tenon.convert(value, wanted)
        except (TypeError, ValueError):
            pass
    return None


class RestoredFunction(Function):
    """What a saved tf.function has become: whichever of its graphs fits is called."""

    def __init__(self, name, concrete_functions, specification):
        self.concrete_functions = concrete_functions
        parts = wire.fields_by_number(specification)
        signature = _signature(structured_value.decode(parts[1])) if 1 in parts else inspect.signature(lambda *args, **kwargs: 0)
        fixed = structured_value.decode(parts[5]) if 5 in parts else None

        def restored(*args, **kwargs):
            return self._choose_and_run(args, kwargs)

        restored.__name__ = restored.__qualname__ = name
        restored.__signature__ = signature
        super().__init__(restored, None if fixed is None else tuple(fixed), name=name, autograph=False)
        self._signature = signature

    def _list_all_concrete_functions(self):
        return self.concrete_functions

    def __get__(self, instance, owner):
        return self

    def __call__(self, *args, **kwargs):
        return self._choose_and_run(args, kwargs)

    def _choose_and_run(self, args, kwargs):
        if not self.concrete_functions:
            raise ValueError("Found zero restored functions for caller function.")
        args, kwargs = self._bound(args, kwargs)
        for converts in (False, True):
            for concrete in self.concrete_functions:
                tensors = concrete.matched(args, kwargs, converts)
                if tensors is not None:
                    if saving() and _tenon.tracing():  # what it captures by a handle is made anew
                        return concrete._python_function(*args, **kwargs)
                    return concrete.run(tensors)
        options = [f"Option {i + 1}:\n  {_listed(of[0])}\n  Keyword arguments: {of[1]}"
                   for i, of in enumerate(f.structured_input_signature for f in self.concrete_functions)]
        raise ValueError(
            "Could not find matching concrete function to call loaded from the SavedModel. Got:\n"
            f"  {_listed(args)}\n  Keyword arguments: {kwargs}\n\n Expected these arguments to match one of the following "
            f"{len(options)} option(s):\n\n" + "\n\n".join(options))

    def _bound(self, args, kwargs):
        """The arguments at their places, defaults among them, arrays as tensors; those of an input_signature cast to it."""
        try:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            if self.input_signature is not None and not bound.kwargs and len(bound.args) == len(self.input_signature):
                return tuple(map(_cast, self.input_signature, bound.args)), {}
        except TypeError as error:
            raise TypeError(f"Binding inputs to tf.function failed due to `{error}`. Received args: {args} and kwargs: {kwargs} "
                            f"for signature: {self._shown()}.") from None
        return nest.map_structure(
            lambda leaf: _tenon.convert(leaf) if hasattr(leaf, "__array__") and hasattr(leaf, "dtype") and not isinstance(
                leaf, (_tenon.Tensor, _tenon.VariableBase)) else leaf, (bound.args, bound.kwargs))

    def _shown(self):
        """The parameters as errors show them, with what they are to be."""
        empty, fixed = inspect.Parameter.empty, self.input_signature or ()
        parts = []
        for i, each in enumerate(self._signature.parameters.values()):
            spec = f": {fixed[i]}" if i < len(fixed) else ""
            parts.append(f"{each.name}{spec}" + ("" if each.default is empty else "=<captured_default_value>"))
        return f"({', '.join(parts)})"


def _cast(spec, value):
    """The argument as the spec of an input_signature has it; TypeError where it is something else."""
    if not isinstance(spec, TensorSpec):
        return value
    if isinstance(value, _tenon.Tensor) and value.dtype == spec.dtype and spec.shape.is_compatible_with(value.shape):
        return value
    if isinstance(value, (TensorSpec, _tenon.Tensor, _tenon.VariableBase)):
        made = value
    else:
        made = _converted(value, spec.dtype)
        if made is None:
            raise TypeError(f"Can not cast {value!r} to {spec}")
    if made.dtype != spec.dtype or not spec.shape.is_compatible_with(made.shape):
        raise TypeError(f"Can not cast {TensorSpec(made.shape, made.dtype)} to {spec}")
    return made


def _listed(positional):
    lines = "\n    * ".join(pprint.pformat(each) for each in positional)
    return f"Positional arguments ({len(positional)} total):\n    * {lines}"


def _signature(spec):
    """The parameters that a FullArgSpec names, without `self`."""
    names = list(spec.args)
    if names and names[0] == "self":
        names = names[1:]
    kinds = inspect.Parameter
    defaults = list(spec.defaults or ())
    defaults = [kinds.empty] * (len(names) - len(defaults)) + defaults[max(0, len(defaults) - len(names)):]
    made = [kinds(name, kinds.POSITIONAL_OR_KEYWORD, default=default) for name, default in zip(names, defaults)]
    if spec.varargs:
        made.append(kinds(spec.varargs, kinds.VAR_POSITIONAL))
    keyword_defaults = spec.kwonlydefaults or {}
    made += [kinds(name, kinds.KEYWORD_ONLY, default=keyword_defaults.get(name, kinds.empty)) for name in spec.kwonlyargs]
    if spec.varkw:
        made.append(kinds(spec.varkw, kinds.VAR_KEYWORD))
    return inspect.Signature(made)


class Signature(RestoredConcreteFunction):
    """A graph that takes its inputs by name, such as a signature."""

    def __init__(self, name, library, saved, captures):
        super().__init__(name, library, saved, captures)
        vars(self).update(_num_positional=0, _defaults={})

    def takes(self, keywords, num_positional, defaults):
        """The names of its inputs, in the order of its arguments, how many may be given without, and the values of some."""
        vars(self).update(_keywords=keywords, _num_positional=num_positional, _defaults=defaults)

    def __call__(self, *args, **kwargs):
        given = named_inputs(self._saved_name, self._keywords, self._num_positional, self._defaults.get, args, kwargs)
        return self.run([_tenon.convert(value, spec.dtype) for value, spec in zip(given, self._specs)])
