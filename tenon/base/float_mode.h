// How a thread's processor computes with floating-point numbers: rounding, and what becomes of
// subnormal ones (below 1.2e-38 in float32).
//
// Runs take subnormal numbers for 0, as TensorFlow's threads do. Many processors compute with them
// a hundred times slower, and training makes them: what an optimizer keeps of a weight that no
// longer has a gradient shrinks until it is one, and stays there. A region's workers take its
// leader's mode (tenon/base/thread_pool.h), so that bits do not depend on the team.
#pragma once

#include <cstdint>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace tenon {

// The calling thread's mode, to be handed to set_float_mode() on any thread.
inline uint64_t float_mode() {
#if defined(__x86_64__)
  constexpr unsigned kSeen = 0x3f;  // exceptions that have happened, which are no mode
  return _mm_getcsr() & ~kSeen;
#elif defined(__aarch64__)
  uint64_t mode = 0;
  asm volatile("mrs %0, fpcr" : "=r"(mode));
  return mode;
#elif defined(__arm__) && defined(__ARM_FP)
  constexpr uint32_t kSeen = 0xf800009f;  // the last comparison, exceptions that have happened
  uint32_t mode = 0;
  asm volatile("vmrs %0, fpscr" : "=r"(mode));
  return mode & ~kSeen;
#else
  return 0;
#endif
}

inline void set_float_mode(uint64_t mode) {
  if (mode == float_mode()) return;  // asking is cheaper than setting
#if defined(__x86_64__)
  _mm_setcsr(static_cast<unsigned>(mode));
#elif defined(__aarch64__)
  asm volatile("msr fpcr, %0" : : "r"(mode));
#elif defined(__arm__) && defined(__ARM_FP)
  asm volatile("vmsr fpscr, %0" : : "r"(static_cast<uint32_t>(mode)));
#endif
}

// While it lives, subnormal operands and results of the calling thread are 0.
class FlushSubnormals {
 public:
  FlushSubnormals() : before_(float_mode()) { set_float_mode(before_ | kFlush); }
  ~FlushSubnormals() { set_float_mode(before_); }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if defined(__x86_64__)
  static constexpr uint64_t kFlush = 0x8040;  // FTZ and DAZ
#elif defined(__aarch64__) || (defined(__arm__) && defined(__ARM_FP))
  static constexpr uint64_t kFlush = uint64_t{1} << 24;  // FZ
#else
  static constexpr uint64_t kFlush = 0;
#endif
  const uint64_t before_;
};

}  // namespace tenon
