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

// y = exp(x - shift); `y` may be `x`.
template <class T>
void exp_minus(int64_t count, const T* x, Compute<T> shift, Compute<T>* y) {
  using C = Compute<T>;
  if constexpr (std::is_same_v<T, float>) {
    row_ops().exp_minus(count, x, shift, y);
  } else {
    for (int64_t i = 0; i < count; ++i) y[i] = static_cast<C>(x[i]) - shift;
    find_unary(UnaryOp::kExp, dtype_of<C>)(y, y, count);
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

// Rows are taken in pieces of fixed size, so sums over them have a fixed order.
constexpr int64_t kPiece = 512;

// body(begin, count, exp(x - shift) values) for each piece of a row.
template <class T, class Body>
void for_each_exp(int64_t columns, const T* x, Compute<T> shift, Body&& body) {
  Compute<T> values[kPiece];
  for (int64_t begin = 0; begin < columns; begin += kPiece) {
    const int64_t count = std::min(kPiece, columns - begin);
    exp_minus(count, x + begin, shift, values);
    body(begin, count, values);
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

// The same sum, and the exponentials in `y`, which may be `x`.
template <class C>
C exp_row(int64_t columns, const C* x, C shift, C* y) {
  C sum{0};
  for (int64_t begin = 0; begin < columns; begin += kPiece) {
    const int64_t count = std::min(kPiece, columns - begin);
    exp_minus(count, x + begin, shift, y + begin);
    sum += sum_of(count, y + begin);
  }
  return sum;
}

template <class T>
void softmax_row(int64_t columns, const T* x, T* y) {
  using C = Compute<T>;
  const C most = row_max(columns, x);
  if constexpr (std::is_same_v<T, C>) {  // the exponentials are kept in y
    const C scale = C{1} / exp_row(columns, x, most, y);
    for (int64_t i = 0; i < columns; ++i) y[i] *= scale;
  } else {
    const C scale = C{1} / exp_sum(columns, x, most);
    for_each_exp(columns, x, most, [&](int64_t begin, int64_t count, const C* values) {
      for (int64_t i = 0; i < count; ++i) y[begin + i] = static_cast<T>(values[i] * scale);
    });
  }
}

// Calls set_loss(most, sum) with the row's maximum and the sum of exp(x - most); then, unless `y`
// is null, puts exp(x - most) / sum into it less what subtract(begin, count, values) takes from a
// piece of these quotients. `y` is not `x`.
template <class T, class SetLoss, class Subtract>
void cross_entropy_row(int64_t columns, const T* x, T* y, SetLoss&& set_loss, Subtract&& subtract) {
  using C = Compute<T>;
  const C most = row_max(columns, x);
  if constexpr (std::is_same_v<T, C>) {
    if (y != nullptr) {  // the exponentials are kept in y
      const C sum = exp_row(columns, x, most, y);
      set_loss(most, sum);
      for (int64_t i = 0; i < columns; ++i) y[i] /= sum;
      subtract(0, columns, y);
      return;
    }
  }
  const C sum = exp_sum(columns, x, most);
  set_loss(most, sum);
  if (y == nullptr) return;
  for_each_exp(columns, x, most, [&](int64_t begin, int64_t count, C* values) {
    for (int64_t i = 0; i < count; ++i) values[i] /= sum;
    subtract(begin, count, values);
    for (int64_t i = 0; i < count; ++i) y[begin + i] = static_cast<T>(values[i]);
  });
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
void for_each_softmax_row(int64_t rows, int64_t columns, Body&& body) {
  parallel_for(rows, rows_grain(columns), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

}  // namespace

template <class T>
void softmax(int64_t rows, int64_t columns, const T* x, T* y) {
  for_each_softmax_row(rows, columns, [&](int64_t row) {
    softmax_row(columns, x + row * columns, y + row * columns);
  });
}

template <class T>
void log_softmax(int64_t rows, int64_t columns, const T* x, T* y) {
  using C = Compute<T>;
  for_each_softmax_row(rows, columns, [&](int64_t row) {
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
  for_each_softmax_row(rows, columns, [&](int64_t row) {
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
  for_each_softmax_row(rows, columns, [&](int64_t row) {
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
  for_each_softmax_row(rows, columns, [&](int64_t row) {
    const T* x = logits + row * logits_row_stride;
    const T* label = labels + row * labels_row_stride;
    const auto set_loss = [&](C most, C sum) {
      const C log_sum = std::log(sum);
      C total{0};
      for (int64_t i = 0; i < columns; ++i) {
        const C weight = static_cast<C>(label[i]);
        // A label of 0 has no share even where the log probability is -infinity.
        if (weight != C{0}) total += weight * (log_sum - (static_cast<C>(x[i]) - most));
      }
      loss[row] = static_cast<T>(total);
    };
    const auto subtract = [&](int64_t begin, int64_t count, C* values) {
      for (int64_t i = 0; i < count; ++i) values[i] -= static_cast<C>(label[begin + i]);
    };
    cross_entropy_row(columns, x, backprop == nullptr ? nullptr : backprop + row * columns,
                      set_loss, subtract);
  });
}

template <class T, class Index>
int64_t sparse_softmax_cross_entropy(int64_t rows, int64_t columns, const T* logits,
                                     const Index* labels, T* loss, T* backprop) {
  using C = Compute<T>;
  for_each_softmax_row(rows, columns, [&](int64_t row) {
    const T* x = logits + row * columns;
    const auto label = static_cast<int64_t>(labels[row]);
    T* to = backprop == nullptr ? nullptr : backprop + row * columns;
    if (label < 0 || label >= columns) {
      const T nan = static_cast<T>(std::numeric_limits<float>::quiet_NaN());
      loss[row] = nan;
      if (to != nullptr) std::fill_n(to, columns, nan);
      return;
    }
    const auto set_loss = [&](C most, C sum) {
      loss[row] = static_cast<T>(std::log(sum) - (static_cast<C>(x[label]) - most));
    };
    const auto subtract = [&](int64_t begin, int64_t count, C* values) {
      if (label >= begin && label < begin + count) values[label - begin] -= C{1};
    };
    cross_entropy_row(columns, x, to, set_loss, subtract);
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
