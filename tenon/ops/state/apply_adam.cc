// ResourceApplyAdam, ResourceApplyAdamWithAmsgrad, ResourceApplyAdaMax.
#include "tenon/core/op.h"
#include "tenon/kernels/optimizer.h"
#include "tenon/ops/state/optimizer_kernel.h"

namespace tenon {
namespace {

// The scalars from input `first` on: beta1_power, beta2_power, lr, beta1, beta2, epsilon.
template <class T>
kernels::AdamParameters<T> adam_parameters(const KernelRun& r, int first, bool nesterov) {
  const auto scalar = [&](int index) { return *r.in<T>(first + index); };
  return {.lr = scalar(2),
          .beta1 = scalar(3),
          .beta2 = scalar(4),
          .beta1_power = scalar(0),
          .beta2_power = scalar(1),
          .epsilon = scalar(5),
          .nesterov = nesterov};
}

StatusOr<Kernel> make_apply_adam(Prepare& p) {
  const bool nesterov = p.attr<bool>("use_nesterov");
  return make_optimizer_kernel(
      p, 3, 9, [nesterov]<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_adam<T>(count, adam_parameters<T>(r, 3, nesterov), g, v[0], v[1], v[2],
                               nullptr);
      });
}

StatusOr<Kernel> make_apply_adam_amsgrad(Prepare& p) {
  return make_optimizer_kernel(
      p, 4, 10, []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_adam<T>(count, adam_parameters<T>(r, 4, false), g, v[0], v[1], v[2], v[3]);
      });
}

// m += (g - m) (1 - beta1); v = max(beta2 v, |g|); w -= lr / (1 - beta1_power) m / (v + epsilon)
// (tensorflow/core/kernels/training_ops.cc, ApplyAdaMaxNonCuda).
template <class T>
void apply_ada_max(const KernelRun& r, int64_t count, const T* g, T* w, T* m, T* v) {
  const T beta1 = *r.in<T>(5), beta2 = *r.in<T>(6), epsilon = *r.in<T>(7);
  const T rate = *r.in<T>(4) / (1 - *r.in<T>(3));
  for (int64_t i = 0; i < count; ++i) {
    m[i] += (g[i] - m[i]) * (1 - beta1);
    v[i] = std::max(beta2 * v[i], std::abs(g[i]));
    w[i] -= rate * (m[i] / (v[i] + epsilon));
  }
}

StatusOr<Kernel> make_apply_ada_max(Prepare& p) {
  return make_optimizer_kernel(p, 3, 8,
                               []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
                                 apply_ada_max<T>(r, count, g, v[0], v[1], v[2]);
                               });
}

}  // namespace

TENON_OP(ResourceApplyAdam) = optimizer_op<3, 9>(
    "var: resource, m: resource, v: resource, beta1_power: T, beta2_power: T, lr: T, beta1: T, "
    "beta2: T, epsilon: T, grad: T",
    make_apply_adam,
    "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; use_locking: bool = false; "
    "use_nesterov: bool = false");

TENON_OP(ResourceApplyAdamWithAmsgrad) = optimizer_op<4, 10>(
    "var: resource, m: resource, v: resource, vhat: resource, beta1_power: T, beta2_power: T, lr: "
    "T, beta1: T, beta2: T, epsilon: T, grad: T",
    make_apply_adam_amsgrad);

TENON_OP(ResourceApplyAdaMax) = optimizer_op<3, 8>(
    "var: resource, m: resource, v: resource, beta1_power: T, lr: T, beta1: T, beta2: T, epsilon: "
    "T, grad: T",
    make_apply_ada_max);

}  // namespace tenon
