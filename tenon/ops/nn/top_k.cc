// TopK and TopKV2: the k largest of each row, ties in the order of their indices. NthElement.
#include <numeric>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

// k is an attribute in the first version.
template <class Context>
std::optional<int64_t> top_k_count(const Context& c) {
  if (c.num_inputs() == 1) return c.template attr<int64_t>("k");
  if (!c.constant(1)) return std::nullopt;
  return integer_at(*c.constant(1), 0);
}

Status top_k_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  if (c.num_inputs() > 1) TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  const std::optional<int64_t> k = top_k_count(c);
  if (k && *k < 0) return invalid_argument("Need k >= 0, got ", *k);
  PartialShape y = c.input(0);
  if (y.has_rank()) {
    const int last = y.rank() - 1;
    if (k && y[last] >= 0 && y[last] < *k) {
      return invalid_argument("input must have at least k columns. Had ", y[last], ", needed ", *k);
    }
    y.set(last, k.value_or(-1));
  }
  c.set_output(0, y);
  c.set_output(1, y);
  return absl::OkStatus();
}

// Larger first; NaN behind everything, so that the order is one.
template <class T>
bool comes_before(T a, T b) {
  if constexpr (is_floating(dtype_of<T>)) {
    if (a != a) return false;
    if (b != b) return true;
  }
  return a > b;
}

// TensorFlow's order where a row holds NaN: what its own sort and heap make of comparisons that are
// all false, so the steps are its steps (topk_op.cc, gtl::TopN).
template <class T, class Index>
void top_k_unordered_row(const T* x, int64_t size, int64_t k, bool sorted, Index* order,
                         Index* indices) {
  const auto larger = [x](Index a, Index b) { return x[b] < x[a]; };
  const auto before = [x](Index a, Index b) { return x[b] < x[a] || (!(x[b] > x[a]) && a < b); };
  if (k == 1) {
    T most = x[0];
    for (int64_t i = 1; i < size; ++i) most = x[i] < most ? most : x[i];
    const T* place = std::find(x, x + size, most);
    *indices = static_cast<Index>(place == x + size ? 0 : place - x);
    return;
  }
  std::iota(order, order + size, Index{0});
  if (k == size) {
    std::sort(order, order + size, larger);
    for (Index *run = order, *end; run != order + size; run = end) {
      end = std::find_if(run + 1, order + size, [&](Index i) { return !(x[*run] == x[i]); });
      std::sort(run, end);
    }
  } else {
    Index* last = order + k;
    std::make_heap(order, last + 1, before);
    std::pop_heap(order, last + 1, before);
    for (int64_t i = k + 1; i < size; ++i) {
      if (!before(static_cast<Index>(i), *order)) continue;
      *last = static_cast<Index>(i);
      std::push_heap(order, last + 1, before);
      std::pop_heap(order, last + 1, before);
    }
    if (sorted) std::sort_heap(order, last, before);
  }
  std::copy_n(order, k, indices);
}

template <class T>
bool holds_nan(const T* x, int64_t size) {
  if constexpr (!is_floating(dtype_of<T>)) return false;
  return std::any_of(x, x + size, [](T value) { return value != value; });
}

template <class T, class Index>
void top_k_row(const T* x, int64_t size, int64_t k, Index* order, Index* indices) {
  const auto before = [x](Index a, Index b) {
    if (comes_before(x[a], x[b])) return true;
    return !comes_before(x[b], x[a]) && a < b;
  };
  if (k == 1) {
    Index best = 0;
    for (int64_t i = 1; i < size; ++i) {
      if (comes_before(x[i], x[best])) best = static_cast<Index>(i);
    }
    *indices = best;
  } else {
    for (int64_t i = 0; i < size; ++i) order[i] = static_cast<Index>(i);
    // A heap of k pays as long as k is small.
    if (k < size / 16) {
      std::partial_sort(order, order + k, order + size, before);
    } else {
      std::sort(order, order + size, before);
    }
    std::copy_n(order, k, indices);
  }
}

StatusOr<Kernel> make_top_k(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const int64_t size = x[x.rank() - 1], rows = x.product(0, x.rank() - 1);
  const int64_t k = *top_k_count(p);
  const bool sorted = p.attr<bool>("sorted");
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    visit<TypeList<int16_t, int32_t, int64_t>>(p.output_dtype(1), [&]<class Index>() {
      if (size > std::numeric_limits<Index>::max()) return;
      p.reserve_scratch(static_cast<size_t>(size * p.team()) * sizeof(Index));
      kernel = [=](KernelRun& r) {
        if (k == 0) return absl::OkStatus();
        const int64_t grain = std::max<int64_t>(1, 4096 / std::max<int64_t>(1, size));
        parallel_workers(rows, grain, [&](int64_t worker, int64_t begin, int64_t end) {
          Index* order = r.scratch<Index>() + worker * size;
          for (int64_t row = begin; row < end; ++row) {
            const T* x = r.in<T>(0) + row * size;
            Index* indices = r.out<Index>(1) + row * k;
            if (holds_nan(x, size)) {
              top_k_unordered_row(x, size, k, sorted, order, indices);
            } else {
              top_k_row(x, size, k, order, indices);
            }
            for (int64_t i = 0; i < k; ++i) r.out<T>(0)[row * k + i] = x[indices[i]];
          }
        });
        return absl::OkStatus();
      };
    });
  });
  if (!kernel) {
    return unimplemented(p.op().name(), " has no CPU kernel for ", p.input_dtype(0),
                         " of this size with indices of dtype ", p.output_dtype(1));
  }
  return kernel;
}

// nn_grad.py, _TopKGrad: dy put back where the values came from.
Status top_k_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint x = g.input(0);
  const Endpoint size = b.dim(x, -1);
  const Endpoint dy = g.dy();
  const Endpoint k = b.dim(dy, -1);
  const Endpoint zero = b.scalar<int32_t>(0);
  const Endpoint all = b.op("Size", {x});
  const Endpoint row_starts =
      b.op("Range", {zero, all, b.op("Maximum", {size, b.scalar<int32_t>(1)})});
  // The rows are counted: their number cannot be inferred where k is 0.
  const Endpoint rows = b.op("Size", {row_starts});
  const Endpoint indices = b.cast(b.reshape(g.output(1), b.op("Pack", {rows, k})), DType::kInt32);
  const Endpoint places = b.add(indices, b.op("ExpandDims", {row_starts, b.scalar<int32_t>(1)}));
  const Endpoint flat =
      b.op("ScatterNd", {b.reshape(places, b.integers({-1, 1})), b.reshape(dy, b.integers({-1})),
                         b.reshape(all, b.integers({1}))});
  g.set_dx(0, b.reshape(flat, b.shape_of(x)));
  return absl::OkStatus();
}

// The exact k largest (or smallest) along one axis, as TensorFlow's CPU kernel finds them.
Status approx_top_k_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  PartialShape y = c.input(0);
  if (y.has_rank()) {
    TENON_ASSIGN_OR_RETURN(const int axis,
                           resolve_axis(c.attr<int64_t>("reduction_dimension"), y.rank()));
    const auto k = c.attr<int64_t>("k");
    if (y[axis] >= 0 && y[axis] < k) {
      return invalid_argument("input must have at least k = ", k, " elements along axis ", axis,
                              ", its shape is ", y);
    }
    y.set(axis, k);
  }
  c.set_output(0, y);
  c.set_output(1, y);
  return absl::OkStatus();
}

StatusOr<Kernel> make_approx_top_k(Prepare& p) {
  if (!p.attr<bool>("aggregate_to_topk")) {
    return unimplemented("ApproxTopK that leaves its candidates as they are");
  }
  const Shape& x = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const int axis,
                         resolve_axis(p.attr<int64_t>("reduction_dimension"), x.rank()));
  const int64_t size = x[axis], k = p.attr<int64_t>("k");
  const int64_t outer = x.product(0, axis), inner = x.product(axis + 1, x.rank());
  const bool largest = p.attr<bool>("is_max_k");
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      std::vector<int32_t> order(static_cast<size_t>(size));
      for (int64_t row = 0; row < outer * inner; ++row) {
        const T* from = r.in<T>(0) + row / inner * size * inner + row % inner;
        const auto before = [&](int32_t a, int32_t b) {
          const T left = from[a * inner], right = from[b * inner];
          return largest ? comes_before(left, right) : comes_before(right, left);
        };
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), before);
        for (int64_t i = 0; i < k; ++i) {
          const int64_t at = (row / inner * k + i) * inner + row % inner;
          const int32_t place = order[static_cast<size_t>(i)];
          r.out<T>(0)[at] = from[place * inner];
          r.out<int32_t>(1)[at] = place;
        }
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

// nn_grad.py, _ApproxTopKGradient: dy put back where the values came from. Along the last axis.
Status approx_top_k_gradient(Gradient& g) {
  const PartialShape x = g.input_shape(0);
  const auto axis = g.attr<int64_t>("reduction_dimension");
  if (axis != -1 && !(x.has_rank() && axis == x.rank() - 1)) {
    return unimplemented("the gradient of ApproxTopK along another axis than the last");
  }
  return top_k_gradient(g);
}

Status nth_element_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  const PartialShape& x = c.input(0);
  if (!x.has_rank()) return unknown_shape(c);
  if (c.constant(1)) {
    const int64_t n = integer_at(*c.constant(1), 0);
    if (n < 0) return invalid_argument("n must be non-negative, got ", n);
    if (x[x.rank() - 1] >= 0 && n >= x[x.rank() - 1]) {
      return invalid_argument("Input must have last dimension > n = ", n);
    }
  }
  c.set_output(0, PartialShape(x.dims().first(static_cast<size_t>(x.rank() - 1))));
  return absl::OkStatus();
}

StatusOr<Kernel> make_nth_element(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const int64_t size = x[x.rank() - 1], rows = x.product(0, x.rank() - 1);
  const int64_t n = integer_at(*p.constant(1), 0);
  const bool reverse = p.attr<bool>("reverse");
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      std::vector<T> row(static_cast<size_t>(size));
      for (int64_t i = 0; i < rows; ++i) {
        std::copy_n(r.in<T>(0) + i * size, size, row.begin());
        // TensorFlow's call, so that NaN among the numbers comes out where it does there.
        const int64_t place = reverse ? size - 1 - n : n;
        std::nth_element(row.begin(), row.begin() + place, row.end());
        r.out<T>(0)[i] = row[static_cast<size_t>(place)];
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

// nn_grad.py, _NthElementGrad: the elements that equal the value share its gradient.
Status nth_element_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value x{b, g.input(0)};
  const Endpoint last = b->scalar<int32_t>(-1);
  const Value chosen =
      cast(apply("Equal", Value{b, b->op("ExpandDims", {g.output(0), last})}, x), x.dtype());
  const Value dy{b, b->op("ExpandDims", {g.dy(), last})};
  const Value count{b, b->op("Sum", {chosen, b->integers({-1})}, {{"keep_dims", true}})};
  g.set_dx(0, chosen / count * dy);
  return absl::OkStatus();
}

Rows rows_of_last_axis(const ShapeContext& c) {
  return c.input(0).has_rank() ? rows_beside_axis(-1, c.input(0).rank()) : Rows::kMixed;
}

}  // namespace

TENON_OP(TopK) = {
    .inputs = "input: T",
    .outputs = "values: T, indices: int32",
    .attrs = "k: int >= 0; sorted: bool = true; T: {real}",
    .shape = top_k_shape,
    .rows = rows_of_last_axis,
    .gradient = top_k_gradient,
    .kernels = {make_top_k},
};

TENON_OP(TopKV2) = {
    .inputs = "input: T, k: Tk",
    .outputs = "values: T, indices: index_type",
    .attrs =
        "sorted: bool = true; T: {real}; Tk: {int16, int32, int64} = int32; "
        "index_type: {int16, int32, int64} = int32",
    .host_inputs = {1},
    .shape = top_k_shape,
    .rows = rows_of_last_axis,
    .gradient = top_k_gradient,
    .kernels = {make_top_k},
};

TENON_OP(ApproxTopK) = {
    .inputs = "input: T",
    .outputs = "values: T, indices: int32",
    .attrs =
        "k: int >= 0; reduction_dimension: int = -1; recall_target: float = 0.95; "
        "is_max_k: bool = true; reduction_input_size_override: int = -1; "
        "aggregate_to_topk: bool = true; T: {half, bfloat16, float}",
    .shape = approx_top_k_shape,
    .gradient = approx_top_k_gradient,
    .kernels = {make_approx_top_k},
};

TENON_OP(NthElement) = {
    .inputs = "input: T, n: int32",
    .outputs = "values: T",
    .attrs = "reverse: bool = false; T: {real}",
    .host_inputs = {1},
    .shape = nth_element_shape,
    .rows = rows_of_last_axis,
    .gradient = nth_element_gradient,
    .kernels = {make_nth_element},
};

}  // namespace tenon
