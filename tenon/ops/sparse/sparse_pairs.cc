// SparseAdd, SparseAddGrad, SparseSparseMaximum, SparseSparseMinimum: two sparse tensors, each in
// row-major order, as one.
#include <cmath>
#include <complex>

#include "tenon/graph/gradient.h"
#include "tenon/ops/sparse/coordinates.h"

namespace tenon {
namespace {

constexpr int kSecond = 3;  // inputs of the second tensor begin here
constexpr int64_t kNone = -1;

// Where an element of the result comes from: rows of both tensors, kNone where one lacks it.
struct Pair {
  int64_t a, b;
};

// A merge, as TensorFlow's: tensors that are not in order are not put in order.
std::vector<Pair> merged(const Coordinates& a, const Coordinates& b) {
  std::vector<Pair> pairs;
  pairs.reserve(static_cast<size_t>(a.count + b.count));
  int64_t i = 0, j = 0;
  while (i < a.count || j < b.count) {
    if (i == a.count) {
      pairs.push_back({kNone, j++});
    } else if (j == b.count) {
      pairs.push_back({i++, kNone});
    } else if (std::ranges::equal(a.row(i), b.row(j))) {
      pairs.push_back({i++, j++});
    } else if (std::ranges::lexicographical_compare(a.row(i), b.row(j))) {
      pairs.push_back({i++, kNone});
    } else {
      pairs.push_back({kNone, j++});
    }
  }
  return pairs;
}

Status check_pair(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_sparse(c, 0));
  TENON_RETURN_IF_ERROR(check_sparse(c, kSecond));
  const Tensor *a = c.constant(2), *b = c.constant(kSecond + 2);
  if (a && b && integers_of(*a) != integers_of(*b)) {
    return invalid_argument("Operands' shapes do not match: got ", join(integers_of(*a), ","),
                            " and ", join(integers_of(*b), ","));
  }
  return absl::OkStatus();
}

Status pair_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(check_pair(c));
  if (c.num_inputs() > 2 * kSecond) TENON_RETURN_IF_ERROR(c.expect_rank(2 * kSecond, 0));
  c.set_output(0, {-1, c.input(0).has_rank() ? c.input(0)[1] : -1});
  c.set_output(1, {-1});
  if (c.num_outputs() > 2) c.set_output(2, c.input(2));
  return absl::OkStatus();
}

// The elements of both tensors that `combine(x, y, both, value)` keeps; `both`: neither lacks it.
template <class T, class Combine>
Status combine_pairs(KernelRun& r, Combine combine) {
  if (integers_of(r.input(2)) != integers_of(r.input(kSecond + 2))) {
    return invalid_argument("Operands' shapes do not match: got ",
                            join(integers_of(r.input(2)), ","), " and ",
                            join(integers_of(r.input(kSecond + 2)), ","));
  }
  const Coordinates a(r.input(0)), b(r.input(kSecond));
  if (a.rank != b.rank) return invalid_argument("Operands' ranks do not match");
  std::vector<Pair> pairs = merged(a, b);
  std::vector<T> values;
  const auto is_dropped = [&](const Pair& pair) {
    const T x = pair.a == kNone ? T{} : r.in<T>(1)[pair.a];
    const T y = pair.b == kNone ? T{} : r.in<T>(kSecond + 1)[pair.b];
    T value{};
    if (!combine(x, y, pair.a != kNone && pair.b != kNone, value)) return true;
    values.push_back(value);
    return false;
  };
  pairs.erase(std::remove_if(pairs.begin(), pairs.end(), is_dropped), pairs.end());
  const auto count = static_cast<int64_t>(pairs.size());
  TENON_RETURN_IF_ERROR(r.allocate_output(0, Shape{count, a.rank}));
  TENON_RETURN_IF_ERROR(r.allocate_output(1, Shape{count}));
  int64_t* index = r.out<int64_t>(0);
  for (const Pair& pair : pairs) {
    index = std::ranges::copy(pair.a == kNone ? b.row(pair.b) : a.row(pair.a), index).out;
  }
  std::ranges::copy(values, r.out<T>(1));
  return absl::OkStatus();
}

template <bool largest>
StatusOr<Kernel> make_sparse_extreme(Prepare& p) {
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(1), [&]<class T>() {
    kernel = [](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(const Shape shape, dense_shape(r.input(2)));
      for (int first : {0, kSecond}) {
        TENON_RETURN_IF_ERROR(check_bounds(Coordinates(r.input(first)), shape));
      }
      return combine_pairs<T>(r, [](T x, T y, bool, T& value) {
        value = (largest ? x < y : y < x) ? y : x;
        return true;
      });
    };
  });
  if (!kernel) return unimplemented(p.op().name(), " has no kernel for ", p.input_dtype(1));
  return kernel;
}

template <class T>
struct RealOf {
  using type = T;
};
template <class T>
struct RealOf<std::complex<T>> {
  using type = T;
};

template <class T>
typename RealOf<T>::type magnitude(T x) {
  if constexpr (is_complex(dtype_of<T>)) {
    return std::abs(x);
  } else if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;  // the least integer is its own magnitude
    return x < 0 ? static_cast<T>(Unsigned{} - static_cast<Unsigned>(x)) : x;
  } else {
    return std::abs(x);
  }
}

template <class T>
T wrapping_sum(T x, T y) {
  if constexpr (std::is_integral_v<T>) {
    using Unsigned = std::make_unsigned_t<T>;
    return static_cast<T>(static_cast<Unsigned>(x) + static_cast<Unsigned>(y));
  } else {
    return x + y;
  }
}

using AddTypes = TypeList<float, double, int64_t, int32_t, int16_t, int8_t, std::complex<float>,
                          std::complex<double>>;

StatusOr<Kernel> make_sparse_add(Prepare& p) {
  const DType threshold = p.input_dtype(2 * kSecond);
  Kernel kernel;
  visit<AddTypes>(p.input_dtype(1), [&]<class T>() {
    using Real = typename RealOf<T>::type;
    if (threshold != dtype_of<Real>) return;
    kernel = [](KernelRun& r) -> Status {
      const Real least = *r.in<Real>(2 * kSecond);
      TENON_RETURN_IF_ERROR(combine_pairs<T>(r, [least](T x, T y, bool both, T& value) {
        value = wrapping_sum(x, y);
        return !both || least <= magnitude(value);  // as TensorFlow's, whatever its words
      }));
      r.set_output(2, r.input(2));
      return absl::OkStatus();
    };
  });
  if (!kernel) {
    return unimplemented("SparseAdd has no kernel for ", p.input_dtype(1), " and ", threshold);
  }
  return kernel;
}

// sparse_grad.py, _SparseAddGrad.
Status sparse_add_gradient(Gradient& g) {
  const std::vector<Endpoint> dx =
      g.build().ops("SparseAddGrad", {g.dy(1), g.input(0), g.input(kSecond), g.output(0)});
  if (dx.size() == 2) {
    g.set_dx(1, dx[0]);
    g.set_dx(kSecond + 1, dx[1]);
  }
  return absl::OkStatus();
}

Status sparse_add_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  for (int i = 1; i < 4; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 2));
  for (int i = 0; i < 2; ++i) {
    const PartialShape& rows = c.input(i + 1);
    c.set_output(i, {rows.has_rank() ? rows[0] : -1});
  }
  return absl::OkStatus();
}

// Each row's share of dy, 0 where the sum fell below the threshold.
template <class T>
void shares(const Coordinates& rows, const Coordinates& sum, const T* dy, T* dx) {
  int64_t at = 0;
  for (int64_t i = 0; i < rows.count; ++i) {
    while (at < sum.count && std::ranges::lexicographical_compare(sum.row(at), rows.row(i))) {
      ++at;
    }
    const bool kept = at < sum.count && std::ranges::equal(sum.row(at), rows.row(i));
    dx[i] = kept ? dy[at] : T{};
  }
}

StatusOr<Kernel> make_sparse_add_grad(Prepare& p) {
  Kernel kernel;
  visit<AddTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [](KernelRun& r) -> Status {
      const Coordinates sum(r.input(3));
      if (r.input(0).num_elements() != sum.count) {
        return invalid_argument("# elements of backprop_val_grad and # rows of sum_indices should ",
                                "match (#nnz of sum): got ", r.input(0).num_elements(), " and ",
                                sum.count);
      }
      for (int i = 0; i < 2; ++i) {
        const Coordinates rows(r.input(i + 1));
        if (rows.rank != sum.rank) {
          return invalid_argument("The densified operands should have the same ndims: got ",
                                  rows.rank, " and ", sum.rank);
        }
        shares(rows, sum, r.in<T>(0), r.out<T>(i));
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("SparseAddGrad has no kernel for ", p.input_dtype(0));
  return kernel;
}

constexpr OpDecl sparse_extreme(KernelFactory factory) {
  return {
      .inputs =
          "a_indices: int64, a_values: T, a_shape: int64, b_indices: int64, b_values: T, "
          "b_shape: int64",
      .outputs = "output_indices: int64, output_values: T",
      .attrs = "T: {real}",
      .supplies_outputs = true,
      .shape = pair_shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(SparseSparseMaximum) = sparse_extreme(make_sparse_extreme<true>);
TENON_OP(SparseSparseMinimum) = sparse_extreme(make_sparse_extreme<false>);
TENON_OP(SparseAdd) = {
    .inputs =
        "a_indices: int64, a_values: T, a_shape: int64, b_indices: int64, b_values: T, "
        "b_shape: int64, thresh: Treal",
    .outputs = "sum_indices: int64, sum_values: T, sum_shape: int64",
    .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16}; Treal: {real}",
    .supplies_outputs = true,
    .shape = pair_shape,
    .gradient = sparse_add_gradient,
    .kernels = {make_sparse_add},
};
TENON_OP(SparseAddGrad) = {
    .inputs = "backprop_val_grad: T, a_indices: int64, b_indices: int64, sum_indices: int64",
    .outputs = "a_val_grad: T, b_val_grad: T",
    .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16}",
    .shape = sparse_add_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_sparse_add_grad},
};

}  // namespace tenon
