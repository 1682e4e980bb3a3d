#include "tenon/kernels/optimizer.h"

#include <algorithm>
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

// body(begin, end, weights from `begin` on) for pieces of the range, in parallel. Pieces begin at
// cache lines of w.
template <class T, class Body>
void for_pieces(int64_t count, T* w, Body body) {
  constexpr auto kLine = static_cast<int64_t>(64 / sizeof(T));
  const bool aligned = reinterpret_cast<uintptr_t>(w) % 64 == 0;
  const bool streamed = aligned && team_size() > 1 && count > kUpdateGrain;
  parallel_for((count + kLine - 1) / kLine, kUpdateGrain / kLine, [&](int64_t first, int64_t last) {
    const int64_t begin = first * kLine;
    body(begin, std::min(last * kLine, count), UpdatedWeights<T>{w + begin, streamed});
  });
}

}  // namespace

template <class T>
void apply_gradient_descent(int64_t count, T lr, const T* g, T* w) {
  for_pieces(count, w, [&](int64_t b, int64_t e, UpdatedWeights<T> weights) {
    optimizer_loops<T>().gradient_descent(e - b, lr, g + b, weights);
  });
}

template <class T>
void apply_keras_momentum(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m) {
  for_pieces(count, w, [&](int64_t b, int64_t e, UpdatedWeights<T> weights) {
    optimizer_loops<T>().keras_momentum(e - b, lr, momentum, nesterov, g + b, weights, m + b);
  });
}

template <class T>
void apply_momentum(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m) {
  for_pieces(count, w, [&](int64_t b, int64_t e, UpdatedWeights<T> weights) {
    optimizer_loops<T>().momentum(e - b, lr, momentum, nesterov, g + b, weights, m + b);
  });
}

template <class T>
void apply_adam(int64_t count, const AdamParameters<T>& p, const T* g, T* w, T* m, T* v, T* v_hat) {
  for_pieces(count, w, [&](int64_t b, int64_t e, UpdatedWeights<T> weights) {
    AdamParameters<T> of_piece = p;
    of_piece.squares = shifted(p.squares, b);
    optimizer_loops<T>().adam(e - b, of_piece, g + b, weights, m + b, v + b, shifted(v_hat, b));
  });
}

template <class T>
void apply_rms_prop(int64_t count, const RmsPropParameters<T>& p, const T* g, T* w, T* ms, T* mom,
                    T* mg) {
  for_pieces(count, w, [&](int64_t b, int64_t e, UpdatedWeights<T> weights) {
    optimizer_loops<T>().rms_prop(e - b, p, g + b, weights, ms + b, shifted(mom, b),
                                  shifted(mg, b));
  });
}

template <class T>
void apply_adagrad(int64_t count, T lr, T epsilon_inside, T epsilon_outside, bool update_slots,
                   const T* g, T* w, T* a) {
  for_pieces(count, w, [&](int64_t b, int64_t e, UpdatedWeights<T> weights) {
    optimizer_loops<T>().adagrad(e - b, lr, epsilon_inside, epsilon_outside, update_slots, g + b,
                                 weights, a + b);
  });
}

template <class T>
void apply_adadelta(int64_t count, T lr, T rho, T epsilon, const T* g, T* w, T* accumulator,
                    T* accumulated_update) {
  for_pieces(count, w, [&](int64_t b, int64_t e, UpdatedWeights<T> weights) {
    optimizer_loops<T>().adadelta(e - b, lr, rho, epsilon, g + b, weights, accumulator + b,
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
