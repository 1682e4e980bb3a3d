// BatchNormWithGlobalNormalization and its gradient op, TensorFlow's first batch normalisation.
#include <cmath>

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// t [.., depth], four dimensions; the vectors after it have `depth` elements.
Status check_vectors(ShapeContext& c, int vectors) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  const int64_t depth = c.input(0).has_rank() ? c.input(0)[3] : -1;
  for (int i = 1; i <= vectors; ++i) {
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const int64_t size = c.input(i).has_rank() ? c.input(i)[0] : -1;
    if (size >= 0 && depth >= 0 && size != depth) {
      return invalid_argument("input ", i, " must have ", depth, " elements, it has ", size);
    }
  }
  return absl::OkStatus();
}

Status global_norm_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_vectors(c, 4));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

struct GlobalNormForm {
  bool scaled;
  double epsilon;
  explicit GlobalNormForm(const AttrMap& attrs)
      : scaled(attrs.get<bool>("scale_after_normalization")),
        epsilon(static_cast<double>(attrs.get<float>("variance_epsilon"))) {}
};

// Inputs: t, mean, variance, beta, gamma.
StatusOr<Kernel> make_global_norm(Prepare& p) {
  const GlobalNormForm form(p.attrs());
  const int64_t count = p.input_shape(0).num_elements(), depth = p.input_shape(0)[3];
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      const auto at = [&](int input, int64_t i) { return static_cast<double>(r.in<T>(input)[i]); };
      for (int64_t i = 0; i < count; ++i) {
        const int64_t c = i % depth;
        const double scale = (form.scaled ? at(4, c) : 1.0) / std::sqrt(at(2, c) + form.epsilon);
        r.out<T>(0)[i] = static_cast<T>((at(0, i) - at(1, c)) * scale + at(3, c));
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("a batch normalisation of dtype ", p.input_dtype(0));
  return kernel;
}

Status global_norm_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_vectors(c, 3));
  TENON_ASSIGN_OR_RETURN(PartialShape dx, PartialShape::merge(c.input(0), c.input(4)));
  PartialShape vector = {dx.has_rank() ? dx[3] : -1};
  for (int i = 1; i < 4; ++i) {
    TENON_ASSIGN_OR_RETURN(vector, PartialShape::merge(vector, c.input(i)));
  }
  c.set_output(0, std::move(dx));
  for (int i = 1; i < 5; ++i) c.set_output(i, vector);
  return absl::OkStatus();
}

// Inputs: t, mean, variance, gamma, dy. Outputs: with respect to t, mean, variance, beta, gamma.
StatusOr<Kernel> make_global_norm_grad(Prepare& p) {
  const GlobalNormForm form(p.attrs());
  const int64_t count = p.input_shape(0).num_elements(), depth = p.input_shape(0)[3];
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      const auto at = [&](int input, int64_t i) { return static_cast<double>(r.in<T>(input)[i]); };
      for (int64_t c = 0; c < depth; ++c) {
        const double inverse = 1 / std::sqrt(at(2, c) + form.epsilon);
        const double gamma = form.scaled ? at(3, c) : 1.0;
        double sum = 0, moment = 0;
        for (int64_t i = c; i < count; i += depth) {
          const double dy = at(4, i);
          sum += dy;
          moment += dy * (at(0, i) - at(1, c));
          r.out<T>(0)[i] = static_cast<T>(dy * gamma * inverse);
        }
        r.out<T>(1)[c] = static_cast<T>(-sum * gamma * inverse);
        r.out<T>(2)[c] = static_cast<T>(-0.5 * moment * gamma * inverse * inverse * inverse);
        r.out<T>(3)[c] = static_cast<T>(sum);
        r.out<T>(4)[c] = static_cast<T>(form.scaled ? moment * inverse : 0.0);
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("a batch normalisation of dtype ", p.input_dtype(0));
  return kernel;
}

Status global_norm_gradient(Gradient& g) {
  const std::vector<Endpoint> dx =
      g.build().ops("BatchNormWithGlobalNormalizationGrad",
                    {g.input(0), g.input(1), g.input(2), g.input(4), g.dy()},
                    {{"variance_epsilon", g.attr<float>("variance_epsilon")},
                     {"scale_after_normalization", g.attr<bool>("scale_after_normalization")}});
  for (size_t i = 0; i < dx.size(); ++i) g.set_dx(static_cast<int>(i), dx[i]);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(BatchNormWithGlobalNormalization) = {
    .inputs = "t: T, m: T, v: T, beta: T, gamma: T",
    .outputs = "result: T",
    .attrs =
        "T: {numeric, qint8, quint8, qint32, qint16, quint16}; variance_epsilon: float; "
        "scale_after_normalization: bool",
    .shape = global_norm_shape,
    .rows = Rows::kIndependent,
    .gradient = global_norm_gradient,
    .kernels = {make_global_norm},
};
TENON_OP(BatchNormWithGlobalNormalizationGrad) = {
    .inputs = "t: T, m: T, v: T, gamma: T, backprop: T",
    .outputs = "dx: T, dm: T, dv: T, db: T, dg: T",
    .attrs =
        "T: {numeric, qint8, quint8, qint32, qint16, quint16}; variance_epsilon: float; "
        "scale_after_normalization: bool",
    .shape = global_norm_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_global_norm_grad},
};

}  // namespace tenon
