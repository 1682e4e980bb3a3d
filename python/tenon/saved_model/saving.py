"""Writing SavedModels: the object with all that it holds, and the graphs that its functions have been traced to so far."""
import collections
import inspect
import os
import shutil
import tempfile

from tenon import _tenon, nest, wire
from tenon.function import ConcreteFunction, Function
from tenon.saved_model import DEFAULT_SERVING_SIGNATURE_DEF_KEY, messages
from tenon.saved_model.restored import bare_name
from tenon.saved_model.structured_value import NotEncodable, encode
from tenon.tf.train import object_graph
from tenon.tf.train.reader import CheckpointReader
from tenon.wire import fields_by_number

_INIT = "__saved_model_init_op"
_OF_FIT = {"train_function", "test_function", "predict_function"}  # of Keras' models
FullArgSpec = collections.namedtuple("FullArgSpec", "args varargs varkw defaults kwonlyargs kwonlydefaults annotations")


def save(obj, export_dir, signatures):
    """Writes what `obj` holds, which may be None, and the signatures: concrete functions by name."""
    objects = _Objects(obj)
    graphs = _Graphs()
    for name, concrete in signatures.items():
        if not concrete.structured_outputs:
            raise ValueError(f"Signature '{name}' has no outputs.")
        graphs.add_signature(name, concrete)
    for function in objects.functions():
        graphs.add_function(function)
    folder = os.path.abspath(os.fspath(export_dir))
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=os.path.dirname(folder)) as staging:
        staged = os.path.join(staging, "model")
        variables = objects.variables(graphs.concrete_functions())
        graphs.write(staged, variables)
        if obj is not None:
            _Rewriting(staged, objects, graphs, variables, signatures).write()
        if os.path.lexists(folder):
            os.rename(folder, os.path.join(staging, "replaced"))
        os.rename(staged, folder)


def _identity(value):
    """What tells objects apart. Each access to a method makes another Function, which shares its traces."""
    return id(value._traced) if isinstance(value, Function) else id(value)


class _Objects:
    """What is reached from the root, by attributes and elements."""

    def __init__(self, root):
        self.found, self.children, self._numbers = [], [], {}
        if root is None:
            return
        self._number(root)
        at = 0
        while at < len(self.found):
            self.children.append({name: self._number(child) for name, child in children_of(self.found[at]).items()
                                  if at or name != "signatures"})
            at += 1

    def _number(self, value):
        key = _identity(value)
        if key not in self._numbers:
            self._numbers[key] = len(self.found)
            self.found.append(value)
        return self._numbers[key]

    def functions(self):
        return [each for each in self.found if isinstance(each, (Function, ConcreteFunction))]

    def variables(self, concrete_functions):
        """By the names that graphs know them by; those of the objects, then those of functions alone."""
        held = [each for each in self.found if isinstance(each, _tenon.VariableBase)]
        captured = [variable for concrete in concrete_functions for variable in concrete.variables]
        return {variable._shared_name: variable for variable in held + captured}


def children_of(value):
    """The objects that a file keeps of what `value` holds, by name."""
    from tenon.tf import internal, trackable
    if isinstance(value, (Function, ConcreteFunction, _tenon.VariableBase)):
        return {}
    found = {}
    if hasattr(value, "_trackable_children"):
        found = dict(value._trackable_children(save_type="savedmodel"))
    elif isinstance(value, (list, tuple, dict)):
        found = trackable.children_of(value)
    if isinstance(value, (trackable.AutoTrackable, internal.AutoTrackable)):
        for name in dir(type(value)):
            if isinstance(inspect.getattr_static(type(value), name), Function):
                found[name] = getattr(value, name)
        found.update({name: each for name, each in vars(value).items()
                      if isinstance(each, (Function, ConcreteFunction)) and name not in _OF_FIT})
    return {name: _variable_of(child) for name, child in found.items() if _is_kept(child)}


def _variable_of(value):
    """Of a variable of Keras' the one that holds its value."""
    held = getattr(value, "_value", None)
    return held if isinstance(held, _tenon.VariableBase) else value


def _is_kept(value):
    """Tables are made anew by the graphs that use them."""
    from tenon.saved_model.loading import RestoredResource
    from tenon.tf.lookup import _Table
    from tenon.tf.trackable import is_trackable
    return isinstance(value, (Function, ConcreteFunction)) or is_trackable(value) and not isinstance(
        value, (_Table, RestoredResource))


class _Graphs:
    """The functions that the engine writes, each once, under names of which those of signatures come first."""

    def __init__(self):
        self._endpoints, self._names, self._kept = {}, {}, []
        self.without_results = set()  # names
        self.of_function = {}  # by _identity(): [(name, concrete function, its arguments)]

    def concrete_functions(self):
        return [concrete for concrete, _ in self._endpoints.values()]

    def add_signature(self, name, concrete):
        writes = concrete.for_file()
        if writes.calls_python:
            raise ValueError(f"Signature '{name}' calls Python's code, by py_function, numpy_function or a dataset that it "
                             "reads: a SavedModel can not hold it. Leave the call outside of what is saved.")
        self._endpoints[name] = writes, concrete._keywords
        self._names[id(concrete)] = name

    def add_function(self, function):
        """Those of its traces that a file can hold: that take no objects and call no Python."""
        traces = [function] if isinstance(function, ConcreteFunction) else function._list_all_concrete_functions()
        kept = self.of_function.setdefault(_identity(function), [])
        for concrete in traces:
            arguments = concrete.structured_input_signature
            try:
                encode(arguments)
                encode(concrete.structured_outputs)
            except NotEncodable:
                continue
            if not concrete.calls_python:
                kept.append((self._name_of(concrete), concrete, arguments))

    def _name_of(self, concrete):
        name = self._names.get(id(concrete))
        if name is None:
            # Sorts behind those of signatures.
            name = self._names[id(concrete)] = f"~{len(self._names):06}_{bare_name(concrete._name)}"
            self._kept.append(concrete)
            writes = concrete.for_file()
            if not writes.graph_function.outputs:
                self.without_results.add(name)
                writes = _with_a_result(writes)
            self._endpoints[name] = writes, [f"args_{i}" for i in range(len(writes._specs))]
        return name

    def write(self, folder, variables):
        """The model as the engine writes it: each function an endpoint."""
        if not self._endpoints:
            self._endpoints["~"] = ConcreteFunction(lambda: _tenon.convert(True), (), {}, "nothing"), []
        endpoints = {}
        for name, (concrete, names) in self._endpoints.items():
            outputs = concrete.structured_outputs
            named = sorted(outputs) if not name.startswith("~") and isinstance(outputs, dict) else [
                f"output_{i}" for i in range(len(concrete.graph_function.outputs))]
            endpoints[name] = concrete.graph_function, names, named, concrete.captured_inputs
        _tenon.write_saved_model(folder, endpoints, [(name, v.trainable) for name, v in variables.items()], True)


def _with_a_result(concrete):
    """The function for the engine, which wants one; what is written has none again."""
    def function(*args, **kwargs):
        concrete.run([leaf for leaf in nest.flatten((args, kwargs), True) if isinstance(leaf, _tenon.Tensor)])
        return _tenon.convert(True)

    return ConcreteFunction(function, *concrete.structured_input_signature, concrete._name)


def _full_arg_spec(function):
    """The parameters as files have them; a default that they can not hold is left out."""
    def encodable(value):
        try:
            return bool(encode(value))
        except NotEncodable:
            return False

    kinds = inspect.Parameter
    parameters = list(function._python_signature().parameters.values())
    positional = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)]
    defaults = [p.default for p in positional if p.default is not kinds.empty]
    keywords = [p for p in parameters if p.kind is kinds.KEYWORD_ONLY]
    keyword_defaults = {p.name: p.default for p in keywords if p.default is not kinds.empty and encodable(p.default)}
    by_kind = {p.kind: p.name for p in parameters}
    return FullArgSpec([p.name for p in positional], by_kind.get(kinds.VAR_POSITIONAL), by_kind.get(kinds.VAR_KEYWORD),
                       tuple(defaults) if defaults and all(map(encodable, defaults)) else None, [p.name for p in keywords],
                       keyword_defaults or None, {})


class _Rewriting:
    """Puts the objects that were saved in the place of those that the engine wrote: it writes its variables in lists, and its
    functions as attributes of one object."""

    def __init__(self, folder, objects, graphs, variables, signatures):
        self._folder, self._objects, self._graphs = folder, objects, graphs
        self._variables, self._signatures = variables, signatures
        self._nodes = [object_graph.Node()]  # of the checkpoint, numbered as the objects are

    def write(self):
        path = os.path.join(self._folder, "saved_model.pb")
        with open(path, "rb") as file:
            model = file.read()
        out = b""
        for number, kind, value in wire.fields(model):
            out += wire.field(number, kind, self._meta_graph(value) if number == 2 else value)
        with open(path, "wb") as file:
            file.write(out)
        if self._variables:
            self._write_checkpoint()

    def _write_checkpoint(self):
        """The engine's values, beside the objects that they are those of."""
        folder, written = os.path.join(self._folder, "variables"), os.path.join(self._folder, "variables.engine")
        os.rename(folder, written)
        reader = CheckpointReader(os.path.join(written, "variables"))
        for number in range(1, len(self._variables) + 1):
            self._nodes[number].values = reader.nodes[number].values
        object_graph.mark_values(self._nodes)
        keys = [key for node in self._nodes for _, key in node.values.values()]
        os.makedirs(folder)
        _tenon.write_bundle(os.path.join(folder, "variables"), [
            *((key, reader.get_tensor_value(key)) for key in keys),
            (object_graph.KEY, object_graph.serialize(self._nodes))])
        shutil.rmtree(written)

    def _meta_graph(self, meta):
        written = messages.ObjectGraph(messages.joined(meta, messages.OBJECTS))
        definitions = messages.map_entries(meta, messages.SIGNATURES)
        kept = {_INIT, *self._signatures, *([DEFAULT_SERVING_SIGNATURE_DEF_KEY] if self._signatures else [])}
        dropped = {name: value for name, value in definitions.items() if name not in kept}
        graph, wrappers = self._graph(messages.joined(meta, messages.GRAPH), dropped, self._function_names(written))
        out = wire.bytes_field(messages.INFO, messages.joined(meta, messages.INFO)) + wire.bytes_field(messages.GRAPH, graph)
        for number, kind, value in wire.fields(meta):
            if number == messages.SIGNATURES:
                if messages.text(fields_by_number(value), 1) not in dropped:
                    out += wire.field(number, kind, value)
            elif number not in (messages.INFO, messages.GRAPH, messages.OBJECTS):
                out += wire.field(number, kind, value)
        return out + wire.bytes_field(messages.OBJECTS, self._object_graph(written, wrappers))

    def _function_names(self, written):
        """What functions are called in the library, by the names of endpoints."""
        names = {}
        for name, child in written.objects[0].children.items():
            if written.objects[child].kind == messages.FUNCTION:
                names[name] = messages.repeated(written.objects[child].value, 1)[0].decode()
        return names

    def _graph(self, graph, dropped, names):
        """The GraphDef without what only dropped signatures use, and the names of the functions that went with them."""
        nodes = {messages.text(fields_by_number(info), 1).split(":")[0]
                 for signature in dropped.values() for field in (1, 2)
                 for info in messages.map_entries(signature, field).values()}
        without_results = {names[name] for name in self._graphs.without_results}
        wrappers, out, library = set(), b"", b""
        for number, kind, value in wire.fields(graph):
            if number == messages.NODES and messages.text(fields_by_number(value), 1) in nodes:
                called = messages.map_entries(value, 5).get("f")
                if called is not None:
                    wrappers.add(messages.text(fields_by_number(messages.joined(called, 10)), 1))
            elif number == messages.LIBRARY:
                library += value
            else:
                out += wire.field(number, kind, value)
        kept = []
        for number, kind, value in wire.fields(library):
            name = messages.text(fields_by_number(messages.joined(value, 1)), 1) if number == 1 else None
            if name in without_results:
                value = _without(_without(value, 4), 1) + wire.bytes_field(1, _without(messages.joined(value, 1), 3))
            if name is None or name not in wrappers:
                kept.append(wire.field(number, kind, value))
        return out + wire.bytes_field(messages.LIBRARY, b"".join(kept)), wrappers

    def _object_graph(self, written, wrappers):
        names = self._function_names(written)
        made = _Made(self._nodes)
        for saved, variable in zip(written.objects[1:], self._variables.values()):  # as the engine numbers them
            made.add(_variable(saved, variable))
        numbers = {name: i + 1 for i, name in enumerate(self._variables)}
        places = {i: numbers[each._shared_name] if isinstance(each, _tenon.VariableBase) else made.add() if i else 0
                  for i, each in enumerate(self._objects.found)}
        functions = {name: value for name, value in written.functions.items() if name not in wrappers}
        for i, each in enumerate(self._objects.found):
            if isinstance(each, (Function, ConcreteFunction)):
                self._add_function(made, places[i], each, names, functions)
            elif not isinstance(each, _tenon.VariableBase):
                children = {name: places[child] for name, child in self._objects.children[i].items()}
                if not i:
                    children["signatures"] = signatures = made.add()
                made.set(places[i], children, _user_object(_identifier(each)))
        engines, children = written.objects[written.objects[0].children["signatures"]], {}
        for name, child in engines.children.items():
            if name in self._signatures or self._signatures and name == DEFAULT_SERVING_SIGNATURE_DEF_KEY:
                children[name] = made.add(written.objects[child].data)
        made.set(signatures, children, _user_object("signature_map"))
        out = b"".join(wire.bytes_field(1, each) for each in made.objects)
        for name, function in functions.items():
            captures = b"".join(map(wire.varint, function.captures))
            value = wire.bytes_field(2, captures) if captures else b""
            value += wire.bytes_field(3, function.arguments) + wire.bytes_field(4, function.results)
            out += messages.map_entry(2, name, value)
        return out

    def _add_function(self, made, place, function, names, functions):
        """A tf.function with its traces, which are objects too, or one graph alone."""
        traces = self._graphs.of_function[_identity(function)]
        for name, concrete, arguments in traces:
            saved = functions[names[name]]
            saved.arguments, saved.results = encode(arguments), encode(concrete.structured_outputs)
        if isinstance(function, ConcreteFunction):
            made.set(place, {}, _bare_function(names[traces[0][0]], function, b"") if traces else _user_object(_identifier(None)))
            return
        signature = function.input_signature
        spec = wire.bytes_field(1, encode(_full_arg_spec(function))) + wire.bytes_field(
            5, encode(None if signature is None else tuple(signature)))
        children = {f"trace_{i}": made.add(_bare_function(names[name], concrete, spec))
                    for i, (name, concrete, _) in enumerate(traces)}
        value = b"".join(wire.text_field(1, names[name]) for name, _, _ in traces) + wire.bytes_field(2, spec)
        made.set(place, children, wire.bytes_field(messages.FUNCTION, value) + _children(children, 15))


class _Made:
    """The objects of the file and, under the same numbers, the `nodes` of its checkpoint."""

    def __init__(self, nodes):
        self.objects, self._nodes = [b""], nodes

    def add(self, saved=b""):
        self.objects.append(saved)
        self._nodes.append(object_graph.Node())
        return len(self.objects) - 1

    def set(self, number, children, kind):
        self.objects[number] = _children(children) + kind
        self._nodes[number].children = children


def _without(message, dropped):
    return b"".join(wire.field(number, kind, value) for number, kind, value in wire.fields(message) if number != dropped)


def _children(children, field=1):
    return b"".join(wire.bytes_field(field, wire.varint_field(1, child) + wire.text_field(2, name))
                    for name, child in children.items())


def _user_object(identifier):
    version = wire.varint_field(1, 1) + wire.varint_field(2, 1)
    return wire.bytes_field(messages.USER_OBJECT, wire.text_field(1, identifier) + wire.bytes_field(2, version))


def _identifier(value):
    if isinstance(value, dict):
        return "trackable_dict_wrapper"
    if isinstance(value, tuple):
        return "trackable_tuple_wrapper"
    return "trackable_list_wrapper" if isinstance(value, list) else "_generic_user_object"


def _variable(saved, variable):
    """A SavedObject of the engine's under the variable's own name."""
    value = _without(saved.value, 6) + wire.text_field(6, variable._name)
    for field, setting in ((4, variable.synchronization), (5, variable.aggregation)):
        value += wire.varint_field(field, setting.value) if setting.value else b""
    return wire.bytes_field(messages.VARIABLE, value)


def _bare_function(name, concrete, spec):
    """A SavedBareConcreteFunction, which takes its tensors by name too."""
    keywords = concrete._keywords
    value = wire.text_field(1, name) + b"".join(wire.text_field(2, keyword) for keyword in keywords)
    value += wire.varint_field(3, len(keywords)) + (wire.bytes_field(4, spec) if spec else b"")
    return wire.bytes_field(messages.BARE_FUNCTION, value)
