// Softmax and LogSoftmax over the last axis.
#include "tenon/kernels/softmax.h"

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

Status softmax_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  return same_as_input<0>(c);
}

template <bool log>
StatusOr<Kernel> make_softmax(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  const int64_t columns = shape[shape.rank() - 1];
  const int64_t rows = shape.product(0, shape.rank() - 1);
  p.may_overwrite(0, 0);
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [rows, columns](KernelRun& r) {
      (log ? kernels::log_softmax<T> : kernels::softmax<T>)(rows, columns, r.in<T>(0), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  return kernel;
}

Endpoint softmax_row_sum(GraphBuilder& b, Endpoint x) {
  return b.sum(x, std::array{int64_t{-1}}, true);
}

// tensorflow/python/ops/nn_grad.py: (dy - sum(dy * y)) * y.
Status softmax_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint y = g.output(0);
  const Endpoint sum = softmax_row_sum(b, b.mul(g.dy(), y));
  g.set_dx(0, b.mul(b.sub(g.dy(), sum), y));
  return absl::OkStatus();
}

// dy - sum(dy) * softmax.
Status log_softmax_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint softmax = b.op("Exp", {g.output(0)});
  g.set_dx(0, b.sub(g.dy(), b.mul(softmax_row_sum(b, g.dy()), softmax)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Softmax) = {
    .inputs = "logits: T",
    .outputs = "softmax: T",
    .attrs = "T: {floating}",
    .shape = softmax_shape,
    .rows = Rows::kIndependentUnlessRank1,
    .gradient = softmax_gradient,
    .kernels = {make_softmax<false>},
};

TENON_OP(LogSoftmax) = {
    .inputs = "logits: T",
    .outputs = "logsoftmax: T",
    .attrs = "T: {floating}",
    .shape = softmax_shape,
    .rows = Rows::kIndependentUnlessRank1,
    .gradient = log_softmax_gradient,
    .kernels = {make_softmax<true>},
};

}  // namespace tenon
