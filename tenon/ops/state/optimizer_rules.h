// The steps of optimizers on one element, for the ops that update whole variables and for those
// that update rows of them. Formulas: tensorflow/core/kernels/training_ops.cc.
//
// A rule changes v[0], the weight, and v[1..kVariables), its slots, by gradient g. `s` holds the
// op's scalars in the order of its inputs, `flag` its attribute update_slots, use_nesterov or
// multiply_linear_by_lr. T is float or double; half precision is computed in float.
#pragma once

#include <algorithm>
#include <cmath>

namespace tenon {

template <class T>
T sign_of(T x) {
  return static_cast<T>((x > 0) - (x < 0));
}

// lr; with V2, lr and epsilon.
template <bool v2>
struct AdagradRule {
  static constexpr int kVariables = 2;
  template <class T>
  static void step(T g, const T* s, bool update_slots, T* v) {
    if (update_slots) v[1] += g * g;
    v[0] -= v2 ? s[0] * g / (std::sqrt(v[1]) + s[1]) : s[0] * g / std::sqrt(v[1]);
  }
};

// lr, l1, l2, global step. Dual averaging: slots are the sums of gradients and of their squares.
struct AdagradDaRule {
  static constexpr int kVariables = 3;
  template <class T>
  static void step(T g, const T* s, bool, T* v) {
    v[1] += g;
    v[2] += g * g;
    const T size = s[1] > 0 ? std::max(std::abs(v[1]) - s[1] * s[3], T(0)) : std::abs(v[1]);
    v[0] = -sign_of(v[1]) * s[0] * size / (s[2] * s[3] * s[0] + std::sqrt(v[2]));
  }
};

// What is left of a weight that l1 pulls to 0 and l2 shrinks, for a step of length `lr`.
template <class T>
T proximal(T weight, T lr, T l1, T l2) {
  const T left = l1 > 0 ? std::max(std::abs(weight) - lr * l1, T(0)) : std::abs(weight);
  return sign_of(weight) * left / (T(1) + l2 * lr);
}

// alpha, l1, l2.
struct ProximalDescentRule {
  static constexpr int kVariables = 1;
  template <class T>
  static void step(T g, const T* s, bool, T* v) {
    v[0] = proximal(v[0] - s[0] * g, s[0], s[1], s[2]);
  }
};

// lr, l1, l2.
struct ProximalAdagradRule {
  static constexpr int kVariables = 2;
  template <class T>
  static void step(T g, const T* s, bool, T* v) {
    v[1] += g * g;
    const T lr = s[0] / std::sqrt(v[1]);
    v[0] = proximal(v[0] - g * lr, lr, s[1], s[2]);
  }
};

// lr, alpha, sign decay, beta; or lr, log of the base, sign decay, beta.
template <bool power>
struct SignRule {
  static constexpr int kVariables = 2;
  template <class T>
  static void step(T g, const T* s, bool, T* v) {
    v[1] = v[1] * s[3] + g * (T(1) - s[3]);
    const T agreement = s[2] * sign_of(g) * sign_of(v[1]);
    v[0] -= s[0] * (power ? std::exp(s[1] * agreement) : s[1] + agreement) * g;
  }
};

// lr, l1, l2, (V2: l2 shrinkage,) power of lr. Slots: sum of squares, linear term.
template <bool v2>
struct FtrlRule {
  static constexpr int kVariables = 3;
  template <class T>
  static void step(T g, const T* s, bool by_lr, T* v) {
    const T lr = s[0], power = v2 ? s[4] : s[3];
    const auto raised = [&](T sum) {
      return power == T(-0.5) ? std::sqrt(sum) : std::pow(sum, -power);
    };
    const T shrunk = v2 ? g + T(2) * s[3] * v[0] : g;
    const T sum = v[1] + g * g;
    const T moved = raised(sum) - raised(v[1]);
    const T l1 = by_lr ? s[1] * lr : s[1];
    v[2] += by_lr ? shrunk * lr - moved * v[0] : shrunk - moved / lr * v[0];
    const T quadratic = by_lr ? raised(sum) + T(2) * s[2] * lr : raised(sum) / lr + T(2) * s[2];
    v[0] = std::abs(v[2]) > l1 ? (sign_of(v[2]) * l1 - v[2]) / quadratic : T(0);
    v[1] = sum;
  }
};

// lr, rho, epsilon.
struct AdadeltaRule {
  static constexpr int kVariables = 3;
  template <class T>
  static void step(T g, const T* s, bool, T* v) {
    v[1] = v[1] * s[1] + g * g * (T(1) - s[1]);
    const T update = std::sqrt(v[2] + s[2]) / std::sqrt(v[1] + s[2]) * g;
    v[0] -= update * s[0];
    v[2] = v[2] * s[1] + update * update * (T(1) - s[1]);
  }
};

// lr, momentum.
template <bool keras>
struct MomentumRule {
  static constexpr int kVariables = 2;
  template <class T>
  static void step(T g, const T* s, bool nesterov, T* v) {
    if (keras) {
      v[1] = v[1] * s[1] - s[0] * g;
      v[0] += nesterov ? v[1] * s[1] - s[0] * g : v[1];
    } else {
      v[1] = v[1] * s[1] + g;
      v[0] -= nesterov ? g * s[0] + v[1] * s[1] * s[0] : v[1] * s[0];
    }
  }
};

// lr, rho, momentum, epsilon. Slots: mean of squares, momentum; centred: mean, mean of squares,
// momentum.
template <bool centred>
struct RmsPropRule {
  static constexpr int kVariables = centred ? 4 : 3;
  template <class T>
  static void step(T g, const T* s, bool, T* v) {
    T& squares = v[centred ? 2 : 1];
    T& momentum = v[centred ? 3 : 2];
    squares = squares * s[1] + g * g * (T(1) - s[1]);
    T denominator = squares + s[3];
    if (centred) {
      v[1] = v[1] * s[1] + g * (T(1) - s[1]);
      denominator -= v[1] * v[1];
    }
    momentum = momentum * s[2] + s[0] * g / std::sqrt(denominator);
    v[0] -= momentum;
  }
};

}  // namespace tenon
