// ResourceApplyRMSProp, ResourceApplyCenteredRMSProp, and Keras' RMSprop.
#include "tenon/core/op.h"
#include "tenon/kernels/optimizer.h"
#include "tenon/ops/state/optimizer_kernel.h"

namespace tenon {
namespace {

// The scalars from input `first` on: lr, rho, momentum, epsilon.
template <class T>
kernels::RmsPropParameters<T> rms_prop_parameters(const KernelRun& r, int first) {
  const auto scalar = [&](int index) { return *r.in<T>(first + index); };
  return {.lr = scalar(0),
          .rho = scalar(1),
          .one_minus_rho = T{1} - scalar(1),
          .momentum = scalar(2),
          .epsilon = scalar(3)};
}

StatusOr<Kernel> make_apply_rms_prop(Prepare& p) {
  return make_optimizer_kernel(p, 3, 7,
                               []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
                                 kernels::apply_rms_prop<T>(count, rms_prop_parameters<T>(r, 3), g,
                                                            v[0], v[1], v[2], nullptr);
                               });
}

StatusOr<Kernel> make_apply_centered_rms_prop(Prepare& p) {
  return make_optimizer_kernel(
      p, 4, 8, []<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        kernels::apply_rms_prop<T>(count, rms_prop_parameters<T>(r, 4), g, v[0], v[2], v[3], v[1]);
      });
}

StatusOr<Kernel> make_keras_rms_prop(Prepare& p) {
  const bool with_momentum = p.attr<int64_t>("num_momentum") > 0;
  const bool centered = p.attr<int64_t>("num_average") > 0;
  const int first = 2 + with_momentum + centered;
  return make_optimizer_kernel(
      p, first, first + 5, [=]<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        const auto scalar = [&](int index) { return *r.in<T>(first + index); };
        const kernels::RmsPropParameters<T> parameters{.lr = scalar(0),
                                                       .rho = scalar(1),
                                                       .one_minus_rho = scalar(2),
                                                       .momentum = scalar(3),
                                                       .epsilon = scalar(4)};
        T* const momentum = with_momentum ? v[2] : nullptr;
        T* const average = centered ? v[with_momentum ? 3 : 2] : nullptr;
        kernels::apply_rms_prop<T>(count, parameters, g, v[0], v[1], momentum, average);
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

// Keras' RMSprop in one pass over memory: with momentum, an average gradient (centred), both or
// neither, and 1 - rho as Keras rounds it (see _KerasAdam).
TENON_OP(_KerasRmsProp) = {
    .inputs =
        "var: resource, velocity: resource, momentum_slot: num_momentum * resource, "
        "average_gradient: num_average * resource, lr: T, rho: T, one_minus_rho: T, momentum: T, "
        "epsilon: T, grad: T",
    .outputs = "",
    .attrs = "T: {float, double}; num_momentum: int >= 0 = 0; num_average: int >= 0 = 0",
    .effect = Effect::kWrite,
    .shape =
        [](ShapeContext& c) {
          return keras_optimizer_shape(c, {"num_momentum", "num_average"});
        },
    .gradient = not_differentiable,
    .kernels = {make_keras_rms_prop},
};

}  // namespace tenon
