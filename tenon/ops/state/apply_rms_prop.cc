// ResourceApplyRMSProp, ResourceApplyCenteredRMSProp.
#include "tenon/core/op.h"
#include "tenon/kernels/optimizer.h"
#include "tenon/ops/state/optimizer_kernel.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_apply_rms_prop(Prepare& p) {
  return make_optimizer_kernel(
      p, 3, 7, []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_rms_prop<T>(count, *r.in<T>(3), *r.in<T>(4), *r.in<T>(5), *r.in<T>(6), g,
                                   v[0], v[1], v[2], nullptr);
      });
}

StatusOr<Kernel> make_apply_centered_rms_prop(Prepare& p) {
  return make_optimizer_kernel(
      p, 4, 8, []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_rms_prop<T>(count, *r.in<T>(4), *r.in<T>(5), *r.in<T>(6), *r.in<T>(7), g,
                                   v[0], v[2], v[3], v[1]);
      });
}

}  // namespace

TENON_OP(ResourceApplyRMSProp) = optimizer_op<3, 7>(
    "var: resource, ms: resource, mom: resource, lr: T, rho: T, momentum: T, epsilon: T, grad: T",
    make_apply_rms_prop);

TENON_OP(ResourceApplyCenteredRMSProp) = optimizer_op<4, 8>(
    "var: resource, mg: resource, ms: resource, mom: resource, lr: T, rho: T, momentum: T, "
    "epsilon: T, grad: T",
    make_apply_centered_rms_prop);

}  // namespace tenon
