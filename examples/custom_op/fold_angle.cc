// A custom op as a plug-in of its own: FoldAngle wraps angles into [-period / 2, period / 2).
#include <cmath>

#include "tenon/plugin_op.h"

namespace {

namespace p = tenon::plugin;

// y = x - period * floor(x / period + 1/2).
template <class T>
p::Result<p::Kernel> make_fold_angle(p::Prepare& prepare, p::DType dtype) {
  if (prepare.input_dtype(0) != dtype) return p::unimplemented("another dtype");
  const auto period = static_cast<T>(prepare.attr<float>("period"));
  if (!(period > 0)) return p::invalid_argument("attribute 'period' must be positive");
  prepare.may_overwrite(0, 0);
  return p::Kernel([period](p::KernelRun& r) {
    const T* x = r.in<T>(0);
    T* y = r.out<T>(0);
    constexpr int64_t kGrain = 4096;
    p::parallel_for(r.size(0), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        y[i] = x[i] - period * std::floor(x[i] / period + T(0.5));
      }
    });
    return p::Status();
  });
}

p::Result<p::Kernel> make_float(p::Prepare& prepare) {
  return make_fold_angle<float>(prepare, p::DType::kFloat);
}
p::Result<p::Kernel> make_double(p::Prepare& prepare) {
  return make_fold_angle<double>(prepare, p::DType::kDouble);
}

}  // namespace

TENON_PLUGIN_OP(FoldAngle) = {
    .inputs = "angle: T",
    .outputs = "folded: T",
    .attrs = "T: {float, double}; period: float = 6.2831855",
    .rows = p::Rows::kIndependent,
    .shape = p::same_as_input<0>,
    // The slope is 1 wherever there is one.
    .gradient =
        [](p::Gradient& g) {
          g.set_dx(0, g.op("Identity", {g.dy()}));
          return p::Status();
        },
    .kernels = {make_float, make_double},
};

TENON_PLUGIN("fold_angle");
