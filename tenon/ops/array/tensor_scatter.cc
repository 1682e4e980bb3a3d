// TensorScatterUpdate, Add, Sub, Max, Min: a copy of a tensor with slices changed.
#include "tenon/graph/gradient.h"
#include "tenon/kernels/scalar/extremum.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/array/nd_index.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

using kernels::BinaryOp;

Status tensor_scatter_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(bad_index_policy(c.attrs()).status());
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(1, 1));
  TENON_RETURN_IF_ERROR(check_nd_updates(c.input(0), c.input(1), c.input(2)));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// `change(to, from)` puts one slice of the updates into the output.
template <class Change>
StatusOr<Kernel> tensor_scatter_kernel(Prepare& p, Change change) {
  TENON_ASSIGN_OR_RETURN(const BadIndex policy, bad_index_policy(p.attrs()));
  const NdLayout layout(p.input_shape(0), p.input_shape(1));
  const size_t element = size_of(p.input_dtype(0));
  const size_t bytes = static_cast<size_t>(layout.inner) * element;
  const size_t total = static_cast<size_t>(p.input_shape(0).num_elements()) * element;
  p.may_overwrite(0, 0);
  Kernel kernel;
  visit<NdIndexTypes>(p.input_dtype(1), [&]<class Index>() {
    kernel = [=](KernelRun& r) -> Status {
      if (total == 0) return absl::OkStatus();
      char* y = r.out<char>(0);
      if (y != r.in<char>(0)) std::memcpy(y, r.in<char>(0), total);
      const Index* index = r.in<Index>(1);
      for (int64_t i = 0; i < layout.slices; ++i, index += layout.dims.size()) {
        const int64_t slice = layout.slice_at(index);
        if (slice >= 0) {
          change(y + static_cast<size_t>(slice) * bytes,
                 r.in<char>(2) + static_cast<size_t>(i) * bytes);
        } else if (policy != BadIndex::kIgnore) {
          return outside_params(i, index, layout);
        }
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

StatusOr<Kernel> make_tensor_scatter_update(Prepare& p) {
  const NdLayout layout(p.input_shape(0), p.input_shape(1));
  const size_t bytes = static_cast<size_t>(layout.inner) * size_of(p.input_dtype(0));
  if (p.input_dtype(0) == DType::kResource || p.input_dtype(0) == DType::kVariant) {
    return unimplemented("TensorScatterUpdate has no kernel for dtype ", p.input_dtype(0));
  }
  TENON_ASSIGN_OR_RETURN(
      Kernel kernel, tensor_scatter_kernel(
                         p, [bytes](char* to, const char* from) { std::memcpy(to, from, bytes); }));
  if (!is_object(p.input_dtype(0))) return kernel;
  return Kernel([kernel](KernelRun& r) -> Status {
    TENON_RETURN_IF_ERROR(kernel(r));
    own_elements(r, 0, 0);
    own_elements(r, 0, 2);
    return absl::OkStatus();
  });
}

template <BinaryOp op>
StatusOr<Kernel> make_tensor_scatter(Prepare& p) {
  // A sum of booleans is true where one of them is.
  const bool either = op == BinaryOp::kAdd && p.input_dtype(0) == DType::kBool;
  const bool extremum = op == BinaryOp::kMaximum || op == BinaryOp::kMinimum;
  const kernels::BinaryKernel combine =
      extremum ? kernels::find_extremum(op == BinaryOp::kMaximum, p.input_dtype(0))
               : kernels::find_binary(either ? BinaryOp::kLogicalOr : op, p.input_dtype(0));
  if (!combine) {
    return unimplemented(p.op().name(), " has no CPU kernel for dtype ", p.input_dtype(0));
  }
  const NdLayout layout(p.input_shape(0), p.input_shape(1));
  return tensor_scatter_kernel(p, [combine, inner = layout.inner](char* to, const char* from) {
    combine(to, 1, from, 1, to, inner);
  });
}

Value gather_updates(Gradient& g, Endpoint x) {
  return {&g.build(), g.build().op("GatherNd", {x, g.input(1)})};
}

// array_grad.py, _TensorScatterUpdateGrad.
Status tensor_scatter_update_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  g.set_dx(0, b.op("TensorScatterUpdate", {g.dy(), g.input(1), b.zeros_like(g.input(2))}));
  g.set_dx(2, gather_updates(g, g.dy()));
  return absl::OkStatus();
}
Status tensor_scatter_add_gradient(Gradient& g) {
  g.set_dx(0, g.dy());
  g.set_dx(2, gather_updates(g, g.dy()));
  return absl::OkStatus();
}
Status tensor_scatter_sub_gradient(Gradient& g) {
  g.set_dx(0, g.dy());
  g.set_dx(2, -gather_updates(g, g.dy()));
  return absl::OkStatus();
}

// The candidates that equal the extremum share its gradient: _TensorScatterMinOrMaxGrad.
Status tensor_scatter_extremum_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value y{b, g.output(0)}, dy{b, g.dy()};
  const Value x_chosen = cast(apply("Equal", y, Value{b, g.input(0)}), dy.dtype());
  const Value update_chosen =
      cast(apply("Equal", gather_updates(g, y), Value{b, g.input(2)}), dy.dtype());
  const Endpoint shape = b->op("Shape", {g.input(0)}, {{"out_type", b->dtype(g.input(1))}});
  const Value chosen = x_chosen + Value{b, b->op("ScatterNd", {g.input(1), update_chosen, shape})};
  const Value shared = dy / chosen;  // NaN where a NaN is the extremum, as TensorFlow's
  g.set_dx(0, shared * x_chosen);
  g.set_dx(2, gather_updates(g, shared) * update_chosen);
  return absl::OkStatus();
}

constexpr OpDecl tensor_scatter(AttrsText attrs, GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = "tensor: T, indices: Tindices, updates: T",
      .outputs = "output: T",
      .attrs = attrs,
      .shape = tensor_scatter_shape,
      .gradient = gradient,
      .kernels = {factory},
  };
}

#define TENON_SCATTER_ATTRS "T: type; Tindices: {int32, int64}; bad_indices_policy: string = ''"

}  // namespace

TENON_OP(TensorScatterUpdate) = tensor_scatter(
    "T: type; Tindices: {int16, int32, int64, uint16}; bad_indices_policy: "
    "string = ''",
    tensor_scatter_update_gradient, make_tensor_scatter_update);
TENON_OP(TensorScatterAdd) = tensor_scatter(TENON_SCATTER_ATTRS, tensor_scatter_add_gradient,
                                            make_tensor_scatter<BinaryOp::kAdd>);
TENON_OP(TensorScatterSub) = tensor_scatter(TENON_SCATTER_ATTRS, tensor_scatter_sub_gradient,
                                            make_tensor_scatter<BinaryOp::kSub>);
TENON_OP(TensorScatterMax) = tensor_scatter(TENON_SCATTER_ATTRS, tensor_scatter_extremum_gradient,
                                            make_tensor_scatter<BinaryOp::kMaximum>);
TENON_OP(TensorScatterMin) = tensor_scatter(TENON_SCATTER_ATTRS, tensor_scatter_extremum_gradient,
                                            make_tensor_scatter<BinaryOp::kMinimum>);

TENON_OP(ScatterNdNonAliasingAdd) = {
    .inputs = "input: T, indices: Tindices, updates: T",
    .outputs = "output: T",
    .attrs =
        "T: {numeric, qint8, quint8, qint32, qint16, quint16, bool}; Tindices: {int32, int64}; "
        "bad_indices_policy: string = ''",
    .shape = tensor_scatter_shape,
    .gradient = tensor_scatter_add_gradient,
    .kernels = {make_tensor_scatter<BinaryOp::kAdd>},
};

#undef TENON_SCATTER_ATTRS

}  // namespace tenon
