#include "tenon/kernels/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "tenon/base/parallel.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/kernels/scalar/elementwise_generic.h"
#include "tenon/kernels/simd/row_ops.h"

namespace tenon::kernels {
namespace {

int64_t rows_grain(int64_t columns) {
  return std::max<int64_t>(1, 4096 / std::max<int64_t>(1, columns));
}

template <class T>
Compute<T> row_max(int64_t count, const T* x) {
  if constexpr (std::is_same_v<T, float>) {
    return row_ops().largest(count, x);
  } else {
    Compute<T> most = -std::numeric_limits<Compute<T>>::infinity();
    for (int64_t i = 0; i < count; ++i) most = larger(most, static_cast<Compute<T>>(x[i]));
    return most;
  }
}

// A row of exponentials, a piece at a time: body(begin, piece, exp(x - shift) values). Pieces are
// of fixed size, so sums over them have a fixed order.
constexpr int64_t kPiece = 512;

template <class T, class Body>
void for_each_exp(int64_t columns, const T* x, Compute<T> shift, Body&& body) {
  using C = Compute<T>;
  C values[kPiece];
  const UnaryKernel exp = find_unary(UnaryOp::kExp, dtype_of<C>);
  for (int64_t begin = 0; begin < columns; begin += kPiece) {
    const int64_t count = std::min(kPiece, columns - begin);
    for (int64_t i = 0; i < count; ++i) values[i] = static_cast<C>(x[begin + i]) - shift;
    exp(values, values, count);
    body(begin, count, values);
  }
}

template <class C>
C sum_of(int64_t count, const C* values) {
  if constexpr (std::is_same_v<C, float>) {
    return row_ops().sum(count, values);
  } else {
    C sum{0};
    for (int64_t i = 0; i < count; ++i) sum += values[i];
    return sum;
  }
}

template <class T>
Compute<T> exp_sum(int64_t columns, const T* x, Compute<T> shift) {
  Compute<T> sum{0};
  for_each_exp(columns, x, shift, [&](int64_t, int64_t count, const Compute<T>* values) {
    sum += sum_of(count, values);
  });
  return sum;
}

template <class T>
void softmax_row(int64_t columns, const T* x, T* y) {
  using C = Compute<T>;
  const C most = row_max(columns, x);
  if constexpr (std::is_same_v<T, C>) {  // the exponentials are kept in y
    C sum{0};
    for_each_exp(columns, x, most, [&](int64_t begin, int64_t count, const C* values) {
      std::copy_n(values, count, y + begin);
      sum += sum_of(count, values);
    });
    const C scale = C{1} / sum;
    for (int64_t i = 0; i < columns; ++i) y[i] *= scale;
  } else {
    const C scale = C{1} / exp_sum(columns, x, most);
    for_each_exp(columns, x, most, [&](int64_t begin, int64_t count, const C* values) {
      for (int64_t i = 0; i < count; ++i) y[begin + i] = static_cast<T>(values[i] * scale);
    });
  }
}

// sum(a * b) of a row; with `b` null, sum(a).
template <class T>
Compute<T> row_dot(int64_t columns, const T* a, const T* b) {
  using C = Compute<T>;
  if constexpr (std::is_same_v<T, float>) {
    return b == nullptr ? row_ops().sum(columns, a) : row_ops().dot(columns, a, b);
  } else {
    C sum{0};
    for (int64_t i = 0; i < columns; ++i) {
      sum += static_cast<C>(a[i]) * (b == nullptr ? C{1} : static_cast<C>(b[i]));
    }
    return sum;
  }
}

template <class Body>
void for_each_row(int64_t rows, int64_t columns, Body&& body) {
  parallel_for(rows, rows_grain(columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

}  // namespace

template <class T>
void softmax(int64_t rows, int64_t columns, const T* x, T* y) {
  for_each_row(rows, columns,
               [&](int64_t row) { softmax_row(columns, x + row * columns, y + row * columns); });
}

template <class T>
void log_softmax(int64_t rows, int64_t columns, const T* x, T* y) {
  using C = Compute<T>;
  for_each_row(rows, columns, [&](int64_t row) {
    const T* from = x + row * columns;
    T* to = y + row * columns;
    const C most = row_max(columns, from);
    const C log_sum = std::log(exp_sum(columns, from, most));
    for (int64_t i = 0; i < columns; ++i) {
      to[i] = static_cast<T>(static_cast<C>(from[i]) - most - log_sum);
    }
  });
}

template <class T>
void softmax_gradient(int64_t rows, int64_t columns, const T* y, const T* dy, T* dx) {
  using C = Compute<T>;
  for_each_row(rows, columns, [&](int64_t row) {
    const int64_t at = row * columns;
    const C dot = row_dot(columns, dy + at, y + at);
    for (int64_t i = at; i < at + columns; ++i) {
      dx[i] = static_cast<T>((static_cast<C>(dy[i]) - dot) * static_cast<C>(y[i]));
    }
  });
}

template <class T>
void log_softmax_gradient(int64_t rows, int64_t columns, const T* y, const T* dy, T* dx) {
  using C = Compute<T>;
  for_each_row(rows, columns, [&](int64_t row) {
    const int64_t at = row * columns;
    const C total = row_dot<T>(columns, dy + at, nullptr);
    for_each_exp(columns, y + at, C{0}, [&](int64_t begin, int64_t count, const C* values) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t to = at + begin + i;
        dx[to] = static_cast<T>(static_cast<C>(dy[to]) - values[i] * total);
      }
    });
  });
}

template <class T>
void softmax_cross_entropy(int64_t rows, int64_t columns, const T* logits,
                           int64_t logits_row_stride, const T* labels, int64_t labels_row_stride,
                           T* loss, T* backprop) {
  using C = Compute<T>;
  for_each_row(rows, columns, [&](int64_t row) {
    const T* x = logits + row * logits_row_stride;
    const T* label = labels + row * labels_row_stride;
    const C most = row_max(columns, x);
    const C sum = exp_sum(columns, x, most);
    const C log_sum = std::log(sum);
    C total{0};
    for (int64_t i = 0; i < columns; ++i) {
      const C weight = static_cast<C>(label[i]);
      // A label of 0 has no share even where the log probability is -infinity.
      if (weight != C{0}) total += weight * (log_sum - (static_cast<C>(x[i]) - most));
    }
    loss[row] = static_cast<T>(total);
    if (backprop == nullptr) return;
    T* to = backprop + row * columns;
    for_each_exp(columns, x, most, [&](int64_t begin, int64_t count, const C* values) {
      for (int64_t i = 0; i < count; ++i) {
        to[begin + i] = static_cast<T>(values[i] / sum - static_cast<C>(label[begin + i]));
      }
    });
  });
}

template <class T, class Index>
int64_t sparse_softmax_cross_entropy(int64_t rows, int64_t columns, const T* logits,
                                     const Index* labels, T* loss, T* backprop) {
  using C = Compute<T>;
  for_each_row(rows, columns, [&](int64_t row) {
    const T* x = logits + row * columns;
    const auto label = static_cast<int64_t>(labels[row]);
    T* to = backprop == nullptr ? nullptr : backprop + row * columns;
    if (label < 0 || label >= columns) {
      const T nan = static_cast<T>(std::numeric_limits<float>::quiet_NaN());
      loss[row] = nan;
      if (to != nullptr) std::fill_n(to, columns, nan);
      return;
    }
    const C most = row_max(columns, x);
    const C sum = exp_sum(columns, x, most);
    loss[row] = static_cast<T>(std::log(sum) - (static_cast<C>(x[label]) - most));
    if (to == nullptr) return;
    for_each_exp(columns, x, most, [&](int64_t begin, int64_t count, const C* values) {
      for (int64_t i = 0; i < count; ++i) {
        const C target = begin + i == label ? C{1} : C{0};
        to[begin + i] = static_cast<T>(values[i] / sum - target);
      }
    });
  });
  for (int64_t row = 0; row < rows; ++row) {
    const auto label = static_cast<int64_t>(labels[row]);
    if (label < 0 || label >= columns) return row;
  }
  return -1;
}

#define TENON_INSTANTIATE(T)                                                                      \
  template void softmax(int64_t, int64_t, const T*, T*);                                          \
  template void log_softmax(int64_t, int64_t, const T*, T*);                                      \
  template void softmax_gradient(int64_t, int64_t, const T*, const T*, T*);                       \
  template void log_softmax_gradient(int64_t, int64_t, const T*, const T*, T*);                   \
  template void softmax_cross_entropy(int64_t, int64_t, const T*, int64_t, const T*, int64_t, T*, \
                                      T*);                                                        \
  template int64_t sparse_softmax_cross_entropy(int64_t, int64_t, const T*, const int32_t*, T*,   \
                                                T*);                                              \
  template int64_t sparse_softmax_cross_entropy(int64_t, int64_t, const T*, const int64_t*, T*, T*);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
