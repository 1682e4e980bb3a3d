"""Nested structures: lists, tuples, named tuples and dictionaries, whose values are taken in the order of their keys."""
from tenon.composite import Composite, CompositeSpec
from tenon.tensor_shape import TensorShape


def is_nested(value):
    return isinstance(value, (list, tuple, dict)) and not isinstance(value, TensorShape) or hasattr(value, "_asdict")


def _keys(mapping):
    try:
        return sorted(mapping)
    except TypeError:
        return list(mapping)


def _children(value):
    if isinstance(value, dict):
        return [value[key] for key in _keys(value)]
    return value


def _flatten_into(value, flat):
    if type(value) in (list, tuple):
        for child in value:
            _flatten_into(child, flat)
    elif is_nested(value):
        for child in _children(value):
            _flatten_into(child, flat)
    else:
        flat.append(value)


def _flatten_tensors_into(value, flat):
    if type(value) in (list, tuple):
        for child in value:
            _flatten_tensors_into(child, flat)
    elif is_nested(value):
        for child in _children(value):
            _flatten_tensors_into(child, flat)
    elif isinstance(value, (Composite, CompositeSpec)):
        flat.extend(value._parts())
    else:
        flat.append(value)


def flatten(structure, expand_composites=False):
    """The leaves, in order; [structure] where it is a leaf itself. With `expand_composites` the tensors of ragged and sparse
    tensors, and the specs of theirs, are leaves."""
    flat = []
    (_flatten_tensors_into if expand_composites else _flatten_into)(structure, flat)
    return flat


def _rebuild(structure, children):
    """A structure of `structure`'s kind; `children` in the order of _children()."""
    if isinstance(structure, dict):
        by_key = dict(zip(_keys(structure), children))
        ordered = [(key, by_key[key]) for key in structure]
        return dict(ordered) if type(structure) is dict else type(structure)(ordered)
    if hasattr(structure, "_fields"):
        return type(structure)(*children)
    return type(structure)(children)


def pack_sequence_as(structure, flat_sequence, expand_composites=False):
    """The leaves `flat_sequence` in the structure of `structure`."""
    flat = list(flat_sequence)

    def expands(part):
        return expand_composites and isinstance(part, (Composite, CompositeSpec))

    if not is_nested(structure) and not expands(structure):
        if len(flat) != 1:
            raise ValueError(f"The target structure is a leaf; the sequence has {len(flat)} elements.")
        return flat[0]
    count = len(flatten(structure, expand_composites))
    if count != len(flat):
        raise ValueError(f"Could not pack sequence. Structure had {count} atoms, but flat_sequence had {len(flat)} "
                         f"items. Structure: {structure}, flat_sequence: {flat}.")
    leaves = iter(flat)

    def pack(part):
        if is_nested(part):
            return _rebuild(part, [pack(c) for c in _children(part)])
        if expands(part):
            return part._packed([next(leaves) for _ in part._parts()])
        return next(leaves)

    return pack(structure)


def assert_same_structure(nest1, nest2, check_types=True, expand_composites=False):
    """ValueError, or TypeError for another kind of sequence, where the two differ."""
    if is_nested(nest1) != is_nested(nest2):
        raise ValueError(f"The two structures don't have the same nested structure.\n\nFirst structure: {nest1}\n\n"
                         f"Second structure: {nest2}")
    if not is_nested(nest1):
        return
    if check_types and type(nest1) is not type(nest2) and not (isinstance(nest1, dict) and isinstance(nest2, dict)):
        raise TypeError(f"The two structures don't have the same sequence type: {type(nest1)} and {type(nest2)}.")
    if isinstance(nest1, dict) != isinstance(nest2, dict) or (isinstance(nest1, dict) and set(nest1) != set(nest2)):
        raise ValueError(f"The two dictionaries don't have the same set of keys: {nest1} and {nest2}.")
    if len(nest1) != len(nest2):
        raise ValueError(f"The two structures don't have the same number of elements: {len(nest1)} and {len(nest2)}.")
    for a, b in zip(_children(nest1), _children(nest2)):
        assert_same_structure(a, b, check_types)


def map_structure(func, *structure, **options):
    """`func` of the leaves that stand at the same place of all structures."""
    check_types = options.pop("check_types", True)
    expand = options.pop("expand_composites", False)
    if options:
        raise ValueError(f"Only valid keyword arguments are `check_types` and `expand_composites`, not {list(options)}.")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types)
    flat = [flatten(each, expand) for each in structure]
    return pack_sequence_as(structure[0], [func(*leaves) for leaves in zip(*flat)], expand)
