"""Loading SavedModels as the objects that were saved: with their attributes, variables and functions."""
import os

from tenon import _tenon, errors
from tenon.eager import init_scope
from tenon.function import saving
from tenon.naming import name_scope
from tenon.replicas import VariableAggregation, VariableSynchronization
from tenon.saved_model import messages, structured_value
from tenon.saved_model.restored import Library, RestoredConcreteFunction, RestoredFunction, Signature
from tenon.tf.trackable import AutoTrackable
from tenon.tf.train.reader import CheckpointReader
from tenon.variable import Variable
from tenon.wire import fields_by_number

_LISTS = ("trackable_list_wrapper", "trackable_tuple_wrapper")  # tuples come back as lists


class SignatureMap(AutoTrackable, dict):
    """The signatures by name."""

    __hash__ = object.__hash__

    def __repr__(self):
        return f"_SignatureMap({super().__repr__()})"


class Asset(AutoTrackable):
    """A file that a SavedModel brings."""

    def __init__(self, path):
        self._path = os.fspath(path)

    @property
    def asset_path(self):
        return _tenon.convert(self._path)


class RestoredResource(AutoTrackable):
    """A table or the like: made, and filled, by functions of the model when it is first used."""

    @property
    def resource_handle(self):
        if saving() and _tenon.tracing():
            return self._made("_handle_of_file")
        if "_handle" not in vars(self):
            with init_scope():
                self._made("_handle")
        return vars(self)["_handle"]

    def _made(self, place):
        """A new one; what fills it asks for the handle too."""
        if place in vars(self):
            return vars(self)[place]
        handle = vars(self)[place] = vars(self)["_create_resource"]()
        try:
            if "_initialize" in vars(self):
                vars(self)["_initialize"]()
        finally:
            if place != "_handle":
                del vars(self)[place]
        return handle


def load(folder, meta):
    """What was saved; None where the MetaGraphDef `meta` does not tell of objects."""
    objects = messages.joined(meta, messages.OBJECTS)
    if not objects:
        return None
    graph = messages.ObjectGraph(objects)
    if not graph.objects or any(each.has_saveables for each in graph.objects):
        return None  # tables that the model writes: the engine restores them for its signatures
    return _Loader(folder, meta, graph).load()


class _Loader:
    def __init__(self, folder, meta, graph):
        self._folder, self._meta, self._graph = folder, meta, graph
        self._graph_def = messages.joined(meta, messages.GRAPH)
        self._library = Library(self._graph_def)
        self._made = [None] * len(graph.objects)  # by number
        self._functions = {}  # by name
        self._nodes = None  # of the graph by name, once one is looked for

    def load(self):
        self._read_variables()
        self._make_functions()
        for number, saved in enumerate(self._graph.objects):
            if self._made[number] is None:
                self._made[number] = self._make(number, saved)
        for number, saved in enumerate(self._graph.objects):
            self._attach(self._made[number], saved)
        root = self._made[0]
        if not isinstance(root, AutoTrackable):
            raise ValueError("The root of the object graph is not an object with attributes.")
        self._name_signatures(root)
        info = fields_by_number(messages.joined(self._meta, messages.INFO))
        vars(root).update(tensorflow_version=messages.text(info, 5), tensorflow_git_version=messages.text(info, 6),
                          graph_debug_info=None)
        return root

    def _read_variables(self):
        """Variables with their values, which the checkpoint has under the same names of objects."""
        wanted = [i for i, each in enumerate(self._graph.objects) if each.kind == messages.VARIABLE]
        if not wanted:
            return
        reader = CheckpointReader(os.path.join(self._folder, "variables", "variables"))
        nodes, places, waiting = reader.nodes, {0: 0}, [0]
        while waiting:
            number = waiting.pop()
            children = nodes[places[number]].children
            for name, child in self._graph.objects[number].children.items():
                if name in children and child not in places:
                    places[child] = children[name]
                    waiting.append(child)
        for number in wanted:
            parts = fields_by_number(self._graph.objects[number].value)
            values = nodes[places[number]].values if number in places else {}
            if "VARIABLE_VALUE" not in values:
                raise ValueError(f"The model's variable '{messages.text(parts, 6)}' has no value in its checkpoint.")
            value = reader.get_tensor_value(values["VARIABLE_VALUE"][1])
            with init_scope(), name_scope(""):
                self._made[number] = Variable(
                    value, bool(parts.get(3, 0)), name=messages.text(parts, 6) or None,
                    shape=structured_value.decode_shape(parts.get(2, b"")),
                    synchronization=VariableSynchronization(parts.get(4, 0)), aggregation=VariableAggregation(parts.get(5, 0)))

    def _make_functions(self):
        """The graphs, under their names; those that say what they take in a way not known here are left out."""
        bare = {messages.text(fields_by_number(each.value), 1) for each in self._graph.objects
                if each.kind == messages.BARE_FUNCTION}
        for name, saved in self._graph.functions.items():
            if any(number >= len(self._made) for number in saved.captures):
                raise ValueError(f"The function '{name}' captures an object that is not there.")
            kind = Signature if name in bare else RestoredConcreteFunction
            try:
                self._functions[name] = kind(name, self._library, saved, lambda of=saved.captures: self._captured(of))
            except structured_value.NotKnown:
                continue

    def _captured(self, numbers):
        captured = []
        for number in numbers:
            made = self._made[number]
            if isinstance(made, RestoredResource):
                made = made.resource_handle
            elif isinstance(made, Asset):
                made = made.asset_path
            if not isinstance(made, (_tenon.Tensor, _tenon.VariableBase)):
                raise errors.UnimplementedError(None, None, "A function of the model captures an object of a kind that is not "
                                                "known here.")
            captured.append(made)
        return captured

    def _make(self, number, saved):
        if saved.kind == messages.USER_OBJECT:
            return self._user_object(saved)
        if saved.kind == messages.FUNCTION:
            return self._function(saved)
        if saved.kind == messages.BARE_FUNCTION:
            parts = fields_by_number(saved.value)
            function = self._functions.get(messages.text(parts, 1))
            if function is not None:
                function.takes([each.decode() for each in messages.repeated(saved.value, 2)], parts.get(3, 0), {})
            return function
        if saved.kind == messages.CONSTANT:
            return self._constant(messages.text(fields_by_number(saved.value), 1))
        if saved.kind == messages.ASSET:
            assets = messages.repeated(self._meta, messages.ASSETS)
            index = fields_by_number(saved.value).get(1, 0)
            if index >= len(assets):
                raise ValueError(f"The model has {len(assets)} assets; an object is said to be number {index}.")
            name = os.path.normpath(messages.text(fields_by_number(assets[index]), 2))
            if os.path.isabs(name) or name.startswith(".."):
                raise ValueError(f"The asset '{name}' is outside of the model's folder.")
            return Asset(os.path.join(self._folder, "assets", name))
        if saved.kind == messages.RESOURCE:
            return RestoredResource()
        return None

    def _user_object(self, saved):
        identifier = messages.text(fields_by_number(saved.value), 1)
        if identifier in _LISTS:
            return []
        if identifier == "trackable_dict_wrapper":
            return {}
        if identifier == "signature_map":
            return SignatureMap()
        members = {"__call__": lambda self, *args, **kwargs: vars(self)["__call__"](*args, **kwargs)}
        return type("_UserObject", (AutoTrackable,), members if "__call__" in saved.children else {})()

    def _function(self, saved):
        names = [each.decode() for each in messages.repeated(saved.value, 1)]
        missing = [name for name in names if name not in self._graph.functions]
        if missing:
            raise ValueError(f"The model has no function '{missing[0]}'.")
        return RestoredFunction("restored_function_body", [self._functions[name] for name in names if name in self._functions],
                                messages.joined(saved.value, 2))

    def _constant(self, operation):
        if self._nodes is None:
            self._nodes = {messages.text(fields_by_number(node), 1): node
                           for node in messages.repeated(self._graph_def, messages.NODES)}
        if operation not in self._nodes:
            raise ValueError(f"The model has no node '{operation}'.")
        value = messages.map_entries(self._nodes[operation], 5).get("value", b"")
        return structured_value.decode_tensor(messages.joined(value, 8))

    def _attach(self, made, saved):
        """Gives an object its attributes, a list its elements."""
        children = {name: self._made[child] for name, child in saved.children.items() if self._made[child] is not None}
        if isinstance(made, list):
            made.extend(children[name] for name in sorted(children, key=_place))
        elif isinstance(made, dict):
            for name, child in children.items():
                dict.__setitem__(made, name, child)
        elif isinstance(made, AutoTrackable):
            vars(made).update(children)

    def _name_signatures(self, root):
        """Signatures know the values of inputs that may be left out."""
        signatures = vars(root).setdefault("signatures", SignatureMap())
        if not isinstance(signatures, SignatureMap):
            return
        definitions = messages.map_entries(self._meta, messages.SIGNATURES)
        for name, function in signatures.items():
            defaults = messages.map_entries(definitions.get(name, b""), 4)
            if defaults and isinstance(function, Signature):
                function.takes(function._keywords, function._num_positional,
                               {key: structured_value.decode_tensor(value) for key, value in defaults.items()})


def _place(name):
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)
