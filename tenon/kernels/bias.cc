#include "tenon/kernels/bias.h"

#include <algorithm>

#include "tenon/base/parallel.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/kernels/grain.h"

namespace tenon::kernels {

template <class T>
void bias_add(int64_t rows, int64_t columns, const T* x, const T* bias, T* y) {
  const BinaryKernel add = find_binary(BinaryOp::kAdd, dtype_of<T>);
  parallel_for(rows, grain_of(columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      add(x + row * columns, 1, bias, 1, y + row * columns, columns);
    }
  });
}

#define TENON_INSTANTIATE(T) template void bias_add(int64_t, int64_t, const T*, const T*, T*);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
