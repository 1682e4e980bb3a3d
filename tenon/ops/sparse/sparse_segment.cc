// SparseSegmentSum, Mean, SqrtN, WithNumSegments, and their gradient ops: gathered rows combined by
// segment.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/elementwise.h"

namespace tenon {
namespace {

enum class Scaling : uint8_t { kSum, kMean, kSqrtN };

Status sparse_segment_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  if (!PartialShape::merge(c.input(1), c.input(2)).ok()) {
    return invalid_argument("segment_ids and indices should have same size: ", c.input(2), " and ",
                            c.input(1));
  }
  int64_t segments = -1;
  if (c.num_inputs() > 3) {
    TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
    if (c.constant(3)) segments = integer_at(*c.constant(3), 0);
    if (c.constant(3) && segments < 0) {
      return invalid_argument("the number of segments, ", segments, ", must not be negative");
    }
  }
  PartialShape y = c.input(0);
  if (y.has_rank()) y.set(0, segments);
  if (y.is_fully_known()) {
    TENON_RETURN_IF_ERROR(Shape::make(y.dims(), size_of(c.input_dtype(0))).status());
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Runs of equal segment ids: where each begins, and the end. The output has `rows` rows.
struct SegmentRuns {
  std::vector<int64_t> begins;
  int64_t rows = 0;
};

// `wanted`: the number of segments, -1 when the ids say it.
template <class Id, class Index>
StatusOr<SegmentRuns> sparse_segment_runs(std::span<const Id> ids, std::span<const Index> indices,
                                          int64_t limit, int64_t wanted) {
  SegmentRuns runs;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0) return invalid_argument("segment ids must be >= 0");
    if (i > 0 && ids[i] < ids[i - 1]) return invalid_argument("segment ids are not increasing");
    if (wanted >= 0 && ids[i] >= wanted) {
      return invalid_argument("segment ids must be < num_segments, found ", ids[i], " of ", wanted);
    }
    if (indices[i] < 0 || indices[i] >= limit) {
      return invalid_argument("Bad: indices[", i, "] == ", indices[i], " out of range [0, ", limit,
                              ")");
    }
    if (i == 0 || ids[i] != ids[i - 1]) runs.begins.push_back(static_cast<int64_t>(i));
  }
  runs.begins.push_back(static_cast<int64_t>(ids.size()));
  runs.rows = wanted >= 0 ? wanted : ids.empty() ? 0 : static_cast<int64_t>(ids.back()) + 1;
  return runs;
}

double scale_of(Scaling scaling, int64_t count) {
  if (scaling == Scaling::kMean) return 1 / static_cast<double>(count);
  return scaling == Scaling::kSqrtN ? 1 / std::sqrt(static_cast<double>(count)) : 1;
}

// Sums of half precision are kept in float.
template <class T>
using SegmentSumType = std::conditional_t<is_floating(dtype_of<T>) && sizeof(T) == 2, float, T>;

template <class T, class Index>
void sum_rows(const T* x, const Index* indices, int64_t count, int64_t inner, Scaling scaling,
              SegmentSumType<T>* sums, T* y) {
  using Sum = SegmentSumType<T>;
  std::fill_n(sums, inner, Sum{});
  for (int64_t i = 0; i < count; ++i) {
    const T* row = x + static_cast<int64_t>(indices[i]) * inner;
    for (int64_t j = 0; j < inner; ++j) sums[j] += static_cast<Sum>(row[j]);
  }
  for (int64_t j = 0; j < inner; ++j) {
    if constexpr (std::is_integral_v<T>) {
      y[j] = static_cast<T>(sums[j]);
    } else if (scaling == Scaling::kMean) {
      y[j] = static_cast<T>(sums[j] / static_cast<Sum>(count));
    } else if (scaling == Scaling::kSqrtN) {
      y[j] = static_cast<T>(sums[j] / std::sqrt(static_cast<Sum>(count)));
    } else {
      y[j] = static_cast<T>(sums[j]);
    }
  }
}

// What `make` gives for the types of data, indices and segment ids.
template <class DataTypes, class Make>
StatusOr<Kernel> segment_kernel(Prepare& p, Make make) {
  Kernel kernel;
  visit<DataTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.input_dtype(1), [&]<class Index>() {
      visit<IndexTypes>(p.input_dtype(2),
                        [&]<class Id>() { kernel = make.template operator()<T, Index, Id>(); });
    });
  });
  if (!kernel) return unimplemented(p.op().name(), " has no kernel for ", p.input_dtype(0));
  return kernel;
}

template <class T, class Index, class Id>
Status run_sparse_segment(KernelRun& r, Scaling scaling) {
  const Shape& data = r.input(0).shape();
  const auto indices = r.input(1).span<Index>();
  const auto ids = r.input(2).span<Id>();
  const int64_t wanted = r.num_inputs() > 3 ? integer_at(r.input(3), 0) : -1;
  TENON_ASSIGN_OR_RETURN(const SegmentRuns runs,
                         (sparse_segment_runs<Id, Index>(ids, indices, data[0], wanted)));
  Shape shape = data;
  shape.set(0, runs.rows);
  TENON_RETURN_IF_ERROR(Shape::make(shape.dims(), sizeof(T)).status());
  TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
  const int64_t inner = data.product(1, data.rank());
  const auto count = static_cast<int64_t>(runs.begins.size()) - 1;
  T* y = r.out<T>(0);
  if (count < runs.rows) std::fill_n(y, runs.rows * inner, T{});
  const int64_t grain = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, inner));
  parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    std::vector<SegmentSumType<T>> sums(static_cast<size_t>(inner));
    for (int64_t run = begin; run < end; ++run) {
      const int64_t first = runs.begins[static_cast<size_t>(run)];
      const int64_t last = runs.begins[static_cast<size_t>(run) + 1];
      sum_rows(r.in<T>(0), indices.data() + first, last - first, inner, scaling, sums.data(),
               y + static_cast<int64_t>(ids[static_cast<size_t>(first)]) * inner);
    }
  });
  return absl::OkStatus();
}

template <Scaling scaling>
StatusOr<Kernel> make_sparse_segment(Prepare& p) {
  return segment_kernel<RealTypes>(p, []<class T, class Index, class Id>() {
    return Kernel([](KernelRun& r) { return run_sparse_segment<T, Index, Id>(r, scaling); });
  });
}

// dy of each segment, scaled, added to the rows that were gathered.
template <class T, class Index, class Id>
Status run_sparse_segment_grad(KernelRun& r, Scaling scaling) {
  const Shape& dy = r.input(0).shape();
  const auto indices = r.input(1).span<Index>();
  const auto ids = r.input(2).span<Id>();
  const int64_t rows = integer_at(r.input(3), 0);
  const int64_t inner = dy.product(1, dy.rank());
  TENON_ASSIGN_OR_RETURN(const SegmentRuns runs,
                         (sparse_segment_runs<Id, Index>(ids, indices, rows, dy[0])));
  T* dx = r.out<T>(0);
  std::fill_n(dx, rows * inner, T{});
  for (size_t run = 0; run + 1 < runs.begins.size(); ++run) {
    const int64_t first = runs.begins[run], last = runs.begins[run + 1];
    const double scale = scale_of(scaling, last - first);
    const T* from = r.in<T>(0) + static_cast<int64_t>(ids[static_cast<size_t>(first)]) * inner;
    for (int64_t i = first; i < last; ++i) {
      T* to = dx + static_cast<int64_t>(indices[static_cast<size_t>(i)]) * inner;
      for (int64_t j = 0; j < inner; ++j) {
        to[j] = static_cast<T>(to[j] + static_cast<T>(from[j] * static_cast<T>(scale)));
      }
    }
  }
  return absl::OkStatus();
}

template <Scaling scaling>
StatusOr<Kernel> make_sparse_segment_grad(Prepare& p) {
  return segment_kernel<FloatTypes>(p, []<class T, class Index, class Id>() {
    return Kernel([](KernelRun& r) { return run_sparse_segment_grad<T, Index, Id>(r, scaling); });
  });
}

// Only the rows that were gathered, in the order of their indices.
Status sparse_segment_grad_v2_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  if (!PartialShape::merge(c.input(1), c.input(2)).ok()) {
    return invalid_argument("segment_ids and indices should have same size: ", c.input(2), " and ",
                            c.input(1));
  }
  PartialShape y = c.input(0);
  if (y.has_rank()) y.set(0, -1);
  c.set_output(0, std::move(y));
  c.set_output(1, {-1});
  return absl::OkStatus();
}

template <class T, class Index, class Id>
Status run_sparse_segment_grad_v2(KernelRun& r, Scaling scaling) {
  const Shape& dy = r.input(0).shape();
  const auto indices = r.input(1).span<Index>();
  const auto ids = r.input(2).span<Id>();
  const int64_t inner = dy.product(1, dy.rank());
  TENON_ASSIGN_OR_RETURN(
      const SegmentRuns runs,
      (sparse_segment_runs<Id, Index>(ids, indices, integer_at(r.input(3), 0), dy[0])));
  std::vector<Index> rows(indices.begin(), indices.end());
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  Shape shape = dy;
  shape.set(0, static_cast<int64_t>(rows.size()));
  TENON_RETURN_IF_ERROR(r.allocate_output(0, shape));
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{shape[0]}));
  std::ranges::copy(rows, r.out<Index>(1));
  using Sum = SegmentSumType<T>;
  std::vector<Sum> sums(static_cast<size_t>(shape.num_elements()));
  for (size_t run = 0; run + 1 < runs.begins.size(); ++run) {
    const int64_t first = runs.begins[run], last = runs.begins[run + 1];
    const auto scale = static_cast<Sum>(scale_of(scaling, last - first));
    const T* from = r.in<T>(0) + static_cast<int64_t>(ids[static_cast<size_t>(first)]) * inner;
    for (int64_t i = first; i < last; ++i) {
      const auto row = std::ranges::lower_bound(rows, indices[static_cast<size_t>(i)]);
      Sum* to = sums.data() + (row - rows.begin()) * inner;
      for (int64_t j = 0; j < inner; ++j) to[j] += static_cast<Sum>(from[j]) * scale;
    }
  }
  std::transform(sums.begin(), sums.end(), r.out<T>(0), [](Sum x) { return static_cast<T>(x); });
  return absl::OkStatus();
}

template <Scaling scaling>
StatusOr<Kernel> make_sparse_segment_grad_v2(Prepare& p) {
  return segment_kernel<FloatTypes>(p, []<class T, class Index, class Id>() {
    return Kernel(
        [](KernelRun& r) { return run_sparse_segment_grad_v2<T, Index, Id>(r, scaling); });
  });
}

constexpr std::string_view grad_op(Scaling scaling) {
  return scaling == Scaling::kSum    ? "SparseSegmentSumGrad"
         : scaling == Scaling::kMean ? "SparseSegmentMeanGrad"
                                     : "SparseSegmentSqrtNGrad";
}

template <Scaling scaling>
Status sparse_segment_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint rows = b.dim(g.input(0), 0);
  g.set_dx(0, b.op(grad_op(scaling), {g.dy(), g.input(1), g.input(2), rows}));
  return absl::OkStatus();
}

#define TENON_SEGMENT_INDEX "; Tidx: {int32, int64} = int32; Tsegmentids: {int32, int64} = int32"
#define TENON_SEGMENT_FLOATS "T: {bfloat16, half, float, double}" TENON_SEGMENT_INDEX
#define TENON_SEGMENT_SPARSE "; sparse_gradient: bool = false"
#define TENON_SEGMENT_COUNT "; Tnumsegments: {int32, int64} = int32"

template <Scaling scaling>
constexpr OpDecl sparse_segment(AttrsText attrs) {
  return {
      .inputs = "data: T, indices: Tidx, segment_ids: Tsegmentids",
      .outputs = "output: T",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = sparse_segment_shape,
      .gradient = sparse_segment_gradient<scaling>,
      .kernels = {make_sparse_segment<scaling>},
  };
}

template <Scaling scaling>
constexpr OpDecl sparse_segment_counted(AttrsText attrs) {
  OpDecl decl = sparse_segment<scaling>(attrs);
  decl.inputs = "data: T, indices: Tidx, segment_ids: Tsegmentids, num_segments: Tnumsegments";
  decl.host_inputs = {3};
  return decl;
}

template <Scaling scaling>
constexpr OpDecl sparse_segment_grad() {
  return {
      .inputs = "grad: T, indices: Tidx, segment_ids: Tsegmentids, output_dim0: int32",
      .outputs = "output: T",
      .attrs = TENON_SEGMENT_FLOATS,
      .host_inputs = {3},
      .shape = sparse_segment_shape,
      .gradient = not_differentiable,
      .kernels = {make_sparse_segment_grad<scaling>},
  };
}

template <Scaling scaling>
constexpr OpDecl sparse_segment_grad_v2() {
  return {
      .inputs = "grad: T, indices: Tidx, segment_ids: Tsegmentids, dense_output_dim0: int32",
      .outputs = "output: T, sorted_unique_indices: Tidx",
      .attrs = TENON_SEGMENT_FLOATS,
      .supplies_outputs = true,
      .shape = sparse_segment_grad_v2_shape,
      .gradient = not_differentiable,
      .kernels = {make_sparse_segment_grad_v2<scaling>},
  };
}

}  // namespace

TENON_OP(SparseSegmentSum) =
    sparse_segment<Scaling::kSum>("T: {real}" TENON_SEGMENT_INDEX TENON_SEGMENT_SPARSE);
TENON_OP(SparseSegmentMean) =
    sparse_segment<Scaling::kMean>(TENON_SEGMENT_FLOATS TENON_SEGMENT_SPARSE);
TENON_OP(SparseSegmentSqrtN) =
    sparse_segment<Scaling::kSqrtN>(TENON_SEGMENT_FLOATS TENON_SEGMENT_SPARSE);
TENON_OP(SparseSegmentSumWithNumSegments) = sparse_segment_counted<Scaling::kSum>(
    "T: {real}" TENON_SEGMENT_INDEX TENON_SEGMENT_SPARSE TENON_SEGMENT_COUNT);
TENON_OP(SparseSegmentMeanWithNumSegments) = sparse_segment_counted<Scaling::kMean>(
    TENON_SEGMENT_FLOATS TENON_SEGMENT_SPARSE TENON_SEGMENT_COUNT);
TENON_OP(SparseSegmentSqrtNWithNumSegments) = sparse_segment_counted<Scaling::kSqrtN>(
    TENON_SEGMENT_FLOATS TENON_SEGMENT_SPARSE TENON_SEGMENT_COUNT);
TENON_OP(SparseSegmentSumGrad) = sparse_segment_grad<Scaling::kSum>();
TENON_OP(SparseSegmentMeanGrad) = sparse_segment_grad<Scaling::kMean>();
TENON_OP(SparseSegmentSqrtNGrad) = sparse_segment_grad<Scaling::kSqrtN>();
TENON_OP(SparseSegmentSumGradV2) = sparse_segment_grad_v2<Scaling::kSum>();
TENON_OP(SparseSegmentMeanGradV2) = sparse_segment_grad_v2<Scaling::kMean>();
TENON_OP(SparseSegmentSqrtNGradV2) = sparse_segment_grad_v2<Scaling::kSqrtN>();

#undef TENON_SEGMENT_COUNT
#undef TENON_SEGMENT_SPARSE
#undef TENON_SEGMENT_FLOATS
#undef TENON_SEGMENT_INDEX

}  // namespace tenon
