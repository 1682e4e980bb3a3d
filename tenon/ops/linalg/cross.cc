// Cross: products of vectors of three elements.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

Status cross_product_shape(ShapeContext& c) {
  for (int i = 0; i < 2; ++i) TENON_RETURN_IF_ERROR(c.expect_rank_at_least(i, 1));
  auto both = PartialShape::merge(c.input(0), c.input(1));
  if (!both.ok()) {
    return invalid_argument("Both inputs must be of same shape: ", c.input(0), " vs. ", c.input(1));
  }
  if (both->has_rank() && (*both)[both->rank() - 1] >= 0 && (*both)[both->rank() - 1] != 3) {
    return failed_precondition("Cross-products are only defined for 3-element vectors.");
  }
  c.set_output(0, *std::move(both));
  return absl::OkStatus();
}

// a b - c d, rounded after each operation; integers wrap.
template <class T>
T determinant_of(T a, T b, T c, T d) {
  if constexpr (std::is_integral_v<T>) {
    const auto wide = [](T x) { return static_cast<uint64_t>(x); };
    return static_cast<T>(wide(a) * wide(b) - wide(c) * wide(d));
  } else if constexpr (sizeof(T) == 2) {
    const auto product = [](T x, T y) { return T(static_cast<float>(x) * static_cast<float>(y)); };
    return T(static_cast<float>(product(a, b)) - static_cast<float>(product(c, d)));
  } else {
    return a * b - c * d;
  }
}

StatusOr<Kernel> make_cross_product(Prepare& p) {
  const int64_t count = p.input_shape(0).num_elements() / 3;
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [count](KernelRun& r) {
      parallel_for(count, 4096, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const T* u = r.in<T>(0) + 3 * i;
          const T* v = r.in<T>(1) + 3 * i;
          T* y = r.out<T>(0) + 3 * i;
          y[0] = determinant_of<T>(u[1], v[2], u[2], v[1]);
          y[1] = determinant_of<T>(u[2], v[0], u[0], v[2]);
          y[2] = determinant_of<T>(u[0], v[1], u[1], v[0]);
        }
      });
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("Cross has no CPU kernel for dtype ", p.input_dtype(0));
  return kernel;
}

}  // namespace

TENON_OP(Cross) = {
    .inputs = "a: T, b: T",
    .outputs = "product: T",
    .attrs = "T: {real}",
    .shape = cross_product_shape,
    .rows = Rows::kIndependentUnlessRank1,
    .gradient =
        [](Gradient& g) {
          g.set_dx(0, g.build().op("Cross", {g.input(1), g.dy()}));
          g.set_dx(1, g.build().op("Cross", {g.dy(), g.input(0)}));
          return absl::OkStatus();
        },
    .kernels = {make_cross_product},
};

}  // namespace tenon
