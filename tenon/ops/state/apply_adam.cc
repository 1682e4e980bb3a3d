// ResourceApplyAdam, ResourceApplyAdamWithAmsgrad, ResourceApplyAdaMax, and Keras' Adam.
#include "tenon/core/op.h"
#include "tenon/kernels/optimizer.h"
#include "tenon/ops/state/optimizer_kernel.h"

namespace tenon {
namespace {

// The scalars from input `first` on: beta1_power, beta2_power, lr, beta1, beta2, epsilon.
template <class T>
kernels::AdamParameters<T> adam_parameters(const KernelRun& r, int first, bool nesterov) {
  const auto scalar = [&](int index) { return *r.in<T>(first + index); };
  return {.alpha = scalar(2) * std::sqrt(T{1} - scalar(1)) / (T{1} - scalar(0)),
          .one_minus_beta1 = T{1} - scalar(3),
          .one_minus_beta2 = T{1} - scalar(4),
          .epsilon = scalar(5),
          .nesterov = nesterov,
          .beta1 = scalar(3)};
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

// With `of_rows` the square of the gradient is an input before it.
template <bool of_rows>
StatusOr<Kernel> make_keras_adam(Prepare& p) {
  const int first = 3 + static_cast<int>(p.attr<int64_t>("num_v_hat"));
  return make_optimizer_kernel(
      p, first, first + (of_rows ? 5 : 4),
      [first]<class T>(KernelRun& r, const auto& v, const T* g, int64_t count) {
        const auto scalar = [&](int index) { return *r.in<T>(first + index); };
        const kernels::AdamParameters<T> parameters{
            .alpha = scalar(0),
            .one_minus_beta1 = scalar(1),
            .one_minus_beta2 = scalar(2),
            .epsilon = scalar(3),
            .squares = of_rows ? r.in<T>(first + 4) : nullptr};
        kernels::apply_adam<T>(count, parameters, g, v[0], v[1], v[2], v[3]);
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

// Keras' Adam in one pass over memory. TensorFlow's op takes 1 - beta in T, Keras in double, and
// that shows in the sixth digit of an update; Keras keeps no powers of beta either. alpha is the
// learning rate with both bias corrections. One v_hat: amsgrad.
TENON_OP(_KerasAdam) = {
    .inputs =
        "var: resource, m: resource, v: resource, v_hat: num_v_hat * resource, alpha: T, "
        "one_minus_beta1: T, one_minus_beta2: T, epsilon: T, grad: T",
    .outputs = "",
    .attrs = "T: {float, double}; num_v_hat: int >= 0 = 0",
    .effect = Effect::kWrite,
    .shape = [](ShapeContext& c) { return keras_optimizer_shape(c, {"num_v_hat"}); },
    .gradient = not_differentiable,
    .kernels = {make_keras_adam<false>},
};

// The same where the square is not the gradient's: of rows that were looked up more than once Keras
// adds up the squares of each.
TENON_OP(_KerasAdamOfRows) = {
    .inputs =
        "var: resource, m: resource, v: resource, v_hat: num_v_hat * resource, alpha: T, "
        "one_minus_beta1: T, one_minus_beta2: T, epsilon: T, square: T, grad: T",
    .outputs = "",
    .attrs = "T: {float, double}; num_v_hat: int >= 0 = 0",
    .effect = Effect::kWrite,
    .shape = [](ShapeContext& c) { return keras_optimizer_shape(c, {"num_v_hat"}, true); },
    .gradient = not_differentiable,
    .kernels = {make_keras_adam<true>},
};

TENON_OP(ResourceApplyAdaMax) = optimizer_op<3, 8>(
    "var: resource, m: resource, v: resource, beta1_power: T, lr: T, beta1: T, beta2: T, epsilon: "
    "T, grad: T",
    make_apply_ada_max);

}  // namespace tenon
