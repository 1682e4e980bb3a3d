"""Cases of the ops on quantised numbers, for family_values.py."""
from value_cases import QUANTISED, f32, i32, i64, levels, np, tf, wave


def quantisation(case):
    x = f32(-3, -1.5, -1, -0.3, 0, 0.1, 0.49, 0.5, 1, 1.7, 2.5, 4)
    for dtype in QUANTISED:
        for mode in ("MIN_COMBINED", "MIN_FIRST", "SCALED"):
            if dtype == tf.qint32 and mode != "MIN_FIRST":
                continue  # the largest number overflows in TensorFlow
            for low, high in [(-2, 3), (0, 2), (0.5, 2), (-1, -0.5), (-2, 1)]:
                for narrow in (False, True) if mode == "SCALED" and high > 0 else (False,):
                    for rounding in (("HALF_AWAY_FROM_ZERO", "HALF_TO_EVEN") if mode == "SCALED"
                                     else ("HALF_AWAY_FROM_ZERO",)):
                        case("QuantizeV2", [x, f32(low), f32(high)],
                             {"T": dtype, "mode": mode, "narrow_range": narrow, "round_mode": rounding})
                for out in (tf.float32, tf.bfloat16) if mode != "MIN_FIRST" else (tf.float32,):
                    y = levels(dtype, [QUANTISED[dtype].min, 0, 1, 7, 100, QUANTISED[dtype].max])
                    case("Dequantize", [y, f32(low), f32(high)], {"mode": mode, "dtype": out})
        case("QuantizeV2", [x.reshape(3, 2, 2).clip(-1, 0.9), f32(-1, -2), f32(1, 3)],
             {"T": dtype, "mode": "SCALED", "axis": 1})
        case("Dequantize", [levels(dtype, range(12), (3, 2, 2)), f32(-1, -2), f32(1, 3)],
             {"mode": "SCALED", "axis": 1})
    case("QuantizeV2", [x, f32(2), f32(1)], {"T": tf.qint8})
    case("QuantizeV2", [x[:0], f32(0), f32(1)], {"T": tf.quint8})
    case("QuantizeV2", [x, f32(1), f32(1)], {"T": tf.quint8, "round_mode": "HALF_TO_EVEN"})
    for dtype in (np.float32, np.float64):
        y, s = x.astype(dtype), lambda v: np.array(v, dtype)
        for signed in (True, False):
            for given in (True, False):
                case("QuantizeAndDequantize", [y], {"signed_input": signed, "range_given": given,
                                                    "input_min": -2.0, "input_max": 3.0})
                for narrow in (True, False):
                    attrs = {"signed_input": signed, "range_given": given, "narrow_range": narrow}
                    case("QuantizeAndDequantizeV3", [y, s(-2), s(3), i32(6)], attrs)
                    for mode in ("HALF_TO_EVEN", "HALF_UP"):
                        for op in ("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4"):
                            case(op, [y, s(-2), s(3)], dict(attrs, round_mode=mode, num_bits=5))
        z = y.reshape(3, 2, 2)
        case("QuantizeAndDequantizeV2", [z, s([-1, -2]), s([1, 3])], {"axis": 1})
        case("QuantizeAndDequantizeV4Grad", [y * 2, y, s(-1), s(2)])
        case("QuantizeAndDequantizeV4Grad", [z * 2, z, s([-1, -2]), s([1, 3])], {"axis": 1})
    case("QuantizeAndDequantizeV2", [x, f32(2), f32(1)], {"range_given": True})
    case("QuantizeAndDequantizeV2", [x, f32(1), f32(2)], {"num_bits": 70})
    case("QuantizeAndDequantizeV2", [x, f32(1), f32(2)], {"axis": 3})


def quantised_ops(case):
    big = levels(tf.qint32, [-2**31, -70000, -1, 0, 5, 1000, 12345678, 2**31 - 1])
    middle = levels(tf.qint32, [-70000, -1, 0, 5, 1000, 123456])
    for y in (big, middle):
        for out in (tf.quint8, tf.qint8):
            case("Requantize", [y, f32(-40), f32(40), f32(-1), f32(2)], {"out_type": out})
            case("Requantize", [middle, f32(-400000), f32(400000), f32(0), f32(20)], {"out_type": out})
        case("RequantizationRange", [y, f32(-400000), f32(400000)])
        case("QuantizeDownAndShrinkRange", [y, f32(-400000), f32(400000)], {"out_type": tf.quint8})
        case("QuantizedRelu", [y, f32(-400000), f32(400000)], {"out_type": tf.qint32})
        case("QuantizedRelu6", [y, f32(-400), f32(400)], {"out_type": tf.qint32})
        case("QuantizedReshape", [y, i32(2, -1), f32(-4), f32(4)])
    case("Requantize", [big, f32(-40), f32(40), f32(1), f32(2)], {"out_type": tf.quint8})
    a = levels(tf.quint8, [0, 3, 100, 128, 200, 255], (2, 3))
    b = levels(tf.quint8, [7, 250, 100, 129, 1, 0], (2, 3))
    case("QuantizedRelu", [a, f32(-1), f32(2)], {"out_type": tf.quint8})
    case("QuantizedRelu6", [a, f32(-10), f32(20)], {"out_type": tf.quint8})
    case("QuantizedReshape", [a, i64(3, 2), f32(-1), f32(2)])
    case("QuantizedReshape", [a, i64(4, 2), f32(-1), f32(2)])
    for low, high in [(-1, 2), (0, 2), (-1, 3)]:
        case("QuantizedConcat", [i32(1), [a, b], [f32(-1), f32(low)], [f32(2), f32(high)]])
        case("QuantizedConcat", [i32(0), [middle, middle], [f32(-1), f32(low)], [f32(2), f32(high)]])
        for op in ("QuantizedAdd", "QuantizedMul"):
            ranges = [f32(-1), f32(2), f32(low), f32(high)]
            case(op, [a, b] + ranges, {"Toutput": tf.qint32})
            case(op, [a, levels(tf.quint8, [1, 2, 250])] + ranges, {"Toutput": tf.qint32})
            case(op, [a, levels(tf.quint8, 77)] + ranges, {"Toutput": tf.qint32})
        case("QuantizedBiasAdd", [a, levels(tf.quint8, [1, 2, 250])] + ranges, {"out_type": tf.qint32})
        case("QuantizedMatMul", [a, tf.reshape(b, [3, 2])] + ranges, {"Toutput": tf.qint32})
        case("QuantizedMatMul", [a, b] + ranges, {"Toutput": tf.qint32, "transpose_b": True})
        case("QuantizedMatMul", [a, b] + ranges, {"Toutput": tf.qint32, "transpose_a": True})
        image = levels(tf.quint8, [(i * 37) % 256 for i in range(50)], (1, 5, 5, 2))
        filters = levels(tf.quint8, [(i * 91) % 256 for i in range(54)], (3, 3, 2, 3))
        for padding in ("SAME", "VALID"):
            for stride in (1, 2):
                case("QuantizedConv2D", [image, filters] + ranges,
                     {"strides": [1, stride, stride, 1], "padding": padding, "out_type": tf.qint32})
                for op in ("QuantizedMaxPool", "QuantizedAvgPool"):
                    case(op, [image, f32(low), f32(high)],
                         {"ksize": [1, 2, 3, 1], "strides": [1, stride, stride, 1], "padding": padding})
    case("QuantizedMatMul", [a, a] + ranges, {"Toutput": tf.qint32})
    case("QuantizedAdd", [a, b, f32(1), f32(1), f32(0), f32(1)], {"Toutput": tf.qint32})


def uniform(case):
    x = f32([[-3, -1.5, -1, -0.3], [0.1, 0.49, 100, 4]])
    for dtype in (tf.qint8, tf.quint8, tf.qint32):
        limits = {"quantization_min_val": QUANTISED[dtype].min, "quantization_max_val": QUANTISED[dtype].max}
        per = dict(limits, quantization_axis=1)
        case("UniformQuantize", [x, f32(0.1), i32(3)], dict(limits, Tout=dtype))
        case("UniformQuantize", [x, f32(0.1, 1, 2, 0.5), i32(0, 1, 2, 3)], dict(per, Tout=dtype))
        y = levels(dtype, [0, 1, 2, 50, 100, 127, 3, 4], (2, 4))
        case("UniformDequantize", [y, f32(0.1), i32(3)], dict(limits, Tout=tf.float32))
        case("UniformDequantize", [y, f32(0.1, 1, 2, 0.5), i32(0, 1, 2, 3)],
             dict(per, Tout=tf.float32))
        if dtype == tf.quint8:
            continue
        both = {"input_quantization_min_val": QUANTISED[dtype].min,
                "input_quantization_max_val": QUANTISED[dtype].max,
                "output_quantization_min_val": -128, "output_quantization_max_val": 127,
                "Tout": tf.qint8}
        case("UniformRequantize", [y, f32(0.1), i32(3), f32(0.25), i32(-4)], both)
        case("UniformRequantize", [y, f32(0.1), i32(3), f32(0.003), i32(-4)], both)
        case("UniformRequantize", [y, f32(0.1), i32(3), f32(0.1, 1, 2, 0.5), i32(0, 1, 2, 3)],
             dict(both, output_quantization_axis=1))
    case("UniformQuantize", [x, f32(0.1, 1), i32(0, 1)], dict(per, Tout=tf.qint8))
    q = lambda values, shape: levels(tf.qint32, values, shape)
    three = {f"{name}_quantization_{end}_val": value for name in ("lhs", "rhs", "output")
             for end, value in (("min", -2**31), ("max", 2**31 - 1))}
    s = [f32(0.1), i32(3), f32(0.2), i32(-1), f32(0.4), i32(2)]
    case("UniformQuantizedAdd", [q(range(-3, 3), (2, 3)), q(range(100, 106), (2, 3))] + s, three)
    case("UniformQuantizedAdd", [q(range(-3, 3), (2, 3)), q([1, 2, 300], (3,))] + s, three)
    clip = {"quantization_min_val": -2**31, "quantization_max_val": 2**31 - 1}
    case("UniformQuantizedClipByValue", [q(range(-3, 3), (2, 3)), levels(tf.qint32, -1),
                                         levels(tf.qint32, 1), f32(0.1), i32(3)], clip)
    case("UniformQuantizedClipByValue", [q(range(-3, 3), (2, 3)), q([-1, -2, 0], (3,)),
                                         q([1, 0, 1], (3,)), f32(1, 1, 1), i32(0, 0, 0)],
         dict(clip, quantization_axis=1))
    a, b = levels(tf.qint8, range(-3, 3), (2, 3)), levels(tf.qint8, range(-60, 60, 10), (3, 4))
    case("UniformQuantizedDot", [a, b] + s, dict(three, Tout=tf.qint32))
    case("UniformQuantizedDot", [a, b] + s[:2] + [f32(0.1, 1, 2, 0.5), i32(0, 1, 2, 3)] + s[4:],
         dict(three, Tout=tf.qint32, rhs_quantization_axis=1))
    limits = {"rhs_quantization_min_val": -128, "rhs_quantization_max_val": 127, "Tout": tf.float32}
    per = dict(limits, rhs_quantization_axis=1)
    for x in (wave((2, 3), scale=4), np.abs(wave((2, 3))) + 1, -np.abs(wave((2, 3), scale=300)), np.zeros((2, 3), np.float32), wave((0, 3))):
        case("UniformQuantizedDotHybrid", [x, b, f32(0.2), i32(-1)], limits)
        case("UniformQuantizedDotHybrid", [x, b, f32(0.1, 1, 2, 0.5), i32(0, 1, 2, 3)], per)
    case("UniformQuantizedDotHybrid", [wave((2, 3)), b, f32(0.0), i32(-1)], limits)
    case("UniformQuantizedDotHybrid", [wave((2, 2)), b, f32(0.2), i32(-1)], limits)
    case("UniformQuantizedDotHybrid", [wave((2, 3)), b, f32(0.1, 1, 2), i32(0, 1, 2)], per)
