"""tf.signal: Fourier transforms, windows and frames."""
import math as _math

from tenon import _tenon, raw_ops
from tenon.tf import arrays, elementwise, missing, reductions


def _complex(x):
    x = _tenon.convert(x)
    return x if x.dtype.is_complex else elementwise.cast(x, "complex128" if x.dtype == "float64" else "complex64")


def _transform(op):
    def transform(input, name=None):  # noqa: A002: TensorFlow's name
        return getattr(raw_ops, op)(input=_complex(input))

    transform.__name__ = transform.__qualname__ = op.lower()
    return transform


fft, fft2d, fft3d = _transform("FFT"), _transform("FFT2D"), _transform("FFT3D")
ifft, ifft2d, ifft3d = _transform("IFFT"), _transform("IFFT2D"), _transform("IFFT3D")


def _padded(x, length):
    """`x` with zeros behind its last axis up to `length`."""
    size = x.shape[-1]
    if isinstance(size, int) and isinstance(length, int):
        more = max(0, length - size)
        if not more:
            return x
    else:
        more = raw_ops.Maximum(x=0, y=_tenon.convert(length, "int32") - arrays.shape(x)[-1])
    zeros = raw_ops.Pack(values=[0, more])
    none = _tenon.convert([[0, 0]] * (x.shape.rank - 1), "int32") if x.shape.rank > 1 else None
    last = arrays.expand_dims(zeros, 0)
    return arrays.pad(x, last if none is None else raw_ops.ConcatV2(values=[none, last], axis=0))


def _length(fft_length):
    """A vector of one number as a number, where it is known."""
    known = arrays.static_value(fft_length)
    return fft_length if known is None else int(known.reshape(-1)[0])


def rfft(input_tensor, fft_length=None, name=None):
    x = _tenon.convert(input_tensor)
    length = arrays.shape(x)[-1] if fft_length is None else _length(fft_length)
    x = _padded(x, length) if fft_length is not None else x
    length = arrays.reshape(_tenon.convert(length, None if hasattr(length, "dtype") else "int32"), [1])
    return raw_ops.RFFT(input=x, fft_length=length, Tcomplex="complex128" if x.dtype == "float64" else "complex64")


def irfft(input_tensor, fft_length=None, name=None):
    x = _tenon.convert(input_tensor)
    if fft_length is None:
        length = (arrays.shape(x)[-1] - 1) * 2
    else:
        length = _length(fft_length)
        x = _padded(x, length // 2 + 1)
    length = arrays.reshape(_tenon.convert(length, None if hasattr(length, "dtype") else "int32"), [1])
    return raw_ops.IRFFT(input=x, fft_length=length, Treal=x.dtype.real_dtype)


def _cosine_window(a, b, length, periodic, dtype):
    """a - b cos(2 pi i / n); the window of one number is 1."""
    length = elementwise.cast(length, "int32")
    even = 1 - raw_ops.FloorMod(x=length, y=2)
    n = length + even - 1 if periodic else length - 1
    n = raw_ops.Maximum(x=n + (1 - even) if periodic else n, y=1)
    at = elementwise.cast(raw_ops.Range(start=0, limit=length, delta=1), dtype)
    window = a - b * raw_ops.Cos(x=at * _tenon.convert(2 * _math.pi, dtype) / elementwise.cast(n, dtype))
    return raw_ops.SelectV2(condition=raw_ops.Equal(x=length, y=1), t=raw_ops.OnesLike(x=window), e=window)


def hann_window(window_length, periodic=True, dtype="float32", name=None):
    return _cosine_window(0.5, 0.5, window_length, periodic, dtype)


def hamming_window(window_length, periodic=True, dtype="float32", name=None):
    return _cosine_window(0.54, 0.46, window_length, periodic, dtype)


def kaiser_window(window_length, beta=12., dtype="float32", name=None):
    length = elementwise.cast(window_length, "int32")
    half = elementwise.cast(length - 1, dtype) / 2
    at = elementwise.cast(raw_ops.Range(start=0, limit=length, delta=1), dtype) - half
    beta = elementwise.cast(beta, dtype)
    ratio = raw_ops.DivNoNan(x=at, y=half)
    inner = beta * raw_ops.Sqrt(x=raw_ops.Maximum(x=1 - ratio * ratio, y=_tenon.convert(0, ratio.dtype)))
    return raw_ops.Exp(x=inner - beta) * raw_ops.BesselI0e(x=inner) / raw_ops.BesselI0e(x=beta)


def frame(signal, frame_length, frame_step, pad_end=False, pad_value=0, axis=-1, name=None):
    """Overlapping pieces of `signal` along an axis, in a new axis in front of it."""
    signal = _tenon.convert(signal)
    rank = signal.shape.rank
    axis = axis + rank if axis < 0 else axis
    frame_length, frame_step = int(frame_length), int(frame_step)
    size = signal.shape[axis]
    size = arrays.shape(signal)[axis] if size is None else size
    if pad_end:
        frames = -(-size // frame_step)
        more = (frames - 1) * frame_step + frame_length - size
        more = raw_ops.Maximum(x=0, y=more) if hasattr(more, "dtype") else max(0, more)
        pads = raw_ops.Pack(values=[raw_ops.Pack(values=[0, more if i == axis else 0]) for i in range(rank)])
        signal = arrays.pad(signal, pads, constant_values=_tenon.convert(pad_value, signal.dtype))
    else:
        frames = 1 + (size - frame_length) // frame_step
        frames = raw_ops.Maximum(x=0, y=frames) if hasattr(frames, "dtype") else max(0, frames)
    starts = raw_ops.Range(start=0, limit=frames, delta=1) * frame_step
    places = arrays.expand_dims(starts, 1) + arrays.expand_dims(raw_ops.Range(start=0, limit=frame_length, delta=1), 0)
    return arrays.gather(signal, places, axis=axis)


def overlap_and_add(signal, frame_step, name=None):
    """Frames [..., frames, length] added where they overlap."""
    signal = _tenon.convert(signal)
    frame_step = int(frame_step)
    dims = arrays.shape(signal)
    frames, length = dims[-2], dims[-1]
    total = (frames - 1) * frame_step + length
    places = arrays.expand_dims(raw_ops.Range(start=0, limit=frames, delta=1) * frame_step, 1) + arrays.expand_dims(
        raw_ops.Range(start=0, limit=length, delta=1), 0)
    rank = signal.shape.rank
    flat = arrays.reshape(signal, raw_ops.ConcatV2(values=[dims[:-2], [-1]], axis=0))
    order = [rank - 2] + list(range(rank - 2))
    back = list(range(1, rank - 1)) + [0]
    summed = raw_ops.UnsortedSegmentSum(data=arrays.transpose(flat, order), segment_ids=arrays.reshape(places, [-1]),
                                        num_segments=total)
    return arrays.transpose(summed, back)


def stft(signals, frame_length, frame_step, fft_length=None, window_fn=hann_window, pad_end=False, name=None):
    signals = _tenon.convert(signals)
    framed = frame(signals, frame_length, frame_step, pad_end)
    if fft_length is None:
        fft_length = 1 << (int(frame_length) - 1).bit_length()
    if window_fn is not None:
        framed = framed * window_fn(frame_length, dtype=framed.dtype)
    return rfft(framed, [int(fft_length)])


def inverse_stft_window_fn(frame_step, forward_window_fn=hann_window, name=None):
    """The window that makes inverse_stft() the inverse of stft() with `forward_window_fn`."""
    def inverse(frame_length, dtype):
        frame_length, step = int(frame_length), int(frame_step)
        forward = forward_window_fn(frame_length, dtype=dtype)
        overlaps = -(-frame_length // step)
        power = arrays.pad(forward * forward, [[0, overlaps * step - frame_length]])
        power = reductions.reduce_sum(arrays.reshape(power, [overlaps, step]), 0, keepdims=True)
        power = arrays.reshape(arrays.tile(power, [overlaps, 1]), [overlaps * step])
        return forward / power[:frame_length]

    return inverse


def inverse_stft(stfts, frame_length, frame_step, fft_length=None, window_fn=hann_window, name=None):
    stfts = _tenon.convert(stfts)
    frame_length = int(frame_length)
    if fft_length is None:
        fft_length = 1 << (frame_length - 1).bit_length()
    fft_length = int(fft_length)
    real = irfft(stfts, [fft_length])
    real = _padded(real[..., :frame_length], frame_length)
    if window_fn is not None:
        real = real * window_fn(frame_length, dtype=stfts.dtype.real_dtype)
    return overlap_and_add(real, frame_step)


signal = missing.namespace("tf.signal", {k: v for k, v in globals().items() if not k.startswith("_") and getattr(
    v, "__module__", "") == __name__})
