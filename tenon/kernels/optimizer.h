// Fused update loops of the optimizers; formulas as TensorFlow's ResourceApply* ops and Keras.
//
// Each updates `count` elements in place, split over the team; same bits for any team size. T:
// float (vectorised) or double. Gradients are read only.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// w -= lr * g.
template <class T>
void apply_gradient_descent(int64_t count, T lr, const T* g, T* w);

// Keras: m = momentum * m - lr * g; w += m, or w += momentum * m - lr * g when nesterov
// (ResourceApplyKerasMomentum).
template <class T>
void apply_keras_momentum(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m);

// Classical: m = momentum * m + g; w -= lr * m, or w -= lr * g + lr * momentum * m when nesterov
// (ResourceApplyMomentum).
template <class T>
void apply_momentum(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m);

// m += (g - m) * one_minus_beta1; v += (g^2 - v) * one_minus_beta2;
// w -= alpha * m / (sqrt(v) + epsilon), where nesterov takes m * beta1 + one_minus_beta1 * g for m.
// `v_hat`, when not null, holds the running maximum of v and replaces it (amsgrad). The caller
// decides how alpha, the learning rate with its bias corrections, and 1 - beta are rounded:
// TensorFlow computes them in T, Keras 1 - beta in double. `squares`, when not null, stand in place
// of g^2.
template <class T>
struct AdamParameters {
  T alpha, one_minus_beta1, one_minus_beta2, epsilon;
  bool nesterov = false;
  T beta1 = {};  // read when nesterov
  const T* squares = nullptr;
};
template <class T>
void apply_adam(int64_t count, const AdamParameters<T>& p, const T* g, T* w, T* m, T* v, T* v_hat);

// ms = rho * ms + one_minus_rho * g^2; centred: mg = rho * mg + one_minus_rho * g,
// d = ms - mg^2 + epsilon, else d = ms + epsilon; mom = momentum * mom + lr * g / sqrt(d);
// w -= mom. `mg` is null when not centred, `mom` when momentum is 0. one_minus_rho: as for Adam.
template <class T>
struct RmsPropParameters {
  T lr, rho, one_minus_rho, momentum, epsilon;
};
template <class T>
void apply_rms_prop(int64_t count, const RmsPropParameters<T>& p, const T* g, T* w, T* ms, T* mom,
                    T* mg);

// a += g^2 (when update_slots); w -= lr * g / (sqrt(a) + epsilon_outside) with d = sqrt(a +
// epsilon_inside). TensorFlow's V2 op uses the one outside, Keras the one inside.
template <class T>
void apply_adagrad(int64_t count, T lr, T epsilon_inside, T epsilon_outside, bool update_slots,
                   const T* g, T* w, T* a);

// G = rho * G + (1 - rho) * g^2; d = sqrt(D + epsilon) / sqrt(G + epsilon) * g;
// D = rho * D + (1 - rho) * d^2; w -= lr * d.
template <class T>
void apply_adadelta(int64_t count, T lr, T rho, T epsilon, const T* g, T* w, T* accumulator,
                    T* accumulated_update);

// Keras' table row: see reference of ResourceApplyFtrlV2; shrinkage and beta as there.
template <class T>
struct FtrlParameters {
  T lr, l1, l2, l2_shrinkage, lr_power;
};
template <class T>
void apply_ftrl(int64_t count, const FtrlParameters<T>& p, const T* g, T* w, T* accumulator,
                T* linear);

}  // namespace tenon::kernels
