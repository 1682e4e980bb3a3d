// AudioSpectrogram and Mfcc. tensorflow/core/kernels/spectrogram.cc, mfcc.cc,
// mfcc_mel_filterbank.cc, mfcc_dct.cc.
#include <bit>
#include <cmath>
#include <complex>
#include <numbers>

#include "tenon/base/parallel.h"
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

// What a window may hold: tables are made of its size.
constexpr int64_t kMostWindow = int64_t{1} << 24;

int64_t transform_size(int64_t window) {
  return static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(window)));
}

Status spectrogram_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  const auto window = c.attr<int64_t>("window_size"), stride = c.attr<int64_t>("stride");
  if (window < 2 || window > kMostWindow) {
    return invalid_argument("window_size must be in [2, ", kMostWindow, "], got ", window);
  }
  if (stride < 1) return invalid_argument("stride must be strictly positive, got ", stride);
  const PartialShape& x = c.input(0);
  int64_t steps = -1;
  if (x.has_rank() && x[0] >= 0) steps = x[0] < window ? 0 : 1 + (x[0] - window) / stride;
  c.set_output(0, {x.has_rank() ? x[1] : -1, steps, transform_size(window) / 2 + 1});
  return absl::OkStatus();
}

// Cooley-Tukey in place; the size is a power of two.
void fourier_transform(std::vector<std::complex<double>>& x) {
  const size_t n = x.size();
  for (size_t i = 1, j = 0; i < n; ++i) {
    size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (size_t length = 2; length <= n; length *= 2) {
    const double angle = -2 * std::numbers::pi / static_cast<double>(length);
    for (size_t k = 0; k < length / 2; ++k) {
      const std::complex<double> turn = std::polar(1.0, angle * static_cast<double>(k));
      for (size_t i = k; i < n; i += length) {
        const std::complex<double> even = x[i], odd = x[i + length / 2] * turn;
        x[i] = even + odd;
        x[i + length / 2] = even - odd;
      }
    }
  }
}

// input [samples, channels], output [channels, steps, bins].
StatusOr<Kernel> make_spectrogram(Prepare& p) {
  const auto window = p.attr<int64_t>("window_size"), stride = p.attr<int64_t>("stride");
  const bool squared = p.attr<bool>("magnitude_squared");
  const int64_t channels = p.input_shape(0)[1];
  const int64_t steps = p.output_shape(0)[1], bins = p.output_shape(0)[2];
  return Kernel([=](KernelRun& r) {
    // Hann's window, periodic.
    std::vector<double> weights(static_cast<size_t>(window));
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                        static_cast<double>(window));
    }
    parallel_for(channels * steps, 4, [&](int64_t begin, int64_t end) {
      std::vector<std::complex<double>> x;
      for (int64_t at = begin; at < end; ++at) {
        const int64_t channel = at / steps, first = at % steps * stride;
        x.assign(static_cast<size_t>(transform_size(window)), 0.0);
        for (int64_t i = 0; i < window; ++i) {
          x[static_cast<size_t>(i)] =
              weights[static_cast<size_t>(i)] *
              static_cast<double>(r.in<float>(0)[(first + i) * channels + channel]);
        }
        fourier_transform(x);
        for (int64_t k = 0; k < bins; ++k) {
          const auto power = static_cast<float>(std::norm(x[static_cast<size_t>(k)]));
          r.out<float>(0)[at * bins + k] = squared ? power : std::sqrt(power);
        }
      }
    });
    return absl::OkStatus();
  });
}

double mel_of(double hertz) { return 1127 * std::log1p(hertz / 700); }

struct MfccForm {
  double lower, upper;
  int64_t filters, coefficients;
  explicit MfccForm(const AttrMap& attrs)
      : lower(static_cast<double>(attrs.get<float>("lower_frequency_limit"))),
        upper(static_cast<double>(attrs.get<float>("upper_frequency_limit"))),
        filters(attrs.get<int64_t>("filterbank_channel_count")),
        coefficients(attrs.get<int64_t>("dct_coefficient_count")) {}
};

Status mfcc_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 3));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  const MfccForm form(c.attrs());
  if (form.filters < 1 || form.filters > kMostWindow || form.coefficients < 1 ||
      form.coefficients > form.filters) {
    return invalid_argument("there are ", form.coefficients, " coefficients of ", form.filters,
                            " filters");
  }
  if (!(form.lower >= 0) || !(form.upper > form.lower)) {
    return invalid_argument("frequency limits ", form.lower, " and ", form.upper,
                            " must be in order and not negative");
  }
  const PartialShape& x = c.input(0);
  c.set_output(0, {x.has_rank() ? x[0] : -1, x.has_rank() ? x[1] : -1, form.coefficients});
  return absl::OkStatus();
}

// Triangles on the mel scale over the bins of a spectrum.
struct MelFilters {
  int64_t first = 0, last = -1;
  std::vector<int64_t> band;  // the filter whose falling side a bin lies on; -1: before the first
  std::vector<double> weight;

  static StatusOr<MelFilters> make(const MfccForm& form, int64_t bins, double rate) {
    MelFilters mel;
    const double low = mel_of(form.lower);
    const double spacing = (mel_of(form.upper) - low) / static_cast<double>(form.filters + 1);
    const auto center = [&](int64_t i) { return low + spacing * static_cast<double>(i + 1); };
    const double hertz = 0.5 * rate / static_cast<double>(bins - 1);
    if (form.lower / hertz + 1.5 > static_cast<double>(bins)) {
      return invalid_argument("the lowest frequency, ", form.lower, ", lies beyond the spectrum");
    }
    mel.first = static_cast<int64_t>(1.5 + form.lower / hertz);
    mel.last = static_cast<int64_t>(std::min(form.upper / hertz, static_cast<double>(bins)));
    if (mel.last >= bins) {
      return invalid_argument("the highest frequency, ", form.upper, ", lies beyond the spectrum");
    }
    int64_t channel = 0;
    for (int64_t i = 0; i <= mel.last; ++i) {
      const double at = mel_of(static_cast<double>(i) * hertz);
      if (i < mel.first) {
        mel.band.push_back(-2);
        mel.weight.push_back(0);
        continue;
      }
      while (channel < form.filters && center(channel) < at) ++channel;
      const int64_t band = channel - 1;
      mel.band.push_back(band);
      mel.weight.push_back(band >= 0 ? (center(band + 1) - at) / (center(band + 1) - center(band))
                                     : (center(0) - at) / (center(0) - low));
    }
    return mel;
  }

  void apply(const float* spectrum, std::vector<double>& filters) const {
    std::fill(filters.begin(), filters.end(), 0.0);
    const auto count = static_cast<int64_t>(filters.size());
    for (int64_t i = first; i <= last; ++i) {
      const double value = std::sqrt(static_cast<double>(spectrum[i]));
      const double weighted = value * weight[static_cast<size_t>(i)];
      const int64_t at = band[static_cast<size_t>(i)];
      if (at >= 0) filters[static_cast<size_t>(at)] += weighted;
      if (at + 1 < count) filters[static_cast<size_t>(at + 1)] += value - weighted;
    }
  }
};

// The logarithms of what the filters let through, transformed by cosines.
StatusOr<Kernel> make_mfcc(Prepare& p) {
  const MfccForm form(p.attrs());
  const Shape& x = p.input_shape(0);
  const int64_t frames = x.product(0, 2), bins = x[2];
  if (bins < 2) return invalid_argument("a spectrum of ", bins, " bins");
  return Kernel([=](KernelRun& r) -> Status {
    const int32_t rate = *r.in<int32_t>(1);
    if (rate <= 0) return invalid_argument("sample_rate must be positive, got ", rate);
    TENON_ASSIGN_OR_RETURN(const MelFilters mel,
                           MelFilters::make(form, bins, static_cast<double>(rate)));
    std::vector<double> filters(static_cast<size_t>(form.filters));
    const auto count = static_cast<double>(form.filters);
    for (int64_t frame = 0; frame < frames; ++frame) {
      mel.apply(r.in<float>(0) + frame * bins, filters);
      for (double& value : filters) value = std::log(std::max(value, 1e-12));
      for (int64_t i = 0; i < form.coefficients; ++i) {
        double sum = 0;
        for (size_t j = 0; j < filters.size(); ++j) {
          sum += std::sqrt(2.0 / count) * filters[j] *
                 std::cos(static_cast<double>(i) * std::numbers::pi / count *
                          (static_cast<double>(j) + 0.5));
        }
        r.out<float>(0)[frame * form.coefficients + i] = static_cast<float>(sum);
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(AudioSpectrogram) = {
    .inputs = "input: float",
    .outputs = "spectrogram: float",
    .attrs = "window_size: int; stride: int; magnitude_squared: bool = false",
    .shape = spectrogram_shape,
    .gradient = not_differentiable,
    .kernels = {make_spectrogram},
};
TENON_OP(Mfcc) = {
    .inputs = "spectrogram: float, sample_rate: int32",
    .outputs = "output: float",
    .attrs =
        "upper_frequency_limit: float = 4000; lower_frequency_limit: float = 20; "
        "filterbank_channel_count: int = 40; dct_coefficient_count: int = 13",
    .shape = mfcc_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_mfcc},
};

}  // namespace tenon
