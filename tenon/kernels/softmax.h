// Softmax and cross-entropy over the rows of [rows, columns]. T: float, double, float16, bfloat16
// (the last two compute in float). A row's bits do not depend on the other rows or the team size.
#pragma once

#include <cstdint>

namespace tenon::kernels {

// `y` may be `x`.
template <class T>
void softmax(int64_t rows, int64_t columns, const T* x, T* y);
template <class T>
void log_softmax(int64_t rows, int64_t columns, const T* x, T* y);

// dx = (dy - sum(dy * y)) * y, where y is the softmax.
template <class T>
void softmax_gradient(int64_t rows, int64_t columns, const T* y, const T* dy, T* dx);
// dx = dy - exp(y) * sum(dy), where y is the log softmax.
template <class T>
void log_softmax_gradient(int64_t rows, int64_t columns, const T* y, const T* dy, T* dx);

// loss[r] = -sum(labels * log_softmax(logits)), backprop = softmax(logits) - labels. A stride of 0
// rows repeats one row (TensorFlow broadcasts both arguments). A null `backprop` is left out; it is
// not `logits`.
template <class T>
void softmax_cross_entropy(int64_t rows, int64_t columns, const T* logits,
                           int64_t logits_row_stride, const T* labels, int64_t labels_row_stride,
                           T* loss, T* backprop);

// labels[r] is a class. Returns the first row whose label is outside [0, columns), or -1; such rows
// get NaN. `backprop` as above.
template <class T, class Index>
int64_t sparse_softmax_cross_entropy(int64_t rows, int64_t columns, const T* logits,
                                     const Index* labels, T* loss, T* backprop);

}  // namespace tenon::kernels
