// The vectorised loops behind optimizer.h, on one thread. Private to this folder.
#pragma once

#include "tenon/kernels/optimizer.h"

namespace tenon::kernels {

// The weights that a loop updates. Streamed: written past the caches, so that a core need not take
// from the others the lines that they have read (docs/kernels.md); `values` are 64-byte-aligned.
template <class T>
struct UpdatedWeights {
  T* values = nullptr;
  bool streamed = false;
};

template <class T>
struct OptimizerLoops {
  void (*gradient_descent)(int64_t count, T lr, const T* g, const UpdatedWeights<T>& w);
  void (*keras_momentum)(int64_t count, T lr, T momentum, bool nesterov, const T* g,
                         const UpdatedWeights<T>& w, T* m);
  void (*momentum)(int64_t count, T lr, T momentum, bool nesterov, const T* g,
                   const UpdatedWeights<T>& w, T* m);
  void (*adam)(int64_t count, const AdamParameters<T>& p, const T* g, const UpdatedWeights<T>& w,
               T* m, T* v, T* v_hat);
  void (*rms_prop)(int64_t count, const RmsPropParameters<T>& p, const T* g,
                   const UpdatedWeights<T>& w, T* ms, T* mom, T* mg);
  void (*adagrad)(int64_t count, T lr, T inside, T outside, bool update_slots, const T* g,
                  const UpdatedWeights<T>& w, T* a);
  void (*adadelta)(int64_t count, T lr, T rho, T epsilon, const T* g, const UpdatedWeights<T>& w,
                   T* accumulator, T* accumulated_update);
};

template <class T>
const OptimizerLoops<T>& optimizer_loops();  // T: float, double

}  // namespace tenon::kernels
