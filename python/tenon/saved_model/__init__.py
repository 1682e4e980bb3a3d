"""Loading and saving SavedModels: what TensorFlow, Keras and Tenon export."""
import os

from tenon import _tenon, errors
from tenon.function import ConcreteFunction, Function
from tenon.saved_model import messages
from tenon.tensor_spec import TensorSpec

DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"


class SaveOptions:
    """How a model is written; nothing of it changes what is written."""

    def __init__(self, **options):
        self.__dict__.update(options)


class LoadOptions:
    """How a model is loaded; nothing of it changes what is loaded."""

    def __init__(self, **options):
        self.__dict__.update(options)


def contains_saved_model(export_dir):
    """Whether there is one in the folder."""
    return any(os.path.isfile(os.path.join(os.fspath(export_dir), name)) for name in ("saved_model.pb", "saved_model.pbtxt"))


def named_inputs(signature, names, num_positional, default, args, kwargs):
    """The values of a signature's inputs `names`, of which the first `num_positional` may be given by their places;
    `default(name)` is that of one that is left out, or None."""
    if len(args) > num_positional:
        raise TypeError(f"Signature '{signature}' takes its inputs by name: {', '.join(names)}.")
    given = {**dict(zip(names, args)), **kwargs}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise TypeError(f"Signature '{signature}' has no input {unknown[0]!r}; it has {', '.join(names)}.")
    values = [given[name] if name in given else default(name) for name in names]
    for name, value in zip(names, values):
        if value is None and name not in given:
            raise TypeError(f"Signature '{signature}' is missing its input '{name}'.")
    return values


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
        given = named_inputs(self._name, self._inputs, int(len(self._inputs) == 1 and not kwargs),
                             lambda name: self._model.default(self._name, name), args, kwargs)
        if self._function is None:
            self._function = self._model.function(self._name)
        tensors = [_tenon.convert(value, dtype) for value, (_, dtype) in zip(given, self._inputs.values())]
        return dict(zip(self._outputs, self._function(tensors)))

    def __repr__(self):
        return f"<SignatureFunction {self._name}({', '.join(self._inputs)}) -> {', '.join(self._outputs)}>"


class LoadedModel:
    """A SavedModel: its signatures by name."""

    def __init__(self, model):
        self._model = model
        self.signatures = {name: SignatureFunction(model, name) for name in model.signatures}


def load(export_dir, tags=None, options=None):
    """Loads a SavedModel: the object that was saved, with its attributes, its variables and those of its functions that are
    graphs. A model that was saved without objects, as TensorFlow 1's are, has signatures alone."""
    folder = os.fspath(export_dir)
    path = os.path.join(folder, "saved_model.pb")
    wanted = None if tags is None else {tags} if isinstance(tags, str) else set(tags)
    if os.path.isfile(path):
        try:
            metas = _meta_graphs(path)
        except _WRONG as error:
            raise _damaged(path, error) from error
        if len(metas) == 1:
            own = metas[0][0]
            if wanted not in (None, own):
                raise ValueError(f"Got an incompatible argument to `tags`: {sorted(wanted)}. The SavedModel at {folder} has one "
                                 f"MetaGraph with tags {sorted(own)}. You may omit the argument, pass 'None', or pass matching "
                                 "tags.")
            wanted = own
        found = [meta for own, meta in metas if own == wanted]
        if found:
            from tenon.saved_model import loading  # with what it needs of TensorFlow's names
            try:
                root = loading.load(folder, found[0])
            except _WRONG as error:
                raise _damaged(path, error) from error
            if root is not None:
                return root
    elif not os.path.isfile(folder) and not any(os.path.isfile(os.path.join(folder, other)) for other in _OTHER_FILES):
        raise OSError(f"SavedModel file does not exist at: {folder}/{{saved_model.pbtxt|saved_model.pb}}")
    return LoadedModel(_tenon.SavedModel.load(folder, ["serve"] if wanted is None else sorted(wanted)))


_WRONG = (ValueError, TypeError, AttributeError, LookupError)  # what bytes of other kinds than expected lead to
_OTHER_FILES = ("saved_model.pbtxt", "model.tflite")


def _meta_graphs(path):
    """(tags, MetaGraphDef) of each."""
    with open(path, "rb") as file:
        metas = messages.repeated(file.read(), 2)
    return [({tag.decode() for tag in messages.repeated(messages.joined(meta, messages.INFO), 4)}, meta) for meta in metas]


def _damaged(path, error):
    return errors.DataLossError(None, None, f"'{path}' is damaged: {error}")


def save(obj, export_dir, signatures=None, options=None):
    """Writes an object with its variables, what it holds, and its functions, as far as they have been traced or have an
    input_signature; beside it `signatures`: a function, or several by name. The only function of the object with an
    input_signature is the signature where none is given. `obj` may be None: then signatures are all there is."""
    from tenon.tf.trackable import is_trackable
    if obj is None and not signatures or obj is not None and not is_trackable(obj):
        raise ValueError("Expected an object of type `Trackable`, such as `tf.Module` or a subclass of the `Trackable` class, for "
                         f"export. Got {obj} with type {type(obj)}.")
    from tenon.saved_model import saving
    if signatures is None:
        signatures = getattr(obj, "_default_save_signature", None)  # Keras' models have one
    if signatures is None:
        signatures = _default_signature(saving.children_of(obj))
    if not isinstance(signatures, dict):
        signatures = {DEFAULT_SERVING_SIGNATURE_DEF_KEY: signatures}
    saving.save(obj, export_dir, {name: _concrete(function) for name, function in signatures.items()})


def _concrete(function):
    """The graph of a signature."""
    if isinstance(function, Function) and function.input_signature is not None:
        return function.get_concrete_function()
    if isinstance(function, ConcreteFunction):
        return function
    raise ValueError(f"Expected a TensorFlow function for which to generate a signature, but got {function}. Only `tf.functions` "
                     "with an input signature or concrete functions can be used as a signature.")


def _default_signature(children):
    """The only function whose arguments are known and which gives tensors."""
    found = [child for child in children.values() if isinstance(child, ConcreteFunction)
             or isinstance(child, Function) and child.input_signature is not None]
    return found[0] if len(found) == 1 and _gives_tensors(_concrete(found[0]).structured_outputs) else {}


def _gives_tensors(outputs):
    leaves = outputs.values() if isinstance(outputs, dict) else outputs if isinstance(outputs, (list, tuple)) else [outputs]
    return bool(leaves) and all(isinstance(leaf, TensorSpec) for leaf in leaves)
