"""tf.audio: WAV files."""
from tenon import _tenon, raw_ops
from tenon.tf import missing


def _decode_wav(contents, desired_channels=-1, desired_samples=-1, name=None):
    """(samples by channels between -1 and 1, the sample rate) of a file of 16 bits."""
    return raw_ops.DecodeWav(contents=_tenon.convert(contents, "string"), desired_channels=desired_channels,
                             desired_samples=desired_samples)


def _encode_wav(audio, sample_rate, name=None):
    return raw_ops.EncodeWav(audio=_tenon.convert(audio, "float32"), sample_rate=_tenon.convert(sample_rate, "int32"))


audio = missing.namespace("tf.audio", decode_wav=_decode_wav, encode_wav=_encode_wav)
