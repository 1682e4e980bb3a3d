// Pad and PadV2.
#include "tenon/graph/gradient.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/array/padding.h"

namespace tenon {

StatusOr<Paddings> read_paddings(const Tensor& value, int rank) {
  if (value.rank() != 2 || value.dim(0) != rank || value.dim(1) != 2) {
    return invalid_argument("paddings must have shape [", rank, ",2] for an input of rank ", rank,
                            ", it has ", value.shape());
  }
  Paddings paddings;
  for (int64_t i = 0; i < rank; ++i) {
    paddings.before.push_back(integer_at(value, 2 * i));
    paddings.after.push_back(integer_at(value, 2 * i + 1));
    if (paddings.before.back() < 0 || paddings.after.back() < 0) {
      return invalid_argument("Paddings must be non-negative: ", paddings.before.back(), " ",
                              paddings.after.back());
    }
  }
  return paddings;
}

Status padded_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  if (c.num_inputs() > 2) TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  const PartialShape& x = c.input(0);
  const PartialShape& paddings_shape = c.input(1);
  const Tensor* value = c.constant(1);
  if (!x.has_rank() || !value) {
    const int64_t rank = x.has_rank()                ? x.rank()
                         : paddings_shape.has_rank() ? paddings_shape[0]
                                                     : -1;
    c.set_output(0, rank >= 0 && rank <= kMaxRank
                        ? PartialShape::unknown_of_rank(static_cast<int>(rank))
                        : PartialShape());
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const Paddings paddings, read_paddings(*value, x.rank()));
  PartialShape y = x;
  for (int axis = 0; axis < x.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    TENON_ASSIGN_OR_RETURN(const int64_t with_before, add_dims(x[axis], paddings.before[i]));
    TENON_ASSIGN_OR_RETURN(const int64_t size, add_dims(with_before, paddings.after[i]));
    y.set(axis, size);
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

namespace {

template <bool has_value>
StatusOr<Kernel> make_pad(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  if (is_object(dtype) && dtype != DType::kString) {
    return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  }
  if (has_value && p.input_shape(2).num_elements() != 1) {
    return invalid_argument("constant_values must be a scalar. Found: ", p.input_shape(2));
  }
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const Paddings paddings, read_paddings(*p.constant(1), shape.rank()));
  const size_t size = size_of(dtype);
  if (shape.rank() == 0) return make_copy(p);
  return [=](KernelRun& r) {
    alignas(16) constexpr char kZero[16] = {};
    const void* value = has_value ? r.input(2).raw() : kZero;
    kernels::pad(size, shape, paddings.before, paddings.after, r.input(0).raw(), value,
                 r.output(0).mutable_raw());
    own_elements(r, 0, 0);
    if (has_value) own_elements(r, 0, 2);
    return absl::OkStatus();
  };
}

// array_grad.py, _PadGrad.
template <bool has_value>
Status pad_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint rank = b.op("Rank", {g.input(0)});
  const Endpoint count = b.op("Pack", {rank, b.scalar<int32_t>(1)});
  const Endpoint before =
      b.op("Slice", {b.cast(g.input(1), DType::kInt32), b.integers({0, 0}), count});
  const Endpoint begin = b.reshape(before, b.integers({-1}));
  const Endpoint dx = b.op("Slice", {g.dy(), begin, b.shape_of(g.input(0))});
  g.set_dx(0, dx);
  if (has_value) {
    const auto total = [&](Endpoint x) {
      return b.op("Sum", {b.reshape(x, b.integers({-1})), b.integers({0})});
    };
    g.set_dx(2, b.sub(total(g.dy()), total(dx)));
  }
  return absl::OkStatus();
}

Rows pad_rows(const ShapeContext& c) {
  const Tensor* paddings = c.constant(1);
  const bool apart = paddings && paddings->num_elements() >= 2 && integer_at(*paddings, 0) == 0 &&
                     integer_at(*paddings, 1) == 0;
  return apart ? Rows::kIndependent : Rows::kMixed;
}

}  // namespace

TENON_OP(Pad) = {
    .inputs = "input: T, paddings: Tpaddings",
    .outputs = "output: T",
    .attrs = "T: type; Tpaddings: {int32, int64} = int32",
    .host_inputs = {1},
    .view_if_same_shape = 0,
    .shape = padded_shape,
    .rows = pad_rows,
    .gradient = pad_gradient<false>,
    .kernels = {make_pad<false>},
};

TENON_OP(PadV2) = {
    .inputs = "input: T, paddings: Tpaddings, constant_values: T",
    .outputs = "output: T",
    .attrs = "T: type; Tpaddings: {int32, int64} = int32",
    .host_inputs = {1},
    .view_if_same_shape = 0,
    .shape = padded_shape,
    .rows = pad_rows,
    .gradient = pad_gradient<true>,
    .kernels = {make_pad<true>},
};

}  // namespace tenon
