// FlushDenormals: while it lives, this thread takes numbers below the least normal one for zero and
// makes zero of them, as TensorFlow's threads do.
//
// The moments of weights whose gradients have become zero shrink into that range and stay in it;
// arithmetic there is some hundred times slower. Elsewhere numbers are what IEEE 754 says.
#pragma once

#ifdef __SSE__
#include <xmmintrin.h>
#endif

namespace tenon {

class FlushDenormals {
 public:
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;
#ifdef __SSE__
  FlushDenormals() : before_(_mm_getcsr()) {
    _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero);
  }
  ~FlushDenormals() { _mm_setcsr(before_); }

 private:
  static constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  unsigned before_;
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
};

}  // namespace tenon
