// Numbers one at a time from a Philox generator: TensorFlow's SimplePhilox
// (tensorflow/core/lib/random/simple_philox.h).
#pragma once

#include <bit>

#include "tenon/kernels/philox.h"

namespace tenon {

class SimplePhilox {
 public:
  explicit SimplePhilox(kernels::Philox generator) : generator_(generator) {}

  uint32_t word() {
    if (used_ == 4) {
      block_ = generator_.next();
      used_ = 0;
    }
    return block_[used_++];
  }
  uint64_t double_word() {
    const uint64_t low = word();
    return low | uint64_t{word()} << 32;
  }
  // [0, 1), of 52 random bits.
  double unit_double() {
    const uint64_t high = word() & 0xfffff;
    const uint64_t low = word();
    return std::bit_cast<double>(uint64_t{1023} << 52 | high << 32 | low) - 1;
  }
  // [0, 1), of 23 random bits.
  float unit_float() {
    return std::bit_cast<float>((word() & 0x7fffffU) | uint32_t{127} << 23) - 1;
  }
  // [0, n) for n > 0, each as likely, of one word a try.
  uint32_t below32(uint32_t n) {
    if ((n & (n - 1)) == 0) return word() & (n - 1);
    const uint32_t rest = ~uint32_t{0} % n + 1;
    uint32_t drawn;
    do {
      drawn = word();
    } while (drawn < rest);
    return drawn % n;
  }
  // The same of two words.
  uint64_t below(uint64_t n) {
    if ((n & (n - 1)) == 0) return double_word() & (n - 1);
    const uint64_t rest = ~uint64_t{0} % n + 1;
    uint64_t drawn;
    do {
      drawn = double_word();
    } while (drawn < rest);
    return drawn % n;
  }

 private:
  kernels::Philox generator_;
  kernels::Philox::Block block_{};
  size_t used_ = 4;
};

}  // namespace tenon
