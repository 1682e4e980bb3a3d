// Cumsum and Cumprod.
#include "tenon/core/shape_context.h"
#include "tenon/kernels/gather.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

Status cumulative_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  const Tensor* axis = c.constant(1);
  if (axis && c.input(0).has_rank()) {
    TENON_RETURN_IF_ERROR(resolve_axis(integer_at(*axis, 0), c.input(0).rank()).status());
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// `sum`: a running sum, else a running product.
StatusOr<Kernel> make_cumulative(Prepare& p, bool sum) {
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*p.constant(1), 0), shape.rank()));
  const int64_t outer = shape.product(0, axis);
  const int64_t size = shape[axis];
  const int64_t inner = shape.product(axis + 1, shape.rank());
  const bool exclusive = p.attr<bool>("exclusive");
  const bool reverse = p.attr<bool>("reverse");
  Kernel kernel;
  visit<NumericTypes>(p.input_dtype(0), [&]<class T>() {
    const auto loop = sum ? kernels::cumulative_sum<T> : kernels::cumulative_product<T>;
    kernel = [=](KernelRun& r) {
      loop(outer, size, inner, exclusive, reverse, r.in<T>(0), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  if (!kernel) {
    return unimplemented(p.op().name(), " has no CPU kernel for dtype ", p.input_dtype(0));
  }
  return kernel;
}
StatusOr<Kernel> make_cumsum(Prepare& p) { return make_cumulative(p, true); }
StatusOr<Kernel> make_cumprod(Prepare& p) { return make_cumulative(p, false); }

// The running sum of `x` from the other end.
Value backward_sum(Gradient& g, Value x) {
  return {x.builder, x.builder->op("Cumsum", {x, g.input(1)},
                                   {{"exclusive", g.attr<bool>("exclusive")},
                                    {"reverse", !g.attr<bool>("reverse")}})};
}

Status cumsum_gradient(Gradient& g) {
  g.set_dx(0, backward_sum(g, {&g.build(), g.dy()}));
  return absl::OkStatus();
}

// math_grad.py, _CumprodGrad: not for x with zeros, as in TensorFlow.
Status cumprod_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value x{b, g.input(0)}, y{b, g.output(0)}, dy{b, g.dy()};
  g.set_dx(0, apply("DivNoNan", backward_sum(g, y * dy), x));
  return absl::OkStatus();
}

constexpr OpDecl cumulative(GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = "x: T, axis: Tidx",
      .outputs = "out: T",
      .attrs =
          "exclusive: bool = false; reverse: bool = false; T: {numeric, qint8, quint8, "
          "qint32, qint16, quint16}; Tidx: {int32, int64} = int32",
      .host_inputs = {1},
      .shape = cumulative_shape,
      .rows = rows_beside_axis_input<1>,
      .gradient = gradient,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(Cumsum) = cumulative(cumsum_gradient, make_cumsum);
TENON_OP(Cumprod) = cumulative(cumprod_gradient, make_cumprod);

}  // namespace tenon
