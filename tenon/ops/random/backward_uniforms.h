// Uniform numbers in the order in which TensorFlow's samplers by rejection take them. For one
// thread.
#pragma once

#include "tenon/kernels/philox.h"

namespace tenon {

// In [0, 1), those of a block from its last to its first.
template <class T>
class BackwardUniforms {
 public:
  explicit BackwardUniforms(kernels::Philox generator) : generator_(generator) {}
  T next() {
    if (left_ == 0) {
      kernels::fill_uniform<T>(generator_, kCount, numbers_);
      generator_.skip(1);
      left_ = kCount;
    }
    return numbers_[--left_];
  }

 private:
  static constexpr int kCount = sizeof(T) == 8 ? 2 : 4;
  kernels::Philox generator_;
  T numbers_[kCount]{};
  int left_ = 0;
};

}  // namespace tenon
