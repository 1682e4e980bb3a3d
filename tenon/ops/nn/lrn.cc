// LRN and LRNGrad: local response normalisation over channels.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

using LrnTypes = TypeList<float, float16, bfloat16>;

struct LrnSpec {
  int64_t radius = 0;
  float bias = 1, alpha = 1, beta = 0.5F;
  int64_t pixels = 0, channels = 0;
  int64_t grain() const { return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, channels)); }
};

Status lrn_shape(ShapeContext& c) {
  if (c.attr<int64_t>("depth_radius") < 0) {
    return invalid_argument("depth_radius = ", c.attr<int64_t>("depth_radius"),
                            " must not be negative");
  }
  PartialShape shape = PartialShape::unknown_of_rank(4);
  for (int i = 0; i < c.num_inputs(); ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 4));
    TENON_ASSIGN_OR_RETURN(shape, PartialShape::merge(shape, c.input(i)));
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

LrnSpec lrn_spec(const Prepare& p) {
  const Shape& x = p.input_shape(0);
  return {p.attr<int64_t>("depth_radius"), p.attr<float>("bias"), p.attr<float>("alpha"),
          p.attr<float>("beta"),           x.product(0, 3),       x[3]};
}

// bias + alpha times the sum of squares around channel `c`.
template <class T>
float lrn_norm(const LrnSpec& s, const T* pixel, int64_t c) {
  float sum = 0;
  const int64_t end = std::min(s.channels, c + s.radius + 1);
  for (int64_t k = std::max<int64_t>(0, c - s.radius); k < end; ++k) {
    const auto value = static_cast<float>(pixel[k]);
    sum += value * value;
  }
  return s.bias + s.alpha * sum;
}

StatusOr<Kernel> make_lrn(Prepare& p) {
  const LrnSpec s = lrn_spec(p);
  Kernel kernel;
  visit<LrnTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [s](KernelRun& r) {
      parallel_for(s.pixels, s.grain(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* x = r.in<T>(0) + i * s.channels;
          T* y = r.out<T>(0) + i * s.channels;
          for (int64_t c = 0; c < s.channels; ++c) {
            y[c] = static_cast<T>(static_cast<float>(x[c]) * std::pow(lrn_norm(s, x, c), -s.beta));
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// Inputs: dy, x, y.
StatusOr<Kernel> make_lrn_grad(Prepare& p) {
  const LrnSpec s = lrn_spec(p);
  Kernel kernel;
  visit<LrnTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [s](KernelRun& r) {
      parallel_for(s.pixels, s.grain(), [&](int64_t begin, int64_t end) {
        std::vector<float> sums(static_cast<size_t>(s.channels));
        for (int64_t i = begin; i < end; ++i) {
          const int64_t at = i * s.channels;
          const T* x = r.in<T>(1) + at;
          std::fill(sums.begin(), sums.end(), 0.0F);
          for (int64_t c = 0; c < s.channels; ++c) {
            const auto dy = static_cast<float>(r.in<T>(0)[at + c]);
            const float norm = lrn_norm(s, x, c);
            const float scale = -2 * s.alpha * s.beta * static_cast<float>(r.in<T>(2)[at + c]);
            const int64_t last = std::min(s.channels, c + s.radius + 1);
            for (int64_t k = std::max<int64_t>(0, c - s.radius); k < last; ++k) {
              float d = scale * static_cast<float>(x[k]) / norm;
              if (k == c) d += std::pow(norm, -s.beta);
              sums[static_cast<size_t>(k)] += d * dy;
            }
          }
          std::transform(sums.begin(), sums.end(), r.out<T>(0) + at,
                         [](float sum) { return static_cast<T>(sum); });
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status lrn_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("LRNGrad", {g.dy(), g.input(0), g.output(0)},
                           {{"depth_radius", g.attr<int64_t>("depth_radius")},
                            {"bias", g.attr<float>("bias")},
                            {"alpha", g.attr<float>("alpha")},
                            {"beta", g.attr<float>("beta")}}));
  return absl::OkStatus();
}

constexpr OpDecl lrn_op(ArgsText inputs, GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: T",
      .attrs =
          "depth_radius: int = 5; bias: float = 1; alpha: float = 1; beta: float = 0.5; "
          "T: {half, bfloat16, float} = float",
      .shape = lrn_shape,
      .rows = Rows::kIndependent,
      .gradient = gradient,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(LRN) = lrn_op("input: T", lrn_gradient, make_lrn);
TENON_OP(LRNGrad) = lrn_op("input_grads: T, input_image: T, output_image: T", not_differentiable,
                           make_lrn_grad);

}  // namespace tenon
