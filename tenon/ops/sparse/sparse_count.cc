// DenseCountSparseOutput, SparseCountSparseOutput, RaggedCountSparseOutput: how often values occur,
// row by row, as a sparse tensor.
#include <map>

#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

struct CountSpec {
  int64_t least, most;  // number of columns: at least; all, when most is not negative
  bool binary;
};

CountSpec count_spec(const AttrMap& attrs) {
  return {attrs.get<int64_t>("minlength"), attrs.get<int64_t>("maxlength"),
          attrs.get<bool>("binary_output")};
}

void set_count_shapes(ShapeContext& c, int64_t rank) {
  c.set_output(0, {-1, rank});
  c.set_output(1, {-1});
  c.set_output(2, {rank});
}

Status dense_count_shape(ShapeContext& c) {
  const PartialShape& values = c.input(0);
  if (values.has_rank() && values.rank() != 1 && values.rank() != 2) {
    return invalid_argument("Input must be a 1 or 2-dimensional tensor. Got: ", values);
  }
  set_count_shapes(c, values.has_rank() ? values.rank() : -1);
  return absl::OkStatus();
}

Status sparse_count_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  const PartialShape& shape = c.input(2);
  const int64_t rank = shape.has_rank() ? shape[0] : -1;
  if (rank >= 0 && rank != 1 && rank != 2) {
    return invalid_argument("Input must be a sparse tensor of rank 1 or 2, it has rank ", rank);
  }
  set_count_shapes(c, rank);
  return absl::OkStatus();
}

Status ragged_count_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  set_count_shapes(c, 2);
  return absl::OkStatus();
}

// Counts of one run, in order of rows and values.
template <class T>
class Counts {
 public:
  Counts(int64_t rows, CountSpec spec) : num_rows_(rows), spec_(spec) {}

  Status add(int64_t row, int64_t value, T weight) {
    if (value < 0) return invalid_argument("Input values must all be non-negative");
    if (spec_.most >= 0 && value >= spec_.most) return absl::OkStatus();
    largest_ = std::max(largest_, value);
    T& count = counts_[{row, value}];
    count = spec_.binary ? T(1) : static_cast<T>(count + weight);
    return absl::OkStatus();
  }

  // Rank 1 has one row and no coordinate of it.
  Status store(KernelRun& r, int64_t rank) const {
    const auto total = static_cast<int64_t>(counts_.size());
    TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{total, rank}));
    TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{total}));
    int64_t* index = r.out<int64_t>(0);
    T* y = r.out<T>(1);
    for (const auto& [place, count] : counts_) {
      if (rank > 1) *index++ = place.first;
      *index++ = place.second;
      *y++ = count;
    }
    if (largest_ == std::numeric_limits<int64_t>::max()) {
      return invalid_argument("a value of ", largest_, " has no column");
    }
    const int64_t seen = largest_ + 1;
    std::vector<int64_t> shape{spec_.most >= 0 ? spec_.most : std::max(seen, spec_.least)};
    if (rank > 1) shape.insert(shape.begin(), num_rows_);
    r.set_output(2, Tensor::vector<int64_t>(shape));
    return absl::OkStatus();
  }

 private:
  int64_t num_rows_;
  std::map<std::pair<int64_t, int64_t>, T> counts_;
  CountSpec spec_;
  int64_t largest_ = 0;
};

template <class T>
class WeightsOf {
 public:
  // As many as values, or none: ones.
  static StatusOr<WeightsOf> make(const Tensor& weights, const Tensor& values, bool same_shape) {
    if (weights.num_elements() == 0) return WeightsOf(nullptr);
    const bool fit = same_shape ? weights.shape() == values.shape()
                                : weights.num_elements() == values.num_elements();
    if (!fit) {
      return invalid_argument("Weights and values must have the same shape. Weight shape: ",
                              weights.shape(), "; values shape: ", values.shape());
    }
    return WeightsOf(weights.data<T>());
  }
  T operator[](int64_t i) const { return data_ ? data_[i] : T(1); }

 private:
  explicit WeightsOf(const T* data) : data_(data) {}
  const T* data_;
};

template <class T>
Status count_dense(KernelRun& r, CountSpec spec) {
  const Tensor& values = r.input(0);
  TENON_ASSIGN_OR_RETURN(const auto weights, WeightsOf<T>::make(r.input(1), values, true));
  const int64_t rows = values.rank() == 1 ? 1 : values.dim(0);
  if (rows == 0) return invalid_argument("The number of rows of values must not be 0");
  const int64_t width = values.num_elements() / rows;
  Counts<T> counts(rows, spec);
  for (int64_t i = 0; i < values.num_elements(); ++i) {
    TENON_RETURN_IF_ERROR(counts.add(i / width, integer_at(values, i), weights[i]));
  }
  return counts.store(r, values.rank());
}

template <class T>
Status count_sparse(KernelRun& r, CountSpec spec) {
  const Coordinates indices(r.input(0));
  const Tensor& values = r.input(1);
  TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
  TENON_RETURN_IF_ERROR(check_bounds(indices, shape));
  TENON_ASSIGN_OR_RETURN(const auto weights, WeightsOf<T>::make(r.input(3), values, true));
  if (shape.rank() != 1 && shape.rank() != 2) {
    return invalid_argument("Input must be a sparse tensor of rank 1 or 2, it has rank ",
                            shape.rank());
  }
  const int64_t rows = shape.rank() == 1 ? 1 : shape[0];
  Counts<T> counts(rows, spec);
  for (int64_t i = 0; i < indices.count; ++i) {
    const int64_t row = shape.rank() == 1 ? 0 : indices.row(i)[0];
    TENON_RETURN_IF_ERROR(counts.add(row, integer_at(values, i), weights[i]));
  }
  return counts.store(r, shape.rank());
}

template <class T>
Status count_ragged(KernelRun& r, CountSpec spec) {
  const auto splits = r.input(0).span<int64_t>();
  const Tensor& values = r.input(1);
  TENON_ASSIGN_OR_RETURN(const auto weights, WeightsOf<T>::make(r.input(2), values, true));
  if (splits.empty()) return invalid_argument("Must specify at least one split");
  if (splits[0] != 0) return invalid_argument("Splits must start with 0, not with ", splits[0]);
  if (splits.back() != values.num_elements()) {
    return invalid_argument("Splits must end with the number of values, got ", splits.back(),
                            " instead of ", values.num_elements());
  }
  Counts<T> counts(static_cast<int64_t>(splits.size()) - 1, spec);
  for (size_t row = 0; row + 1 < splits.size(); ++row) {
    if (splits[row + 1] < splits[row]) return invalid_argument("Splits must not fall");
  }
  for (size_t row = 0; row + 1 < splits.size(); ++row) {
    for (int64_t i = splits[row]; i < splits[row + 1]; ++i) {
      TENON_RETURN_IF_ERROR(
          counts.add(static_cast<int64_t>(row), integer_at(values, i), weights[i]));
    }
  }
  return counts.store(r, 2);
}

enum class CountForm : uint8_t { kDense, kSparse, kRagged };

template <CountForm form>
StatusOr<Kernel> make_count(Prepare& p) {
  const CountSpec spec = count_spec(p.attrs());
  Kernel kernel;
  visit<TypeList<int32_t, int64_t, float, double>>(p.output_dtype(1), [&]<class T>() {
    kernel = [spec](KernelRun& r) {
      if constexpr (form == CountForm::kDense) return count_dense<T>(r, spec);
      if constexpr (form == CountForm::kSparse) return count_sparse<T>(r, spec);
      if constexpr (form == CountForm::kRagged) return count_ragged<T>(r, spec);
    };
  });
  return kernel;
}

constexpr OpDecl count_op(ArgsText inputs, ShapeFn shape, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output_indices: int64, output_values: output_type, output_dense_shape: int64",
      .attrs =
          "T: {int32, int64}; minlength: int >= -1 = -1; maxlength: int >= -1 = -1; "
          "binary_output: bool; output_type: {int32, int64, float, double}",
      .supplies_outputs = true,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(DenseCountSparseOutput) = count_op("values: T, weights: output_type", dense_count_shape,
                                            make_count<CountForm::kDense>);
TENON_OP(SparseCountSparseOutput) =
    count_op("indices: int64, values: T, dense_shape: int64, weights: output_type",
             sparse_count_shape, make_count<CountForm::kSparse>);
TENON_OP(RaggedCountSparseOutput) = count_op("splits: int64, values: T, weights: output_type",
                                             ragged_count_shape, make_count<CountForm::kRagged>);

}  // namespace tenon
