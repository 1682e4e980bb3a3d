// SoftmaxCrossEntropyWithLogits and SparseSoftmaxCrossEntropyWithLogits: a loss a row, and its
// gradient with respect to the logits as a second output.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/softmax.h"

namespace tenon {
namespace {

// Features and labels are [rows, classes], broadcast against each other.
Status cross_entropy_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape, broadcast_shapes(c.input(0), c.input(1)));
  if (!shape.has_rank()) shape = PartialShape::unknown_of_rank(2);
  if (shape.rank() != 2) {
    return invalid_argument("logits and labels must be matrices, their shapes are ", c.input(0),
                            " and ", c.input(1));
  }
  c.set_output(0, {shape[0]});
  c.set_output(1, std::move(shape));
  return absl::OkStatus();
}

Status sparse_cross_entropy_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  PartialShape logits = c.input(0).has_rank() ? c.input(0) : PartialShape::unknown_of_rank(2);
  const int64_t labels = c.input(1).has_rank() ? c.input(1)[0] : -1;
  if (logits[0] >= 0 && labels >= 0 && logits[0] != labels) {
    return invalid_argument("there are ", labels, " labels for logits of shape ", logits);
  }
  if (logits[1] == 0) {
    return invalid_argument("logits of shape ", logits, " have no class");
  }
  if (logits[0] < 0) logits.set(0, labels);
  c.set_output(0, {logits[0]});
  c.set_output(1, std::move(logits));
  return absl::OkStatus();
}

// Fills `wide` of [rows, columns] from a matrix with one row or one column, or both.
template <class T>
void spread_columns(const Shape& narrow, int64_t rows, int64_t columns, const T* from, T* wide) {
  const int64_t row_step = narrow[0] == 1 ? 0 : narrow[1];
  for (int64_t row = 0; row < rows; ++row) {
    const T* source = from + row * row_step;
    for (int64_t column = 0; column < columns; ++column) {
      wide[row * columns + column] = source[narrow[1] == 1 ? 0 : column];
    }
  }
}

// One argument of the loss. A single column is spread into scratch memory; a single row is read
// again and again.
struct LossArgument {
  int input = 0;
  Shape shape;
  bool spread = false;
  size_t scratch_offset = 0;
  int64_t row_stride = 0;
};

LossArgument loss_argument(const Prepare& p, int input, const Shape& output, size_t& scratch) {
  LossArgument argument{input, p.input_shape(input), false, scratch, output[1]};
  if (argument.shape.rank() < 2) argument.shape = Shape{1, argument.shape.num_elements()};
  argument.spread = argument.shape[1] != output[1];
  if (argument.spread) {
    scratch += static_cast<size_t>(output.num_elements()) * size_of(p.input_dtype(input));
    scratch = (scratch + kAlignment - 1) / kAlignment * kAlignment;
  } else if (argument.shape[0] != output[0]) {
    argument.row_stride = 0;
  }
  return argument;
}

template <class T>
const T* loss_values(KernelRun& r, const LossArgument& argument, int64_t rows, int64_t columns) {
  const T* values = r.in<T>(argument.input);
  if (!argument.spread) return values;
  T* wide = reinterpret_cast<T*>(r.scratch<char>() + argument.scratch_offset);
  spread_columns(argument.shape, rows, columns, values, wide);
  return wide;
}

StatusOr<Kernel> make_cross_entropy(Prepare& p) {
  const Shape output = p.output_shape(1).to_shape();
  size_t scratch = 0;
  const LossArgument logits = loss_argument(p, 0, output, scratch);
  const LossArgument labels = loss_argument(p, 1, output, scratch);
  p.reserve_scratch(scratch);
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [logits, labels, rows = output[0], columns = output[1]](KernelRun& r) {
      kernels::softmax_cross_entropy<T>(rows, columns, loss_values<T>(r, logits, rows, columns),
                                        logits.row_stride, loss_values<T>(r, labels, rows, columns),
                                        labels.row_stride, r.out<T>(0), r.out<T>(1));
      return absl::OkStatus();
    };
  });
  return kernel;
}

StatusOr<Kernel> make_sparse_cross_entropy(Prepare& p) {
  const int64_t rows = p.input_shape(0)[0];
  const int64_t columns = p.input_shape(0)[1];
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(1), [&]<class Index>() {
      kernel = [rows, columns](KernelRun& r) -> Status {
        const int64_t bad = kernels::sparse_softmax_cross_entropy<T, Index>(
            rows, columns, r.in<T>(0), r.in<Index>(1), r.out<T>(0), r.out<T>(1));
        if (bad < 0) return absl::OkStatus();
        return invalid_argument("Received a label value of ", r.in<Index>(1)[bad],
                                " which is outside the valid range of [0, ", columns,
                                "): it is label ", bad);
      };
    });
  });
  return kernel;
}

Endpoint cross_entropy_column(GraphBuilder& b, Endpoint loss_gradient) {
  return b.op("ExpandDims", {loss_gradient, b.scalar<int32_t>(-1)});
}

// tensorflow/python/ops/nn_grad.py, _SoftmaxCrossEntropyWithLogitsGrad: the second output's
// gradient is the softmax's Jacobian; labels get the negative log softmax.
Status cross_entropy_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint logits = g.input(0);
  const Endpoint row_gradient = cross_entropy_column(b, g.dy(0));
  Endpoint d_logits = b.mul(row_gradient, g.output(1));
  if (g.has_dy(1)) {
    const Endpoint softmax = b.op("Softmax", {logits});
    const Endpoint inner = b.sum(b.mul(g.dy(1), softmax), std::array{int64_t{-1}}, true);
    d_logits = b.add(d_logits, b.mul(b.sub(g.dy(1), inner), softmax));
  }
  g.set_dx_broadcast(0, d_logits);
  g.set_dx_broadcast(1, b.mul(row_gradient, b.neg(b.op("LogSoftmax", {logits}))));
  return absl::OkStatus();
}

Status sparse_cross_entropy_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  Endpoint d_logits = b.mul(cross_entropy_column(b, g.dy(0)), g.output(1));
  if (g.has_dy(1)) {
    const Endpoint softmax = b.op("Softmax", {g.input(0)});
    const Endpoint inner = b.sum(b.mul(g.dy(1), softmax), std::array{int64_t{-1}}, true);
    d_logits = b.add(d_logits, b.mul(b.sub(g.dy(1), inner), softmax));
  }
  g.set_dx(0, d_logits);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(SoftmaxCrossEntropyWithLogits) = {
    .inputs = "features: T, labels: T",
    .outputs = "loss: T, backprop: T",
    .attrs = "T: {floating}",
    .shape = cross_entropy_shape,
    .rows = Rows::kIndependent,
    .gradient = cross_entropy_gradient,
    .kernels = {make_cross_entropy},
};

TENON_OP(SparseSoftmaxCrossEntropyWithLogits) = {
    .inputs = "features: T, labels: Tlabels",
    .outputs = "loss: T, backprop: T",
    .attrs = "T: {floating}; Tlabels: {int32, int64} = int64",
    .shape = sparse_cross_entropy_shape,
    .rows = Rows::kIndependent,
    .gradient = sparse_cross_entropy_gradient,
    .kernels = {make_sparse_cross_entropy},
};

}  // namespace tenon
