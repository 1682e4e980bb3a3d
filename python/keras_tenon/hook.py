"""Gives an unmodified Keras the backend "tenon", as its modules are loaded.

Keras names its backends in chains of `if backend() == "tensorflow": ... elif ...`. The modules of CHAINS get one branch
more, which is TensorFlow's with the backend's name changed. keras.src.backend.tenon.X is keras_tenon/src/X.py where there
is one, otherwise Keras' own backend/tensorflow/X.py with `tensorflow` being tenon.tf in it and nowhere else: the real one
can be imported in the same process. A chain that is not where it was is an ImportError that names Keras' version.
"""
import ast
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys

NAME = "tenon"
BACKEND = "keras.src.backend.tenon"
IN_TREE = BACKEND + ".in_tree"  # Keras' module where ours stands in its place
TENSORFLOW = "keras.src.backend.tensorflow"
# What is changed in which module of Keras.
CHAINS = {"keras.src.backend", "keras.src.layers.layer", "keras.src.models.model", "keras.src.export.saved_model",
          "keras.src.optimizers.optimizer", "keras.src.utils.backend_utils"}
LISTS = {"keras.src.utils.backend_utils", "keras.src.export.saved_model_export_archive"}
LAZY = {"keras.src.utils.module_utils"}
GRAPHS = {"keras.src.utils.backend_utils"}
# What these do on TensorFlow alone, or know its backend's module for by the end of its name, is done here too.
ALIKE = {f"keras.src.layers.preprocessing.{name}" for name in (
    "feature_space", "hashed_crossing", "integer_lookup", "string_lookup", "text_vectorization")} | {
    "keras.src.layers.normalization.batch_normalization", "keras.src.losses.loss",
    "keras.src.optimizers.loss_scale_optimizer", "keras.src.utils.numerical_utils", "keras.src.export.tfsm_layer"}
# These know datasets by the names of TensorFlow's modules.
DATASETS = {"keras.src.utils.dataset_utils"}
SUMMARIES = {"keras.src.callbacks.tensorboard"}
# These import TensorFlow's backend by its name, whatever backend is chosen.
USERS = {"keras.src.layers.preprocessing.hashing", "keras.src.layers.preprocessing.index_lookup",
         "keras.src.layers.preprocessing.hashed_crossing", "keras.src.trainers.data_adapters.tf_dataset_adapter",
         "keras.src.trainers.data_adapters.array_slicing", "keras.src.utils.image_dataset_utils"}


def _version():
    try:
        from importlib.metadata import version
        return version("keras")
    except Exception:  # noqa: BLE001: the version is only told
        return "of unknown version"


def _changed(module, what):
    return ImportError(f"Keras {_version()} is not what Tenon's backend knows (3.15): {module} has no {what}. Install "
                       "keras>=3.15,<3.16, or a Tenon that knows this Keras.")


class _TensorFlowIsOurs(ast.NodeTransformer):
    """Imports of TensorFlow become imports of tenon.tf, those of its backend imports of ours."""

    def __init__(self, tensorflow_too):
        self._tensorflow_too = tensorflow_too

    def visit_Import(self, node):
        for alias in node.names:
            if self._tensorflow_too and (alias.name == "tensorflow" or alias.name.startswith("tensorflow.")):
                alias.name, alias.asname = "tenon.tf" + alias.name[len("tensorflow"):], alias.asname or "tensorflow"
        return node

    def visit_ImportFrom(self, node):
        if node.level:
            return node
        if node.module == TENSORFLOW or node.module.startswith(TENSORFLOW + "."):
            node.module = BACKEND + node.module[len(TENSORFLOW):]
        elif node.module == "keras.src.backend":
            for alias in node.names:
                if alias.name == "tensorflow":
                    alias.name, alias.asname = NAME, alias.asname or "tensorflow"
        elif self._tensorflow_too and node.module.split(".")[0] == "tensorflow":
            # Names that TensorFlow does not document.
            node.module = "keras_tenon.private_names"
        return node


class _Renamed(ast.NodeTransformer):
    """TensorFlow's branch of a chain as ours."""

    def visit_Constant(self, node):
        if node.value == "tensorflow":
            return ast.copy_location(ast.Constant(NAME), node)
        if node.value == TENSORFLOW:
            return ast.copy_location(ast.Constant(BACKEND), node)
        return node

    def visit_ImportFrom(self, node):
        return _TensorFlowIsOurs(False).visit_ImportFrom(node)


def _tests_for_tensorflow(test):
    """`X == "tensorflow"` alone."""
    return (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)
            and isinstance(test.comparators[0], ast.Constant) and test.comparators[0].value == "tensorflow")


def _names_backend(statements):
    """Whether one of the statements imports TensorFlow's backend."""
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(TENSORFLOW):
                return True
            if isinstance(node, ast.Constant) and node.value == TENSORFLOW:
                return True
    return False


class _Chains(ast.NodeTransformer):
    """One branch more where a chain imports TensorFlow's backend."""

    found = 0

    def visit_If(self, node):
        self.generic_visit(node)
        if not (_tests_for_tensorflow(node.test) and _names_backend(node.body)):
            return node
        self.found += 1
        ours = _copy(ast.If(test=node.test, body=node.body, orelse=[]), node)
        ours = _Renamed().visit(ours)
        if node.orelse:
            ours.orelse = [node]
            return ours
        return [ours, node]


def _copy(tree, at):
    import copy
    return ast.fix_missing_locations(ast.copy_location(copy.deepcopy(tree), at))


class _Lists(ast.NodeTransformer):
    """`X in ("tensorflow", "jax", ...)` names ours too."""

    found = 0

    def visit_Compare(self, node):
        self.generic_visit(node)
        names = node.comparators[-1]
        if isinstance(node.ops[-1], (ast.In, ast.NotIn)) and isinstance(names, ast.Tuple) and any(
                isinstance(e, ast.Constant) and e.value == "tensorflow" for e in names.elts):
            self.found += 1
            names.elts.append(ast.copy_location(ast.Constant(NAME), names))
        return node


class _Alike(ast.NodeTransformer):
    """`X == "tensorflow"`, `X != "tensorflow"` and `X.endswith("tensorflow")` take ours for it."""

    found = 0

    def visit_Compare(self, node):
        self.generic_visit(node)
        last = node.comparators[-1]
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.Eq, ast.NotEq)) and getattr(last, "value", None) == "tensorflow":
            self.found += 1
            node.ops = [ast.In() if isinstance(node.ops[0], ast.Eq) else ast.NotIn()]
            node.comparators = [ast.copy_location(ast.Tuple([last, ast.Constant(NAME)], ast.Load()), last)]
        return node

    def visit_Call(self, node):
        self.generic_visit(node)
        first = node.args[0] if node.args else None
        if getattr(node.func, "attr", None) == "endswith" and getattr(first, "value", None) == "tensorflow":
            self.found += 1
            node.args = [ast.copy_location(ast.Tuple([first, ast.Constant(NAME)], ast.Load()), first)]
        return node


class _Datasets(ast.NodeTransformer):
    """A tuple of the names of modules that has TensorFlow's of datasets has ours."""

    found = 0

    def visit_Tuple(self, node):
        self.generic_visit(node)
        if any(isinstance(e, ast.Constant) and e.value == "tensorflow.python.data" for e in node.elts):
            self.found += 1
            node.elts.append(ast.copy_location(ast.Constant("tenon.tf.data"), node))
        return node


class _Lazy(ast.NodeTransformer):
    """LazyModule("tensorflow...") is ours."""

    found = 0

    def visit_Call(self, node):
        self.generic_visit(node)
        first = node.args[0] if node.args else None
        if getattr(node.func, "id", None) == "LazyModule" and isinstance(first, ast.Constant) and (
                first.value == "tensorflow" or str(first.value).startswith("tensorflow.")):
            self.found += 1
            node.args[0] = ast.copy_location(ast.Constant("tenon.tf" + first.value[len("tensorflow"):]), first)
        return node


class _NoOtherGraphs(ast.NodeTransformer):
    """in_tf_graph() asks whether layers for data run in TensorFlow's graph, not in that of the backend: they never do."""

    found = 0

    def visit_FunctionDef(self, node):
        if node.name == "in_tf_graph":
            self.found += 1
            node.body = [ast.copy_location(ast.Return(ast.Constant(False)), node.body[0])]
        return node


def transform(module, tree):
    """The syntax tree of a module of Keras with our backend in it. ImportError where Keras has changed."""
    for modules, change, what in ((CHAINS, _Chains, 'chain `if backend() == "tensorflow"`'),
                                  (LISTS, _Lists, "list of backends"),
                                  (LAZY, _Lazy, "lazy module for TensorFlow"),
                                  (GRAPHS, _NoOtherGraphs, "function in_tf_graph"),
                                  (DATASETS, _Datasets, "name of TensorFlow's module of datasets"),
                                  (ALIKE, _Alike, "question for TensorFlow's backend")):
        if module in modules:
            transformer = change()
            tree = transformer.visit(tree)
            if not transformer.found:
                raise _changed(module, what)
    if module in USERS:
        tree = _TensorFlowIsOurs(False).visit(tree)
    if module in ALIKE or module in SUMMARIES:
        tree = _TensorFlowIsOurs(True).visit(tree)
    return ast.fix_missing_locations(tree)


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads Keras' source changed by transform(); its stored bytecode is not looked at."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        if fullname == BACKEND or fullname.startswith(BACKEND + "."):
            tree = ast.fix_missing_locations(_TensorFlowIsOurs(True).visit(tree))
        else:
            tree = transform(fullname, tree)
        return compile(tree, path, "exec", dont_inherit=True)


class _Package(importlib.abc.Loader):
    """The package of Keras' modules where ours stand in their places."""

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        pass


class _Same(importlib.abc.Loader):
    """A module that is known by another name too."""

    def __init__(self, name):
        self._name = name

    def create_module(self, spec):
        module = importlib.import_module(self._name)
        self._spec = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = self._spec


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("keras.src.") or not _chosen():
            return None
        if fullname == BACKEND or fullname.startswith(BACKEND + "."):
            return self._backend_spec(fullname)
        if any(fullname in names for names in (CHAINS, LISTS, LAZY, USERS, ALIKE, DATASETS, SUMMARIES)):
            found = importlib.machinery.PathFinder.find_spec(fullname, path)
            if found is None:
                raise _changed(fullname, "source")
            found.loader = _Loader(fullname, found.origin)
            return found
        return None

    def _backend_spec(self, fullname):
        if fullname == IN_TREE:
            return importlib.machinery.ModuleSpec(fullname, _Package(), is_package=True)
        name = fullname[len(BACKEND) + 1:]
        in_tree = name.startswith("in_tree.")
        name = name.removeprefix("in_tree.")
        if not in_tree and name and importlib.util.find_spec(f"keras_tenon.src.{name}"):
            return importlib.machinery.ModuleSpec(fullname, _Same(f"keras_tenon.src.{name}"))
        folder = os.path.join(_keras_folder(), "src", "backend", "tensorflow")
        file = os.path.join(folder, (name or "__init__") + ".py")
        if not os.path.exists(file):
            return None
        return importlib.util.spec_from_file_location(fullname, file, loader=_Loader(fullname, file),
                                                      submodule_search_locations=None if name else [])


def _keras_folder():
    found = importlib.util.find_spec("keras")
    return os.path.dirname(found.origin)


def _chosen():
    """Whether Keras' backend is ours."""
    return os.environ.get("KERAS_BACKEND") == NAME


def install():
    """Serves the backend from now on. RuntimeError where Keras runs on another already."""
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
    loaded = sys.modules.get("keras.src.backend.config")
    if loaded is not None and _chosen() and loaded.backend() != NAME:
        raise RuntimeError(f"Keras runs on {loaded.backend()} in this process: import keras_tenon before keras.")
