// RaggedTensorToSparse, RaggedGather, RaggedRange: ops on row splits.
#include <cmath>
#include <cstring>

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

// Row splits of every level of a ragged tensor whose innermost rows hold `values` values.
// INVALID_ARGUMENT unless they begin with 0, do not fall and end with the size of the level below.
StatusOr<std::vector<std::vector<int64_t>>> nested_splits(const KernelRun& r, int first, int levels,
                                                          int64_t values) {
  std::vector<std::vector<int64_t>> all;
  for (int i = 0; i < levels; ++i) {
    std::vector<int64_t>& splits = all.emplace_back(integers_of(r.input(first + i)));
    if (splits.empty() || splits[0] != 0) {
      return invalid_argument("First value of ragged splits must be 0.");
    }
    const int64_t below = i + 1 < levels ? r.input(first + i + 1).num_elements() - 1 : values;
    for (size_t j = 1; j < splits.size(); ++j) {
      if (splits[j] < splits[j - 1]) return invalid_argument("Ragged splits must not fall.");
    }
    if (splits.back() != below) {
      return invalid_argument(
          "Final value of ragged splits must match the length of the values "
          "they split: ",
          splits.back(), " and ", below);
    }
  }
  return all;
}

Status ragged_to_sparse_shape(ShapeContext& c) {
  const auto levels = static_cast<int>(c.attr<int64_t>("RAGGED_RANK"));
  for (int i = 0; i < levels; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(levels, 1));
  const PartialShape& values = c.input(levels);
  const int64_t rank = values.has_rank() ? values.rank() + levels : -1;
  const int64_t count = values.num_elements();
  c.set_output(0, {count, rank});
  c.set_output(1, {count});
  c.set_output(2, {rank});
  return absl::OkStatus();
}

// Coordinates of the values, level by level: those of a row, then the place in it.
StatusOr<Kernel> make_ragged_to_sparse(Prepare& p) {
  const auto levels = static_cast<int>(p.attr<int64_t>("RAGGED_RANK"));
  return Kernel([levels](KernelRun& r) -> Status {
    const Tensor& values = r.input(levels);
    TENON_ASSIGN_OR_RETURN(const auto splits, nested_splits(r, 0, levels, values.dim(0)));
    std::vector<int64_t> shape{static_cast<int64_t>(splits[0].size()) - 1};
    std::vector<std::vector<int64_t>> prefixes;
    for (int64_t row = 0; row < shape[0]; ++row) prefixes.push_back({row});
    for (const auto& level : splits) {
      std::vector<std::vector<int64_t>> next;
      int64_t width = 0;
      for (size_t row = 0; row + 1 < level.size(); ++row) {
        const int64_t length = level[row + 1] - level[row];
        width = std::max(width, length);
        for (int64_t i = 0; i < length; ++i) {
          next.push_back(prefixes[row]);
          next.back().push_back(i);
        }
      }
      shape.push_back(width);
      prefixes = std::move(next);
    }
    for (int axis = 1; axis < values.rank(); ++axis) shape.push_back(values.dim(axis));
    const auto rank = static_cast<int64_t>(shape.size());
    const int64_t count = values.num_elements();
    TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{count, rank}));
    int64_t* to = r.out<int64_t>(0);
    const int64_t inner = values.shape().product(1, values.rank());
    for (const auto& prefix : prefixes) {
      for (int64_t i = 0; i < inner; ++i, to += rank) {
        std::copy(prefix.begin(), prefix.end(), to);
        int64_t rest = i;
        for (int64_t axis = rank - 1; axis >= static_cast<int64_t>(prefix.size()); --axis) {
          to[axis] = rest % shape[static_cast<size_t>(axis)];
          rest /= shape[static_cast<size_t>(axis)];
        }
      }
    }
    r.set_output(1, values.reshaped(Shape{count}));
    r.set_output(2, Tensor::vector<int64_t>(shape));
    return absl::OkStatus();
  });
}

Status ragged_to_sparse_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const int values = g.num_inputs() - 1;
  g.set_dx(values, b.reshape(g.dy(1), b.shape_of(g.input(values))));
  return absl::OkStatus();
}

Status ragged_gather_shape(ShapeContext& c) {
  const auto levels = static_cast<int>(c.attr<int64_t>("PARAMS_RAGGED_RANK"));
  const auto output_levels = c.attr<int64_t>("OUTPUT_RAGGED_RANK");
  for (int i = 0; i < levels; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(levels, 1));
  const PartialShape& indices = c.input(levels + 1);
  if (indices.has_rank() && indices.rank() + levels - 1 != output_levels) {
    return invalid_argument("OUTPUT_RAGGED_RANK is ", output_levels, ", indices of rank ",
                            indices.rank(), " give ", indices.rank() + levels - 1);
  }
  for (int i = 0; i < c.num_outputs() - 1; ++i) c.set_output(i, {-1});
  PartialShape values = c.input(levels);
  if (values.has_rank()) values.set(0, -1);
  c.set_output(c.num_outputs() - 1, std::move(values));
  return absl::OkStatus();
}

struct RowRange {
  int64_t begin, end;
};

template <class Index, class Split>
Status gather_ragged(KernelRun& r, int levels) {
  const Tensor& values = r.input(levels);
  const Tensor& indices = r.input(levels + 1);
  TENON_ASSIGN_OR_RETURN(const auto splits, nested_splits(r, 0, levels, values.dim(0)));
  const auto rows = static_cast<int64_t>(splits[0].size()) - 1;
  std::vector<RowRange> ranges;
  for (Index index : indices.span<Index>()) {
    if (index < 0 || index >= rows) {
      return invalid_argument("indices[", ranges.size(), "] = ", index, " is not in [0, ", rows,
                              ")");
    }
    ranges.push_back({index, int64_t{index} + 1});
  }
  int output = 0;
  // All axes of the indices but the first become rows of equal length.
  for (int axis = 1; axis < indices.rank(); ++axis) {
    const int64_t count = indices.shape().product(0, axis);
    std::vector<Split> uniform;
    for (int64_t i = 0; i <= count; ++i) {
      uniform.push_back(static_cast<Split>(i * indices.dim(axis)));
    }
    r.set_output(output++, Tensor::vector<Split>(uniform));
  }
  for (const auto& level : splits) {
    std::vector<Split> lengths{0};
    std::vector<RowRange> next;
    for (const RowRange& range : ranges) {
      for (int64_t row = range.begin; row < range.end; ++row) {
        const int64_t begin = level[static_cast<size_t>(row)];
        const int64_t end = level[static_cast<size_t>(row) + 1];
        lengths.push_back(static_cast<Split>(int64_t{lengths.back()} + end - begin));
        next.push_back({begin, end});
      }
    }
    r.set_output(output++, Tensor::vector<Split>(lengths));
    ranges = std::move(next);
  }
  int64_t count = 0;
  for (const RowRange& range : ranges) count += range.end - range.begin;
  Shape shape = values.shape();
  shape.set(0, count);
  TENON_RETURN_IF_ERROR(r.allocate_output(output, shape));
  const size_t bytes =
      static_cast<size_t>(values.shape().product(1, values.rank())) * size_of(values.dtype());
  char* to = r.out<char>(output);
  for (const RowRange& range : ranges) {
    const size_t size = static_cast<size_t>(range.end - range.begin) * bytes;
    if (size > 0) {
      std::memcpy(to, r.in<char>(levels) + static_cast<size_t>(range.begin) * bytes, size);
    }
    to += size;
  }
  own_elements(r, output, levels);
  return absl::OkStatus();
}

StatusOr<Kernel> make_ragged_gather(Prepare& p) {
  const auto levels = static_cast<int>(p.attr<int64_t>("PARAMS_RAGGED_RANK"));
  if (p.input_shape(levels + 1).rank() == 0) {
    return invalid_argument("indices of RaggedGather must not be a scalar");
  }
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(levels + 1), [&]<class Index>() {
    visit<IndexTypes>(p.input_dtype(0), [&]<class Split>() {
      kernel = [levels](KernelRun& r) { return gather_ragged<Index, Split>(r, levels); };
    });
  });
  return kernel;
}

// Numbers of the values go the same way and say where dy belongs.
Status ragged_gather_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const int values = g.num_inputs() - 2;
  const Endpoint count = b.dim(g.input(values), 0);
  std::vector<Endpoint> inputs = g.forward().inputs;
  inputs[static_cast<size_t>(values)] =
      b.op("Range", {b.scalar<int32_t>(0), count, b.scalar<int32_t>(1)});
  AttrMap attrs = g.forward().attrs;
  attrs.set("Tvalues", DType::kInt32);
  const std::vector<Endpoint> moved = b.ops("RaggedGather", std::move(inputs), std::move(attrs));
  if (moved.empty()) return b.status();
  g.set_dx(values, b.op("UnsortedSegmentSum", {g.dy(g.num_outputs() - 1), moved.back(), count}));
  return absl::OkStatus();
}

Status ragged_range_shape(ShapeContext& c) {
  // Of the vectors; -1 while none is seen.
  int64_t rows = -1;
  bool known = true;
  for (int i = 0; i < 3; ++i) {
    const PartialShape& x = c.input(i);
    if (!x.has_rank()) {
      known = false;
      continue;
    }
    if (x.rank() > 1) {
      return invalid_argument(c.op().inputs()[static_cast<size_t>(i)].name,
                              " must be a scalar or vector");
    }
    if (x.rank() == 0) continue;
    if (x[0] < 0) {
      known = false;
    } else if (rows >= 0 && x[0] != rows) {
      return invalid_argument("starts, limits, and deltas must have the same shape");
    } else {
      rows = x[0];
    }
  }
  if (known && rows < 0) rows = 1;
  TENON_ASSIGN_OR_RETURN(const int64_t splits, add_dims(known ? rows : -1, 1));
  c.set_output(0, {splits});
  c.set_output(1, {-1});
  return absl::OkStatus();
}

template <class T>
StatusOr<int64_t> range_length(T start, T limit, T delta) {
  if (delta == T(0)) return invalid_argument("Requires delta != 0");
  if ((delta > T(0) && limit <= start) || (delta < T(0) && limit >= start)) return 0;
  double length;
  if constexpr (std::is_integral_v<T>) {
    const double span = std::abs(static_cast<double>(limit) - static_cast<double>(start));
    length = std::ceil(span / std::abs(static_cast<double>(delta)));
  } else {
    length = std::ceil(std::abs((static_cast<double>(limit) - static_cast<double>(start)) /
                                static_cast<double>(delta)));
  }
  constexpr double kMost = 2147483647.0;
  if (!(length <= kMost)) {
    return invalid_argument("Requires ((limit - start) / delta) <= ", static_cast<int64_t>(kMost));
  }
  return static_cast<int64_t>(length);
}

template <class T, class Split>
Status write_ranges(KernelRun& r) {
  int64_t rows = 1;
  for (int i = 0; i < 3; ++i) {
    if (r.input(i).rank() == 0) continue;
    const int64_t own = r.input(i).dim(0);
    if (rows == 1) {
      rows = own;
    } else if (own != 1 && own != rows) {
      return invalid_argument("starts, limits, and deltas must have the same shape");
    }
  }
  const auto at = [&](int input, int64_t row) {
    return r.in<T>(input)[r.input(input).num_elements() == 1 ? 0 : row];
  };
  std::vector<Split> splits{0};
  for (int64_t row = 0; row < rows; ++row) {
    TENON_ASSIGN_OR_RETURN(const int64_t length,
                           range_length<T>(at(0, row), at(1, row), at(2, row)));
    const int64_t total = int64_t{splits.back()} + length;
    if (total > std::numeric_limits<Split>::max()) {
      return invalid_argument("Invalid splits, too many values: ", total);
    }
    splits.push_back(static_cast<Split>(total));
  }
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{int64_t{splits.back()}}));
  T* to = r.out<T>(1);
  for (int64_t row = 0; row < rows; ++row) {
    T value = at(0, row);
    const auto next = static_cast<size_t>(row) + 1;
    for (Split i = splits[next - 1]; i < splits[next]; ++i) {
      *to++ = value;
      if (i + 1 < splits[next]) value = static_cast<T>(value + at(2, row));
    }
  }
  r.set_output(0, Tensor::vector<Split>(splits));
  return absl::OkStatus();
}

StatusOr<Kernel> make_ragged_range(Prepare& p) {
  Kernel kernel;
  visit<TypeList<bfloat16, float, double, int32_t, int64_t>>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(0), [&]<class Split>() { kernel = write_ranges<T, Split>; });
  });
  return kernel;
}

}  // namespace

TENON_OP(RaggedTensorToSparse) = {
    .inputs = "rt_nested_splits: RAGGED_RANK * Tsplits, rt_dense_values: T",
    .outputs = "sparse_indices: int64, sparse_values: T, sparse_dense_shape: int64",
    .attrs = "RAGGED_RANK: int >= 1; T: type; Tsplits: {int32, int64} = int64",
    .supplies_outputs = true,
    .shape = ragged_to_sparse_shape,
    .gradient = ragged_to_sparse_gradient,
    .kernels = {make_ragged_to_sparse},
};

TENON_OP(RaggedGather) = {
    .inputs =
        "params_nested_splits: PARAMS_RAGGED_RANK * Tsplits, params_dense_values: Tvalues, "
        "indices: Tindices",
    .outputs = "output_nested_splits: OUTPUT_RAGGED_RANK * Tsplits, output_dense_values: Tvalues",
    .attrs =
        "Tvalues: type; Tindices: {int32, int64}; Tsplits: {int32, int64} = int64; "
        "PARAMS_RAGGED_RANK: int >= 1; OUTPUT_RAGGED_RANK: int >= 0",
    .supplies_outputs = true,
    .shape = ragged_gather_shape,
    .gradient = ragged_gather_gradient,
    .kernels = {make_ragged_gather},
};

TENON_OP(RaggedRange) = {
    .inputs = "starts: T, limits: T, deltas: T",
    .outputs = "rt_nested_splits: Tsplits, rt_dense_values: T",
    .attrs = "T: {bfloat16, float, double, int32, int64} = int32; Tsplits: {int32, int64} = int64",
    .supplies_outputs = true,
    .shape = ragged_range_shape,
    .gradient = not_differentiable,
    .kernels = {make_ragged_range},
};

}  // namespace tenon
