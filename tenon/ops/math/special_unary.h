// Ops of one number whose function is computed in double precision.
#pragma once

#include "tenon/base/parallel.h"
#include "tenon/ops/math/elementwise.h"

namespace tenon {

inline constexpr int64_t kSpecialGrain = 256;

// Where TensorFlow's own arithmetic in T decides the value: fix<T>(x, f(x)).
struct AsComputed {
  template <class T>
  static double fix(double, double y) {
    return y;
  }
};

template <double (*f)(double), class Ends>
StatusOr<Kernel> make_special_unary(Prepare& p) {
  p.may_overwrite(0, 0);
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [count = p.input_shape(0).num_elements()](KernelRun& r) {
      const T* x = r.in<T>(0);
      T* y = r.out<T>(0);
      parallel_for(count, kSpecialGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const auto wide = static_cast<double>(x[i]);
          y[i] = static_cast<T>(Ends::template fix<T>(wide, f(wide)));
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

template <double (*f)(double), class Formula, class Ends = AsComputed>
constexpr OpDecl special_unary() {
  return {
      .inputs = "x: T",
      .outputs = "y: T",
      .attrs = "T: {bfloat16, half, float, double}",
      .shape = same_as_input<0>,
      .rows = Rows::kIndependent,
      .gradient = unary_gradient<Formula>,
      .kernels = {make_special_unary<f, Ends>},
  };
}

}  // namespace tenon
