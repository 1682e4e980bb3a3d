// ResourceApplyAdagradV2, ResourceApplyAdadelta, ResourceApplyFtrlV2.
#include "tenon/core/op.h"
#include "tenon/kernels/optimizer.h"
#include "tenon/ops/state/optimizer_kernel.h"
#include "tenon/ops/state/optimizer_rules.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_apply_adagrad(Prepare& p) {
  const bool update_slots = p.attr<bool>("update_slots");
  return make_optimizer_kernel(
      p, 2, 4, [update_slots]<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_adagrad<T>(count, *r.in<T>(2), T(0), *r.in<T>(3), update_slots, g, v[0],
                                  v[1]);
      });
}

StatusOr<Kernel> make_apply_adadelta(Prepare& p) {
  return make_optimizer_kernel(p, 3, 6,
                               []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
                                 kernels::apply_adadelta<T>(count, *r.in<T>(3), *r.in<T>(4),
                                                            *r.in<T>(5), g, v[0], v[1], v[2]);
                               });
}

StatusOr<Kernel> make_apply_ftrl(Prepare& p) {
  const bool by_lr = p.attr<bool>("multiply_linear_by_lr");
  return make_optimizer_kernel(
      p, 3, 3, [by_lr]<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        if (by_lr) {
          const T scalars[] = {*r.in<T>(4), *r.in<T>(5), *r.in<T>(6), *r.in<T>(7), *r.in<T>(8)};
          for (int64_t i = 0; i < count; ++i) {
            T of_one[] = {v[0][i], v[1][i], v[2][i]};
            FtrlRule<true>::step(g[i], scalars, true, of_one);
            for (size_t k = 0; k < 3; ++k) v[k][i] = of_one[k];
          }
          return;
        }
        const kernels::FtrlParameters<T> parameters{.lr = *r.in<T>(4),
                                                    .l1 = *r.in<T>(5),
                                                    .l2 = *r.in<T>(6),
                                                    .l2_shrinkage = *r.in<T>(7),
                                                    .lr_power = *r.in<T>(8)};
        kernels::apply_ftrl<T>(count, parameters, g, v[0], v[1], v[2]);
      });
}

}  // namespace

TENON_OP(ResourceApplyAdagradV2) = optimizer_op<2, 4>(
    "var: resource, accum: resource, lr: T, epsilon: T, grad: T", make_apply_adagrad,
    "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; use_locking: bool = false; "
    "update_slots: bool = true");

TENON_OP(ResourceApplyAdadelta) = optimizer_op<3, 6>(
    "var: resource, accum: resource, accum_update: resource, lr: T, rho: T, epsilon: T, grad: T",
    make_apply_adadelta);

TENON_OP(ResourceApplyFtrlV2) = optimizer_op<3, 3>(
    "var: resource, accum: resource, linear: resource, grad: T, lr: T, l1: T, l2: T, l2_shrinkage: "
    "T, lr_power: T",
    make_apply_ftrl,
    "T: {real, complex, qint8, quint8, qint32, qint16, quint16}; use_locking: bool = false; "
    "multiply_linear_by_lr: bool = false");

}  // namespace tenon
