// Transpose, ConjugateTranspose, InvertPermutation.
#include "tenon/kernels/transpose.h"

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

StatusOr<std::vector<int>> read_permutation(const Tensor& value, int rank) {
  const std::vector<int64_t> axes = integers_of(value);
  if (value.rank() != 1 || static_cast<int>(axes.size()) != rank) {
    return invalid_argument("transpose expects a vector of size ", rank,
                            ". But input(1) is of shape ", value.shape());
  }
  std::vector<int> permutation;
  std::vector<bool> seen(static_cast<size_t>(rank));
  for (int64_t axis : axes) {
    TENON_ASSIGN_OR_RETURN(const int one, resolve_axis(axis, rank));
    if (seen[static_cast<size_t>(one)]) {
      return invalid_argument("the permutation names axis ", one, " twice");
    }
    seen[static_cast<size_t>(one)] = true;
    permutation.push_back(one);
  }
  return permutation;
}

// The batch dimension stays the first.
Rows transpose_rows(const ShapeContext& c) {
  const Tensor* value = c.constant(1);
  if (!value || !c.input(0).has_rank()) return Rows::kMixed;
  const StatusOr<std::vector<int>> permutation = read_permutation(*value, c.input(0).rank());
  return permutation.ok() && !permutation->empty() && permutation->front() == 0 ? Rows::kIndependent
                                                                                : Rows::kMixed;
}

Status transpose_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& x = c.input(0);
  const PartialShape& length = c.input(1);
  const int64_t rank = x.has_rank() ? x.rank() : length.has_rank() ? length[0] : -1;
  if (rank < 0 || rank > kMaxRank) {
    c.set_output(0, PartialShape());
    return absl::OkStatus();
  }
  PartialShape y = PartialShape::unknown_of_rank(static_cast<int>(rank));
  if (const Tensor* value = c.constant(1)) {
    TENON_ASSIGN_OR_RETURN(const std::vector<int> permutation,
                           read_permutation(*value, static_cast<int>(rank)));
    for (int i = 0; x.has_rank() && i < y.rank(); ++i) {
      y.set(i, x[permutation[static_cast<size_t>(i)]]);
    }
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

template <bool conjugate>
StatusOr<Kernel> make_transpose(Prepare& p) {
  const Shape shape = p.input_shape(0);
  const DType dtype = p.input_dtype(0);
  TENON_ASSIGN_OR_RETURN(const std::vector<int> permutation,
                         read_permutation(*p.constant(1), shape.rank()));
  const size_t size = size_of(dtype);
  const bool flip = conjugate && is_complex(dtype);
  return [=](KernelRun& r) {
    kernels::transpose(size, shape, permutation, r.input(0).raw(), r.output(0).mutable_raw());
    own_elements(r, 0, 0);
    if (flip) {
      visit<TypeList<std::complex<float>, std::complex<double>>>(dtype, [&]<class T>() {
        for (int64_t i = 0; i < shape.num_elements(); ++i)
          r.out<T>(0)[i] = std::conj(r.out<T>(0)[i]);
      });
    }
    return absl::OkStatus();
  };
}

template <bool conjugate>
Status transpose_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint inverse = b.op("InvertPermutation", {g.input(1)});
  g.set_dx(0, b.op(conjugate ? "ConjugateTranspose" : "Transpose", {g.dy(), inverse}));
  return absl::OkStatus();
}

template <bool conjugate>
constexpr OpDecl transposition() {
  return {
      .inputs = "x: T, perm: Tperm",
      .outputs = "y: T",
      .attrs = "T: type; Tperm: {int32, int64} = int32",
      .host_inputs = {1},
      .shape = transpose_shape,
      .rows = transpose_rows,
      .gradient = transpose_gradient<conjugate>,
      .kernels = {make_transpose<conjugate>},
  };
}

Status invert_permutation_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

template <class T>
Status invert_permutation(std::span<const T> x, T* y) {
  const auto size = static_cast<int64_t>(x.size());
  std::fill_n(y, size, T{-1});
  for (int64_t i = 0; i < size; ++i) {
    const int64_t to = x[static_cast<size_t>(i)];
    if (to < 0 || to >= size) return invalid_argument(to, " is not between 0 and ", size);
    if (y[to] != T{-1}) return invalid_argument(to, " is duplicated in the input.");
    y[to] = static_cast<T>(i);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_invert_permutation(Prepare& p) {
  Kernel kernel;
  visit<IndexTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [](KernelRun& r) { return invert_permutation(r.input(0).span<T>(), r.out<T>(0)); };
  });
  return kernel;
}

}  // namespace

TENON_OP(Transpose) = transposition<false>();
TENON_OP(ConjugateTranspose) = transposition<true>();

TENON_OP(InvertPermutation) = {
    .inputs = "x: T",
    .outputs = "y: T",
    .attrs = "T: {int32, int64} = int32",
    .shape = invert_permutation_shape,
    .gradient = not_differentiable,
    .kernels = {make_invert_permutation},
};

}  // namespace tenon
