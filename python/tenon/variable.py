"""Variable: a tensor that programs change."""
import functools
import weakref

from tenon import _tenon, raw_ops, replicas
from tenon.eager import init_scope
from tenon.naming import current_scope, name_scope
from tenon.replicas import VariableAggregation, VariableSynchronization
from tenon.tensor_shape import TensorShape


class Variable(_tenon.VariableBase):
    """Holds a value. Ops read it as they read tensors; assign() and its kin write it.

    One that is made in the scope of a strategy of several replicas has a value for each. A replica reads and writes its
    own; with an aggregation, what replicas write is made one value for all. Outside of replicas a write is one to all, and
    what is read is replica 0's value, or all of them together with synchronization=ON_READ.
    """

    _others = ()  # the variables of replicas 1 and up

    def __init__(self, initial_value=None, trainable=None, validate_shape=True, caching_device=None, name=None,
                 variable_def=None, dtype=None, import_scope=None, constraint=None, synchronization=None,
                 aggregation=None, shape=None, experimental_enable_variable_lifting=True):
        if initial_value is None:
            raise ValueError("The `initial_value` arg to `tf.Variable` must be specified except when you are not "
                             "providing a `variable_def`.")
        with init_scope():
            value = initial_value() if callable(initial_value) else initial_value
            if isinstance(value, _tenon.Tensor) and value.is_symbolic:
                known = _tenon.lifted_value(value)
                value = value if known is None else known
            if isinstance(value, _tenon.Tensor) and value.is_symbolic:
                raise ValueError("A variable that is made while a function is traced needs an initial value that does "
                                 "not belong to the function: give a callable that computes it.")
            value = _tenon.convert(value, dtype)
            name = current_scope() + ("Variable" if name is None else name)
            on_read = synchronization is VariableSynchronization.ON_READ
            super().__init__(value, None if shape is None else TensorShape(shape), name,
                             not on_read if trainable is None else bool(trainable))
        self.constraint = constraint
        self.synchronization = VariableSynchronization.AUTO if synchronization is None else synchronization
        self.aggregation = VariableAggregation.NONE if aggregation is None else aggregation
        strategy = replicas.strategy_of_new_variables()
        if strategy is not None:
            if not on_read:
                self.synchronization = VariableSynchronization.ON_WRITE
            self._others = tuple(_OfReplica(self, value, i) for i in range(1, strategy.total))
            self._set_replicas(self._others, on_read, self.aggregation.value)

    @property
    def _unique_id(self):
        return self._shared_name

    @property
    def name(self):
        return self._name + ":0"

    @property
    def ndim(self):
        return self.shape.rank

    def get_shape(self):
        return self.shape

    def value(self):
        return self.read_value()

    def numpy(self):
        value = self.read_value()
        if value.is_symbolic:
            raise NotImplementedError("numpy() is only available when eager execution is enabled.")
        return value.numpy()

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

    def scatter_max(self, sparse_delta, use_locking=False, name=None):
        return self._scatter("ResourceScatterMax", sparse_delta)

    def scatter_min(self, sparse_delta, use_locking=False, name=None):
        return self._scatter("ResourceScatterMin", sparse_delta)

    def scatter_mul(self, sparse_delta, use_locking=False, name=None):
        return self._scatter("ResourceScatterMul", sparse_delta)

    def scatter_div(self, sparse_delta, use_locking=False, name=None):
        return self._scatter("ResourceScatterDiv", sparse_delta)

    def scatter_nd_add(self, indices, updates, name=None):
        return self._scatter_nd("ResourceScatterNdAdd", indices, updates)

    def scatter_nd_sub(self, indices, updates, name=None):
        return self._scatter_nd("ResourceScatterNdSub", indices, updates)

    def scatter_nd_update(self, indices, updates, name=None):
        return self._scatter_nd("ResourceScatterNdUpdate", indices, updates)

    def scatter_nd_max(self, indices, updates, name=None):
        return self._scatter_nd("ResourceScatterNdMax", indices, updates)

    def scatter_nd_min(self, indices, updates, name=None):
        return self._scatter_nd("ResourceScatterNdMin", indices, updates)

    def sparse_read(self, indices, name=None):
        """Rows of it."""
        return raw_ops.GatherV2(params=self.read_value(), indices=indices, axis=0)

    def gather_nd(self, indices, name=None):
        return raw_ops.GatherNd(params=self.read_value(), indices=indices)

    def _scatter(self, op, slices):
        for variable in self._written_in_part():
            getattr(raw_ops, op)(resource=variable.handle, indices=slices.indices, updates=slices.values)
        return self

    def _scatter_nd(self, op, indices, updates):
        indices, updates = _tenon.convert(indices), _tenon.convert(updates, self.dtype)
        for variable in self._written_in_part():
            getattr(raw_ops, op)(ref=variable.handle, indices=indices, updates=updates)
        return self

    def _assign_part(self, key, value, name=None):
        """What variable[key].assign does."""
        from tenon.tensor_methods import strided_slice
        value, bounds = _tenon.convert(value, self.dtype), strided_slice(key)
        for variable in self._written_in_part():
            raw_ops.ResourceStridedSliceAssign(ref=variable.handle, value=value, **bounds)
        return self

    def _written_in_part(self):
        if self._others and self.aggregation is not VariableAggregation.NONE:
            raise NotImplementedError(f"Rows of a variable of several replicas are written where its aggregation is NONE, not "
                                      f"{self.aggregation.name}: write all of it.")
        return self._written()

    def _written(self):
        """The variables that a write here is for: that of the replica, or those of all."""
        return (self,) if not self._others or _tenon.replica() >= 0 else (self, *self._others)

    def _by_replica(self):
        """Its variables by replica; their values where those are read together."""
        if self.synchronization is not VariableSynchronization.ON_READ:
            return (self, *self._others)
        before = _tenon.enter_replica(0, _tenon.replica_context())
        try:
            return (_tenon.VariableBase.read_value(self), *(other.read_value() for other in self._others))
        finally:
            _tenon.enter_replica(*before)

    def _write(self, op, value):
        if self._others:
            context = replicas.merging_context()
            if self.synchronization is VariableSynchronization.ON_READ:
                if context is None and _tenon.replica() < 0 and self.aggregation is VariableAggregation.SUM:
                    value = self._share(op, value)
            elif context is not None and self.aggregation is not VariableAggregation.NONE:
                context.merge_call(_write_merged, (self, op, value))
                return self
        value = _tenon.convert(value, self.dtype)
        if not self.shape.is_compatible_with(value.shape):
            verb = "assign value to" if op == "AssignVariableOp" else "update"
            raise ValueError(f"Cannot {verb} variable '{self.name}': Shape mismatch.The variable shape {self.shape}, and "
                             f"the assigned value shape {value.shape} are incompatible.")
        written = self._written()
        if len(written) == 1:
            written[0]._assign(op, value)
            return self
        for i, variable in enumerate(written):
            with replicas.on_device_of(i):
                variable._assign(op, value)
        return self

    def _share(self, op, value):
        """Of a value that the replicas' are to add up to, the part of each."""
        if op != "AssignVariableOp":
            name = "assign_add" if op == "AssignAddVariableOp" else "assign_sub"
            raise ValueError(f"SyncOnReadVariable does not support `{name}` in cross-replica context when aggregation is set "
                             "to `tf.VariableAggregation.SUM`.")
        value = _tenon.convert(value, self.dtype)
        wide = value if self.dtype.is_floating else raw_ops.Cast(x=value, DstT="float64")
        part = raw_ops.RealDiv(x=wide, y=_tenon.convert(1 + len(self._others), wide.dtype))
        return part if part.dtype == self.dtype else raw_ops.Cast(x=part, DstT=self.dtype)

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
        """The part, as a tensor, whose assign() writes it."""
        from tenon.tensor_methods import is_mask
        part = self.read_value()[key]
        if not is_mask(key):
            part.assign = functools.partial(self._assign_part, key)
        return part

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
        if self._others:
            return self._text_by_replica()
        if _tenon.tracing():
            return f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}>"
        return (f"<tf.Variable '{self.name}' shape={self.shape} dtype={self.dtype.name}, "
                f"numpy={_text(self.numpy())}>")

    def _text_by_replica(self):
        kind = "SyncOnRead" if self.synchronization is VariableSynchronization.ON_READ else "Mirrored"
        lines = []
        for i, variable in enumerate((self, *self._others)):
            value = "" if _tenon.tracing() else f", numpy={_text(_tenon.convert(self._by_replica()[i]).numpy())}"
            lines.append(f"  {i}: <tf.Variable '{variable.name}' shape={self.shape} dtype={self.dtype.name}{value}>")
        return f"{kind}Variable:{{\n" + ",\n".join(lines) + "\n}"

    def __deepcopy__(self, memo):
        with name_scope(""):
            copy = Variable(self.read_value(), self.trainable, name=self._name, shape=self.shape,
                            synchronization=self.synchronization, aggregation=self.aggregation)
        memo[id(self)] = copy
        return copy

    def __reduce__(self):
        return _restore, (self.numpy(), self.trainable, self._name, self.dtype)


def _text(value):
    """Arrays with their dtype, single numbers without."""
    return repr(value) if getattr(value, "ndim", 1) else str(value.item())


class _OfReplica(Variable):
    """That of a replica but the first. `_container` gives the variable that it is a part of."""

    def __init__(self, container, value, replica):
        _tenon.VariableBase.__init__(self, value, container.shape, f"{container._name}/replica_{replica}", container.trainable)
        self._container = weakref.ref(container)
        self.constraint, self.aggregation = container.constraint, container.aggregation
        self.synchronization = container.synchronization


def _write_merged(strategy, variable, op, value):
    """The values that all replicas write are made one."""
    from tenon.tf.distribute.values import PerReplica, ReduceOp
    if variable.aggregation is VariableAggregation.ONLY_FIRST_REPLICA:
        value = value[0] if isinstance(value, PerReplica) else value
    elif isinstance(value, PerReplica) or variable.aggregation is VariableAggregation.SUM:
        if variable.aggregation is VariableAggregation.MEAN and not variable.dtype.is_floating:
            raise ValueError("Cannot update non-float variables with tf.VariableAggregation.MEAN aggregation in replica "
                             "context. Either change the variable dtype to float or update it in cross-replica context.")
        parts = value if isinstance(value, PerReplica) else [value] * strategy.num_replicas_in_sync
        from tenon.tf.distribute.context import reduce_values
        value = reduce_values(ReduceOp.of(variable.aggregation.name),
                              [_tenon.convert(part, variable.dtype) for part in parts])
    variable._write(op, value)


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
