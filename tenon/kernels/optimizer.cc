#include "tenon/kernels/optimizer.h"

#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/kernels/simd/optimizer_loops.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kUpdateGrain = 8192;

template <class T>
T* shifted(T* pointer, int64_t by) {
  return pointer == nullptr ? nullptr : pointer + by;
}

}  // namespace

template <class T>
void apply_gradient_descent(int64_t count, T lr, const T* g, T* w) {
  parallel_for(count, kUpdateGrain, [&](int64_t b, int64_t e) {
    optimizer_loops<T>().gradient_descent(e - b, lr, g + b, w + b);
  });
}

template <class T>
void apply_keras_momentum(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m) {
  parallel_for(count, kUpdateGrain, [&](int64_t b, int64_t e) {
    optimizer_loops<T>().keras_momentum(e - b, lr, momentum, nesterov, g + b, w + b, m + b);
  });
}

template <class T>
void apply_momentum(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m) {
  parallel_for(count, kUpdateGrain, [&](int64_t b, int64_t e) {
    optimizer_loops<T>().momentum(e - b, lr, momentum, nesterov, g + b, w + b, m + b);
  });
}

template <class T>
void apply_adam(int64_t count, const AdamParameters<T>& p, const T* g, T* w, T* m, T* v, T* v_hat) {
  parallel_for(count, kUpdateGrain, [&](int64_t b, int64_t e) {
    optimizer_loops<T>().adam(e - b, p, g + b, w + b, m + b, v + b, shifted(v_hat, b));
  });
}

template <class T>
void apply_rms_prop(int64_t count, const RmsPropParameters<T>& p, const T* g, T* w, T* ms, T* mom,
                    T* mg) {
  parallel_for(count, kUpdateGrain, [&](int64_t b, int64_t e) {
    optimizer_loops<T>().rms_prop(e - b, p, g + b, w + b, ms + b, shifted(mom, b), shifted(mg, b));
  });
}

template <class T>
void apply_adagrad(int64_t count, T lr, T epsilon_inside, T epsilon_outside, bool update_slots,
                   const T* g, T* w, T* a) {
  parallel_for(count, kUpdateGrain, [&](int64_t b, int64_t e) {
    optimizer_loops<T>().adagrad(e - b, lr, epsilon_inside, epsilon_outside, update_slots, g + b,
                                 w + b, a + b);
  });
}

template <class T>
void apply_adadelta(int64_t count, T lr, T rho, T epsilon, const T* g, T* w, T* accumulator,
                    T* accumulated_update) {
  parallel_for(count, kUpdateGrain, [&](int64_t b, int64_t e) {
    optimizer_loops<T>().adadelta(e - b, lr, rho, epsilon, g + b, w + b, accumulator + b,
                                  accumulated_update + b);
  });
}

template <class T>
void apply_ftrl(int64_t count, const FtrlParameters<T>& p, const T* g, T* w, T* accumulator,
                T* linear) {
  const auto raised = [&](T sum) {
    return p.lr_power == T(-0.5) ? std::sqrt(sum) : std::pow(sum, -p.lr_power);
  };
  parallel_for(count, kUpdateGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T shrunk = g[i] + T{2} * p.l2_shrinkage * w[i];
      const T sum = accumulator[i] + g[i] * g[i];
      linear[i] += shrunk - (raised(sum) - raised(accumulator[i])) / p.lr * w[i];
      const T quadratic = raised(sum) / p.lr + T{2} * p.l2;
      const T bound = linear[i] > 0 ? p.l1 : -p.l1;
      w[i] = std::abs(linear[i]) > p.l1 ? (bound - linear[i]) / quadratic : T{0};
      accumulator[i] = sum;
    }
  });
}

#define TENON_INSTANTIATE(T)                                                                    \
  template void apply_gradient_descent(int64_t, T, const T*, T*);                               \
  template void apply_keras_momentum(int64_t, T, T, bool, const T*, T*, T*);                    \
  template void apply_momentum(int64_t, T, T, bool, const T*, T*, T*);                          \
  template void apply_adam(int64_t, const AdamParameters<T>&, const T*, T*, T*, T*, T*);        \
  template void apply_rms_prop(int64_t, const RmsPropParameters<T>&, const T*, T*, T*, T*, T*); \
  template void apply_adagrad(int64_t, T, T, T, bool, const T*, T*, T*);                        \
  template void apply_adadelta(int64_t, T, T, T, const T*, T*, T*, T*);                         \
  template void apply_ftrl(int64_t, const FtrlParameters<T>&, const T*, T*, T*, T*);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
