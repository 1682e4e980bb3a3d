// DecodeWav and EncodeWav: 16-bit PCM in RIFF files. tensorflow/core/lib/wav/wav_io.cc.
#include <cmath>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// Reads little-endian numbers one after another.
class WavReader {
 public:
  explicit WavReader(std::string_view bytes) : rest_(bytes) {}
  size_t left() const { return rest_.size(); }
  StatusOr<std::string_view> take(size_t count) {
    if (rest_.size() < count) {
      return invalid_argument("Data too short when trying to read ", count, " bytes of a WAV file");
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  StatusOr<uint32_t> number(size_t bytes) {
    TENON_ASSIGN_OR_RETURN(const std::string_view taken, take(bytes));
    uint32_t value = 0;
    for (size_t i = 0; i < bytes; ++i) {
      value |= uint32_t{static_cast<unsigned char>(taken[i])} << (8 * i);
    }
    return value;
  }
  Status expect(std::string_view text) {
    TENON_ASSIGN_OR_RETURN(const std::string_view found, take(text.size()));
    if (found == text) return absl::OkStatus();
    return invalid_argument("Header mismatch: Expected ", text, " in a WAV file");
  }

 private:
  std::string_view rest_;
};

struct WavSound {
  uint32_t rate = 0, channels = 0;
  std::string_view samples;  // of 16 bits
};

StatusOr<WavSound> read_wav(std::string_view bytes) {
  WavReader reader(bytes);
  TENON_RETURN_IF_ERROR(reader.expect("RIFF"));
  TENON_RETURN_IF_ERROR(reader.number(4).status());
  TENON_RETURN_IF_ERROR(reader.expect("WAVE"));
  // JUNK and the like may stand before the format.
  std::string_view name;
  uint32_t size = 0;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(name, reader.take(4));
    TENON_ASSIGN_OR_RETURN(size, reader.number(4));
    if (name == "fmt ") break;
    TENON_RETURN_IF_ERROR(reader.take(size).status());
  }
  if (size != 16 && size != 18) {
    return invalid_argument("Bad format chunk size for WAV: Expected 16 or 18, but got ", size);
  }
  WavSound sound;
  TENON_ASSIGN_OR_RETURN(const uint32_t format, reader.number(2));
  TENON_ASSIGN_OR_RETURN(sound.channels, reader.number(2));
  TENON_ASSIGN_OR_RETURN(sound.rate, reader.number(4));
  TENON_ASSIGN_OR_RETURN(const uint32_t bytes_a_second, reader.number(4));
  TENON_ASSIGN_OR_RETURN(const uint32_t bytes_a_frame, reader.number(2));
  TENON_ASSIGN_OR_RETURN(const uint32_t bits, reader.number(2));
  TENON_RETURN_IF_ERROR(reader.take(size - 16).status());
  if (format != 1)
    return invalid_argument("Bad audio format for WAV: Expected 1 (PCM), but got ", format);
  if (bits != 16) {
    return invalid_argument("Can only read 16-bit WAV files, but received ", bits);
  }
  if (sound.channels == 0 || bytes_a_frame != sound.channels * 2 ||
      uint64_t{bytes_a_second} != uint64_t{bytes_a_frame} * sound.rate) {
    return invalid_argument("the format of a WAV file contradicts itself: ", sound.channels,
                            " channels, ", bytes_a_frame, " bytes a frame, ", bytes_a_second,
                            " bytes a second at ", sound.rate, " Hz");
  }
  while (reader.left() > 0) {
    TENON_ASSIGN_OR_RETURN(name, reader.take(4));
    TENON_ASSIGN_OR_RETURN(size, reader.number(4));
    if (name == "data") {
      TENON_ASSIGN_OR_RETURN(sound.samples, reader.take(size / bytes_a_frame * bytes_a_frame));
      return sound;
    }
    TENON_RETURN_IF_ERROR(reader.take(size).status());
  }
  return invalid_argument("No data chunk found in the WAV file");
}

Status decode_wav_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  const auto channels = c.attr<int64_t>("desired_channels"),
             samples = c.attr<int64_t>("desired_samples");
  if (channels != -1 && channels <= 0) {
    return invalid_argument("channels must be non-negative, got ", channels);
  }
  if (samples != -1 && samples < 0) {
    return invalid_argument("samples must be non-negative, got ", samples);
  }
  c.set_output(0, PartialShape{samples, channels});
  c.set_output(1, Shape());
  return absl::OkStatus();
}

// [samples, channels] numbers in [-1, 1): what lacks is 0, a channel too many repeats the last.
StatusOr<Kernel> make_decode_wav(Prepare& p) {
  return Kernel([wanted_channels = p.attr<int64_t>("desired_channels"),
                 wanted_samples = p.attr<int64_t>("desired_samples")](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const WavSound sound, read_wav(*r.in<std::string_view>(0)));
    const auto from_channels = static_cast<int64_t>(sound.channels);
    const int64_t held = static_cast<int64_t>(sound.samples.size()) / (2 * from_channels);
    const int64_t channels = wanted_channels == -1 ? from_channels : wanted_channels;
    const int64_t samples = wanted_samples == -1 ? held : wanted_samples;
    TENON_ASSIGN_OR_RETURN(Tensor audio, r.allocate(DType::kFloat, Shape{samples, channels}));
    float* y = audio.mutable_data<float>();
    for (int64_t i = 0; i < samples; ++i) {
      for (int64_t c = 0; c < channels; ++c, ++y) {
        *y = 0;
        if (i >= held) continue;
        const int64_t at = 2 * (i * from_channels + std::min(c, from_channels - 1));
        const auto* bytes = reinterpret_cast<const unsigned char*>(sound.samples.data()) + at;
        *y = static_cast<float>(static_cast<int16_t>(bytes[0] | bytes[1] << 8)) / 32768.0F;
      }
    }
    r.set_output(0, std::move(audio));
    r.set_output(1, Tensor::scalar<int32_t>(static_cast<int32_t>(sound.rate)));
    return absl::OkStatus();
  });
}

Status encode_wav_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  c.set_output(0, Shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_encode_wav(Prepare& p) {
  const int64_t samples = p.input_shape(0)[0], channels = p.input_shape(0)[1];
  if (channels < 1 || channels > 1024) {
    return invalid_argument("num_channels must be in [1, 1024], got ", channels);
  }
  if (samples > (int64_t{0xffffffff} - 36) / (2 * channels)) {
    return invalid_argument("Provided channels and samples cannot be encoded as WAV: ", samples,
                            " samples");
  }
  return Kernel([=](KernelRun& r) -> Status {
    const int32_t rate = *r.in<int32_t>(1);
    if (rate <= 0) return invalid_argument("sample_rate must be positive, got ", rate);
    std::string file;
    const auto put = [&](int64_t value, int bytes) {
      for (int i = 0; i < bytes; ++i) file += static_cast<char>(value >> (8 * i));
    };
    const int64_t bytes = samples * channels * 2;
    file += "RIFF";
    put(36 + bytes, 4);
    file += "WAVEfmt ";
    put(16, 4);
    put(1, 2);
    put(channels, 2);
    put(rate, 4);
    put(int64_t{rate} * channels * 2, 4);
    put(channels * 2, 2);
    put(16, 2);
    file += "data";
    put(bytes, 4);
    for (float x : r.input(0).span<float>()) {
      const float level = std::round(x * 32768.0F);
      put(std::isnan(level) ? 0 : static_cast<int64_t>(std::clamp(level, -32768.0F, 32767.0F)), 2);
    }
    r.set_output(0, Tensor::string(file));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(DecodeWav) = {
    .inputs = "contents: string",
    .outputs = "audio: float, sample_rate: int32",
    .attrs = "desired_channels: int = -1; desired_samples: int = -1",
    .supplies_outputs = true,
    .shape = decode_wav_shape,
    .gradient = not_differentiable,
    .kernels = {make_decode_wav},
};
TENON_OP(EncodeWav) = {
    .inputs = "audio: float, sample_rate: int32",
    .outputs = "contents: string",
    .supplies_outputs = true,
    .shape = encode_wav_shape,
    .gradient = not_differentiable,
    .kernels = {make_encode_wav},
};

}  // namespace tenon
