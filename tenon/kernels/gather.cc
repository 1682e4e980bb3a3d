#include "tenon/kernels/gather.h"

#include <algorithm>
#include <complex>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/scalar/elementwise_generic.h"
#include "tenon/kernels/scalar/extremum.h"

namespace tenon::kernels {
namespace {

template <class Index>
int64_t first_outside(const Index* indices, int64_t count, int64_t size) {
  for (int64_t i = 0; i < count; ++i) {
    const auto index = static_cast<int64_t>(indices[i]);
    if (index < 0 || index >= size) return i;
  }
  return -1;
}

}  // namespace

template <class Index>
int64_t gather(int64_t outer, int64_t size, int64_t inner_bytes, const void* x,
               const Index* indices, int64_t count, void* y) {
  const int64_t bad = first_outside(indices, count, size);
  if (bad >= 0) return bad;
  const char* from = static_cast<const char*>(x);
  char* to = static_cast<char*>(y);
  const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, inner_bytes));
  const auto bytes = static_cast<size_t>(inner_bytes);
  parallel_for(outer * count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / count * size + static_cast<int64_t>(indices[i % count]);
      std::memcpy(to + i * inner_bytes, from + row * inner_bytes, bytes);
    }
  });
  return -1;
}

template <class Index>
int64_t scatter_rows(ScatterOp op, DType dtype, int64_t size, int64_t inner, const Index* indices,
                     int64_t count, const void* updates, void* x) {
  constexpr BinaryOp kOps[] = {BinaryOp::kCount,  BinaryOp::kAdd, BinaryOp::kSub,
                               BinaryOp::kMul,    BinaryOp::kDiv, BinaryOp::kMaximum,
                               BinaryOp::kMinimum};
  BinaryKernel kernel = nullptr;
  if (op == ScatterOp::kUpdate) {
    if (is_object(dtype)) return -2;
  } else {
    const BinaryOp combine = kOps[static_cast<size_t>(op)];
    const bool extremum = combine == BinaryOp::kMaximum || combine == BinaryOp::kMinimum;
    kernel = extremum ? find_extremum(combine == BinaryOp::kMaximum, dtype)
                      : find_binary(combine, dtype);
    if (kernel == nullptr) return -2;
  }
  const int64_t bad = first_outside(indices, count, size);
  if (bad >= 0) return bad;
  const auto element = static_cast<int64_t>(size_of(dtype));
  // Threads share the columns: every target sees its updates in the order of the indices.
  const int64_t grain = std::max<int64_t>(16, grain_of(count));
  parallel_for(inner, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < count; ++i) {
      const char* from = static_cast<const char*>(updates) + (i * inner + begin) * element;
      char* to =
          static_cast<char*>(x) + (static_cast<int64_t>(indices[i]) * inner + begin) * element;
      if (kernel == nullptr) {
        std::memcpy(to, from, static_cast<size_t>((end - begin) * element));
      } else {
        kernel(to, 1, from, 1, to, end - begin);
      }
    }
  });
  return -1;
}

template <class Index>
void one_hot(size_t element_size, int64_t prefix, int64_t depth, int64_t suffix,
             const Index* indices, const void* on, const void* off, void* y) {
  char* to = static_cast<char*>(y);
  const auto size = static_cast<int64_t>(element_size);
  const int64_t item = depth * suffix;
  parallel_for(prefix, grain_of(item), [&](int64_t begin, int64_t end) {
    fill(element_size, off, to + begin * item * size, (end - begin) * item);
    for (int64_t i = begin * suffix; i < end * suffix; ++i) {
      const auto index = static_cast<int64_t>(indices[i]);
      if (index < 0 || index >= depth) continue;
      const int64_t at = (i / suffix * depth + index) * suffix + i % suffix;
      std::memcpy(to + at * size, on, element_size);
    }
  });
}

namespace {

template <class T, class Combine>
void cumulate(int64_t outer, int64_t size, int64_t inner, bool exclusive, bool reverse,
              Compute<T> start, const T* x, T* y, Combine combine) {
  using C = Compute<T>;
  parallel_for(outer * inner, grain_of(size), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t base = i / inner * size * inner + i % inner;
      C total = start;
      for (int64_t j = 0; j < size; ++j) {
        const int64_t at = base + (reverse ? size - 1 - j : j) * inner;
        const C next = combine(total, static_cast<C>(x[at]));
        y[at] = static_cast<T>(exclusive ? total : next);
        total = next;
      }
    }
  });
}

}  // namespace

template <class T>
void cumulative_sum(int64_t outer, int64_t size, int64_t inner, bool exclusive, bool reverse,
                    const T* x, T* y) {
  using C = Compute<T>;
  cumulate(outer, size, inner, exclusive, reverse, C{}, x, y,
           [](C a, C b) { return wrap_add(a, b); });
}

template <class T>
void cumulative_product(int64_t outer, int64_t size, int64_t inner, bool exclusive, bool reverse,
                        const T* x, T* y) {
  using C = Compute<T>;
  cumulate(outer, size, inner, exclusive, reverse, C{1}, x, y,
           [](C a, C b) { return wrap_mul(a, b); });
}

#define TENON_INSTANTIATE(Index)                                                                   \
  template int64_t gather(int64_t, int64_t, int64_t, const void*, const Index*, int64_t, void*);   \
  template int64_t scatter_rows(ScatterOp, DType, int64_t, int64_t, const Index*, int64_t,         \
                                const void*, void*);                                               \
  template void one_hot(size_t, int64_t, int64_t, int64_t, const Index*, const void*, const void*, \
                        void*);
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
template int64_t gather(int64_t, int64_t, int64_t, const void*, const int16_t*, int64_t, void*);
template void one_hot(size_t, int64_t, int64_t, int64_t, const uint8_t*, const void*, const void*,
                      void*);
template void one_hot(size_t, int64_t, int64_t, int64_t, const int8_t*, const void*, const void*,
                      void*);
#undef TENON_INSTANTIATE
#define TENON_INSTANTIATE(T)                                                         \
  template void cumulative_sum(int64_t, int64_t, int64_t, bool, bool, const T*, T*); \
  template void cumulative_product(int64_t, int64_t, int64_t, bool, bool, const T*, T*);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
TENON_INSTANTIATE(int8_t)
TENON_INSTANTIATE(int16_t)
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
TENON_INSTANTIATE(uint8_t)
TENON_INSTANTIATE(uint16_t)
TENON_INSTANTIATE(uint32_t)
TENON_INSTANTIATE(uint64_t)
TENON_INSTANTIATE(std::complex<float>)
TENON_INSTANTIATE(std::complex<double>)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
