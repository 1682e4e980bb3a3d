// Bincount, DenseBincount (how often values occur), Bucketize, LowerBound, UpperBound (where values
// fall between others).
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/kernels/grain.h"

namespace tenon {
namespace {

using WeightTypes = TypeList<int32_t, int64_t, float, double>;

StatusOr<int64_t> bin_count(const ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  const Tensor* size = c.constant(1);
  if (!size) return -1;
  const int64_t count = integer_at(*size, 0);
  if (count < 0) return invalid_argument("size (", count, ") must be non-negative");
  return count;
}

Status check_weights(const ShapeContext& c) {
  const PartialShape& values = c.input(0);
  const PartialShape& weights = c.input(2);
  if (!values.is_fully_known() || !weights.is_fully_known()) return absl::OkStatus();
  if (weights.num_elements() == 0 || weights == values) return absl::OkStatus();
  return invalid_argument(
      "`weights` must be the same shape as the values or a length-0 `Tensor`, "
      "in which case it acts as all weights equal to 1. Received ",
      weights, ", values have ", values);
}

Status bincount_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const int64_t size, bin_count(c));
  TENON_RETURN_IF_ERROR(check_weights(c));
  TENON_RETURN_IF_ERROR(Shape::make({{std::max<int64_t>(size, 0)}}, 8).status());
  c.set_output(0, {size});
  return absl::OkStatus();
}

Status dense_bincount_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const int64_t size, bin_count(c));
  TENON_RETURN_IF_ERROR(check_weights(c));
  const PartialShape& x = c.input(0);
  if (!x.has_rank()) return unknown_shape(c);
  if (x.rank() > 2) {
    return invalid_argument("Shape must be at most rank 2 but is rank ", x.rank());
  }
  PartialShape y = x.rank() == 2 ? PartialShape{x[0], size} : PartialShape{size};
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(y.dims(), 8).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// `rows` histograms of `width` values each. Values of `size` and more are left out.
template <class T, class Index>
Status count_values(KernelRun& r, int64_t rows, int64_t width, int64_t size, bool binary) {
  const Index* values = r.in<Index>(0);
  for (int64_t i = 0; i < rows * width; ++i) {
    if (values[i] < 0) return invalid_argument("Input arr must be non-negative!");
  }
  const T* weights = r.input(2).num_elements() == 0 ? nullptr : r.in<T>(2);
  T* bins = r.out<T>(0);
  std::fill_n(bins, rows * size, T{});
  parallel_for(rows, kernels::grain_of(width), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      for (int64_t i = row * width; i < (row + 1) * width; ++i) {
        if (static_cast<int64_t>(values[i]) >= size) continue;
        T& bin = bins[row * size + static_cast<int64_t>(values[i])];
        if (binary) {
          bin = T(1);
        } else {
          bin += weights ? weights[i] : T(1);
        }
      }
    }
  });
  return absl::OkStatus();
}

StatusOr<Kernel> bincount_kernel(Prepare& p, int64_t rows, bool binary) {
  const int64_t size = integer_at(*p.constant(1), 0);
  const int64_t width = rows == 0 ? 0 : p.input_shape(0).num_elements() / rows;
  Kernel kernel;
  visit<WeightTypes>(p.output_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(0), [&]<class Index>() {
      kernel = [=](KernelRun& r) { return count_values<T, Index>(r, rows, width, size, binary); };
    });
  });
  if (!kernel) return unimplemented(p.op().name(), " has no kernel for ", p.output_dtype(0));
  return kernel;
}

StatusOr<Kernel> make_bincount(Prepare& p) { return bincount_kernel(p, 1, false); }
StatusOr<Kernel> make_dense_bincount(Prepare& p) {
  const Shape& x = p.input_shape(0);
  return bincount_kernel(p, x.rank() == 2 ? x[0] : 1, p.attr<bool>("binary_output"));
}

StatusOr<Kernel> make_bucketize(Prepare& p) {
  const auto& boundaries = p.attr<std::vector<float>>("boundaries");
  if (!std::is_sorted(boundaries.begin(), boundaries.end())) {
    return invalid_argument("Expected sorted boundaries");
  }
  Kernel kernel;
  visit<WeightTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [boundaries](KernelRun& r) {
      const T* x = r.in<T>(0);
      int32_t* y = r.out<int32_t>(0);
      parallel_for(r.input(0).num_elements(), 4096, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          y[i] = static_cast<int32_t>(std::upper_bound(boundaries.begin(), boundaries.end(), x[i],
                                                       [](T value, float boundary) {
                                                         return static_cast<double>(value) <
                                                                static_cast<double>(boundary);
                                                       }) -
                                      boundaries.begin());
        }
      });
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("Bucketize has no kernel for ", p.input_dtype(0));
  return kernel;
}

Status bound_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  const PartialShape& sorted = c.input(0);
  const PartialShape& values = c.input(1);
  if (sorted.has_rank() && values.has_rank() && sorted[0] >= 0 && values[0] >= 0 &&
      sorted[0] != values[0]) {
    return invalid_argument("Leading dim_size of both tensors must match: ", sorted, " and ",
                            values);
  }
  c.set_output(0, values);
  return absl::OkStatus();
}

template <bool upper>
StatusOr<Kernel> make_bound(Prepare& p) {
  const int64_t rows = p.input_shape(1)[0], width = p.input_shape(1)[1];
  const int64_t length = p.input_shape(0)[1];
  if (p.output_dtype(0) == DType::kInt32 && length > std::numeric_limits<int32_t>::max()) {
    return invalid_argument("sorted_inputs has ", length, " columns, more than int32 counts");
  }
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(0), [&]<class Index>() {
      kernel = [=](KernelRun& r) {
        parallel_for(rows * width, 1024, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const T* first = r.in<T>(0) + i / width * length;
            const T value = r.in<T>(1)[i];
            const T* place = upper ? std::upper_bound(first, first + length, value)
                                   : std::lower_bound(first, first + length, value);
            r.out<Index>(0)[i] = static_cast<Index>(place - first);
          }
        });
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) return unimplemented(p.op().name(), " has no kernel for ", p.input_dtype(0));
  return kernel;
}

template <bool upper>
constexpr OpDecl bound_op() {
  return {
      .inputs = "sorted_inputs: T, values: T",
      .outputs = "output: out_type",
      .attrs = "T: type; out_type: {int32, int64} = int32",
      .shape = bound_shape,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = {make_bound<upper>},
  };
}

}  // namespace

TENON_OP(Bincount) = {
    .inputs = "arr: int32, size: int32, weights: T",
    .outputs = "bins: T",
    .attrs = "T: {int32, int64, float, double}",
    .host_inputs = {1},
    .shape = bincount_shape,
    .gradient = not_differentiable,
    .kernels = {make_bincount},
};

TENON_OP(DenseBincount) = {
    .inputs = "input: Tidx, size: Tidx, weights: T",
    .outputs = "output: T",
    .attrs = "Tidx: {int32, int64}; T: {int32, int64, float, double}; binary_output: bool = false",
    .host_inputs = {1},
    .shape = dense_bincount_shape,
    .gradient = not_differentiable,
    .kernels = {make_dense_bincount},
};

TENON_OP(Bucketize) = {
    .inputs = "input: T",
    .outputs = "output: int32",
    .attrs = "T: {int32, int64, float, double}; boundaries: list(float)",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_bucketize},
};

TENON_OP(LowerBound) = bound_op<false>();
TENON_OP(UpperBound) = bound_op<true>();

}  // namespace tenon
