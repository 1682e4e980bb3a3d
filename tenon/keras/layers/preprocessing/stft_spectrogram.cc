// STFTSpectrogram: short-time Fourier transforms as convolutions with waves under a window, which
// are weights (keras/src/layers/preprocessing/stft_spectrogram.py).
#include <bit>

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// keras.backend.epsilon().
constexpr double kLeastPower = 1e-7;
// A file of a few bytes can ask for any; audio has a thousandth of it.
constexpr int64_t kMostWaves = int64_t{1} << 28;

class STFTSpectrogramLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "STFTSpectrogram"; }
  void fields(ConfigFields& f) override {
    f.field("mode", mode_);
    f.field("frame_length", frame_length_);
    f.field("frame_step", frame_step_);
    f.field("fft_length", fft_length_);
    f.field("window", window_);
    f.field("periodic", periodic_);
    f.field("scaling", scaling_);
    f.field("padding", padding_);
    f.only("data_format", "channels_last");
    f.field("expand_dims", expand_dims_);
  }
  Status build(const Shapes& inputs) override {
    constexpr std::string_view kModes[] = {"log",  "magnitude", "psd", "real",
                                           "imag", "angle",     "stft"};
    if (std::find(std::begin(kModes), std::end(kModes), mode_) == std::end(kModes)) {
      return invalid_argument("mode is '", mode_, "', expected ", join(kModes, ", "));
    }
    const int64_t frame[] = {frame_length_};
    TENON_RETURN_IF_ERROR(layers::check_window("frame_length", frame));
    const int64_t sizes[] = {step(), length()};
    TENON_RETURN_IF_ERROR(layers::check_window("frame_step and fft_length", sizes));
    if (step() > frame_length_ || length() < frame_length_ ||
        frame_length_ * (length() / 2 + 1) > kMostWaves) {
      return invalid_argument("frame_step ", step(), ", frame_length ", frame_length_,
                              " and fft_length ", length(), " do not go together: each may not be ",
                              "above the next, nor the waves too many");
    }
    TENON_ASSIGN_OR_RETURN(steps_, layers::known_dim(inputs[0], 3, 1));
    TENON_ASSIGN_OR_RETURN(channels_, layers::known_dim(inputs[0], 3, 2));
    for (const auto& [side, left_out] : {std::pair("real", "imag"), std::pair("imag", "real")}) {
      if (mode_ == left_out) continue;
      TENON_ASSIGN_OR_RETURN(const Initializer waves,
                             Initializer::waves(side, window_, scaling_, periodic_));
      add_weight(cat(side, "_kernel"), {frame_length_, 1, length() / 2 + 1}, waves);
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const Endpoint lines = g.reshape(g.op("Transpose", {inputs[0], g.integers({0, 2, 1})}),
                                     g.integers({-1, 1, steps_, 1}));
    std::vector<Endpoint> parts;
    for (size_t i = 0; i < weights().size(); ++i) {
      const Endpoint kernel = g.op("ExpandDims", {trace.read(weight(i)), g.scalar<int32_t>(0)});
      const Endpoint y = g.op("Conv2D", {lines, kernel},
                              {{"strides", layers::window_attr({1, step()})},
                               {"padding", layers::padding_attr(g, padding_)}});
      if (!g.status().ok()) return {};
      // [rows, channels, frames, frequencies]
      parts.push_back(g.reshape(y, g.integers({-1, channels_, g.shape(y)[2], length() / 2 + 1})));
    }
    return arranged(g, combined(g, parts));
  }

 private:
  int64_t step() const { return frame_step_.value_or(frame_length_ / 2); }
  int64_t length() const {
    return fft_length_.value_or(
        static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(frame_length_))));
  }

  Endpoint combined(GraphBuilder& g, const std::vector<Endpoint>& parts) const {
    if (parts.size() == 1) return parts[0];
    if (mode_ == "angle") return g.op("Atan2", {parts[1], parts[0]});
    if (mode_ == "stft") return g.concat(parts, 3);
    const Endpoint power = g.add(g.op("Square", {parts[0]}), g.op("Square", {parts[1]}));
    if (!g.status().ok()) return {};
    const Endpoint least = g.scalar_of(g.dtype(power), kLeastPower);
    if (mode_ == "psd") {
      // All but the first and the last frequency stand for two.
      std::vector<float> counts(static_cast<size_t>(length() / 2 + 1), 2.0f);
      counts.front() = counts.back() = 1.0f;
      return g.mul(power, g.cast(g.constant(Tensor::vector<float>(counts)), g.dtype(power)));
    }
    const Endpoint size = g.op("Sqrt", {g.op("Maximum", {power, least})});
    return mode_ == "magnitude" ? size : g.op("Log", {g.op("Maximum", {size, least})});
  }

  // [rows, frames, frequencies, channels], or channels before frequencies as one dimension.
  Endpoint arranged(GraphBuilder& g, Endpoint x) const {
    if (!g.status().ok()) return {};
    if (expand_dims_) return g.op("Transpose", {x, g.integers({0, 2, 3, 1})});
    const PartialShape shape = g.shape(x);
    return g.reshape(g.op("Transpose", {x, g.integers({0, 2, 1, 3})}),
                     g.integers({-1, shape[2], channels_ * shape[3]}));
  }

  std::string mode_ = "log", padding_ = "valid";
  int64_t frame_length_ = 256, steps_ = 0, channels_ = 0;
  std::optional<int64_t> frame_step_, fft_length_;
  Json window_ = "hann", scaling_ = "density";
  bool periodic_ = false, expand_dims_ = false;
};

}  // namespace

std::shared_ptr<Layer> layers::make_stft_spectrogram() {
  return std::make_shared<STFTSpectrogramLayer>();
}

}  // namespace tenon::keras
