"""What TensorBoard's plug-ins read: tensors of summaries and what says whose they are, as messages."""
from tenon import _tenon, wire

# Numbers of fields of SummaryMetadata, its PluginData, and TensorProto.
_PLUGIN_DATA, _DISPLAY_NAME, _DESCRIPTION, _DATA_CLASS = 1, 2, 3, 4
_DTYPE, _SHAPE, _CONTENT, _STRINGS = 1, 2, 4, 8
_DATA_CLASSES = {"scalars": 1, "histograms": 2, "text": 2, "images": 3}


class _PluginData:
    plugin_name, content = "", b""


class SummaryMetadata:
    """Which plug-in of TensorBoard shows a summary."""

    def __init__(self):
        self.plugin_data = _PluginData()
        self.display_name = self.summary_description = ""
        self.data_class = 0

    def SerializeToString(self):  # noqa: N802: the name of protobuf's messages
        plugin = wire.text_field(1, self.plugin_data.plugin_name)
        if self.plugin_data.content:
            plugin += wire.bytes_field(2, self.plugin_data.content)
        out = wire.bytes_field(_PLUGIN_DATA, plugin)
        if self.display_name:
            out += wire.text_field(_DISPLAY_NAME, self.display_name)
        if self.summary_description:
            out += wire.text_field(_DESCRIPTION, self.summary_description)
        return out + (wire.varint_field(_DATA_CLASS, self.data_class) if self.data_class else b"")


def metadata(plugin, content, description):
    made = SummaryMetadata()
    made.plugin_data.plugin_name, made.plugin_data.content = plugin, content
    made.summary_description, made.data_class = description or "", _DATA_CLASSES[plugin]
    return made


def tensor_message(value):
    """A TensorProto of an array, or of a text."""
    import numpy as np
    value = np.asarray(value)
    tensor = _tenon.convert(value.tolist() if value.dtype.kind in "OSU" else value)
    shape = b"".join(wire.bytes_field(2, wire.varint_field(1, size)) for size in value.shape)
    out = wire.varint_field(_DTYPE, tensor.dtype.as_datatype_enum) + wire.bytes_field(_SHAPE, shape)
    if tensor.dtype != "string":
        return out + wire.bytes_field(_CONTENT, np.ascontiguousarray(value).tobytes())
    texts = value.ravel().tolist()
    return out + b"".join(wire.bytes_field(_STRINGS, text.encode() if isinstance(text, str) else text) for text in texts)


def histogram(data, buckets):
    """[left edge, right edge, count] of `buckets` of equal width."""
    import numpy as np
    data = np.asarray(data, np.float64).ravel()
    if not data.size or buckets == 0:
        return np.zeros((buckets, 3))
    low, high = data.min(), data.max()
    if low == high:
        # All are equal: buckets of no width, of which the last holds them.
        counts = np.zeros(buckets)
        counts[-1] = data.size
        return np.stack([np.full(buckets, low), np.full(buckets, low), counts], 1)
    edges = np.linspace(low, high, buckets + 1)
    places = np.minimum(((data - low) / ((high - low) / buckets)).astype(np.int64), buckets - 1)
    return np.stack([edges[:-1], edges[1:], np.bincount(places, minlength=buckets)], 1)


def pictures(data, most):
    """The texts of a summary of images: width, height, and each picture as PNG."""
    import numpy as np
    from tenon import raw_ops
    if data.dtype != np.uint8:
        data = np.clip(data.astype(np.float32) * 255.5, 0, 255)  # as tf.image.convert_image_dtype has it
    shown = np.ascontiguousarray(data[:most].astype(np.uint8))
    encoded = [raw_ops.EncodePng(image=_tenon.convert(picture)).numpy() for picture in shown]
    size = [str(data.shape[2]).encode(), str(data.shape[1]).encode()]
    return np.array(size + encoded, object)
