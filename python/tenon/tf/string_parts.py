"""Texts taken apart and put together: what tf.strings has that gives or takes ragged tensors."""
from tenon import _tenon, raw_ops
from tenon.tf.ragged_conversion import from_tensor
from tenon.tf.ragged_tensor import RaggedTensor


def _text(value):
    """Texts as a tensor or a ragged tensor; nested lists of different lengths are ragged."""
    if isinstance(value, RaggedTensor):
        return value
    if isinstance(value, (list, tuple)):
        from tenon.tf import ragged
        try:
            return _tenon.convert(value, "string")
        except ValueError:
            return ragged.constant(value, "string")
    return _tenon.convert(value, "string")


def _parts_of(texts, function):
    """`function`, which makes of a vector of texts a ragged tensor of their parts, or several, of texts of any rank."""
    texts = _text(texts)
    if isinstance(texts, RaggedTensor):
        return _mapped(_parts_of(texts.flat_values, function), texts.with_flat_values)
    rank = texts.shape.rank
    if rank is None:
        raise ValueError("Texts of unknown rank can not be taken apart: give their shape with set_shape() or ensure_shape().")
    if rank == 1:
        return function(texts)
    if rank == 0:
        return _mapped(function(raw_ops.Reshape(tensor=texts, shape=[1])), lambda parts: parts.values)
    return _parts_of(from_tensor(texts, None, None, rank - 1, "int64"), function)


def _mapped(value, function):
    return tuple(map(function, value)) if isinstance(value, tuple) else function(value)


def split(input, sep=None, maxsplit=-1, name=None):  # noqa: A002: TensorFlow's name
    """The parts of each text, by `sep` or by white space."""
    def of_vector(texts):
        found = raw_ops.StringSplitV2(input=texts, sep="" if sep is None else sep, maxsplit=maxsplit)
        rows = raw_ops.Shape(input=texts, out_type="int64")[0] if texts.shape[0] is None else texts.shape[0]
        return _with_rows(RaggedTensor.from_value_rowids(found.values, found.indices[:, 0], rows, validate=False), texts)

    return _parts_of(input, of_vector)


def _with_rows(ragged, texts):
    if ragged.row_splits.is_symbolic and texts.shape[0] is not None:
        ragged.row_splits.set_shape([texts.shape[0] + 1])
    return ragged


def bytes_split(input, name=None):  # noqa: A002
    """The bytes of each text."""
    def of_vector(texts):
        from tenon.tf import ragged
        lengths = raw_ops.StringLength(input=texts)
        places = ragged.range(lengths)
        each = raw_ops.GatherV2(params=texts, indices=places.value_rowids(), axis=0)
        found = places.with_values(raw_ops.Substr(input=each, pos=places.values,
                                                  len=raw_ops.OnesLike(x=places.values)))
        return _with_rows(found, texts)

    return _parts_of(input, of_vector)


def _decoded(texts, encoding, errors, replacement_char, replace_control_characters, offsets):
    op = raw_ops.UnicodeDecodeWithOffsets if offsets else raw_ops.UnicodeDecode
    found = op(input=texts, input_encoding=encoding, errors=errors, replacement_char=replacement_char,
               replace_control_characters=replace_control_characters)
    points = _with_rows(RaggedTensor._make(found.char_values, found.row_splits), texts)
    return (points, points.with_values(found.char_to_byte_starts)) if offsets else points


def unicode_decode(input, input_encoding, errors="replace", replacement_char=65533,  # noqa: A002
                   replace_control_characters=False, name=None):
    """The code points of each text."""
    return _parts_of(input, lambda texts: _decoded(texts, input_encoding, errors, replacement_char,
                                                   replace_control_characters, False))


def unicode_decode_with_offsets(input, input_encoding, errors="replace", replacement_char=65533,  # noqa: A002
                                replace_control_characters=False, name=None):
    """(code points, the bytes where they begin)."""
    return _parts_of(input, lambda texts: _decoded(texts, input_encoding, errors, replacement_char,
                                                   replace_control_characters, True))


def unicode_split(input, input_encoding, errors="replace", replacement_char=65533, name=None):  # noqa: A002
    """The characters of each text."""
    return _parts_of(input, lambda texts: _characters(texts, input_encoding, errors, replacement_char, False))


def unicode_split_with_offsets(input, input_encoding, errors="replace", replacement_char=65533, name=None):  # noqa: A002
    return _parts_of(input, lambda texts: _characters(texts, input_encoding, errors, replacement_char, True))


def _characters(texts, encoding, errors, replacement_char, offsets):
    found = _decoded(texts, encoding, errors, replacement_char, False, offsets)
    points = found[0] if offsets else found
    characters = points.with_values(unicode_encode(raw_ops.ExpandDims(input=points.values, axis=1), encoding, errors,
                                                   replacement_char))
    return (characters, found[1]) if offsets else characters


def unicode_encode(input, output_encoding, errors="replace", replacement_char=65533, name=None):  # noqa: A002
    """Texts of the code points along the last dimension."""
    if not isinstance(input, RaggedTensor):
        input = _tenon.convert(input, None if hasattr(input, "dtype") else "int32")
        if input.shape.rank is None:
            raise ValueError("Rank of input_tensor must be statically known.")
        if input.shape.rank > 1:
            input = from_tensor(input, None, None, input.shape.rank - 1, "int64")
        else:
            splits = raw_ops.Pack(values=[_tenon.convert(0, "int64"), raw_ops.Shape(input=input, out_type="int64")[0]])
            row = RaggedTensor._make(input, splits)
            return unicode_encode(row, output_encoding, errors, replacement_char)[0]
    if input.flat_values.shape.rank != 1:
        inner = from_tensor(input.flat_values, None, None, input.flat_values.shape.rank - 1, input.row_splits.dtype)
        return unicode_encode(input.with_flat_values(inner), output_encoding, errors, replacement_char)
    if isinstance(input.values, RaggedTensor):
        return input.with_values(unicode_encode(input.values, output_encoding, errors, replacement_char))
    made = raw_ops.UnicodeEncode(input_values=input.values, input_splits=input.row_splits, output_encoding=output_encoding,
                                 errors=errors, replacement_char=replacement_char)
    if made.is_symbolic:
        made.set_shape(input.shape[:1])
    return made


def ngrams(data, ngram_width, separator=" ", pad_values=None, padding_width=None, preserve_short_sequences=False, name=None):
    """Each `ngram_width` texts that stand side by side in a row, as one."""
    widths = [ngram_width] if isinstance(ngram_width, int) else list(ngram_width)
    if isinstance(pad_values, (str, bytes)):
        pad_values = (pad_values, pad_values)
    if any(width < 1 for width in widths):
        raise ValueError(f"All ngram_widths must be greater than 0. Received: ngram_width={ngram_width}")
    left, right = pad_values or ("", "")
    if padding_width is not None and pad_values is None:
        raise ValueError("pad_values must be provided if padding_width is set.")
    padding = (-1 if padding_width is None else padding_width) if pad_values else 0
    data = _text(data)
    if not isinstance(data, RaggedTensor):
        rank = data.shape.rank
        if rank == 1:
            whole = RaggedTensor.from_row_splits(data, raw_ops.Pack(values=[
                _tenon.convert(0, "int64"), raw_ops.Shape(input=data, out_type="int64")[0]]), validate=False)
            return ngrams(whole, widths, separator, pad_values, padding_width, preserve_short_sequences).values
        if rank is None or rank < 1:
            raise ValueError("ngrams() takes texts of rank 1 at least.")
        found = ngrams(from_tensor(data, None, None, rank - 1, "int64"), widths, separator, pad_values, padding_width,
                       preserve_short_sequences)
        return found.to_tensor()
    if isinstance(data.values, RaggedTensor):
        return data.with_values(ngrams(data.values, widths, separator, pad_values, padding_width, preserve_short_sequences))
    found = raw_ops.StringNGrams(data=data.values, data_splits=data.row_splits, separator=separator, ngram_widths=widths,
                                 left_pad=left, right_pad=right, pad_width=padding,
                                 preserve_short_sequences=preserve_short_sequences)
    if found.ngrams_splits.is_symbolic:
        found.ngrams_splits.set_shape(data.row_splits.shape)
    return RaggedTensor._make(found.ngrams, found.ngrams_splits)


def reduce_join(inputs, axis=None, keepdims=False, separator="", name=None):
    """The texts along `axis` as one; all of them, the last dimension first, where it is None."""
    inputs = _text(inputs)
    if isinstance(inputs, RaggedTensor):
        if axis is not None and axis % inputs.shape.rank == 1 and not isinstance(inputs.values, RaggedTensor):
            joined = raw_ops.UnsortedSegmentJoin(inputs=inputs.values, segment_ids=inputs.value_rowids(),
                                                 num_segments=inputs.nrows(), separator=separator)
            return raw_ops.ExpandDims(input=joined, axis=1) if keepdims else joined
        if axis is not None and axis % inputs.shape.rank > 1:
            return inputs.with_values(reduce_join(inputs.values, axis % inputs.shape.rank - 1, keepdims, separator))
        raise NotImplementedError("reduce_join() of a ragged tensor goes along its last dimension.")
    if axis is None:
        axis = list(range(inputs.shape.rank))[::-1] if inputs.shape.rank is not None else raw_ops.Range(
            start=raw_ops.Sub(x=raw_ops.Rank(input=inputs), y=1), limit=-1, delta=-1)
    axis = [axis] if isinstance(axis, int) else axis
    axis = axis if isinstance(axis, _tenon.Tensor) else _tenon.convert(list(axis), "int32")
    return raw_ops.ReduceJoin(inputs=inputs, reduction_indices=axis, keep_dims=keepdims, separator=separator)
