"""How family_values.py writes the cases that TensorFlow computes."""
import inspect
import json

import op_values
from op_values import np, tf

OPS = tf.raw_ops
QUANTISED = {tf.qint8: tf.int8, tf.quint8: tf.uint8, tf.qint16: tf.int16, tf.quint16: tf.uint16,
             tf.qint32: tf.int32}


def levels(dtype, values, shape=None):
    plain = np.array(values, QUANTISED[dtype].as_numpy_dtype)
    return tf.bitcast(tf.constant(plain if shape is None else np.resize(plain, shape)), dtype)


def reshaped(value, dims):
    """The elements of `value`, over and over, under another shape; None where there are none to take."""
    plain = tf.bitcast(value, QUANTISED[value.dtype]) if value.dtype in QUANTISED else value
    flat = tf.reshape(plain, [-1]).numpy()
    count = int(np.prod(dims))
    if count and not flat.size:
        return None
    made = tf.constant(np.resize(flat, dims) if count else np.zeros(dims, flat.dtype), plain.dtype)
    return tf.bitcast(made, value.dtype) if value.dtype in QUANTISED else made


def f32(*values):
    return np.array(values if len(values) != 1 else values[0], np.float32)


def i32(*values):
    return np.array(values if len(values) != 1 else values[0], np.int32)


def i64(*values):
    return np.array(values if len(values) != 1 else values[0], np.int64)


def wave(shape, dtype=np.float32, scale=1.0, phase=0.0):
    """Made-up numbers in [-scale, scale]."""
    count = int(np.prod(shape))
    return (scale * np.sin(np.arange(count) * 12.9898 + phase)).astype(dtype).reshape(shape)


def text_of(value):
    value = tf.convert_to_tensor(value)
    if value.dtype in QUANTISED:
        plain = tf.bitcast(value, QUANTISED[value.dtype]).numpy()
        return [value.dtype.name, list(plain.shape), plain.tobytes().hex()]
    if value.dtype == tf.string:
        texts = value.numpy().reshape(-1).tolist() if value.shape.rank else [value.numpy()]
        return ["bytes", value.shape.as_list(), [t.hex() for t in texts]]
    plain = value.numpy()
    return [value.dtype.name, list(plain.shape), np.ascontiguousarray(plain).tobytes().hex()]


def attr_of(value):
    if isinstance(value, tf.TensorShape):
        return {"shape": [-1 if size is None else size for size in value.as_list()]}
    if isinstance(value, list):
        return {"lf" if value and isinstance(value[0], float) else "li": value}
    return op_values.attr_text(value)


class Cases:
    def __init__(self, path, few):
        self.file = open(path, "w", encoding="utf-8", buffering=1)
        self.count = 0
        self.kept = {} if few else None

    def is_kept(self, line, text):
        if self.kept is None:
            return True
        key = (line["op"], tuple(t[0] for t in line["in"]), "error" in line)
        self.kept[key] = self.kept.get(key, 0) + 1
        return self.kept[key] <= 2 and len(text) < 2500

    def __call__(self, op, inputs, attrs=None, variables=0, graph=False):
        """One case. `graph`: the op has no kernel of its own and runs in a function only."""
        attrs = attrs or {}
        function = getattr(OPS, op)
        flat = []
        arguments = []
        held = []
        for value in inputs:
            parts = value if isinstance(value, list) else [value]
            parts = [tf.convert_to_tensor(p) if tf.is_tensor(p) else op_values.tensor_of(p)
                     for p in parts]
            flat += parts
            if len(held) < variables:
                held.append(tf.Variable(parts[0]))
                parts = [held[-1].handle]
            arguments.append(parts if isinstance(value, list) else parts[0])
        line = {"op": op, "attrs": {k: attr_of(v) for k, v in attrs.items()},
                "in": [text_of(p) for p in flat]}
        if op == "QuantizedConcat":  # which its inputs do not tell
            line["attrs"]["N"] = {"i": len(inputs[1])}
        if variables:
            line["vars"] = variables
        names = [n for n in inspect.signature(function).parameters]
        call = lambda: function(**dict(zip(names, arguments)), **attrs)
        try:
            result = tf.function(call)() if graph else call()
            outputs = ([] if result is None or isinstance(result, tf.Operation) else
                       list(result) if isinstance(result, (list, tuple)) else [result])
            line["out"] = [text_of(t) for t in outputs] + [text_of(v.value()) for v in held]
        except (tf.errors.NotFoundError, tf.errors.UnimplementedError) as error:
            print("no kernel:", op, [t.dtype.name for t in flat])
            return
        except tf.errors.OpError as error:
            if "No OpKernel" in str(error) or "not in the list of allowed" in str(error):
                return
            line["error"] = op_values.code_of(error)
        except ValueError as error:  # the shape function of a graph
            line["error"] = "INVALID_ARGUMENT"
        text = json.dumps(line, separators=(",", ":"))
        if self.is_kept(line, text):
            self.file.write(text + "\n")
            self.count += 1
