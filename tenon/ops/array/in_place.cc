// InplaceUpdate, InplaceAdd, InplaceSub: rows of a tensor changed. DeepCopy, ParallelConcat.
#include <cstring>

#include "tenon/core/shape_context.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

using kernels::BinaryOp;

// x [rows, ...], i [n], v [n, ...].
Status in_place_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& x = c.input(0);
  const PartialShape& v = c.input(2);
  if (x.has_rank() && v.has_rank()) {
    bool fits = x.rank() == v.rank() && x.rank() > 0;
    for (int i = 1; fits && i < x.rank(); ++i) fits = x[i] < 0 || v[i] < 0 || x[i] == v[i];
    if (!fits) return invalid_argument("x and v shape doesn't match: ", x, " vs. ", v);
    const int64_t count = c.input(1).has_rank() ? c.input(1)[0] : -1;
    if (count >= 0 && v[0] >= 0 && count != v[0]) {
      return invalid_argument("i and x shape doesn't match at index 0: ", count, " vs. ", v[0]);
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

// `change(row, values)`, in bytes. Rows count from the end where they are negative, and around.
template <class Change>
Kernel in_place_kernel(Prepare& p, Change change) {
  const Shape& x = p.input_shape(0);
  const int64_t rows = x[0];
  const size_t bytes = static_cast<size_t>(x.product(1, x.rank())) * size_of(p.input_dtype(0));
  p.may_overwrite(0, 0);
  return [=](KernelRun& r) {
    if (rows == 0 || bytes == 0) return absl::OkStatus();
    char* y = r.out<char>(0);
    if (y != r.in<char>(0)) std::memcpy(y, r.in<char>(0), static_cast<size_t>(rows) * bytes);
    const auto chosen = r.input(1).span<int32_t>();
    for (size_t i = 0; i < chosen.size(); ++i) {
      const int64_t row = (chosen[i] % rows + rows) % rows;
      change(y + static_cast<size_t>(row) * bytes, r.in<char>(2) + i * bytes);
    }
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_in_place_update(Prepare& p) {
  const Shape& x = p.input_shape(0);
  if (is_object(p.input_dtype(0))) {
    return unimplemented("InplaceUpdate has no kernel for dtype ", p.input_dtype(0));
  }
  const size_t bytes = static_cast<size_t>(x.product(1, x.rank())) * size_of(p.input_dtype(0));
  return in_place_kernel(p, [bytes](char* to, const char* from) { std::memcpy(to, from, bytes); });
}

template <BinaryOp op>
StatusOr<Kernel> make_in_place(Prepare& p) {
  const kernels::BinaryKernel combine = kernels::find_binary(op, p.input_dtype(0));
  if (!combine) {
    return unimplemented(p.op().name(), " has no kernel for dtype ", p.input_dtype(0));
  }
  const int64_t inner = p.input_shape(0).product(1, p.input_shape(0).rank());
  return in_place_kernel(p,
                         [=](char* to, const char* from) { combine(to, 1, from, 1, to, inner); });
}

constexpr OpDecl in_place(KernelFactory factory) {
  return {
      .inputs = "x: T, i: int32, v: T",
      .outputs = "y: T",
      .attrs = "T: type",
      .shape = in_place_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

// Each value is one row of the result, whose shape is given.
Status parallel_concat_shape(ShapeContext& c) {
  const PartialShape& y = c.attr<PartialShape>("shape");
  if (!y.is_fully_known() || y.rank() < 1) {
    return invalid_argument("the shape of ParallelConcat must be fully known, it is ", y);
  }
  if (y[0] != c.num_inputs()) {
    return invalid_argument("ParallelConcat of ", c.num_inputs(), " values has the shape ", y);
  }
  PartialShape row = y;
  row.set(0, 1);
  for (int i = 0; i < c.num_inputs(); ++i) {
    TENON_RETURN_IF_ERROR(PartialShape::merge(row, c.input(i)).status());
  }
  c.set_output(0, y);
  return absl::OkStatus();
}

StatusOr<Kernel> make_parallel_concat(Prepare& p) {
  const size_t bytes =
      static_cast<size_t>(p.input_shape(0).num_elements()) * size_of(p.input_dtype(0));
  return Kernel([bytes](KernelRun& r) {
    for (int i = 0; i < r.num_inputs() && bytes > 0; ++i) {
      std::memcpy(r.out<char>(0) + static_cast<size_t>(i) * bytes, r.input(i).raw(), bytes);
    }
    own_elements(r, 0, 0, r.num_inputs());
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(InplaceUpdate) = in_place(make_in_place_update);
TENON_OP(InplaceAdd) = in_place(make_in_place<BinaryOp::kAdd>);
TENON_OP(InplaceSub) = in_place(make_in_place<BinaryOp::kSub>);

TENON_OP(DeepCopy) = {
    .inputs = "x: T",
    .outputs = "y: T",
    .attrs = "T: type",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_copy},
};

TENON_OP(ParallelConcat) = {
    .inputs = "values: N * T",
    .outputs = "output: T",
    .attrs = "N: int >= 1; T: type; shape: shape",
    .shape = parallel_concat_shape,
    .gradient = not_differentiable,
    .kernels = {make_parallel_concat},
};

}  // namespace tenon
