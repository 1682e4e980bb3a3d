// MelSpectrogram: how loud each band of the mel scale is over time (keras/src/layers/preprocessing/
// mel_spectrogram.py).
#include <cmath>
#include <numbers>

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras {

namespace {

// A file of a few bytes can ask for any; audio has a thousandth of it.
constexpr int64_t kMostWeights = int64_t{1} << 28;

// HTK's mel scale.
double to_mel(double hertz) { return 1127.0 * std::log(1 + hertz / 700.0); }

class MelSpectrogramLayer final : public Layer {
 public:
  std::string_view class_name() const override { return "MelSpectrogram"; }
  void fields(ConfigFields& f) override {
    f.field("fft_length", fft_length_);
    f.field("sequence_stride", stride_);
    f.field("sequence_length", sequence_length_);
    f.field("window", window_);
    f.field("sampling_rate", sampling_rate_);
    f.field("num_mel_bins", mel_bins_);
    f.field("min_freq", min_freq_);
    f.field("max_freq", max_freq_);
    f.field("power_to_db", power_to_db_);
    f.field("top_db", top_db_);
    f.field("mag_exp", mag_exp_);
    f.field("min_power", min_power_);
    f.field("ref_power", ref_power_);
  }
  Status build(const Shapes& inputs) override {
    const int64_t sizes[] = {fft_length_, stride_, mel_bins_};
    TENON_RETURN_IF_ERROR(
        layers::check_window("fft_length, sequence_stride and num_mel_bins", sizes));
    if (length() <= 0 || length() > fft_length_) {
      return invalid_argument("sequence_length is ", length(), ", expected 1 to fft_length, ",
                              fft_length_);
    }
    if (fft_length_ * mel_bins_ > kMostWeights) {
      return invalid_argument("fft_length ", fft_length_, " and num_mel_bins ", mel_bins_,
                              " make the table of bands too large");
    }
    if (!window_.is_null() && window_ != Json("hann") && window_ != Json("hamming")) {
      return unimplemented("window ", window_.dump(), " is not implemented; there are hann, ",
                           "hamming and null");
    }
    for (const Json* number :
         {&sampling_rate_, &min_freq_, &top_db_, &mag_exp_, &min_power_, &ref_power_}) {
      if (!number->number()) return invalid_argument(number->dump(), " is no number");
    }
    if (!max_freq_.is_null() && !max_freq_.number()) {
      return invalid_argument("max_freq is ", max_freq_.dump(), ", expected a number");
    }
    const int rank = inputs[0].rank();
    if (rank != 1 && rank != 2) {
      return invalid_argument("the input has shape ", inputs[0], ", expected [samples] for a row");
    }
    return absl::OkStatus();
  }
  Outputs call(Trace& trace, const Arguments& inputs) override {
    GraphBuilder& g = trace.build();
    const DType compute = policy().compute;
    const DType dtype = compute == DType::kDouble ? compute : DType::kFloat;
    Endpoint x = power(g, frames(g, g.cast(inputs[0], dtype)));
    if (!g.status().ok()) return {};
    const PartialShape shape = g.shape(x);  // [rows,] frames, frequencies
    std::vector<int64_t> form(shape.dims().begin(), shape.dims().end());
    const int64_t frequencies = fft_length_ / 2 + 1;
    const Endpoint flat = g.reshape(x, g.integers({-1, frequencies}));
    x = g.matmul(flat, g.cast(g.constant(mel_weights(frequencies)), dtype));
    x = g.reshape(x, as_frames(g, inputs[0]));
    if (power_to_db_) x = decibels(g, x, shape.rank());
    const Endpoint order = shape.rank() == 2 ? g.integers({1, 0}) : g.integers({0, 2, 1});
    return g.cast(g.op("Transpose", {x, order}), compute);
  }

 private:
  // The shape of the bands over time: [rows,] frames, bands.
  Endpoint as_frames(GraphBuilder& g, Endpoint signal) const {
    const PartialShape& from = g.shape(signal);
    const int64_t samples = from[from.rank() - 1];
    if (samples < 0) {
      const Endpoint leading = g.slice(g.shape_of(signal), 0, from.rank() - 1);
      return g.concat({leading, g.integers({-1, mel_bins_})}, 0);
    }
    const int64_t room = samples + 2 * (fft_length_ / 2) - fft_length_;
    const int64_t count = room < 0 ? 0 : room / stride_ + 1;
    return from.rank() == 1 ? g.integers({count, mel_bins_}) : g.integers({-1, count, mel_bins_});
  }
  int64_t length() const { return sequence_length_.value_or(fft_length_); }

  // The parts of a signal that are transformed: [..., frames, fft_length].
  Endpoint frames(GraphBuilder& g, Endpoint x) const {
    if (!g.status().ok()) return {};
    const int rank = g.shape(x).rank();
    std::vector<int32_t> pads(static_cast<size_t>(2 * rank), 0);
    pads[pads.size() - 1] = pads[pads.size() - 2] = static_cast<int32_t>(fft_length_ / 2);
    x = g.op("MirrorPad", {x, g.constant(Tensor::from<int32_t>(Shape{rank, 2}, pads))},
             {{"mode", std::string("REFLECT")}});
    const auto number = [&](int64_t value) { return g.scalar(static_cast<int32_t>(value)); };
    const Endpoint room = g.sub(g.dim(x, rank - 1), number(fft_length_));
    const Endpoint count = g.add(g.op("FloorDiv", {room, number(stride_)}), number(1));
    const Endpoint begins =
        g.mul(g.op("Range", {number(0), g.op("Maximum", {count, number(0)}), number(1)}),
              number(stride_));
    const Endpoint within = g.op("Range", {number(0), number(fft_length_), number(1)});
    const Endpoint places =
        g.add(g.op("ExpandDims", {begins, number(1)}), g.op("ExpandDims", {within, number(0)}));
    const Endpoint parts = g.op("GatherV2", {x, places, number(rank - 1)});
    return window_.is_null() ? parts : g.mul(parts, g.cast(g.constant(window()), g.dtype(x)));
  }

  // In the middle of fft_length.
  Tensor window() const {
    std::vector<float> values(static_cast<size_t>(fft_length_), 0.0f);
    const bool hann = window_ == Json("hann");
    const int64_t before = (fft_length_ - length()) / 2;
    for (int64_t i = 0; i < length(); ++i) {
      const double turn =
          2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(length());
      const double value = hann ? 0.5 - 0.5 * std::cos(turn) : 0.54 - 0.46 * std::cos(turn);
      values[static_cast<size_t>(before + i)] = static_cast<float>(length() == 1 ? 1 : value);
    }
    return Tensor::vector<float>(values);
  }

  Endpoint power(GraphBuilder& g, Endpoint parts) const {
    const DType real = g.dtype(parts);
    const bool wide = real == DType::kDouble;
    const Endpoint spectrum =
        g.op("RFFT", {parts, g.integers({fft_length_})},
             {{"Treal", real}, {"Tcomplex", wide ? DType::kComplex128 : DType::kComplex64}});
    const auto squared = [&](std::string_view part) {
      return g.op("Square", {g.op(part, {spectrum}, {{"Tout", real}})});
    };
    const Endpoint size = g.op("Sqrt", {g.add(squared("Real"), squared("Imag"))});
    return g.op("Pow", {size, g.scalar_of(real, *mag_exp_.number())});
  }

  // [frequencies, bands]: triangles between the edges of bands, which overlap.
  Tensor mel_weights(int64_t frequencies) const {
    const double nyquist = *sampling_rate_.number() / 2;
    const double low = to_mel(*min_freq_.number());
    const double most = max_freq_.number().value_or(0);
    const double high = to_mel(most != 0 ? most : std::floor(nyquist));
    const auto edge = [&](int64_t i) {
      return low + (high - low) * static_cast<double>(i) / static_cast<double>(mel_bins_ + 1);
    };
    std::vector<float> weights(static_cast<size_t>(frequencies * mel_bins_), 0.0f);
    for (int64_t k = 1; k < frequencies; ++k) {
      const double mel = to_mel(nyquist * static_cast<double>(k) /
                                static_cast<double>(std::max<int64_t>(1, frequencies - 1)));
      for (int64_t band = 0; band < mel_bins_; ++band) {
        const double rising = (mel - edge(band)) / (edge(band + 1) - edge(band));
        const double falling = (edge(band + 2) - mel) / (edge(band + 2) - edge(band + 1));
        weights[static_cast<size_t>(k * mel_bins_ + band)] =
            static_cast<float>(std::max(0.0, std::min(rising, falling)));
      }
    }
    return Tensor::from<float>(Shape{frequencies, mel_bins_}, weights);
  }

  // At most top_db below the loudest of the whole batch.
  Endpoint decibels(GraphBuilder& g, Endpoint x, int rank) const {
    const DType dtype = g.dtype(x);
    const auto number = [&](double value) { return g.scalar_of(dtype, value); };
    const double least = *min_power_.number();
    x = g.op("Log", {g.op("Maximum", {x, number(least)})});
    x = g.mul(x, number(10 / std::numbers::ln10));
    const double reference = std::max(std::abs(*ref_power_.number()), least);
    x = g.sub(x, number(10 * std::log10(reference)));
    std::vector<int64_t> axes;
    for (int axis = 0; axis < rank; ++axis) axes.push_back(axis);
    const Endpoint loudest = g.op("Max", {x, g.integers(axes)});
    return g.op("Maximum", {x, g.sub(loudest, number(*top_db_.number()))});
  }

  int64_t fft_length_ = 2048, stride_ = 512, mel_bins_ = 128;
  std::optional<int64_t> sequence_length_;
  Json window_ = "hann", sampling_rate_ = 16000, min_freq_ = 20.0, max_freq_, top_db_ = 80.0,
       mag_exp_ = 2.0, min_power_ = 1e-10, ref_power_ = 1.0;
  bool power_to_db_ = true;
};

}  // namespace

std::shared_ptr<Layer> layers::make_mel_spectrogram() {
  return std::make_shared<MelSpectrogramLayer>();
}

}  // namespace tenon::keras
