// optimizer_loops.h, compiled once per instruction set and chosen at run time.
#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/elementwise_f32.h"
#include "tenon/kernels/simd/optimizer_loops.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tenon/kernels/simd/optimizer_simd.cc"
#include "hwy/foreach_target.h"
// foreach_target.h stands before highway.h.
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tenon::kernels {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// body(tag, index) for whole vectors, then for single elements; both round alike.
template <class T, class Body>
HWY_INLINE void for_each_vector(int64_t count, const UpdatedWeights<T>& w, Body body) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) body(d, i);
  for (; i < count; ++i) body(hn::CappedTag<T, 1>(), i);
  if (w.streamed) hwy::FlushStream();
}

// w[i...] -= step.
template <class D, class T>
HWY_INLINE void subtract(D d, const UpdatedWeights<T>& w, int64_t i, hn::Vec<D> step) {
  T* const at = w.values + i;
  const auto value = hn::Sub(hn::LoadU(d, at), step);
  if (hn::MaxLanes(d) > 1 && w.streamed) {
    hn::Stream(value, d, at);
  } else {
    hn::StoreU(value, d, at);
  }
}

template <class T>
void gradient_descent(int64_t count, T lr, const T* g, const UpdatedWeights<T>& w) {
  for_each_vector<T>(count, w, [=](auto d, int64_t i) {
    const auto step = hn::Mul(hn::Set(d, lr), hn::LoadU(d, g + i));
    subtract(d, w, i, step);
  });
}

template <class T>
void keras_momentum(int64_t count, T lr, T momentum, bool nesterov, const T* g,
                    const UpdatedWeights<T>& w, T* m) {
  for_each_vector<T>(count, w, [=](auto d, int64_t i) {
    const auto mu = hn::Set(d, momentum);
    const auto step = hn::Mul(hn::Set(d, lr), hn::LoadU(d, g + i));
    const auto velocity = hn::Sub(hn::Mul(mu, hn::LoadU(d, m + i)), step);
    hn::StoreU(velocity, d, m + i);
    const auto change = nesterov ? hn::Sub(hn::Mul(mu, velocity), step) : velocity;
    subtract(d, w, i, hn::Neg(change));
  });
}

template <class T>
void momentum_loop(int64_t count, T lr, T momentum, bool nesterov, const T* g,
                   const UpdatedWeights<T>& w, T* m) {
  for_each_vector<T>(count, w, [=](auto d, int64_t i) {
    const auto rate = hn::Set(d, lr);
    const auto mu = hn::Set(d, momentum);
    const auto gradient = hn::LoadU(d, g + i);
    const auto velocity = hn::Add(hn::Mul(mu, hn::LoadU(d, m + i)), gradient);
    hn::StoreU(velocity, d, m + i);
    const auto direction = nesterov ? hn::Add(gradient, hn::Mul(mu, velocity)) : velocity;
    subtract(d, w, i, hn::Mul(rate, direction));
  });
}

template <class T>
void adam(int64_t count, const AdamParameters<T>& p, const T* g, const UpdatedWeights<T>& w, T* m,
          T* v, T* v_hat) {
  for_each_vector<T>(count, w, [=](auto d, int64_t i) {
    const auto gradient = hn::LoadU(d, g + i);
    const auto rest1 = hn::Set(d, p.one_minus_beta1);
    auto first = hn::LoadU(d, m + i);
    auto second = hn::LoadU(d, v + i);
    first = hn::Add(first, hn::Mul(hn::Sub(gradient, first), rest1));
    const auto square =
        p.squares != nullptr ? hn::LoadU(d, p.squares + i) : hn::Mul(gradient, gradient);
    second = hn::Add(second, hn::Mul(hn::Sub(square, second), hn::Set(d, p.one_minus_beta2)));
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
    if (v_hat != nullptr) {
      second = hn::Max(hn::LoadU(d, v_hat + i), second);
      hn::StoreU(second, d, v_hat + i);
    }
    const auto direction =
        p.nesterov ? hn::Add(hn::Mul(gradient, rest1), hn::Mul(hn::Set(d, p.beta1), first)) : first;
    const auto scale = hn::Add(hn::Sqrt(second), hn::Set(d, p.epsilon));
    const auto step = hn::Div(hn::Mul(direction, hn::Set(d, p.alpha)), scale);
    subtract(d, w, i, step);
  });
}

template <class T>
void rms_prop(int64_t count, const RmsPropParameters<T>& p, const T* g, const UpdatedWeights<T>& w,
              T* ms, T* mom, T* mg) {
  for_each_vector<T>(count, w, [=](auto d, int64_t i) {
    const auto keep = hn::Set(d, p.rho);
    const auto take = hn::Set(d, p.one_minus_rho);
    const auto gradient = hn::LoadU(d, g + i);
    const auto square =
        hn::Add(hn::Mul(keep, hn::LoadU(d, ms + i)), hn::Mul(take, hn::Mul(gradient, gradient)));
    hn::StoreU(square, d, ms + i);
    auto denominator = hn::Add(square, hn::Set(d, p.epsilon));
    if (mg != nullptr) {
      const auto average = hn::Add(hn::Mul(keep, hn::LoadU(d, mg + i)), hn::Mul(take, gradient));
      hn::StoreU(average, d, mg + i);
      denominator = hn::Add(hn::Sub(square, hn::Mul(average, average)), hn::Set(d, p.epsilon));
    }
    auto step = hn::Div(hn::Mul(hn::Set(d, p.lr), gradient), hn::Sqrt(denominator));
    if (mom != nullptr) {
      step = hn::Add(hn::Mul(hn::Set(d, p.momentum), hn::LoadU(d, mom + i)), step);
      hn::StoreU(step, d, mom + i);
    }
    subtract(d, w, i, step);
  });
}

template <class T>
void adagrad(int64_t count, T lr, T inside, T outside, bool update_slots, const T* g,
             const UpdatedWeights<T>& w, T* a) {
  for_each_vector<T>(count, w, [=](auto d, int64_t i) {
    const auto gradient = hn::LoadU(d, g + i);
    auto sum = hn::LoadU(d, a + i);
    if (update_slots) {
      sum = hn::Add(sum, hn::Mul(gradient, gradient));
      hn::StoreU(sum, d, a + i);
    }
    const auto scale = hn::Add(hn::Sqrt(hn::Add(sum, hn::Set(d, inside))), hn::Set(d, outside));
    const auto step = hn::Div(hn::Mul(hn::Set(d, lr), gradient), scale);
    subtract(d, w, i, step);
  });
}

template <class T>
void adadelta(int64_t count, T lr, T rho, T epsilon, const T* g, const UpdatedWeights<T>& w,
              T* accumulator, T* accumulated_update) {
  const T rest = T{1} - rho;
  for_each_vector<T>(count, w, [=](auto d, int64_t i) {
    const auto keep = hn::Set(d, rho);
    const auto take = hn::Set(d, rest);
    const auto small = hn::Set(d, epsilon);
    const auto gradient = hn::LoadU(d, g + i);
    const auto square = hn::Add(hn::Mul(keep, hn::LoadU(d, accumulator + i)),
                                hn::Mul(take, hn::Mul(gradient, gradient)));
    hn::StoreU(square, d, accumulator + i);
    const auto past = hn::LoadU(d, accumulated_update + i);
    const auto ratio = hn::Div(hn::Sqrt(hn::Add(past, small)), hn::Sqrt(hn::Add(square, small)));
    const auto update = hn::Mul(ratio, gradient);
    hn::StoreU(hn::Add(hn::Mul(keep, past), hn::Mul(take, hn::Mul(update, update))), d,
               accumulated_update + i);
    subtract(d, w, i, hn::Mul(hn::Set(d, lr), update));
  });
}

template <class T>
const OptimizerLoops<T>* loops_of() {
  static constexpr OptimizerLoops<T> kLoops = {
      &gradient_descent<T>, &keras_momentum<T>, &momentum_loop<T>, &adam<T>,
      &rms_prop<T>,         &adagrad<T>,        &adadelta<T>};
  return &kLoops;
}
const OptimizerLoops<float>* float_loops() { return loops_of<float>(); }
const OptimizerLoops<double>* double_loops() { return loops_of<double>(); }

}  // namespace HWY_NAMESPACE
}  // namespace tenon::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tenon::kernels {
template <>
const OptimizerLoops<float>& optimizer_loops<float>() {
  return *TENON_BEST(float_loops)();
}
template <>
const OptimizerLoops<double>& optimizer_loops<double>() {
  return *TENON_BEST(double_loops)();
}
}  // namespace tenon::kernels
#endif
