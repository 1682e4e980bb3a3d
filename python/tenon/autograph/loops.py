"""while and for: Python's own, or While where tensors decide."""
from tenon import _tenon, errors, nest, raw_ops
from tenon.autograph import values
from tenon.tensor_shape import TensorShape
from tenon.tf import arrays, control_flow, elementwise, graphs

_MIXED_WHILE = ("The condition of while loop started as non-Tensor, then changed to Tensor. This may happen either because "
                "variables changed type, or when a break or return statement inside the loop depends on a Tensor condition. "
                "In both cases, changing to a TF loop should remove the error.")
_MIXED_FOR = ("break and return statements which depend on a TF condition are not supported in Python for loops. Did you "
              "intend to make it a TF loop?")


def while_stmt(test, body, state, options):
    if _tenon.tracing():
        # The first test decides who runs the loop. It is traced aside, so that it leaves nothing in the graph.
        first = graphs.trace(test)[1]
        if values.is_tensor(first):
            _Loop(state or values.STATELESS, options).run(lambda: values.condition(test(), "while loop"), body)
            return
        if not first:
            return
        body()
    while _truth(test(), _MIXED_WHILE):
        body()


def _truth(value, message):
    if values.is_traced(value):
        raise NotImplementedError(message)
    return bool(value)


class Counted:
    """range() of tensors that a loop goes through: no tensor of all numbers is made."""

    def __init__(self, start, limit, step):
        self.start, self.limit, self.step = start, limit, step

    def tensor(self):
        return arrays.range(self.start, self.limit, self.step)


def for_stmt(iterated, body, state, ends, name, options):
    """`ends`: gives the flag that ends the loop, or None; `name`: the variable, where it is one."""
    if isinstance(iterated, Counted):
        _for_range(iterated, body, state or values.STATELESS, ends, name, options)
    elif values.is_tensor(iterated) and _tenon.tracing():
        _for_rows(iterated, body, state or values.STATELESS, ends, options)
    elif _tenon.tracing() and values.is_dataset(iterated):
        _for_elements(iterated, body, state or values.STATELESS, ends, options)
    elif ends is None:
        for item in iterated:
            body(item)
    elif not _truth(ends(), _MIXED_FOR):
        for item in iterated:
            body(item)
            if _truth(ends(), _MIXED_FOR):
                break


def _and_not(more, ends):
    if ends is None:
        return more
    return raw_ops.LogicalAnd(x=more, y=raw_ops.LogicalNot(x=_tenon.convert(ends())))


def _for_elements(iterated, body, state, ends, options):
    elements = iterated._in_graph()
    loop = _Loop(state, options, elements.optional())

    def step():
        body(elements.element(loop.index))
        # An iterator that the program goes on with loses no element where the loop is left.
        loop.index = elements.optional() if ends is None else control_flow.cond(
            _tenon.convert(ends()), raw_ops.OptionalNone, elements.optional)

    loop.run(lambda: _and_not(raw_ops.OptionalHasValue(optional=loop.index), ends), step)
    if ends is not None and not hasattr(iterated, "__next__"):
        elements.close()  # a pass of the loop's own


def _for_rows(tensor, body, state, ends, options):
    tensor = _tenon.convert(tensor)
    if tensor.shape.rank == 0:
        raise ValueError(f"len requires a non-scalar tensor, got one of shape {tensor.shape}")
    count = tensor.shape[0] if tensor.shape.rank else None
    count = arrays.shape(tensor)[0] if count is None else count
    loop = _Loop(state, options, _tenon.convert(0, "int32"))
    row = _rows(tensor)

    def step():
        body(row(loop.index))
        loop.index = loop.index + 1

    loop.run(lambda: _and_not(loop.index < count, ends), step)


def _rows(tensor):
    """Gives the row of an index. A list where gradients may flow: those of a gather are as large as the whole tensor."""
    if not tensor.dtype.is_floating and not tensor.dtype.is_complex:
        return lambda index: raw_ops.GatherV2(params=tensor, indices=index, axis=0)
    shape = tensor.shape[1:] if tensor.shape.rank else TensorShape(None)
    known = _tenon.convert(-1 if shape.rank is None else [-1 if d is None else d for d in shape.as_list()], "int32")
    rows = raw_ops.TensorListFromTensor(tensor=tensor, element_shape=known)

    def row(index):
        found = raw_ops.TensorListGetItem(input_handle=rows, index=index, element_shape=known, element_dtype=tensor.dtype)
        found.set_shape(shape)
        return found

    return row


def _for_range(iterated, body, state, ends, name, options):
    dtype = iterated.tensor().dtype  # which nothing reads
    start, limit, delta = (elementwise.cast(x, dtype) for x in (iterated.start, iterated.limit, iterated.step))
    sign = None if values.is_traced(delta) else float(delta.numpy())
    if sign == 0:
        raise errors.InvalidArgumentError(None, None, "Requires delta != 0: 0")
    loop = _Loop(state, options, start, name)

    def more():
        if sign is not None:
            test = loop.index < limit if sign > 0 else loop.index > limit
        else:
            test = raw_ops.SelectV2(condition=delta > 0, t=loop.index < limit, e=loop.index > limit)
        return _and_not(test, ends)

    def step():
        body(loop.index)
        loop.index = loop.index + delta

    loop.run(more, step)


class _Loop:
    """A loop that the graph runs. Its variables are those of `state`, and an index where it has one."""

    def __init__(self, state, options, index=None, name=None):
        self._state, self.index = state, index
        self._first = index if name is not None else None
        self._name = name
        self._indexed = index is not None
        self._options = options() if options is not None else {}

    def run(self, test, body):
        before = self._state.get()
        if self._first is not None:
            before = [self._first if value is values.undefined and name == self._name else value
                      for name, value in zip(self._state.names, before)]
        invariants = self._invariants(before)
        before, filled = self._define(before, invariants, body)
        self._before, self._shapes = before, []
        self._static = []
        flat = [self.index] if self._indexed else []
        for value, invariant in zip(before, invariants):
            for leaf in nest.flatten(value):
                self._static.append(not values.is_like_tensor(leaf))
                if not self._static[-1]:
                    leaf = values.lowered(leaf)
                    flat.append(leaf)
                    self._shapes.append(invariant if invariant is not None else leaf.shape)
        if filled:
            flat.append(_tenon.convert(False))

        def traced_test(*inner):
            self._enter(inner)
            return test()

        def traced_body(*inner):
            self._enter(inner)
            body()
            return self._leave(inner) + ([True] if filled else [])

        shapes = [TensorShape([])] * self._indexed + self._shapes + [TensorShape([])] * bool(filled)
        outputs = list(control_flow.while_loop(
            traced_test, traced_body, flat, shape_invariants=shapes,
            maximum_iterations=self._options.get("maximum_iterations")))
        if filled:
            raw_ops.Assert(condition=outputs[-1], data=["loop must iterate at least once to initialize " + ", ".join(filled)],
                           summarize=3)
        self._enter(outputs, self._elements)

    def _invariants(self, before):
        """Of each variable the shape that set_loop_options() gives it, or None."""
        found = [None] * len(before)
        for value, shape in self._options.get("shape_invariants") or ():
            for i, each in enumerate(before):
                if each is value:
                    found[i] = TensorShape(shape)
        for name, value, shape in zip(self._state.names, before, found):
            if shape is not None and values.is_like_tensor(value):
                shape_before = _tenon.convert(value).shape
                if not _is_within(shape_before, shape):
                    raise ValueError(f"'{name}' has shape {shape_before} before the loop, which does not conform with the "
                                     f"shape invariant {shape}.")
        return found

    def _define(self, before, invariants, body):
        """The variables with zeros for those that have no value before the loop and get one in its first iteration, and the
        names of these; `invariants` gets the shapes of those that are not known then."""
        if not any(map(values.is_nothing, before)):
            return before, []
        failure = ""
        index = self.index
        try:
            after = graphs.trace(lambda: self._once(before, body))[1]
        except (NameError, TypeError, ValueError, KeyError) as error:
            failure = (f"\nNote: AutoGraph tried to define it automatically, but ran into a {type(error).__name__}: {error}")
            after = [None] * len(before)
        self.index = index
        names = []
        defined = list(before)
        for i, (name, value, new) in enumerate(zip(self._state.names, before, after)):
            if not values.is_nothing(value):
                continue
            if not values.is_nothing(new):
                defined[i] = values.placeholder(new)
                if invariants[i] is None and values.is_tensor(new):
                    invariants[i] = new.shape
                if value is not values.no_value:  # what is returned is guarded by a flag
                    names.append(name)
            elif value is values.undefined and failure:
                raise ValueError(f"'{name}' must be defined before the loop{failure}")
            elif value is None and failure:
                raise ValueError(f"'{name}' is not allowed to be None before the loop{failure}")
        self._state.set(defined)
        return defined, names

    def _once(self, before, body):
        """The variables after one iteration, of tensors that stand for the numbers before it."""
        trace_like = [nest.map_structure(_stand_in, value) for value in before]
        if self._indexed:
            self.index = raw_ops.Identity(input=self.index)
        self._state.set(trace_like)
        body()
        return self._state.get()

    def _enter(self, inner, elements=()):
        """Gives the variables the tensors of an iteration. `elements`: of arrays the shapes of what they hold, if known."""
        inner, elements = list(inner), iter(elements)
        if self._indexed:
            self.index = inner.pop(0)
        entered, static = [], iter(self._static)
        for value in self._before:
            leaves = [leaf if next(static) else values.lifted(leaf, inner.pop(0), next(elements, None))
                      for leaf in nest.flatten(value)]
            entered.append(nest.pack_sequence_as(value, leaves))
        self._entered = entered
        self._state.set(entered)

    def _leave(self, inner):
        """The tensors after an iteration, which must look like those before it."""
        left = [self.index] if self._indexed else []
        self._elements = []  # which an iteration may have learned
        static, shapes = iter(self._static), iter(self._shapes)
        for name, entry, exit_, before in zip(self._state.names, self._entered, self._state.get(), self._before):
            if exit_ is values.undefined and entry is not values.undefined:
                raise ValueError(f"'{name}' has no value at the end of the iteration.")
            if exit_ is None and entry is not None:
                raise ValueError(f"'{name}' is None at the end of the iteration.")
            try:
                nest.assert_same_structure(entry, exit_)
            except (ValueError, TypeError) as error:
                raise TypeError(f"'{name}' does not have the same nested structure after one iteration.\n\n{error}") from None
            for a, b in zip(nest.flatten(entry), nest.flatten(exit_)):
                if next(static):
                    if a is not b and not values.is_nothing(a):
                        raise TypeError(f"'{name}' is a {type(a).__name__} before the loop and another value after one "
                                        "iteration: what a TF loop changes must be a Tensor.")
                    continue
                left.append(self._leaf(name, a, b, next(shapes)))
                self._elements.append(b.element_shape if values.is_array(b) else None)
        return left

    @staticmethod
    def _leaf(name, entry, exit_, shape):
        if exit_ is None:
            raise ValueError(f"'{name}' is None at the end of the iteration.")
        if not values.is_like_tensor(exit_):
            raise TypeError(f"'{name}' is a {type(exit_).__name__} after one iteration, which is not a Tensor.")
        if values.is_array(entry) != values.is_array(exit_):
            raise TypeError(f"'{name}' is a TensorArray before the loop or after one iteration, but not both.")
        if values.is_array(entry):
            return exit_.flow
        exit_ = _tenon.convert(exit_)
        if entry.dtype != exit_.dtype:
            raise TypeError(f"'{name}' has dtype {entry.dtype.name} before the loop, but dtype {exit_.dtype.name} after one "
                            "iteration")
        if not _is_within(exit_.shape, shape):
            raise ValueError(f"'{name}' has shape {shape} before the loop, but shape {exit_.shape} after one iteration. Use "
                             "tf.autograph.experimental.set_loop_options to set shape invariants.")
        return exit_


def _stand_in(leaf):
    """A tensor of the value that is not known."""
    if not values.is_like_tensor(leaf):
        return leaf
    return values.lifted(leaf, raw_ops.Identity(input=values.lowered(leaf)))


def _is_within(shape, other):
    """Whether every value of `shape` has the shape `other`."""
    if other.rank is None:
        return True
    return shape.rank == other.rank and all(b is None or a == b for a, b in zip(shape.as_list(), other.as_list()))
