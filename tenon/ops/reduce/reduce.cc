// Reductions over axes. Gradients: tensorflow/python/ops/math_grad.py.
#include "tenon/kernels/reduce.h"

#include "tenon/kernels/elementwise.h"
#include "tenon/ops/reduce/reduce_axes.h"

namespace tenon {

using kernels::ReduceOp;

namespace {

// Which dtypes kernels::reduce takes; it says so only while running.
bool reduces(ReduceOp op, DType dtype) {
  switch (op) {
    case ReduceOp::kAll:
    case ReduceOp::kAny:
      return dtype == DType::kBool;
    case ReduceOp::kMax:
    case ReduceOp::kMin:
      return is_floating(dtype) || is_integer(dtype);
    default:
      return is_floating(dtype) || is_integer(dtype) || is_complex(dtype);
  }
}

template <ReduceOp op>
StatusOr<Kernel> make_reduce(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  if (!reduces(op, dtype)) {
    return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  }
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const std::vector<char> reduced,
                         reduced_axes_of(*p.constant(1), shape.rank()));
  static_assert(sizeof(bool) == sizeof(char));
  const std::span<const bool> flags(reinterpret_cast<const bool*>(reduced.data()), reduced.size());
  const kernels::ReducePlan plan = kernels::plan_reduce(shape, flags);
  // Gradients of broadcasts often turn out to sum over nothing.
  const bool copies = plan.reduced_count == 1 && op != ReduceOp::kEuclideanNorm;
  if (copies) {
    p.may_overwrite(0, 0);
    return [](KernelRun& r) {
      const Tensor& x = r.input(0);
      void* y = r.output(0).mutable_raw();
      if (y != x.raw()) std::memcpy(y, x.raw(), x.num_bytes());
      return absl::OkStatus();
    };
  }
  return [=](KernelRun& r) {
    kernels::reduce(op, dtype, plan, r.input(0).raw(), r.output(0).mutable_raw());
    return absl::OkStatus();
  };
}

Value spread(Gradient& g, Value value) {
  GraphBuilder& b = g.build();
  const PartialShape x = g.input_shape(0);
  const Endpoint shape = x.is_fully_known() ? b.integers(x.dims()) : b.shape_of(g.input(0));
  return {&b, b.op("BroadcastTo", {value, shape})};
}

Status sum_gradient(Gradient& g) {
  g.set_dx(0, spread(g, keep_reduced_dims(g, g.dy())));
  return absl::OkStatus();
}

// Elements that went into one result, as a value of dx's dtype.
Value reduced_count(Gradient& g, DType dtype) {
  GraphBuilder& b = g.build();
  const int64_t x = g.input_shape(0).num_elements();
  const int64_t y = b.shape(g.output(0)).num_elements();
  if (x >= 0 && y >= 0) {
    return {&b, b.scalar_of(dtype, static_cast<double>(x / std::max<int64_t>(y, 1)))};
  }
  const Endpoint output_size = b.op("Maximum", {b.op("Size", {g.output(0)}), b.scalar<int32_t>(1)});
  const Endpoint count = b.op("FloorDiv", {b.op("Size", {g.input(0)}), output_size});
  return {&b, b.cast(count, dtype)};
}

Status mean_gradient(Gradient& g) {
  const Value dy = keep_reduced_dims(g, g.dy());
  g.set_dx(0, spread(g, dy / reduced_count(g, dy.dtype())));
  return absl::OkStatus();
}

// The largest (smallest) elements share dy.
Status extremum_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Value x{&b, g.input(0)};
  const Value dy = keep_reduced_dims(g, g.dy());
  const Value y = keep_reduced_dims(g, g.output(0));
  const Value chosen = cast(apply("Equal", y, x), dy.dtype());
  const Value count{&b, b.op("Sum", {chosen, g.input(1)}, {{"keep_dims", true}})};
  g.set_dx(0, (chosen / count) * dy);
  return absl::OkStatus();
}

Status euclidean_norm_gradient(Gradient& g) {
  const Value x{&g.build(), g.input(0)};
  g.set_dx(0, x / (keep_reduced_dims(g, g.output(0)) / keep_reduced_dims(g, g.dy())));
  return absl::OkStatus();
}

// Each element's derivative is the product of the others: the products before and after it along
// the reduced axes, which are brought together first.
Status prod_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Value reduced{&b, reduced_mask(g)};
  const Value kept = 1.0 - reduced;
  const auto running = [&](Value counts) {
    return Value{&b, b.op("Cumsum", {counts, b.scalar<int32_t>(0)}, {{"exclusive", true}})};
  };
  const Value reduced_count{&b, b.sum(reduced, std::vector<int64_t>{0})};
  // Where each axis goes, reduced ones first.
  const Value position = reduced * running(reduced) + kept * (reduced_count + running(kept));
  const Value x{&b, b.op("Transpose", {g.input(0), apply("InvertPermutation", position)})};
  const Endpoint shape = b.shape_of(x);
  const auto product_of = [&](Value mask) {  // of the dimensions that it names
    const Value sizes{&b, b.op("Pow", {b.shape_of(g.input(0)), mask})};
    return b.op("Prod", {sizes, b.scalar<int32_t>(0)}, {{"keep_dims", false}});
  };
  const Endpoint flat = b.reshape(x, b.op("Pack", {product_of(reduced), product_of(kept)}));
  const auto products = [&](bool reverse) {
    return Value{&b, b.op("Cumprod", {flat, b.scalar<int32_t>(0)},
                          {{"exclusive", true}, {"reverse", reverse}})};
  };
  const Value product = conj(products(false)) * conj(products(true));
  const Value restored{&b, b.op("Transpose", {b.reshape(product, shape), position})};
  g.set_dx(0, spread(g, keep_reduced_dims(g, g.dy())) * restored);
  return absl::OkStatus();
}

// Of one element each, all reductions but the norm are that element.
template <ReduceOp op>
constexpr OpDecl reduction(ArgsText inputs, ArgsText outputs, AttrsText attrs,
                           GradientFn gradient) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .host_inputs = {1},
      .view_if_same_shape = op == ReduceOp::kEuclideanNorm ? -1 : 0,
      .shape = reduction_shape,
      .rows = reduction_rows,
      .gradient = gradient,
      .kernels = {make_reduce<op>},
  };
}
template <ReduceOp op>
constexpr OpDecl numeric_reduction(GradientFn gradient) {
  return reduction<op>(
      "input: T, reduction_indices: Tidx", "output: T",
      "keep_dims: bool = false; T: {numeric, qint8, quint8, qint32, qint16, quint16}; "
      "Tidx: {int32, int64} = int32",
      gradient);
}
template <ReduceOp op>
constexpr OpDecl real_reduction() {
  return reduction<op>(
      "input: T, reduction_indices: Tidx", "output: T",
      "keep_dims: bool = false; T: {real, qint8, quint8, qint32, qint16, quint16}; "
      "Tidx: {int32, int64} = int32",
      extremum_gradient);
}
template <ReduceOp op>
constexpr OpDecl logical_reduction() {
  return reduction<op>("input: bool, reduction_indices: Tidx", "output: bool",
                       "keep_dims: bool = false; Tidx: {int32, int64} = int32", not_differentiable);
}

}  // namespace

TENON_OP(Sum) = numeric_reduction<ReduceOp::kSum>(sum_gradient);
TENON_OP(Mean) = numeric_reduction<ReduceOp::kMean>(mean_gradient);
TENON_OP(Prod) = numeric_reduction<ReduceOp::kProd>(prod_gradient);
TENON_OP(EuclideanNorm) = numeric_reduction<ReduceOp::kEuclideanNorm>(euclidean_norm_gradient);
TENON_OP(Max) = real_reduction<ReduceOp::kMax>();
TENON_OP(Min) = real_reduction<ReduceOp::kMin>();
TENON_OP(All) = logical_reduction<ReduceOp::kAll>();
TENON_OP(Any) = logical_reduction<ReduceOp::kAny>();

}  // namespace tenon
