// IsotonicRegression: of each row the nearest sequence that does not rise, by pooling what does
// (Kruskal, "Nonmetric multidimensional scaling", 1964). NearestNeighbors: the nearest centres of
// points.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

Status isotonic_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  c.set_output(0, c.input(0));
  c.set_output(1, c.input(0));
  return absl::OkStatus();
}

// Elements [begin, end) that share their mean.
template <class T>
struct IsotonicPool {
  int64_t begin, end;
  T sum, mean;
};

template <class X, class Y>
void isotonic_row(const X* x, int64_t size, Y* y, int32_t* segments) {
  std::vector<IsotonicPool<Y>> pools;
  for (int64_t i = 0; i < size; ++i) {
    const Y value = static_cast<Y>(x[i]);
    pools.push_back({i, i + 1, value, value});
    while (pools.size() > 1 && pools.back().mean > pools[pools.size() - 2].mean) {
      const IsotonicPool<Y> last = pools.back();
      pools.pop_back();
      IsotonicPool<Y>& pool = pools.back();
      pool.end = last.end;
      pool.sum = static_cast<Y>(pool.sum + last.sum);
      pool.mean = static_cast<Y>(pool.sum / static_cast<Y>(pool.end - pool.begin));
    }
  }
  for (size_t p = 0; p < pools.size(); ++p) {
    std::fill(y + pools[p].begin, y + pools[p].end, pools[p].mean);
    std::fill(segments + pools[p].begin, segments + pools[p].end, static_cast<int32_t>(p));
  }
}

// TensorFlow's kernels: floats as they are, small integers in float, others in double.
template <class X>
using IsotonicResult = std::conditional_t<!std::is_integral_v<X>, X,
                                          std::conditional_t<sizeof(X) <= 2, float, double>>;

StatusOr<Kernel> make_isotonic(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const int64_t size = x[x.rank() - 1], rows = x.product(0, x.rank() - 1);
  const DType result = p.output_dtype(0);
  Kernel kernel;
  visit<TypeList<float16, bfloat16, float, double, int8_t, int16_t, int32_t, int64_t>>(
      p.input_dtype(0), [&]<class X>() {
        using Y = IsotonicResult<X>;
        if (result != dtype_of<Y>) return;
        kernel = [=](KernelRun& r) {
          parallel_for(rows, 64, [&](int64_t begin, int64_t end) {
            for (int64_t row = begin; row < end; ++row) {
              isotonic_row(r.in<X>(0) + row * size, size, r.out<Y>(0) + row * size,
                           r.out<int32_t>(1) + row * size);
            }
          });
          return absl::OkStatus();
        };
      });
  if (!kernel) {
    return unimplemented("IsotonicRegression from ", p.input_dtype(0), " to ", result);
  }
  return kernel;
}

// nn_grad.py, _IsotonicRegressionGrad: each pool shares the mean of its gradients.
Status isotonic_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint dy = g.dy(), segments = g.output(1);
  const Endpoint shape = b.shape_of(dy);
  const Endpoint size = b.element(shape, -1);
  const Endpoint flat = b.reshape(segments, b.op("Pack", {b.scalar(int32_t{-1}), size}));
  const Endpoint rows = b.dim(flat, 0);
  // Pools of different rows get numbers of their own.
  const Endpoint starts = b.op(
      "ExpandDims", {b.mul(b.op("Range", {b.scalar(int32_t{0}), rows, b.scalar(int32_t{1})}), size),
                     b.scalar(int32_t{1})});
  const Endpoint ids = b.reshape(b.add(flat, starts), b.integers({-1}));
  const Endpoint count = b.op("Size", {dy});
  const Endpoint values = b.reshape(dy, b.integers({-1}));
  const Endpoint sums = b.op("UnsortedSegmentSum", {values, ids, count});
  const Endpoint sizes = b.op("UnsortedSegmentSum", {b.op("OnesLike", {values}), ids, count});
  const Endpoint means = b.op("DivNoNan", {sums, sizes});
  g.set_dx(0, b.cast(b.reshape(b.op("GatherV2", {means, ids, b.scalar(int32_t{0})}), shape),
                     g.input_dtype(0)));
  return absl::OkStatus();
}

Status neighbors_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  const PartialShape &points = c.input(0), &centers = c.input(1);
  if (points.has_rank() && centers.has_rank() &&
      !PartialShape::merge({points[1]}, {centers[1]}).ok()) {
    return invalid_argument("Points and centers must have the same dimensionality: ", points[1],
                            " and ", centers[1]);
  }
  int64_t k = -1;
  if (const Tensor* wanted = c.constant(2)) {
    k = integer_at(*wanted, 0);
    if (k < 0) return invalid_argument("k must be at least 0, it is ", k);
    const int64_t most = centers.has_rank() ? centers[0] : -1;
    k = most < 0 ? -1 : std::min(k, most);
  }
  for (int i = 0; i < 2; ++i) c.set_output(i, {points.has_rank() ? points[0] : -1, k});
  return absl::OkStatus();
}

StatusOr<Kernel> make_neighbors(Prepare& p) {
  const int64_t points = p.input_shape(0)[0], width = p.input_shape(0)[1];
  const int64_t centers = p.input_shape(1)[0], k = p.output_shape(0)[1];
  return Kernel([=](KernelRun& r) {
    parallel_for(points, 16, [&](int64_t begin, int64_t end) {
      std::vector<std::pair<float, int64_t>> found(static_cast<size_t>(centers));
      for (int64_t i = begin; i < end; ++i) {
        const float* point = r.in<float>(0) + i * width;
        for (int64_t j = 0; j < centers; ++j) {
          const float* center = r.in<float>(1) + j * width;
          float distance = 0;
          for (int64_t d = 0; d < width; ++d) {
            distance += (point[d] - center[d]) * (point[d] - center[d]);
          }
          found[static_cast<size_t>(j)] = {distance, j};
        }
        std::partial_sort(found.begin(), found.begin() + k, found.end());
        for (int64_t j = 0; j < k; ++j) {
          r.out<int64_t>(0)[i * k + j] = found[static_cast<size_t>(j)].second;
          r.out<float>(1)[i * k + j] = found[static_cast<size_t>(j)].first;
        }
      }
    });
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(IsotonicRegression) = {
    .inputs = "input: T",
    .outputs = "output: output_dtype, segments: int32",
    .attrs = "T: {real}; output_dtype: {floating} = float",
    .shape = isotonic_shape,
    .gradient = isotonic_gradient,
    .kernels = {make_isotonic},
};

TENON_OP(NearestNeighbors) = {
    .inputs = "points: float, centers: float, k: int64",
    .outputs = "nearest_center_indices: int64, nearest_center_distances: float",
    .host_inputs = {2},
    .shape = neighbors_shape,
    .gradient = not_differentiable,
    .kernels = {make_neighbors},
};

}  // namespace tenon
