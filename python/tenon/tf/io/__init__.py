"""tf.io: files, records, examples, encodings."""
from tenon import _tenon, raw_ops
from tenon.tf import missing as _missing
from tenon.tf.io import gfile  # noqa: F401
from tenon.tf.io.composed import RaggedFeature, SparseFeature  # noqa: F401
from tenon.tf.io.examples import FixedLenFeature, FixedLenSequenceFeature, VarLenFeature  # noqa: F401
from tenon.tf.io.examples import parse_example, parse_single_example  # noqa: F401
from tenon.tf.io.sequences import parse_sequence_example, parse_single_sequence_example  # noqa: F401
from tenon.tf.io.records import TFRecordOptions, TFRecordWriter  # noqa: F401


def _text(value):
    import os
    return _tenon.convert(os.fspath(value) if hasattr(value, "__fspath__") else value, "string")


def read_file(filename, name=None):
    return raw_ops.ReadFile(filename=_text(filename))


def write_file(filename, contents, name=None):
    """Writes a file; its folder is made where it is missing."""
    return raw_ops.WriteFile(filename=_text(filename), contents=_text(contents))


def matching_files(pattern, name=None):
    """The names of the files that match, sorted."""
    return _tenon.convert(gfile.glob(_python_text(pattern)), "string")


def _python_text(value):
    value = value.numpy() if isinstance(value, _tenon.Tensor) else value
    if hasattr(value, "tolist"):
        value = value.tolist()
    values = value if isinstance(value, (list, tuple)) else [value]
    return [v.decode() if isinstance(v, bytes) else v for v in values]


def decode_jpeg(contents, channels=0, ratio=1, fancy_upscaling=True, try_recover_truncated=False, acceptable_fraction=1,
                dct_method="", name=None):
    return raw_ops.DecodeJpeg(contents=_text(contents), channels=channels, ratio=ratio, fancy_upscaling=fancy_upscaling,
                              try_recover_truncated=try_recover_truncated, acceptable_fraction=acceptable_fraction,
                              dct_method=dct_method)


def decode_png(contents, channels=0, dtype="uint8", name=None):
    return raw_ops.DecodePng(contents=_text(contents), channels=channels, dtype=_tenon.as_dtype(dtype))


def decode_bmp(contents, channels=0, name=None):
    return raw_ops.DecodeBmp(contents=_text(contents), channels=channels)


def decode_gif(contents, name=None):
    return raw_ops.DecodeGif(contents=_text(contents))


def decode_image(contents, channels=None, dtype="uint8", name=None, expand_animations=True):
    return raw_ops.DecodeImage(contents=_text(contents), channels=channels or 0, dtype=_tenon.as_dtype(dtype),
                               expand_animations=expand_animations)


def decode_and_crop_jpeg(contents, crop_window, channels=0, ratio=1, fancy_upscaling=True, try_recover_truncated=False,
                         acceptable_fraction=1, dct_method="", name=None):
    return raw_ops.DecodeAndCropJpeg(contents=_text(contents), crop_window=_tenon.convert(crop_window, "int32"),
                                     channels=channels, ratio=ratio, fancy_upscaling=fancy_upscaling,
                                     try_recover_truncated=try_recover_truncated, acceptable_fraction=acceptable_fraction,
                                     dct_method=dct_method)


def encode_jpeg(image, format="", quality=95, progressive=False, optimize_size=False,  # noqa: A002: TensorFlow's name
                chroma_downsampling=True, density_unit="in", x_density=300, y_density=300, xmp_metadata="", name=None):
    return raw_ops.EncodeJpeg(image=_tenon.convert(image), format=format, quality=quality, progressive=progressive,
                              optimize_size=optimize_size, chroma_downsampling=chroma_downsampling,
                              density_unit=density_unit, x_density=x_density, y_density=y_density,
                              xmp_metadata=xmp_metadata)


def encode_png(image, compression=-1, name=None):
    return raw_ops.EncodePng(image=_tenon.convert(image), compression=compression)


def extract_jpeg_shape(contents, output_type="int32", name=None):
    return raw_ops.ExtractJpegShape(contents=_text(contents), output_type=_tenon.as_dtype(output_type))


def is_jpeg(contents, name=None):
    start = raw_ops.Substr(input=_text(contents), pos=0, len=3)
    return raw_ops.Equal(x=start, y=_tenon.convert(b"\xff\xd8\xff"))


def decode_csv(records, record_defaults, field_delim=",", use_quote_delim=True, na_value="", select_cols=None, name=None):
    """The fields of CSV lines: a tensor a column. A dtype among the defaults says that the column must not be empty."""
    from tenon.tf.data.csv import default_of
    columns = raw_ops.DecodeCSV(records=_text(records), record_defaults=[default_of(d) for d in record_defaults],
                                field_delim=field_delim, use_quote_delim=use_quote_delim, na_value=na_value,
                                select_cols=[] if select_cols is None else list(select_cols))
    return list(columns) if isinstance(columns, (list, tuple)) else [columns]


def decode_raw(input_bytes, out_type, little_endian=True, fixed_length=None, name=None):
    out_type = _tenon.as_dtype(out_type)
    if fixed_length is not None:
        return raw_ops.DecodePaddedRaw(input_bytes=_text(input_bytes), fixed_length=fixed_length, out_type=out_type,
                                       little_endian=little_endian)
    return raw_ops.DecodeRaw(bytes=_text(input_bytes), out_type=out_type, little_endian=little_endian)


def decode_base64(input, name=None):  # noqa: A002
    return raw_ops.DecodeBase64(input=_text(input))


def encode_base64(input, pad=False, name=None):  # noqa: A002
    return raw_ops.EncodeBase64(input=_text(input), pad=pad)


def decode_compressed(bytes, compression_type="", name=None):  # noqa: A002
    return raw_ops.DecodeCompressed(bytes=_text(bytes), compression_type=compression_type)


def serialize_sparse(sp_input, out_type="string", name=None):
    """Indices, values and shape of a sparse tensor, each serialized."""
    return raw_ops.SerializeSparse(sparse_indices=sp_input.indices, sparse_values=sp_input.values,
                                   sparse_shape=sp_input.dense_shape, out_type=_tenon.as_dtype(out_type))


def serialize_tensor(tensor, name=None):
    return raw_ops.SerializeTensor(tensor=_tenon.convert(tensor))


def parse_tensor(serialized, out_type, name=None):
    return raw_ops.ParseTensor(serialized=_text(serialized), out_type=_tenon.as_dtype(out_type))


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    raise AttributeError(_missing.message("tf.io", name, globals()))
