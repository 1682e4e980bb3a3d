// Rows by index. Index: int32_t or int64_t, of gather int16_t too. Every index is checked.
#pragma once

#include <cstdint>

#include "tenon/core/dtype.h"

namespace tenon::kernels {

// y[o, i, :] = x[o, indices[i], :] over x [outer, size, inner_bytes], y [outer, count,
// inner_bytes]. Returns -1, or the position in `indices` of the first one outside [0, size): then y
// is unspecified.
template <class Index>
int64_t gather(int64_t outer, int64_t size, int64_t inner_bytes, const void* x,
               const Index* indices, int64_t count, void* y);

enum class ScatterOp : uint8_t { kUpdate, kAdd, kSub, kMul, kDiv, kMax, kMin };

// x[indices[i], :] op= updates[i, :] in the order of i, over rows of `inner` elements. Returns as
// gather(); rows before a bad index may have changed. kUpdate takes any dtype that memcpy may copy,
// the rest numeric ones (-2 for others). Same bits for any team size.
template <class Index>
int64_t scatter_rows(ScatterOp op, DType dtype, int64_t size, int64_t inner, const Index* indices,
                     int64_t count, const void* updates, void* x);

// y[p, d, s] = d == indices[p, s] ? on : off, over [prefix, depth, suffix].
template <class Index>
void one_hot(size_t element_size, int64_t prefix, int64_t depth, int64_t suffix,
             const Index* indices, const void* on, const void* off, void* y);

// Running sum (product) along the middle axis of [outer, size, inner]. T: numeric.
template <class T>
void cumulative_sum(int64_t outer, int64_t size, int64_t inner, bool exclusive, bool reverse,
                    const T* x, T* y);
template <class T>
void cumulative_product(int64_t outer, int64_t size, int64_t inner, bool exclusive, bool reverse,
                        const T* x, T* y);

}  // namespace tenon::kernels
