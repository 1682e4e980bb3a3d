// SparseFillEmptyRows, the gradients of empty rows, SparseReduceSum, SparseReduceMax,
// SparseTensorDenseMatMul.
#include <cstring>

#include "tenon/graph/gradient.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/array/elements.h"
#include "tenon/ops/math/value.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

Status fill_empty_rows_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  const PartialShape& indices = c.input(0);
  int64_t rows = -1;
  if (const Tensor* shape = c.constant(2)) {
    if (shape->num_elements() == 0) return invalid_argument("Dense shape cannot be empty");
    rows = integer_at(*shape, 0);
  }
  c.set_output(0, {-1, indices.has_rank() ? indices[1] : -1});
  c.set_output(1, {-1});
  c.set_output(2, {rows < 0 ? -1 : rows});
  c.set_output(3, {indices.has_rank() ? indices[0] : -1});
  return absl::OkStatus();
}

// Rows in order, each with its values as they come; a row without any gets the default at column 0.
Status fill_empty_rows(KernelRun& r) {
  const Coordinates in(r.input(0));
  TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
  if (shape.rank() == 0) return invalid_argument("Dense shape cannot be empty");
  const int64_t rows = shape[0];
  std::vector<int64_t> ends(static_cast<size_t>(rows) + 1, 0);
  for (int64_t i = 0; i < in.count; ++i) {
    const int64_t row = in.row(i)[0];
    if (row < 0 || row >= rows) {
      return invalid_argument("indices(", i, ", 0) is invalid: ", row, " >= ", rows);
    }
    ++ends[static_cast<size_t>(row) + 1];
  }
  TENON_RETURN_IF_ERROR(r.allocate_output(2, Shape{rows}));
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    r.out<bool>(2)[row] = ends[row + 1] == 0;
    ends[row + 1] = ends[row] + std::max<int64_t>(1, ends[row + 1]);
  }
  const int64_t count = ends.back();
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{count, in.rank}));
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{count}));
  TENON_RETURN_IF_ERROR(r.allocate_output(3, Shape{in.count}));
  const size_t bytes = size_of(r.output(1).dtype());
  for (int64_t row = 0; row < rows; ++row) {
    if (!r.out<bool>(2)[row]) continue;
    const int64_t at = ends[static_cast<size_t>(row)];
    std::fill_n(r.out<int64_t>(0) + at * in.rank, in.rank, int64_t{0});
    r.out<int64_t>(0)[at * in.rank] = row;
    std::memcpy(r.out<char>(1) + static_cast<size_t>(at) * bytes, r.input(3).raw(), bytes);
  }
  for (int64_t i = 0; i < in.count; ++i) {
    const int64_t at = ends[static_cast<size_t>(in.row(i)[0])]++;
    std::ranges::copy(in.row(i), r.out<int64_t>(0) + at * in.rank);
    std::memcpy(r.out<char>(1) + static_cast<size_t>(at) * bytes,
                r.in<char>(1) + static_cast<size_t>(i) * bytes, bytes);
    r.out<int64_t>(3)[i] = at;
  }
  own_elements(r, 1, 1);
  own_elements(r, 1, 3);
  return absl::OkStatus();
}

StatusOr<Kernel> make_fill_empty_rows(Prepare&) { return Kernel(fill_empty_rows); }

Status fill_empty_rows_gradient(Gradient& g) {
  const std::vector<Endpoint> dx = g.build().ops("SparseFillEmptyRowsGrad", {g.output(3), g.dy(1)});
  if (dx.size() == 2) {
    g.set_dx(1, dx[0]);
    g.set_dx(3, dx[1]);
  }
  return absl::OkStatus();
}

Status fill_empty_rows_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  c.set_output(0, c.input(0));
  c.set_output(1, Shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_fill_empty_rows_grad(Prepare& p) {
  Kernel kernel;
  visit<NumericTypes>(p.input_dtype(1), [&]<class T>() {
    kernel = [](KernelRun& r) -> Status {
      const auto places = r.input(0).span<int64_t>();
      const auto dy = r.input(1).span<T>();
      std::vector<bool> taken(dy.size());
      for (size_t i = 0; i < places.size(); ++i) {
        if (places[i] < 0 || places[i] >= static_cast<int64_t>(dy.size())) {
          return invalid_argument("Elements in reverse index must be in [0, ", dy.size(),
                                  ") but got ", places[i]);
        }
        const auto at = static_cast<size_t>(places[i]);
        r.out<T>(0)[i] = dy[at];
        taken[at] = true;
      }
      T sum{};
      for (size_t i = 0; i < dy.size(); ++i) {
        if (!taken[i]) sum = static_cast<T>(sum + dy[i]);
      }
      *r.out<T>(1) = sum;
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("gradients of empty rows are numbers");
  return kernel;
}

Status sparse_reduce_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse_reduction(c));
  const Tensor* shape = c.constant(2);
  const Tensor* axes = c.constant(3);
  if (!shape || !axes) return unknown_shape(c);
  const auto rank = static_cast<int>(shape->num_elements());
  TENON_ASSIGN_OR_RETURN(const std::vector<bool> reduced, sparse_reduced_axes(*axes, rank));
  const std::vector<int64_t> dims =
      sparse_reduced_dims(integers_of(*shape), reduced, c.attr<bool>("keep_dims"));
  TENON_RETURN_IF_ERROR(Shape::make(dims, 16).status());
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

template <kernels::BinaryOp op>
StatusOr<Kernel> make_sparse_reduce(Prepare& p) {
  const DType dtype = p.input_dtype(1);
  const kernels::BinaryKernel combine = kernels::find_binary(op, dtype);
  if (!combine) return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  const bool keep = p.attr<bool>("keep_dims");
  return Kernel([combine, keep, bytes = size_of(dtype)](KernelRun& r) -> Status {
    const Coordinates rows(r.input(0));
    TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
    TENON_RETURN_IF_ERROR(check_bounds(rows, shape));
    TENON_ASSIGN_OR_RETURN(const std::vector<bool> reduced,
                           sparse_reduced_axes(r.input(3), shape.rank()));
    const std::vector<int64_t> dims = sparse_reduced_dims(shape.dims(), reduced, keep);
    const Shape output{std::span<const int64_t>(dims)};
    TENON_RETURN_IF_ERROR(r.allocate_output(0, output));
    const auto count = static_cast<size_t>(output.num_elements());
    char* y = r.out<char>(0);
    std::memset(y, 0, count * bytes);
    std::vector<bool> begun(count);
    for (int64_t i = 0; i < rows.count; ++i) {
      int64_t offset = 0;
      for (int axis = 0; axis < shape.rank(); ++axis) {
        const auto at = static_cast<size_t>(axis);
        if (!reduced[at]) offset = offset * shape[axis] + rows.row(i)[at];
      }
      char* to = y + static_cast<size_t>(offset) * bytes;
      const char* from = r.in<char>(1) + static_cast<size_t>(i) * bytes;
      if (begun[static_cast<size_t>(offset)]) {
        combine(to, 1, from, 1, to, 1);
      } else {
        std::memcpy(to, from, bytes);
        begun[static_cast<size_t>(offset)] = true;
      }
    }
    return absl::OkStatus();
  });
}

// sparse_grad.py, _SparseReduceSumGrad: each value gets the gradient of the sum it is part of.
Status sparse_reduce_sum_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = g.input(2);
  const Endpoint rank = b.op("Size", {shape});
  const Endpoint axes = b.op("FloorMod", {b.add(g.input(3), rank), rank});
  // 1 where an axis is reduced, its size elsewhere.
  const Endpoint marked = b.op(
      "Minimum", {b.op("UnsortedSegmentSum", {b.op("OnesLike", {b.reshape(axes, b.integers({-1}))}),
                                              b.reshape(axes, b.integers({-1})), rank}),
                  b.scalar<int32_t>(1)});
  const Endpoint kept = b.op("SelectV2", {b.op("Equal", {marked, b.scalar<int32_t>(1)}),
                                          b.op("OnesLike", {shape}), shape});
  const Endpoint scale = b.op("FloorDiv", {shape, b.op("Maximum", {kept, b.scalar<int64_t>(1)})});
  const Endpoint places =
      b.op("FloorDiv", {g.input(0), b.op("Maximum", {scale, b.scalar<int64_t>(1)})});
  g.set_dx(1, b.op("GatherNd", {b.reshape(g.dy(), kept), places}));
  return absl::OkStatus();
}

Status sparse_matmul_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 2));
  const bool adjoint_a = c.attr<bool>("adjoint_a"), adjoint_b = c.attr<bool>("adjoint_b");
  const PartialShape& b = c.input(3);
  int64_t rows = -1, inner = -1;
  if (c.input(2).has_rank() && c.input(2)[0] >= 0 && c.input(2)[0] != 2) {
    return invalid_argument("Tensor 'a_shape' must have 2 elements, it has ", c.input(2)[0]);
  }
  if (const Tensor* shape = c.constant(2)) {
    rows = integer_at(*shape, adjoint_a ? 1 : 0);
    inner = integer_at(*shape, adjoint_a ? 0 : 1);
  }
  int64_t columns = -1;
  if (b.has_rank()) {
    columns = b[adjoint_b ? 0 : 1];
    const int64_t other = b[adjoint_b ? 1 : 0];
    if (inner >= 0 && other >= 0 && inner != other) {
      return invalid_argument(
          "Cannot multiply A and B because inner dimension does not match: ", inner, " vs. ", other,
          ". Did you forget a transpose? Dimensions of A: ", rows, " x ", inner);
    }
  }
  c.set_output(0, {rows < 0 ? -1 : rows, columns});
  return absl::OkStatus();
}

template <class T>
T adjoint(T value, bool yes) {
  if constexpr (is_complex(dtype_of<T>)) {
    return yes ? std::conj(value) : value;
  } else {
    return value;
  }
}

// Half precision sums in float.
template <class T, class Index>
Status sparse_matmul(KernelRun& r, bool adjoint_a, bool adjoint_b) {
  using Sum = std::conditional_t<is_floating(dtype_of<T>) && sizeof(T) == 2, float, T>;
  TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
  const Tensor& b = r.input(3);
  const int64_t rows = shape[adjoint_a ? 1 : 0], inner = shape[adjoint_a ? 0 : 1];
  const int64_t columns = b.dim(adjoint_b ? 0 : 1);
  if (b.dim(adjoint_b ? 1 : 0) != inner) {
    return invalid_argument("Cannot multiply A and B because inner dimension does not match: ",
                            inner, " vs. ", b.dim(adjoint_b ? 1 : 0));
  }
  TENON_RETURN_IF_ERROR(Shape::make({{rows, columns}}, sizeof(Sum)).status());
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{rows, columns}));
  std::vector<Sum> sums(static_cast<size_t>(rows * columns));
  const auto values = r.input(1).span<T>();
  const Index* index = r.in<Index>(0);
  for (size_t i = 0; i < values.size(); ++i, index += 2) {
    const auto m = static_cast<int64_t>(index[adjoint_a ? 1 : 0]);
    const auto k = static_cast<int64_t>(index[adjoint_a ? 0 : 1]);
    if (m < 0 || m >= rows || k < 0 || k >= inner) {
      return invalid_argument("index ", i, " of A, [", index[0], ", ", index[1],
                              "], is out of bounds of ", shape);
    }
    const Sum value = static_cast<Sum>(adjoint(values[i], adjoint_a));
    Sum* to = sums.data() + m * columns;
    const T* from = b.data<T>() + (adjoint_b ? k : k * columns);
    const int64_t step = adjoint_b ? inner : 1;
    for (int64_t n = 0; n < columns; ++n) {
      to[n] += value * static_cast<Sum>(adjoint(from[n * step], adjoint_b));
    }
  }
  std::transform(sums.begin(), sums.end(), r.out<T>(0),
                 [](Sum sum) { return static_cast<T>(sum); });
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_matmul(Prepare& p) {
  using Types = TypeList<float, double, float16, bfloat16, int32_t, std::complex<float>,
                         std::complex<double>>;
  const bool adjoint_a = p.attr<bool>("adjoint_a"), adjoint_b = p.attr<bool>("adjoint_b");
  Kernel kernel;
  visit<Types>(p.input_dtype(1), [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(0), [&]<class Index>() {
      kernel = [=](KernelRun& r) { return sparse_matmul<T, Index>(r, adjoint_a, adjoint_b); };
    });
  });
  if (!kernel) {
    return unimplemented("SparseTensorDenseMatMul has no kernel for ", p.input_dtype(1));
  }
  return kernel;
}

// sparse_grad.py, _SparseTensorDenseMatMulGrad.
Status sparse_matmul_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const bool adjoint_a = g.attr<bool>("adjoint_a"), adjoint_b = g.attr<bool>("adjoint_b");
  const Endpoint order = b->integers({1, 0});
  const auto transposed = [&](Endpoint x) {
    return Value{b, b->op("ConjugateTranspose", {x, order})};
  };
  Value db{b, b->op("SparseTensorDenseMatMul", {g.input(0), g.input(1), g.input(2), g.dy()},
                    {{"adjoint_a", !adjoint_a}})};
  g.set_dx(3, adjoint_b ? transposed(db) : db);
  const std::vector<Endpoint> places =
      b->ops("Unpack", {g.input(0)}, {{"num", int64_t{2}}, {"axis", int64_t{1}}});
  if (places.size() != 2) return b->status();
  const Value dense = adjoint_b ? transposed(g.input(3)) : Value{b, g.input(3)};
  const auto rows = [&](Endpoint x, Endpoint at) {
    return Value{b, b->op("GatherV2", {x, at, b->scalar<int32_t>(0)})};
  };
  const Value from_dy = rows(g.dy(), places[adjoint_a ? 1 : 0]);
  const Value from_b = conj(rows(dense, places[adjoint_a ? 0 : 1]));
  const Value da{b, b->sum(from_dy * from_b, std::array<int64_t, 1>{1})};
  g.set_dx(1, adjoint_a ? conj(da) : da);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(SparseFillEmptyRows) = {
    .inputs = "indices: int64, values: T, dense_shape: int64, default_value: T",
    .outputs =
        "output_indices: int64, output_values: T, empty_row_indicator: bool, "
        "reverse_index_map: int64",
    .attrs = "T: type",
    .supplies_outputs = true,
    .shape = fill_empty_rows_shape,
    .gradient = fill_empty_rows_gradient,
    .kernels = {make_fill_empty_rows},
};

TENON_OP(SparseFillEmptyRowsGrad) = {
    .inputs = "reverse_index_map: int64, grad_values: T",
    .outputs = "d_values: T, d_default_value: T",
    .attrs = "T: type",
    .shape = fill_empty_rows_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_fill_empty_rows_grad},
};

TENON_OP(RaggedFillEmptyRowsGrad) = {
    .inputs = "reverse_index_map: int64, grad_values: T",
    .outputs = "d_values: T, d_default_value: T",
    .attrs = "T: type",
    .shape = fill_empty_rows_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_fill_empty_rows_grad},
};

TENON_OP(SparseReduceSum) = {
    .inputs = "input_indices: int64, input_values: T, input_shape: int64, reduction_axes: int32",
    .outputs = "output: T",
    .attrs = "keep_dims: bool = false; T: {numeric, qint8, quint8, qint32, qint16, quint16}",
    .supplies_outputs = true,
    .shape = sparse_reduce_shape,
    .gradient = sparse_reduce_sum_gradient,
    .kernels = {make_sparse_reduce<kernels::BinaryOp::kAdd>},
};

TENON_OP(SparseReduceMax) = {
    .inputs = "input_indices: int64, input_values: T, input_shape: int64, reduction_axes: int32",
    .outputs = "output: T",
    .attrs = "keep_dims: bool = false; T: {real}",
    .supplies_outputs = true,
    .shape = sparse_reduce_shape,
    .gradient = not_differentiable,
    .kernels = {make_sparse_reduce<kernels::BinaryOp::kMaximum>},
};

TENON_OP(SparseTensorDenseMatMul) = {
    .inputs = "a_indices: Tindices, a_values: T, a_shape: int64, b: T",
    .outputs = "product: T",
    .attrs =
        "T: type; Tindices: {int32, int64} = int64; adjoint_a: bool = false; "
        "adjoint_b: bool = false",
    .supplies_outputs = true,
    .shape = sparse_matmul_shape,
    .gradient = sparse_matmul_gradient,
    .kernels = {make_sparse_matmul},
};

}  // namespace tenon
