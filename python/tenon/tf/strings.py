"""tf.strings: functions of texts."""
from tenon import _tenon, raw_ops
from tenon.tf import missing as _missing
from tenon.tf.string_parts import (bytes_split, ngrams, reduce_join, split, unicode_decode,  # noqa: F401
                                   unicode_decode_with_offsets, unicode_encode, unicode_split, unicode_split_with_offsets)


def _text(value):
    return _tenon.convert(value, "string")


def lower(input, encoding="", name=None):  # noqa: A002: TensorFlow's name
    return raw_ops.StringLower(input=_text(input), encoding=encoding)


def upper(input, encoding="", name=None):  # noqa: A002
    return raw_ops.StringUpper(input=_text(input), encoding=encoding)


def strip(input, name=None):  # noqa: A002
    return raw_ops.StringStrip(input=_text(input))


def length(input, unit="BYTE", name=None):  # noqa: A002
    return raw_ops.StringLength(input=_text(input), unit=unit)


def substr(input, pos, len, unit="BYTE", name=None):  # noqa: A002
    pos = _tenon.convert(pos)
    return raw_ops.Substr(input=_text(input), pos=pos, len=_tenon.convert(len, pos.dtype), unit=unit)


def join(inputs, separator="", name=None):
    from tenon.tf.ragged_rules import elementwise, is_ragged
    if any(map(is_ragged, inputs)):
        return elementwise(lambda *parts: join(parts, separator))(*inputs)
    return raw_ops.StringJoin(inputs=[_text(each) for each in inputs], separator=separator)


def regex_replace(input, pattern, rewrite, replace_global=True, name=None):  # noqa: A002
    if isinstance(pattern, (str, bytes)) and isinstance(rewrite, (str, bytes)):
        return raw_ops.StaticRegexReplace(input=_text(input), pattern=pattern, rewrite=rewrite,
                                          replace_global=replace_global)
    return raw_ops.RegexReplace(input=_text(input), pattern=_text(pattern), rewrite=_text(rewrite),
                                replace_global=replace_global)


def regex_full_match(input, pattern, name=None):  # noqa: A002
    if isinstance(pattern, (str, bytes)):
        return raw_ops.StaticRegexFullMatch(input=_text(input), pattern=pattern)
    return raw_ops.RegexFullMatch(input=_text(input), pattern=_text(pattern))


def to_number(input, out_type="float32", name=None):  # noqa: A002
    return raw_ops.StringToNumber(string_tensor=_text(input), out_type=_tenon.as_dtype(out_type))


def as_string(input, precision=-1, scientific=False, shortest=False, width=-1, fill="", name=None):  # noqa: A002
    return raw_ops.AsString(input=_tenon.convert(input), precision=precision, scientific=scientific, shortest=shortest,
                            width=width, fill=fill)


def to_hash_bucket_fast(input, num_buckets, name=None):  # noqa: A002
    return raw_ops.StringToHashBucketFast(input=_text(input), num_buckets=num_buckets)


def to_hash_bucket(input, num_buckets, name=None):  # noqa: A002
    return raw_ops.StringToHashBucket(string_tensor=_text(input), num_buckets=num_buckets)


def to_hash_bucket_strong(input, num_buckets, key, name=None):  # noqa: A002
    return raw_ops.StringToHashBucketStrong(input=_text(input), num_buckets=num_buckets, key=list(key))


def unicode_transcode(input, input_encoding, output_encoding, errors="replace", replacement_char=65533,  # noqa: A002
                      replace_control_characters=False, name=None):
    return raw_ops.UnicodeTranscode(input=_text(input), input_encoding=input_encoding, output_encoding=output_encoding,
                                    errors=errors, replacement_char=replacement_char,
                                    replace_control_characters=replace_control_characters)


def unicode_script(input, name=None):  # noqa: A002
    return raw_ops.UnicodeScript(input=_tenon.convert(input, "int32"))


def format(template, inputs, placeholder="{}", summarize=3, name=None):  # noqa: A001: TensorFlow's name
    inputs = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    return raw_ops.StringFormat(inputs=[_tenon.convert(each) for each in inputs], template=template, placeholder=placeholder,
                                summarize=summarize)


def unsorted_segment_join(inputs, segment_ids, num_segments, separator="", name=None):
    return raw_ops.UnsortedSegmentJoin(inputs=_text(inputs), segment_ids=segment_ids, num_segments=num_segments,
                                       separator=separator)


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.strings", name, globals()))
