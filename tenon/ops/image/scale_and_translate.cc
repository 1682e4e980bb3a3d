// ScaleAndTranslate and its gradient op: resampling with a kernel that may widen with the step.
#include <cmath>
#include <numbers>

#include "tenon/base/parallel.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/image/resize.h"

namespace tenon {
namespace {

// tensorflow/core/kernels/image/sampling_kernels.h: the value at a distance, and how far it
// reaches.
struct SamplingKernel {
  float radius = 0;
  std::function<float(float)> at;
};

SamplingKernel lanczos(float radius) {
  return {radius, [radius](float x) {
            if (x > radius) return 0.0F;
            if (x <= 1e-3F) return 1.0F;
            constexpr float kPi = std::numbers::pi_v<float>;
            return radius * std::sin(kPi * x) * std::sin(kPi * x / radius) / (kPi * kPi * x * x);
          }};
}

StatusOr<SamplingKernel> sampling_kernel(const std::string& name) {
  if (name == "lanczos1") return lanczos(1);
  if (name == "lanczos3") return lanczos(3);
  if (name == "lanczos5") return lanczos(5);
  if (name == "gaussian") {
    constexpr float kRadius = 1.5F, kSigma = 0.5F;
    return SamplingKernel{kRadius, [](float x) {
                            return x >= kRadius ? 0.0F : std::exp(-x * x / (2 * kSigma * kSigma));
                          }};
  }
  if (name == "box") {
    return SamplingKernel{0.5F, [](float x) { return x < 0.5F ? 1.0F : x == 0.5F ? 0.5F : 0.0F; }};
  }
  if (name == "triangle") {
    return SamplingKernel{1, [](float x) { return x < 1 ? 1 - x : 0.0F; }};
  }
  if (name == "keyscubic") {
    return SamplingKernel{2, [](float x) {
                            if (x >= 2) return 0.0F;
                            if (x >= 1) return ((-0.5F * x + 2.5F) * x - 4) * x + 2;
                            return (1.5F * x - 2.5F) * x * x + 1;
                          }};
  }
  if (name == "mitchellcubic") {
    return SamplingKernel{2, [](float x) {
                            if (x >= 2) return 0.0F;
                            if (x >= 1) {
                              return (((-7.0F / 18) * x + 2) * x - 10.0F / 3) * x + 16.0F / 9;
                            }
                            return ((7.0F / 6) * x - 2) * x * x + 8.0F / 9;
                          }};
  }
  return invalid_argument("Unrecognized kernel type: ", name);
}

// The input positions that make one output position, and their weights.
struct SampledSpan {
  int64_t first = 0;
  std::vector<float> weights;
};

std::vector<SampledSpan> sampled_spans(const SamplingKernel& kernel, int64_t out, int64_t in,
                                       float scale, float translation, bool antialias) {
  const float inverse = 1 / scale;
  const float shift = -inverse * translation;
  const float widen = antialias ? std::max(inverse, 1.0F) : 1.0F;
  const float narrow = 1 / widen;
  std::vector<SampledSpan> spans(static_cast<size_t>(out));
  for (int64_t i = 0; i < out; ++i) {
    const float at = (static_cast<float>(i) + 0.5F) * inverse + shift;
    // Nothing is read from outside the image.
    if (!(at >= 0 && at <= static_cast<float>(in))) continue;
    const float reach = kernel.radius * widen;
    const auto clamped = [&](float x) {
      return static_cast<int64_t>(std::clamp(x, 0.0F, static_cast<float>(in - 1)));
    };
    SampledSpan& span = spans[static_cast<size_t>(i)];
    span.first = clamped(std::ceil(at - reach - 0.5F));
    const int64_t last = clamped(std::floor(at + reach - 0.5F));
    float sum = 0;
    for (int64_t j = span.first; j <= last; ++j) {
      const float weight = kernel.at(std::abs((static_cast<float>(j) + 0.5F - at) * narrow));
      sum += weight;
      span.weights.push_back(weight);
    }
    if (std::abs(sum) >= 1000 * std::numeric_limits<float>::min()) {
      for (float& weight : span.weights) weight *= 1 / sum;
    } else {
      std::fill(span.weights.begin(), span.weights.end(), 0.0F);
    }
  }
  return spans;
}

struct ResampleSpec {
  SamplingKernel kernel;
  bool antialias = true;
  int64_t batch = 0, in_rows = 0, in_columns = 0, out_rows = 0, out_columns = 0, channels = 0;
};

struct ResampleSpans {
  std::vector<SampledSpan> rows, columns;
};

// Inputs 2 and 3 (or 2 and 3 of the gradient op): scale and translation, rows first.
StatusOr<ResampleSpans> resample_spans(const KernelRun& r, const ResampleSpec& s) {
  const float* scale = r.in<float>(2);
  const float* translation = r.in<float>(3);
  if (!(scale[0] > 0 && scale[1] > 0)) {
    return invalid_argument("Scale must be greater than zero, it is ", scale[0], ", ", scale[1]);
  }
  return ResampleSpans{
      sampled_spans(s.kernel, s.out_rows, s.in_rows, scale[0], translation[0], s.antialias),
      sampled_spans(s.kernel, s.out_columns, s.in_columns, scale[1], translation[1], s.antialias)};
}

Status check_pairs(const ShapeContext& c) {
  for (int i : {2, 3}) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    if (c.input(i).has_rank() && c.input(i)[0] >= 0 && c.input(i)[0] != 2) {
      return invalid_argument(c.op().inputs()[static_cast<size_t>(i)].name,
                              " must have two elements, its shape is ", c.input(i));
    }
  }
  return sampling_kernel(c.attr<std::string>("kernel_type")).status();
}

Status scale_and_translate_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_pairs(c));
  return resize_shape(c);
}

StatusOr<Kernel> make_scale_and_translate(Prepare& p) {
  const Shape& in = p.input_shape(0);
  const Shape out = p.output_shape(0).to_shape();
  TENON_ASSIGN_OR_RETURN(SamplingKernel sampling,
                         sampling_kernel(p.attr<std::string>("kernel_type")));
  if (in[1] <= 0 || in[2] <= 0 || in[3] <= 0) {
    return invalid_argument("input image must be of non-zero size, its shape is ", in);
  }
  const ResampleSpec s{
      std::move(sampling), p.attr<bool>("antialias"), in[0], in[1], in[2], out[1], out[2], in[3]};
  Kernel kernel;
  visit<ImageTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [s](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(const ResampleSpans spans, resample_spans(r, s));
      const int64_t line = s.in_columns * s.channels;
      parallel_for(s.batch * s.out_rows, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> between(static_cast<size_t>(line));
        for (int64_t i = begin; i < end; ++i) {
          const SampledSpan& row = spans.rows[static_cast<size_t>(i % s.out_rows)];
          const T* image = r.in<T>(0) + i / s.out_rows * s.in_rows * line;
          std::fill(between.begin(), between.end(), 0.0F);
          for (size_t k = 0; k < row.weights.size(); ++k) {
            const T* from = image + (row.first + static_cast<int64_t>(k)) * line;
            for (int64_t j = 0; j < line; ++j) {
              between[static_cast<size_t>(j)] += static_cast<float>(from[j]) * row.weights[k];
            }
          }
          float* y = r.out<float>(0) + i * s.out_columns * s.channels;
          for (const SampledSpan& column : spans.columns) {
            std::fill_n(y, s.channels, 0.0F);
            for (size_t k = 0; k < column.weights.size(); ++k) {
              const float* from =
                  between.data() + (column.first + static_cast<int64_t>(k)) * s.channels;
              for (int64_t c = 0; c < s.channels; ++c) y[c] += from[c] * column.weights[k];
            }
            y += s.channels;
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status scale_and_translate_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const DType dtype = b.dtype(g.input(0));
  if (dtype != DType::kFloat) return absl::OkStatus();
  g.set_dx(0, b.op("ScaleAndTranslateGrad", {g.dy(), g.input(0), g.input(2), g.input(3)},
                   {{"kernel_type", g.attr<std::string>("kernel_type")},
                    {"antialias", g.attr<bool>("antialias")}}));
  return absl::OkStatus();
}

Status scale_and_translate_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_pairs(c));
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  c.set_output(0, c.input(1));
  return absl::OkStatus();
}

StatusOr<Kernel> make_scale_and_translate_grad(Prepare& p) {
  const Shape& in = p.input_shape(1);
  const Shape& out = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(SamplingKernel sampling,
                         sampling_kernel(p.attr<std::string>("kernel_type")));
  if (in[0] != out[0] || in[3] != out[3]) {
    return invalid_argument("batch and channels of the image ", in, " and the gradient ", out,
                            " differ");
  }
  const ResampleSpec s{
      std::move(sampling), p.attr<bool>("antialias"), in[0], in[1], in[2], out[1], out[2], in[3]};
  return Kernel([s](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const ResampleSpans spans, resample_spans(r, s));
    const int64_t size = s.in_rows * s.in_columns * s.channels;
    parallel_for(s.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        float* dx = r.out<float>(0) + i * size;
        std::fill_n(dx, size, 0.0F);
        const float* dy = r.in<float>(0) + i * s.out_rows * s.out_columns * s.channels;
        for (const SampledSpan& row : spans.rows) {
          for (const SampledSpan& column : spans.columns) {
            for (size_t a = 0; a < row.weights.size(); ++a) {
              for (size_t b = 0; b < column.weights.size(); ++b) {
                const float weight = row.weights[a] * column.weights[b];
                float* to = dx + ((row.first + static_cast<int64_t>(a)) * s.in_columns +
                                  column.first + static_cast<int64_t>(b)) *
                                     s.channels;
                for (int64_t c = 0; c < s.channels; ++c) to[c] += dy[c] * weight;
              }
            }
            dy += s.channels;
          }
        }
      }
    });
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(ScaleAndTranslate) = {
    .inputs = "images: T, size: int32, scale: float, translation: float",
    .outputs = "resized_images: float",
    .attrs =
        "T: {int8, uint8, int16, uint16, int32, int64, bfloat16, half, float, double}; "
        "kernel_type: string = 'lanczos3'; antialias: bool = true",
    .host_inputs = {1},
    .shape = scale_and_translate_shape,
    .rows = Rows::kIndependent,
    .gradient = scale_and_translate_gradient,
    .kernels = {make_scale_and_translate},
};

TENON_OP(ScaleAndTranslateGrad) = {
    .inputs = "grads: T, original_image: T, scale: float, translation: float",
    .outputs = "output: T",
    .attrs = "T: {float}; kernel_type: string = 'lanczos3'; antialias: bool = true",
    .shape = scale_and_translate_grad_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_scale_and_translate_grad},
};

}  // namespace tenon
