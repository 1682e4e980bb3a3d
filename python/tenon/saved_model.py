"""Loading and saving SavedModels: what TensorFlow, Keras and Tenon export."""
import os

from tenon import _tenon, nest
from tenon.function import ConcreteFunction, Function
from tenon.tensor_spec import TensorSpec

DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"


class SignatureFunction:
    """A signature: takes its inputs by name and returns its outputs by name."""

    def __init__(self, model, name):
        self._name = name
        self._inputs, self._outputs = model.inputs(name), model.outputs(name)
        self._model, self._function = model, None

    @property
    def name(self):
        return self._name

    @property
    def structured_input_signature(self):
        return (), {n: TensorSpec(shape, dtype, n) for n, (shape, dtype) in self._inputs.items()}

    @property
    def structured_outputs(self):
        return {n: TensorSpec(shape, dtype, n) for n, (shape, dtype) in self._outputs.items()}

    def __call__(self, *args, **kwargs):
        if len(args) == 1 and not kwargs and len(self._inputs) == 1:
            kwargs = {next(iter(self._inputs)): args[0]}
        elif args:
            raise TypeError(f"Signature '{self._name}' takes its inputs by name: {', '.join(self._inputs)}.")
        unknown = [n for n in kwargs if n not in self._inputs]
        if unknown:
            raise TypeError(f"Signature '{self._name}' has no input {unknown[0]!r}; it has {', '.join(self._inputs)}.")
        if self._function is None:
            self._function = self._model.function(self._name)
        tensors = [self._input(n, dtype, kwargs) for n, (_, dtype) in self._inputs.items()]
        return dict(zip(self._outputs, self._function(tensors)))

    def _input(self, name, dtype, given):
        if name in given:
            return _tenon.convert(given[name], dtype)
        default = self._model.default(self._name, name)
        if default is None:
            raise TypeError(f"Signature '{self._name}' is missing its input '{name}'.")
        return default

    def __repr__(self):
        return f"<SignatureFunction {self._name}({', '.join(self._inputs)}) -> {', '.join(self._outputs)}>"


class LoadedModel:
    """A SavedModel: its signatures by name."""

    def __init__(self, model):
        self._model = model
        self.signatures = {name: SignatureFunction(model, name) for name in model.signatures}


def load(export_dir, tags=None, options=None):
    """Loads a SavedModel with all its variables."""
    tags = ["serve"] if tags is None else [tags] if isinstance(tags, str) else list(tags)
    return LoadedModel(_tenon.SavedModel.load(os.fspath(export_dir), tags))


def save(obj, export_dir, signatures=None, options=None):
    """Writes the functions `signatures`: one, or a dictionary of them by name; all else of `obj` is left out."""
    if signatures is None:
        signatures = _functions_of(obj)
    if not isinstance(signatures, dict):
        signatures = {DEFAULT_SERVING_SIGNATURE_DEF_KEY: signatures}
    endpoints, variables = {}, {}
    for name, function in signatures.items():
        concrete = function.get_concrete_function() if isinstance(function, Function) else function
        if not isinstance(concrete, ConcreteFunction):
            raise ValueError(f"Signature '{name}' is a {type(function).__name__}: expected a tenon.function with an "
                             "input_signature or a concrete function.")
        concrete = concrete.for_file()
        if concrete.calls_python:
            raise ValueError(f"Signature '{name}' calls Python's code, by py_function, numpy_function or a dataset that it "
                             "reads: a SavedModel can not hold it. Leave the call outside of what is saved.")
        outputs = concrete.structured_outputs
        named = outputs if isinstance(outputs, dict) else {
            f"output_{i}": spec for i, spec in enumerate(nest.flatten(outputs))}
        names = [spec.name or f"args_{i}" for i, spec in enumerate(concrete.inputs)]
        endpoints[name] = (concrete.graph_function, names, sorted(named) if isinstance(outputs, dict) else list(named),
                           concrete.captured_inputs)
        variables.update((v._shared_name, v.trainable) for v in concrete.variables)
    if not endpoints:
        raise ValueError("There is nothing to save: give signatures, or an object with functions that have an "
                         "input_signature.")
    _tenon.write_saved_model(os.fspath(export_dir), endpoints, list(variables.items()), True)


def _functions_of(obj):
    """The object's functions whose arguments are known."""
    found = {}
    for name in dir(obj):
        if not name.startswith("__"):
            value = getattr(obj, name, None)
            if isinstance(value, Function) and value.input_signature is not None:
                found[name] = value
    if len(found) == 1:
        return next(iter(found.values()))
    return found
