// The vectorised loops behind optimizer.h, on one thread. Private to this folder.
#pragma once

#include "tenon/kernels/optimizer.h"

namespace tenon::kernels {

template <class T>
struct OptimizerLoops {
  void (*gradient_descent)(int64_t count, T lr, const T* g, T* w);
  void (*keras_momentum)(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m);
  void (*momentum)(int64_t count, T lr, T momentum, bool nesterov, const T* g, T* w, T* m);
  void (*adam)(int64_t count, const AdamParameters<T>& p, const T* g, T* w, T* m, T* v, T* v_hat);
  void (*rms_prop)(int64_t count, const RmsPropParameters<T>& p, const T* g, T* w, T* ms, T* mom,
                   T* mg);
  void (*adagrad)(int64_t count, T lr, T inside, T outside, bool update_slots, const T* g, T* w,
                  T* a);
  void (*adadelta)(int64_t count, T lr, T rho, T epsilon, const T* g, T* w, T* accumulator,
                   T* accumulated_update);
};

template <class T>
const OptimizerLoops<T>& optimizer_loops();  // T: float, double

}  // namespace tenon::kernels
