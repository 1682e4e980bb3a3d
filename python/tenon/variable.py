"""Variable: a tensor that programs change."""
from tenon import _tenon, raw_ops
from tenon.eager import init_scope
from tenon.naming import current_scope, name_scope
from tenon.tensor_shape import TensorShape


class Variable(_tenon.VariableBase):
    """Holds a value. Ops read it as they read tensors; assign() and its kin write it."""

    def __init__(self, initial_value=None, trainable=None, validate_shape=True, caching_device=None, name=None,
                 variable_def=None, dtype=None, import_scope=None, constraint=None, synchronization=None,
                 aggregation=None, shape=None, experimental_enable_variable_lifting=True):
        if initial_value is None:
            raise ValueError("The `initial_value` arg to `tf.Variable` must be specified except when you are not "
                             "providing a `variable_def`.")
        with init_scope():
            value = initial_value() if callable(initial_value) else initial_value
            if isinstance(value, _tenon.Tensor) and value.is_symbolic:
                known = _tenon.static_value(value)
                value = value if known is None else known
            if isinstance(value, _tenon.Tensor) and value.is_symbolic:
                raise ValueError("A variable that is made while a function is traced needs an initial value that does "
                                 "not belong to the function: give a callable that computes it.")
            value = _tenon.convert(value, dtype)
            name = current_scope() + ("Variable" if name is None else name)
            super().__init__(value, None if shape is None else TensorShape(shape), name,
                             True if trainable is None else bool(trainable))
        self.constraint = constraint
        self.synchronization, self.aggregation = synchronization, aggregation

    @property
    def _unique_id(self):
        return self._shared_name

    @property
    def name(self):
        return self._name + ":0"

    @property
    def device(self):
        return "/job:localhost/replica:0/task:0/device:CPU:0"

    @property
    def ndim(self):
        return self.shape.rank

    def get_shape(self):
        return self.shape

    def value(self):
        return self.read_value()

    def numpy(self):
        return self.read_value().numpy()

    def assign(self, value, use_locking=False, name=None, read_value=True):
        return self._write("AssignVariableOp", value)

    def assign_add(self, delta, use_locking=False, name=None, read_value=True):
        return self._write("AssignAddVariableOp", delta)

    def assign_sub(self, delta, use_locking=False, name=None, read_value=True):
        return self._write("AssignSubVariableOp", delta)

    def scatter_add(self, sparse_delta, use_locking=False, name=None):
        return self._scatter("ResourceScatterAdd", sparse_delta)

    def scatter_sub(self, sparse_delta, use_locking=False, name=None):
        return self._scatter("ResourceScatterSub", sparse_delta)

    def scatter_update(self, sparse_delta, use_locking=False, name=None):
        return self._scatter("ResourceScatterUpdate", sparse_delta)

    def _scatter(self, op, slices):
        getattr(raw_ops, op)(resource=self.handle, indices=slices.indices, updates=slices.values)
        return self

    def _write(self, op, value):
        value = _tenon.convert(value, self.dtype)
        if not self.shape.is_compatible_with(value.shape):
            verb = "assign value to" if op == "AssignVariableOp" else "update"
            raise ValueError(f"Cannot {verb} variable '{self.name}': Shape mismatch.The variable shape {self.shape}, and "
                             f"the assigned value shape {value.shape} are incompatible.")
        self._assign(op, value)
        return self

    def _serialize_to_tensors(self):
        return {"VARIABLE_VALUE": self.read_value()}

    def _restore_from_tensors(self, restored):
        value = restored["VARIABLE_VALUE"]
        if not self.shape.is_compatible_with(value.shape):
            raise ValueError(f"Received incompatible tensor with shape {value.shape} when attempting to restore variable with "
                             f"shape {self.shape} and name {self.name}.")
        self.assign(value)

    def __array__(self, dtype=None, copy=None):
        return self.read_value().__array__(dtype)

    def __getitem__(self, key):
        return self.read_value()[key]

    def __iter__(self):
        return iter(self.read_value())

    def __len__(self):
        return len(self.read_value())

    def __bool__(self):
        return bool(self.read_value())

    def __int__(self):
        return int(self.read_value())

    def __float__(self):
        return float(self.read_value())

    def __index__(self):
        return self.read_value().__index__()

    def __hash__(self):
        raise TypeError("Variable is unhashable. Instead, use variable.ref() as the key.")

    def ref(self):
        return Reference(self)

    def __repr__(self):
        if _tenon.tracing():
            return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"
        return (f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}, "
                f"numpy={self.numpy()!r}>")

    def __deepcopy__(self, memo):
        with name_scope(""):
            copy = Variable(self.read_value(), self.trainable, name=self._name, shape=self.shape)
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        return _restore, (self.numpy(), self.trainable, self._name, self.dtype)


class Reference:
    """A tensor or a variable as a key: equal where it is the same object."""

    def __init__(self, referenced):
        self._referenced = referenced

    def deref(self):
        return self._referenced

    def __eq__(self, other):
        return isinstance(other, Reference) and self._referenced is other._referenced

    def __hash__(self):
        return id(self._referenced)

    def __repr__(self):
        return f"<Reference wrapping {self._referenced!r}>"


def _restore(value, trainable, name, dtype):
    with name_scope(""):
        return Variable(value, trainable, name=name, dtype=dtype)


def _define_operators():
    """A variable in an expression is its value."""
    binary = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"]
    names = [f"__{n}__" for n in binary] + [f"__r{n}__" for n in binary]
    names += [f"__{n}__" for n in ("lt", "le", "gt", "ge", "eq", "ne", "neg", "pos", "abs", "invert")]
    for name in names:
        def operator(self, *others, of=getattr(_tenon.Tensor, name)):
            others = [o.read_value() if isinstance(o, _tenon.VariableBase) else o for o in others]
            return of(self.read_value(), *others)

        operator.__name__ = name
        setattr(Variable, name, operator)
    Variable.__array_priority__ = 100


_define_operators()
