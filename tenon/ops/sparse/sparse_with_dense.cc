// SparseTensorDenseAdd, SparseDenseCwiseAdd, SparseDenseCwiseMul, SparseDenseCwiseDiv,
// SparseSoftmax.
#include <cmath>
#include <cstring>

#include "tenon/kernels/elementwise.h"
#include "tenon/ops/math/value.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

Status add_to_dense_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  const Tensor* shape = c.constant(2);
  const PartialShape& dense = c.input(3);
  if (shape && dense.is_fully_known() && !std::ranges::equal(dense.dims(), integers_of(*shape))) {
    return invalid_argument(
        "Dimensions of the dense tensor ", dense,
        " and of the sparse one are not equal: ", join(integers_of(*shape), ","));
  }
  c.set_output(0, dense);
  return absl::OkStatus();
}

template <class T, class Index>
Status add_to_dense(KernelRun& r) {
  const Tensor& dense = r.input(3);
  const std::vector<int64_t> dims = integers_of(r.input(2));
  if (!std::ranges::equal(dims, dense.shape().dims())) {
    return invalid_argument("Dimensions of the dense tensor ", dense.shape(),
                            " and of the sparse one are not equal: ", join(dims, ","));
  }
  T* y = r.out<T>(0);
  if (y != dense.data<T>()) std::copy_n(dense.data<T>(), dense.num_elements(), y);
  const Index* index = r.in<Index>(0);
  const auto values = r.input(1).span<T>();
  for (size_t i = 0; i < values.size(); ++i) {
    int64_t at = 0;
    for (const int64_t dim : dims) {
      const auto place = static_cast<int64_t>(*index++);
      if (place < 0 || place >= dim) {
        return invalid_argument("Sparse tensor has some invalid index: row ", i, ", ", place,
                                " is not in [0, ", dim, ")");
      }
      at = at * dim + place;
    }
    if constexpr (std::is_integral_v<T>) {
      using Unsigned = std::make_unsigned_t<T>;
      y[at] = static_cast<T>(static_cast<Unsigned>(y[at]) + static_cast<Unsigned>(values[i]));
    } else {
      y[at] = static_cast<T>(y[at] + values[i]);
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_add_to_dense(Prepare& p) {
  Kernel kernel;
  visit<NumericTypes>(p.input_dtype(1), [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(0), [&]<class Index>() { kernel = add_to_dense<T, Index>; });
  });
  if (!kernel) return unimplemented("SparseTensorDenseAdd has no kernel for ", p.input_dtype(1));
  p.may_overwrite(3, 0);
  return kernel;
}

Status add_to_dense_gradient(Gradient& g) {
  g.set_dx(1, g.build().op("GatherNd", {g.dy(), g.input(0)}));
  g.set_dx(3, g.dy());
  return absl::OkStatus();
}

Status with_dense_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  c.set_output(0, c.input(1));
  return absl::OkStatus();
}

// Where the dense tensor, broadcast to the sparse one's shape, has what stands at each row.
StatusOr<std::vector<int64_t>> places_in_dense(const Coordinates& rows, const Shape& sparse,
                                               const Shape& dense) {
  const int first = sparse.rank() - dense.rank();
  bool fits = first >= 0;
  for (int axis = 0; fits && axis < dense.rank(); ++axis) {
    fits = dense[axis] == 1 || dense[axis] == sparse[first + axis];
  }
  if (!fits) {
    return invalid_argument(
        "SparseDenseBinaryOpShared broadcasts dense to sparse only; got incompatible shapes: [",
        sparse, "] vs. [", dense, "]");
  }
  TENON_RETURN_IF_ERROR(check_bounds(rows, sparse));
  std::vector<int64_t> places(static_cast<size_t>(rows.count));
  for (int64_t i = 0; i < rows.count; ++i) {
    int64_t at = 0;
    for (int axis = 0; axis < dense.rank(); ++axis) {
      const int64_t along = rows.row(i)[static_cast<size_t>(first + axis)];
      at = at * dense[axis] + (dense[axis] == 1 ? 0 : along);
    }
    places[static_cast<size_t>(i)] = at;
  }
  return places;
}

template <kernels::BinaryOp op>
StatusOr<Kernel> make_with_dense(Prepare& p) {
  const DType dtype = p.input_dtype(1);
  const kernels::BinaryKernel combine = kernels::find_binary(op, dtype);
  if (!combine) return unimplemented(p.op().name(), " has no CPU kernel for dtype ", dtype);
  return Kernel([combine, dtype, bytes = size_of(dtype)](KernelRun& r) -> Status {
    const Coordinates rows(r.input(0));
    TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
    TENON_ASSIGN_OR_RETURN(const std::vector<int64_t> places,
                           places_in_dense(rows, shape, r.input(3).shape()));
    std::vector<char> dense(places.size() * bytes);
    for (size_t i = 0; i < places.size(); ++i) {
      std::memcpy(dense.data() + i * bytes, r.in<char>(3) + static_cast<size_t>(places[i]) * bytes,
                  bytes);
    }
    bool by_zero = false;
    if (op == kernels::BinaryOp::kDiv) {
      visit<IntegerTypes>(dtype, [&]<class T>() {
        const auto* numbers = reinterpret_cast<const T*>(dense.data());
        by_zero = std::find(numbers, numbers + rows.count, T{0}) != numbers + rows.count;
      });
    }
    if (by_zero) return invalid_argument("Integer division by zero");
    combine(r.in<char>(1), 1, dense.data(), 1, r.out<char>(0), rows.count);
    return absl::OkStatus();
  });
}

// sparse_grad.py, _SparseDenseCwiseMulOrDivGrad; a sum's is of the same form.
template <kernels::BinaryOp op>
Status with_dense_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = g.input(2);
  const Endpoint dense_dims = b.op("Shape", {g.input(3)}, {{"out_type", DType::kInt64}});
  const Endpoint added = b.op("Sub", {b.op("Size", {shape}), b.op("Size", {dense_dims})});
  const Endpoint zero = b.scalar<int32_t>(0);
  const Endpoint head = b.reshape(added, b.integers({1}));
  const Endpoint ones = b.op("Fill", {head, b.scalar<int64_t>(1)});
  const Endpoint augmented = b.op("ConcatV2", {ones, dense_dims, zero}, {{"N", int64_t{2}}});
  const Endpoint scale =
      b.op("Maximum", {b.op("FloorDiv", {shape, augmented}), b.scalar<int64_t>(1)});
  const Endpoint all = b.op("FloorDiv", {g.input(0), scale});
  const Endpoint begin = b.op("ConcatV2", {b.integers({0}), head, zero}, {{"N", int64_t{2}}});
  const Endpoint places = b.op("Slice", {all, begin, b.integers({-1, -1})});
  const Value dy{&b, g.dy()}, x{&b, g.input(1)};
  const Value dense{&b, b.op("GatherNd", {g.input(3), places})};
  Value dx = dy, share = dy;
  if (op == kernels::BinaryOp::kMul) {
    dx = dy * dense;
    share = dy * x;
  } else if (op == kernels::BinaryOp::kDiv) {
    dx = dy / dense;
    share = dy * (-x / (dense * dense));
  }
  g.set_dx(1, dx);
  const Endpoint none = b.op("ZerosLike", {g.input(3)});
  g.set_dx(3, b.op("SparseTensorDenseAdd", {places, share, dense_dims, none}));
  return absl::OkStatus();
}

// Rows that agree in all coordinates but the last are one distribution; they stand together.
template <class T>
Status sparse_softmax(KernelRun& r) {
  const Coordinates rows(r.input(0));
  TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
  if (shape.rank() < 2) {
    return invalid_argument("Input should have rank >= 2, but received shape: ", shape);
  }
  TENON_RETURN_IF_ERROR(check_bounds(rows, shape));
  const T* x = r.in<T>(1);
  T* y = r.out<T>(0);
  const auto leading = static_cast<size_t>(rows.rank - 1);
  for (int64_t begin = 0, end = 0; begin < rows.count; begin = end) {
    const auto group = rows.row(begin).first(leading);
    T most = x[begin];
    for (end = begin; end < rows.count && std::ranges::equal(rows.row(end).first(leading), group);
         ++end) {
      if (static_cast<double>(x[end]) > static_cast<double>(most)) most = x[end];
    }
    T sum{};
    for (int64_t i = begin; i < end; ++i) {
      using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
      y[i] = static_cast<T>(std::exp(static_cast<Wide>(static_cast<T>(x[i] - most))));
      sum = static_cast<T>(sum + y[i]);
    }
    for (int64_t i = begin; i < end; ++i) y[i] = static_cast<T>(y[i] / sum);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_sparse_softmax(Prepare& p) {
  Kernel kernel;
  visit<TypeList<float, double, float16>>(p.input_dtype(1),
                                          [&]<class T>() { kernel = sparse_softmax<T>; });
  return kernel;
}

// sparse_grad.py, _SparseSoftmaxGrad.
Status sparse_softmax_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Value y{&b, g.output(0)}, dy{&b, g.dy()};
  const Endpoint sum =
      b.op("SparseReduceSum",
           {g.input(0), y * dy, g.input(2), b.constant(Tensor::vector<int32_t>({-1}))},
           {{"keep_dims", true}});
  const Value centered{
      &b, b.op("SparseDenseCwiseAdd", {g.input(0), dy, g.input(2), b.op("Neg", {sum})})};
  g.set_dx(1, centered * y);
  return absl::OkStatus();
}

template <kernels::BinaryOp op>
constexpr OpDecl with_dense() {
  return {
      .inputs = "sp_indices: int64, sp_values: T, sp_shape: int64, dense: T",
      .outputs = "output: T",
      .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16}",
      .shape = with_dense_shape,
      .gradient = with_dense_gradient<op>,
      .kernels = {make_with_dense<op>},
  };
}

}  // namespace

TENON_OP(SparseTensorDenseAdd) = {
    .inputs = "a_indices: Tindices, a_values: T, a_shape: Tindices, b: T",
    .outputs = "output: T",
    .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16}; Tindices: {int32, int64}",
    .shape = add_to_dense_shape,
    .gradient = add_to_dense_gradient,
    .kernels = {make_add_to_dense},
};
TENON_OP(SparseDenseCwiseAdd) = with_dense<kernels::BinaryOp::kAdd>();
TENON_OP(SparseDenseCwiseMul) = with_dense<kernels::BinaryOp::kMul>();
TENON_OP(SparseDenseCwiseDiv) = with_dense<kernels::BinaryOp::kDiv>();
TENON_OP(SparseSoftmax) = {
    .inputs = "sp_indices: int64, sp_values: T, sp_shape: int64",
    .outputs = "output: T",
    .attrs = "T: {half, float, double}",
    .shape = with_dense_shape,
    .gradient = sparse_softmax_gradient,
    .kernels = {make_sparse_softmax},
};

}  // namespace tenon
