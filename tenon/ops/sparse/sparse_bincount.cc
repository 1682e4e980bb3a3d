// SparseBincount and RaggedBincount: how often values occur, row by row.
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

using BinWeightTypes = TypeList<int32_t, int64_t, float, double>;

StatusOr<int64_t> bins_of(const ShapeContext& c, int input) {
  TENON_RETURN_IF_ERROR(c.expect_rank(input, 0));
  const Tensor* size = c.constant(input);
  if (!size) return -1;
  const int64_t bins = integer_at(*size, 0);
  if (bins < 0) return invalid_argument("size (", bins, ") must be non-negative");
  return bins;
}

Status sparse_bincount_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  TENON_ASSIGN_OR_RETURN(const int64_t bins, bins_of(c, 3));
  const Tensor* shape = c.constant(2);
  if (!shape) return unknown_shape(c);
  if (shape->num_elements() != 1 && shape->num_elements() != 2) {
    return invalid_argument("dense_shape must have one or two elements, it has ",
                            shape->num_elements());
  }
  if (shape->num_elements() == 1) {
    c.set_output(0, {bins});
  } else {
    c.set_output(0, {integer_at(*shape, 0), bins});
  }
  return absl::OkStatus();
}

Status ragged_bincount_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_ASSIGN_OR_RETURN(const int64_t bins, bins_of(c, 2));
  const int64_t splits = c.input(0).has_rank() ? c.input(0)[0] : -1;
  c.set_output(0, {splits < 0 ? -1 : std::max<int64_t>(splits - 1, 0), bins});
  return absl::OkStatus();
}

// `row_of(i)` is the histogram that value i goes to. `weights` may be empty: ones.
template <class T, class Index, class RowOf>
Status fill_bins(KernelRun& r, const Tensor& values, const Tensor& weights, const Shape& shape,
                 bool binary, RowOf row_of) {
  if (weights.num_elements() != 0 && weights.num_elements() != values.num_elements()) {
    return invalid_argument("weights must have as many elements as values or none: ",
                            weights.num_elements(), " and ", values.num_elements());
  }
  TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), sizeof(T)).status());
  TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
  const int64_t bins = shape[shape.rank() - 1];
  T* y = r.out<T>(0);
  std::fill_n(y, shape.num_elements(), T{});
  const auto all = values.span<Index>();
  const T* weight = weights.num_elements() == 0 ? nullptr : weights.data<T>();
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] < 0) return invalid_argument("Input must be non-negative");
    if (static_cast<int64_t>(all[i]) >= bins) continue;
    T& bin = y[row_of(i) * bins + static_cast<int64_t>(all[i])];
    if (binary) {
      bin = T(1);
    } else {
      bin += weight ? weight[i] : T(1);
    }
  }
  return absl::OkStatus();
}

template <class T, class Index>
Status sparse_bincount(KernelRun& r, bool binary) {
  const Coordinates rows(r.input(0));
  TENON_ASSIGN_OR_RETURN(const Shape dense, dense_shape(r.input(2)));
  TENON_RETURN_IF_ERROR(check_bounds(rows, dense));
  const int64_t bins = integer_at(r.input(3), 0);
  if (bins < 0 || rows.count != r.input(1).num_elements() || dense.rank() < 1) {
    return invalid_argument("size ", bins, " must not be negative, indices and values of one size");
  }
  if (dense.rank() == 1) {
    return fill_bins<T, Index>(r, r.input(1), r.input(4), Shape{bins}, binary,
                               [](size_t) { return int64_t{0}; });
  }
  return fill_bins<T, Index>(r, r.input(1), r.input(4), Shape{dense[0], bins}, binary,
                             [&](size_t i) { return rows.row(static_cast<int64_t>(i))[0]; });
}

template <class T, class Index>
Status ragged_bincount(KernelRun& r, bool binary) {
  const auto splits = r.input(0).span<int64_t>();
  const auto values = r.input(1).num_elements();
  const int64_t bins = integer_at(r.input(2), 0);
  if (bins < 0) return invalid_argument("size (", bins, ") must be non-negative");
  if (splits.empty() || splits[0] != 0 || splits.back() != values ||
      !std::is_sorted(splits.begin(), splits.end())) {
    return invalid_argument(
        "Splits must begin with 0, not fall and end with the number of values, ", values);
  }
  size_t row = 0;
  return fill_bins<T, Index>(r, r.input(1), r.input(3),
                             Shape{static_cast<int64_t>(splits.size()) - 1, bins}, binary,
                             [&](size_t i) {
                               while (static_cast<int64_t>(i) >= splits[row + 1]) ++row;
                               return static_cast<int64_t>(row);
                             });
}

template <bool ragged>
StatusOr<Kernel> make_rows_bincount(Prepare& p) {
  const bool binary = p.attr<bool>("binary_output");
  Kernel kernel;
  visit<BinWeightTypes>(p.output_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(1), [&]<class Index>() {
      kernel = [binary](KernelRun& r) {
        return ragged ? ragged_bincount<T, Index>(r, binary) : sparse_bincount<T, Index>(r, binary);
      };
    });
  });
  return kernel;
}

}  // namespace

TENON_OP(SparseBincount) = {
    .inputs = "indices: int64, values: Tidx, dense_shape: int64, size: Tidx, weights: T",
    .outputs = "output: T",
    .attrs = "Tidx: {int32, int64}; T: {int32, int64, float, double}; binary_output: bool = false",
    .supplies_outputs = true,
    .shape = sparse_bincount_shape,
    .gradient = not_differentiable,
    .kernels = {make_rows_bincount<false>},
};

TENON_OP(RaggedBincount) = {
    .inputs = "splits: int64, values: Tidx, size: Tidx, weights: T",
    .outputs = "output: T",
    .attrs = "Tidx: {int32, int64}; T: {int32, int64, float, double}; binary_output: bool = false",
    .supplies_outputs = true,
    .shape = ragged_bincount_shape,
    .gradient = not_differentiable,
    .kernels = {make_rows_bincount<true>},
};

}  // namespace tenon
