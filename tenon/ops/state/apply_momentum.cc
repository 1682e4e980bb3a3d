// ResourceApplyGradientDescent, ResourceApplyMomentum, ResourceApplyKerasMomentum.
#include "tenon/core/op.h"
#include "tenon/kernels/optimizer.h"
#include "tenon/ops/state/optimizer_kernel.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_apply_gradient_descent(Prepare& p) {
  return make_optimizer_kernel(p, 1, 2,
                               []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
                                 kernels::apply_gradient_descent<T>(count, *r.in<T>(1), g, v[0]);
                               });
}

StatusOr<Kernel> make_apply_momentum(Prepare& p) {
  const bool nesterov = p.attr<bool>("use_nesterov");
  return make_optimizer_kernel(
      p, 2, 3, [nesterov]<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_momentum<T>(count, *r.in<T>(2), *r.in<T>(4), nesterov, g, v[0], v[1]);
      });
}

StatusOr<Kernel> make_apply_keras_momentum(Prepare& p) {
  const bool nesterov = p.attr<bool>("use_nesterov");
  return make_optimizer_kernel(
      p, 2, 3, [nesterov]<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_keras_momentum<T>(count, *r.in<T>(2), *r.in<T>(4), nesterov, g, v[0], v[1]);
      });
}

}  // namespace

TENON_OP(ResourceApplyGradientDescent) = optimizer_op<1, 2>("var: resource, alpha: T, delta: T",
                                                            make_apply_gradient_descent);

TENON_OP(ResourceApplyMomentum) = optimizer_op<2, 3>(
    "var: resource, accum: resource, lr: T, grad: T, momentum: T", make_apply_momentum,
    "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; use_locking: bool = false; "
    "use_nesterov: bool = false");

TENON_OP(ResourceApplyKerasMomentum) = optimizer_op<2, 3>(
    "var: resource, accum: resource, lr: T, grad: T, momentum: T", make_apply_keras_momentum,
    "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; use_locking: bool = false; "
    "use_nesterov: bool = false");

}  // namespace tenon
