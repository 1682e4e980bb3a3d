"""if, conditional expressions, and/or/not: Python's own, or If where a traced tensor decides."""
import operator

from tenon import _tenon, nest, raw_ops
from tenon.autograph import values
from tenon.composite import is_composite
from tenon.tf import graphs
from tenon.tf.sparse_tensor import IndexedSlices


def if_stmt(test, body, orelse, state):
    if not values.is_traced(test):
        if test:
            body()
        else:
            orelse()
        return
    test = values.condition(test, "if statement")
    state = state or values.STATELESS
    before = state.get()

    def run(block):
        def traced():
            state.set(before)
            block()
            return state.get()[:state.outputs]
        return traced

    then, yes = graphs.trace(run(body))
    other, no = graphs.trace(run(orelse))
    if state.returned is not None:
        _fill_returned(state.returned, (then, yes), (other, no))
    state.set(_joined(test, state.names[:state.outputs], (then, yes), (other, no)) + before[state.outputs:])


def _fill_returned(flag, main, orelse):
    """Where one branch returns, nothing reads what its other variables are: they become like those of the other branch."""
    for (trace, values_), (_, others) in ((main, orelse), (orelse, main)):
        if flag >= len(values_) or values_[flag] is not True or others[flag] is True:
            continue
        for i, (value, other) in enumerate(zip(values_, others)):
            if (value is values.undefined or value is None) and not values.is_nothing(other):
                try:
                    with trace:
                        values_[i] = values.placeholder(other)
                except TypeError:  # it is no tensor
                    values_[i] = other


def if_exp(test, body, orelse, text):
    if not values.is_traced(test):
        return body() if test else orelse()
    test = values.condition(test, "conditional expression")
    then, yes = graphs.trace(body)
    other, no = graphs.trace(orelse)
    return _joined(test, [text], (then, [yes]), (other, [no]))[0]


def _joined(test, names, main, orelse):
    """One value for each name, of one branch or the other."""
    (then, yes), (other, no) = main, orelse
    leaves, mine, others = [], [], []  # of both branches: what they have in common, or None and the tensors of either
    for i, name in enumerate(names):
        yes[i], no[i] = _filled(name, then, yes[i], other, no[i])
        _check_structure(name, yes[i], no[i])
        yes[i], no[i] = _without_slices(then, yes[i]), _without_slices(other, no[i])
        for a, b in zip(_parts(yes[i]), _parts(no[i])):
            if a is b:  # from before, whatever it is
                leaves.append(lambda outputs, a=a: a)
                continue
            for found, tensor in zip((mine, others), _lowered(name, then, a, other, b)):
                found.append(tensor)
            leaves.append(_lifting(a, b))
    outputs = iter(graphs.choose(test, (then, mine), (other, others)))
    leaves = iter([leaf(outputs) for leaf in leaves])
    return [nest.pack_sequence_as(value, [next(leaves) for _ in _parts(value)], expand_composites=True) for value in yes]


def _parts(value):
    """The leaves, and of ragged and sparse tensors the tensors that they are made of."""
    return nest.flatten(value, expand_composites=True)


def _without_slices(trace, value):
    """The value with tensors for IndexedSlices: the other branch may have one there."""
    if not any(isinstance(leaf, IndexedSlices) for leaf in nest.flatten(value)):
        return value
    with trace:
        return nest.map_structure(lambda leaf: _tenon.convert(leaf) if isinstance(leaf, IndexedSlices) else leaf, value)


def _lifting(a, b):
    shape = a.element_shape.most_specific_compatible_shape(b.element_shape) if values.is_array(a) else None
    return lambda outputs: values.lifted(a, next(outputs), shape)


def _filled(name, then, yes, other, no):
    """What is missing in one branch: an error, or for the value of a return statement, which a flag guards, zeros."""
    for value, branch in ((yes, "main"), (no, "else")):
        if (value is values.undefined) and yes is not no:
            raise ValueError(f"'{name}' must also be initialized in the {branch} branch")
    if yes is values.no_value and no is not values.no_value:
        with then:
            yes = values.placeholder(no)
    elif no is values.no_value and yes is not values.no_value:
        with other:
            no = values.placeholder(yes)
    for value, branch in ((yes, "main"), (no, "else")):
        if value is None and yes is not no:
            raise ValueError(f"'{name}' is None at the end of the {branch} branch.")
    return yes, no


def _check_structure(name, yes, no):
    try:
        nest.assert_same_structure(yes, no)
    except (ValueError, TypeError) as error:
        raise TypeError(f"'{name}' must have the same nested structure in the main and else branches:\n\n{error}") from None
    for a, b in zip(nest.flatten(yes), nest.flatten(no)):
        kinds = [getattr(leaf, "_type_spec", leaf)._kind if is_composite(leaf) else None for leaf in (a, b)]
        if kinds[0] != kinds[1] and not isinstance(a, IndexedSlices) and not isinstance(b, IndexedSlices):
            raise TypeError(f"'{name}' is a {type(a).__name__} at the end of the main branch, but a {type(b).__name__} at the end "
                            "of the else branch, or is made of other tensors there.")


def _lowered(name, then, yes, other, no):
    """The leaves of both branches as tensors of one dtype."""
    tensors = []
    for trace, leaf, branch in ((then, yes, "main"), (other, no, "else")):
        if leaf is None:
            raise ValueError(f"'{name}' is None at the end of the {branch} branch.")
        if not values.is_like_tensor(leaf):
            raise TypeError(f"'{name}' is a {type(leaf).__name__} at the end of the {branch} branch, which is not a Tensor: "
                            "a value that depends on the branch of a tensor must be one.")
        with trace:
            tensors.append(values.lowered(leaf))
    if tensors[0].dtype != tensors[1].dtype:
        raise TypeError(f"'{name}' has dtype {tensors[0].dtype.name} in the main branch, but dtype {tensors[1].dtype.name} "
                        "in the else branch")
    return tensors


def and_(value, *others):
    for other in others:
        value = _chosen(value, other, None) if values.is_traced(value) else value and other()
    return value


def or_(value, *others):
    for other in others:
        value = _chosen(value, None, other) if values.is_traced(value) else value or other()
    return value


def _chosen(value, if_true, if_false):
    """Where there is no function, the value itself, which has to have the dtype of the other."""
    value = _tenon.convert(value)
    (then, yes), (other, no) = (graphs.trace(lambda f=f: _tenon.convert(value if f is None else f()))
                                for f in (if_true, if_false))
    if yes.dtype != no.dtype:
        raise TypeError(f"true_fn and false_fn arguments to tf.cond must have the same number, type, and overall structure of "
                        f"return values: one returns {yes.dtype}, the other {no.dtype}.")
    return graphs.choose(values.condition(value, "and/or expression"), (then, [yes]), (other, [no]))[0]


def not_(value):
    return raw_ops.LogicalNot(x=value) if values.is_traced(value) else not value


_COMPARISONS = {name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne", "is_", "is_not")}
_COMPARISONS["in_"] = lambda a, b: a in b
_COMPARISONS["not_in"] = lambda a, b: a not in b


def chain(left, *pairs):
    """a < b < c: of operators' names and functions of their right sides."""
    name, right = pairs[0], pairs[1]()
    result = _COMPARISONS[name](left, right)
    if len(pairs) == 2:
        return result
    return and_(result, lambda: chain(right, *pairs[2:]))


def assert_(test, message):
    if not __debug__:
        return
    value = test()
    if values.is_traced(value):
        text = message()
        raw_ops.Assert(condition=value, data=[_tenon.convert("" if text is None else text if values.is_tensor(text)
                                                             else str(text))], summarize=3)
    elif not value:
        text = message()
        raise AssertionError(*([] if text is None else [text]))


def returned(reached, value):
    """What a function returns that has return statements in branches or loops."""
    if values.is_nothing(value):
        return None
    if values.is_traced(reached):
        raise ValueError("the else branch must also have a return statement.")
    return value if reached else None
