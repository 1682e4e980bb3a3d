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
    result = raw_ops.RFFT(input=x, fft_length=_as_vector(length), Tcomplex="complex128" if x.dtype == "float64" else "complex64")
    return _with_last(result, length // 2 + 1 if isinstance(length, int) else None)


def _as_vector(length):
    return arrays.reshape(_tenon.convert(length, None if hasattr(length, "dtype") else "int32"), [1])


def _with_last(tensor, size):
    """A traced tensor, of which the last dimension is known."""
    if tensor.is_symbolic and size is not None and tensor.shape.rank:
        tensor.set_shape(tensor.shape[:-1].as_list() + [size])
    return tensor


def irfft(input_tensor, fft_length=None, name=None):
    x = _tenon.convert(input_tensor)
    if fft_length is None:
        length = (arrays.shape(x)[-1] - 1) * 2
    else:
        length = _length(fft_length)
        x = _padded(x, length // 2 + 1)
    result = raw_ops.IRFFT(input=x, fft_length=_as_vector(length), Treal=x.dtype.real_dtype)
    return _with_last(result, length if isinstance(length, int) else None)


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


def _many(op, x, fft_length, axes, **more):
    """A transform along the last axes, which are made `fft_length` long."""
    x = _tenon.convert(x)
    if fft_length is None:
        return op(input=x, fft_length=arrays.shape(x)[-axes:], **more)
    lengths = _tenon.convert(fft_length, "int32")
    have = arrays.shape(x)[-axes:]
    wanted = lengths
    if "Treal" in more:
        wanted = raw_ops.ConcatV2(values=[lengths[:-1], lengths[-1:] // 2 + 1], axis=0)
    grown = raw_ops.Maximum(x=wanted - have, y=0)
    grown = raw_ops.ConcatV2(values=[_tenon.convert([0] * (x.shape.rank - axes), "int32"), grown], axis=0)
    x = arrays.pad(x, raw_ops.Pack(values=[raw_ops.ZerosLike(x=grown), grown], axis=1))
    return op(input=x, fft_length=lengths, **more)


def rfft2d(input_tensor, fft_length=None, name=None):
    x = _tenon.convert(input_tensor)
    return _many(raw_ops.RFFT2D, x, fft_length, 2, Tcomplex="complex128" if x.dtype == "float64" else "complex64")


def rfft3d(input_tensor, fft_length=None, name=None):
    x = _tenon.convert(input_tensor)
    return _many(raw_ops.RFFT3D, x, fft_length, 3, Tcomplex="complex128" if x.dtype == "float64" else "complex64")


def _inverse_lengths(x, fft_length, axes):
    if fft_length is not None:
        return fft_length
    sizes = arrays.shape(x)[-axes:]
    return raw_ops.ConcatV2(values=[sizes[:-1], (sizes[-1:] - 1) * 2], axis=0)


def irfft2d(input_tensor, fft_length=None, name=None):
    x = _tenon.convert(input_tensor)
    return _many(raw_ops.IRFFT2D, x, _inverse_lengths(x, fft_length, 2), 2, Treal=x.dtype.real_dtype)


def irfft3d(input_tensor, fft_length=None, name=None):
    x = _tenon.convert(input_tensor)
    return _many(raw_ops.IRFFT3D, x, _inverse_lengths(x, fft_length, 3), 3, Treal=x.dtype.real_dtype)


def _shifted(x, axes, half):
    x = _tenon.convert(x)
    axes = list(range(x.shape.rank)) if axes is None else [axes] if isinstance(axes, int) else list(axes)
    sizes = arrays.gather(arrays.shape(x), _tenon.convert([a % x.shape.rank for a in axes], "int32"))
    return arrays.roll(x, half(sizes), axes)


def fftshift(x, axes=None, name=None):
    return _shifted(x, axes, lambda sizes: sizes // 2)


def ifftshift(x, axes=None, name=None):
    return _shifted(x, axes, lambda sizes: -(sizes // 2))


def dct(input, type=2, n=None, axis=-1, norm=None, name=None):  # noqa: A002: TensorFlow's names
    """The discrete cosine transform of type 1, 2, 3 or 4 along the last axis."""
    x = _tenon.convert(input)
    if axis != -1:
        raise NotImplementedError(f"axis must be -1. Got: {axis}")
    if norm not in (None, "ortho") or type not in (1, 2, 3, 4) or (type == 1 and norm):
        raise ValueError(f"dct() knows the types 1 to 4, with norm None or, but of type 1, 'ortho'; not {type} with {norm!r}.")
    if n is not None:
        x = _padded(x[..., :n], n)
    size = x.shape[-1] if x.shape[-1] is not None else arrays.shape(x)[-1]
    count, at = elementwise.cast(size, x.dtype), elementwise.cast(raw_ops.Range(start=0, limit=size, delta=1), x.dtype)
    if type == 1:
        return elementwise.real(rfft(raw_ops.ConcatV2(values=[x, arrays.reverse(x[..., 1:-1], [-1])], axis=-1)))
    if type == 4:
        angles = _tenon.convert(_math.pi, x.dtype) / count * (arrays.expand_dims(at, 1) + 0.5) * (at + 0.5)
        found = 2 * arrays.squeeze(raw_ops.BatchMatMulV2(x=arrays.expand_dims(x, -2), y=raw_ops.Cos(x=angles)), -2)
        return found * raw_ops.Rsqrt(x=2 * count) if norm else found
    if type == 3:
        if norm == "ortho":
            first = raw_ops.Sqrt(x=count)
            scale = raw_ops.SelectV2(condition=at > 0, t=raw_ops.Sqrt(x=count / 2) + 0 * at, e=first + 0 * at)
            x = x * scale
        else:
            x = x * count
        turned = _turned(2 * x, at * _tenon.convert(0.5 * _math.pi, x.dtype) / count)
        turned = raw_ops.ConcatV2(values=[turned, raw_ops.ZerosLike(x=turned[..., :1])], axis=-1)
        return irfft(turned, [2 * size] if isinstance(size, int) else arrays.reshape(2 * size, [1]))[..., :size]
    spectrum = rfft(x, [2 * size] if isinstance(size, int) else arrays.reshape(2 * size, [1]))[..., :size]
    found = 2 * elementwise.real(spectrum * _phase(at * _tenon.convert(-0.5 * _math.pi, x.dtype) / count))
    if norm is None:
        return found
    first = 0.5 * raw_ops.Rsqrt(x=count)
    return found * raw_ops.SelectV2(condition=at > 0, t=first * _tenon.convert(2 ** 0.5, x.dtype) + 0 * at, e=first + 0 * at)


def _phase(angle):
    return elementwise.complex(raw_ops.Cos(x=angle), raw_ops.Sin(x=angle))


def _turned(x, angle):
    return elementwise.complex(x, raw_ops.ZerosLike(x=x)) * _phase(angle)


def idct(input, type=2, n=None, axis=-1, norm=None, name=None):  # noqa: A002
    """What dct() of the type 5 - `type`, of 2 and 3, gives: dct() of it is the input, 2 * N times where norm is None."""
    return dct(input, {1: 1, 2: 3, 3: 2, 4: 4}.get(type, type), n, axis, norm)


def vorbis_window(window_length, dtype="float32", name=None):
    length = elementwise.cast(window_length, "int32")
    at = elementwise.cast(raw_ops.Range(start=0, limit=length, delta=1), dtype)
    pi = _tenon.convert(_math.pi, at.dtype)
    inner = raw_ops.Sin(x=pi / elementwise.cast(length, dtype) * (at + 0.5))
    return raw_ops.Sin(x=pi / 2 * inner * inner)


def _mel(frequencies):
    return 1127.0 * raw_ops.Log1p(x=frequencies / 700.0)


def linear_to_mel_weight_matrix(num_mel_bins=20, num_spectrogram_bins=129, sample_rate=8000, lower_edge_hertz=125.0,
                                upper_edge_hertz=3800.0, dtype="float32", name=None):
    """A matrix that takes the bins of a spectrogram to bands of the mel scale, each a triangle."""
    def number(value):
        return elementwise.cast(value, dtype)

    linear = arrays.linspace(number(0.), number(sample_rate) / 2, num_spectrogram_bins)[1:]
    spectrogram = arrays.expand_dims(_mel(linear), 1)
    edges = arrays.linspace(_mel(number(lower_edge_hertz)), _mel(number(upper_edge_hertz)), num_mel_bins + 2)
    lower, center, upper = (arrays.reshape(edges[i:num_mel_bins + i], [1, num_mel_bins]) for i in range(3))
    rising, falling = (spectrogram - lower) / (center - lower), (upper - spectrogram) / (upper - center)
    weights = raw_ops.Maximum(x=_tenon.convert(0, dtype), y=raw_ops.Minimum(x=rising, y=falling))
    return arrays.pad(weights, [[1, 0], [0, 0]])


def mfccs_from_log_mel_spectrograms(log_mel_spectrograms, name=None):
    spectrograms = _tenon.convert(log_mel_spectrograms)
    bins = spectrograms.shape[-1]
    count = arrays.shape(spectrograms)[-1] if bins is None else bins
    return dct(spectrograms) * raw_ops.Rsqrt(x=elementwise.cast(count, spectrograms.dtype) * 2)


signal = missing.namespace("tf.signal", {k: v for k, v in globals().items() if not k.startswith("_") and getattr(
    v, "__module__", "") == __name__})
