// ExtractGlimpse and V2: windows of images around given places; what lies outside an image is
// noise. tensorflow/core/kernels/eigen_attention.h.
#include <cmath>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/random/random_stream.h"
#include "tenon/ops/random/simple_philox.h"

namespace tenon {
namespace {

enum class GlimpseNoise : uint8_t { kUniform, kGaussian, kZero };

StatusOr<GlimpseNoise> glimpse_noise(const AttrMap& attrs) {
  const bool uniform = attrs.get<bool>("uniform_noise");
  const auto& noise = attrs.get<std::string>("noise");
  if (uniform && !noise.empty() && noise != "uniform") {
    return invalid_argument("The uniform_noise and noise could not be specified at the same time");
  }
  if (noise == "uniform" || (noise.empty() && uniform)) return GlimpseNoise::kUniform;
  if (noise == "gaussian" || noise.empty()) return GlimpseNoise::kGaussian;
  if (noise == "zero") return GlimpseNoise::kZero;
  return invalid_argument("The noise could only be uniform, gaussian, or zero, got ", noise);
}

Status glimpse_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(glimpse_noise(c.attrs()).status());
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 2));
  PartialShape y = c.input(0).has_rank() ? c.input(0) : PartialShape::unknown_of_rank(4);
  const PartialShape& offsets = c.input(2);
  if (!PartialShape::merge(offsets, {y[0], 2}).ok()) {
    return invalid_argument("offsets must have shape ", PartialShape{y[0], 2}, ", they have ",
                            offsets);
  }
  y.set(1, -1);
  y.set(2, -1);
  if (const Tensor* size = c.constant(1)) {
    if (size->num_elements() != 2) {
      return invalid_argument("size must be a vector of size 2 (height, width), its shape is ",
                              size->shape());
    }
    for (int i = 0; i < 2; ++i) {
      if (integer_at(*size, i) < 0) {
        return invalid_argument("a glimpse has the negative size ", integer_at(*size, i));
      }
      y.set(i + 1, integer_at(*size, i));
    }
  }
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(y.dims(), sizeof(float)).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Where a window of `window` begins along an axis of `size`. In the first version the offset is
// always the window's middle, and a centred one is in halves of the image; the second version means
// the middle only where offsets are both centred and normalized.
struct GlimpseForm {
  bool normalized = true, centered = true, v2 = false;

  int64_t begin(float offset, int64_t size, int64_t window) const {
    const auto whole = static_cast<float>(size);
    if (normalized) offset *= whole;
    if (centered) offset = (normalized || !v2 ? offset / 2 : offset) + whole / 2;
    if (!v2 || (normalized && centered)) offset -= static_cast<float>(window) / 2;
    constexpr float kMost = 0x1p40F;
    return std::isnan(offset) ? 0 : static_cast<int64_t>(std::clamp(offset, -kMost, kMost));
  }
};

struct GlimpseSize {
  int64_t rows, columns, channels;
  int64_t elements() const { return rows * columns * channels; }
};

// Noise of the range of the image, or of the mean and deviation of each of its channels.
void fill_noise(GlimpseNoise noise, const float* x, const GlimpseSize& image, int64_t count,
                float* y, SimplePhilox& numbers) {
  const int64_t channels = image.channels, cells = image.rows * image.columns;
  if (noise == GlimpseNoise::kZero || cells == 0) return std::fill_n(y, count, 0.0F), void();
  for (int64_t c = 0; c < channels; ++c) {
    float low = x[c], high = x[c];
    double sum = 0, squares = 0;
    const int64_t first = noise == GlimpseNoise::kUniform ? 0 : c;
    const int64_t step = noise == GlimpseNoise::kUniform ? 1 : channels;
    for (int64_t i = first; i < cells * channels; i += step) {
      low = std::min(low, x[i]);
      high = std::max(high, x[i]);
      sum += x[i];
    }
    const double mean = sum / static_cast<double>(cells);
    for (int64_t i = c; i < cells * channels; i += channels)
      squares += (x[i] - mean) * (x[i] - mean);
    const double deviation = std::sqrt(squares / static_cast<double>(cells));
    for (int64_t i = c; i < count; i += channels) {
      if (noise == GlimpseNoise::kUniform) {
        y[i] = low + numbers.unit_float() * (high - low);
        continue;
      }
      // Box and Muller's normal numbers.
      const double radius = std::sqrt(-2 * std::log(std::max(numbers.unit_double(), 1e-7)));
      const double value = mean + deviation * radius * std::sin(2 * M_PI * numbers.unit_double());
      y[i] = std::min(std::max(static_cast<float>(value), low), high);
    }
  }
}

template <bool v2>
StatusOr<Kernel> make_glimpse(Prepare& p) {
  const Shape x = p.input_shape(0), y = p.output_shape(0).to_shape();
  const GlimpseForm form{p.attr<bool>("normalized"), p.attr<bool>("centered"), v2};
  TENON_ASSIGN_OR_RETURN(const GlimpseNoise noise, glimpse_noise(p.attrs()));
  // TensorFlow's noise has no seed.
  const auto seed = static_cast<uint64_t>(std::hash<std::string_view>()(p.node_name()));
  return Kernel([=](KernelRun& r) {
    const GlimpseSize image{x[1], x[2], x[3]}, window{y[1], y[2], y[3]};
    SimplePhilox numbers(kernels::Philox::from_seeds(r.context().seed, seed | 1));
    for (int64_t b = 0; b < y[0]; ++b) {
      const float* from = r.in<float>(0) + b * image.elements();
      float* to = r.out<float>(0) + b * window.elements();
      const int64_t top = form.begin(r.in<float>(2)[2 * b], image.rows, window.rows);
      const int64_t left = form.begin(r.in<float>(2)[2 * b + 1], image.columns, window.columns);
      if (top < 0 || left < 0 || top + window.rows > image.rows ||
          left + window.columns > image.columns) {
        fill_noise(noise, from, image, window.elements(), to, numbers);
      }
      const int64_t first = std::max<int64_t>(left, 0);
      const int64_t last = std::min(left + window.columns, image.columns);
      for (int64_t row = std::max<int64_t>(top, 0);
           row < std::min(top + window.rows, image.rows) && first < last; ++row) {
        std::copy_n(from + (row * image.columns + first) * image.channels,
                    (last - first) * image.channels,
                    to + ((row - top) * window.columns + first - left) * image.channels);
      }
    }
    return absl::OkStatus();
  });
}

template <bool v2>
constexpr OpDecl glimpse_op() {
  return {
      .inputs = "input: float, size: int32, offsets: float",
      .outputs = "glimpse: float",
      .attrs =
          "centered: bool = true; normalized: bool = true; uniform_noise: bool = true; noise: "
          "string = 'uniform'",
      .effect = Effect::kRandom,
      .host_inputs = {1},
      .shape = glimpse_shape,
      .gradient = not_differentiable,
      .kernels = {make_glimpse<v2>},
  };
}

}  // namespace

TENON_OP(ExtractGlimpse) = glimpse_op<false>();
TENON_OP(ExtractGlimpseV2) = glimpse_op<true>();

}  // namespace tenon
