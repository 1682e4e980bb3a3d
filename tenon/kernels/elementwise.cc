#include "tenon/kernels/elementwise.h"

#include <complex>
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/kernels/scalar/elementwise_generic.h"

namespace tenon::kernels {
namespace {

struct Bytes16 {
  uint64_t words[2];
};

// Calls body<T>() with a T of the size, which copies the element's bits.
template <class Body>
bool visit_size(size_t element_size, Body&& body) {
  switch (element_size) {
    case 1:
      body.template operator()<uint8_t>();
      return true;
    case 2:
      body.template operator()<uint16_t>();
      return true;
    case 4:
      body.template operator()<uint32_t>();
      return true;
    case 8:
      body.template operator()<uint64_t>();
      return true;
    case 16:
      body.template operator()<Bytes16>();
      return true;
    default:
      return false;
  }
}

// Steps that the compiler knows, and loads that do not depend on the condition: a select, not a
// branch that random conditions would mispredict.
template <int64_t kLeftStep, int64_t kRightStep, class T>
void select_loop(const bool* condition, const T* left, const T* right, T* y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const T a = left[i * kLeftStep];
    const T b = right[i * kRightStep];
    y[i] = condition[i] ? a : b;
  }
}

}  // namespace

void apply_unary(UnaryKernel kernel, size_t x_size, const void* x, size_t y_size, void* y,
                 int64_t count) {
  parallel_for(count, grain_of(), [&](int64_t begin, int64_t end) {
    kernel(static_cast<const char*>(x) + begin * static_cast<int64_t>(x_size),
           static_cast<char*>(y) + begin * static_cast<int64_t>(y_size), end - begin);
  });
}

void apply_binary(BinaryKernel kernel, size_t element_size, const void* a, const void* b, void* y,
                  int64_t count) {
  const auto size = static_cast<int64_t>(element_size);
  parallel_for(count, grain_of(), [&](int64_t begin, int64_t end) {
    kernel(static_cast<const char*>(a) + begin * size, 1,
           static_cast<const char*>(b) + begin * size, 1, static_cast<char*>(y) + begin * size,
           end - begin);
  });
}

template <class T>
void leaky_relu(float alpha, const T* x, T* y, int64_t count) {
  using C = Compute<T>;
  parallel_for(count, grain_of(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const C value = static_cast<C>(x[i]);
      y[i] = static_cast<T>(value > 0 ? value : static_cast<C>(alpha) * value);
    }
  });
}

template <class T>
void leaky_relu_gradient(float alpha, const T* dy, const T* x, T* dx, int64_t count) {
  using C = Compute<T>;
  parallel_for(count, grain_of(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const C upstream = static_cast<C>(dy[i]);
      dx[i] =
          static_cast<T>(static_cast<C>(x[i]) > 0 ? upstream : static_cast<C>(alpha) * upstream);
    }
  });
}

void select(size_t element_size, const bool* condition, int64_t condition_step, const void* a,
            int64_t a_step, const void* b, int64_t b_step, void* y, int64_t count) {
  visit_size(element_size, [&]<class T>() {
    const T* left = static_cast<const T*>(a);
    const T* right = static_cast<const T*>(b);
    T* to = static_cast<T*>(y);
    if (condition_step == 0) {
      const T* chosen = *condition ? left : right;
      const int64_t step = *condition ? a_step : b_step;
      for (int64_t i = 0; i < count; ++i) to[i] = chosen[i * step];
    } else if (a_step == 0) {
      b_step == 0 ? select_loop<0, 0>(condition, left, right, to, count)
                  : select_loop<0, 1>(condition, left, right, to, count);
    } else {
      b_step == 0 ? select_loop<1, 0>(condition, left, right, to, count)
                  : select_loop<1, 1>(condition, left, right, to, count);
    }
  });
}

bool add_n(DType dtype, const void* const* inputs, int input_count, void* y, int64_t count) {
  const BinaryKernel add = find_binary(BinaryOp::kAdd, dtype);
  if (add == nullptr || input_count < 1) return false;
  const size_t size = size_of(dtype);
  // In pieces that stay in the cache between one input and the next.
  parallel_for(count, grain_of(), [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += 2048) {
      const int64_t piece = std::min<int64_t>(2048, end - at);
      const auto offset = static_cast<size_t>(at) * size;
      char* to = static_cast<char*>(y) + offset;
      const auto input = [&](int i) { return static_cast<const char*>(inputs[i]) + offset; };
      if (input_count == 1) {
        std::memmove(to, input(0), static_cast<size_t>(piece) * size);
        continue;
      }
      add(input(0), 1, input(1), 1, to, piece);
      for (int i = 2; i < input_count; ++i) add(to, 1, input(i), 1, to, piece);
    }
  });
  return true;
}

bool contains_zero(DType dtype, const void* values, int64_t count) {
  bool found = false;
  visit<IntegerTypes>(dtype, [&]<class T>() {
    const T* x = static_cast<const T*>(values);
    for (int64_t i = 0; i < count; ++i) found |= x[i] == T{0};
  });
  return found;
}

void fill(size_t element_size, const void* value, void* y, int64_t count) {
  const bool done = visit_size(element_size, [&]<class T>() {
    T element;
    std::memcpy(&element, value, sizeof(T));
    std::fill_n(static_cast<T*>(y), count, element);
  });
  if (done) return;
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(static_cast<char*>(y) + static_cast<size_t>(i) * element_size, value, element_size);
  }
}

#define TENON_INSTANTIATE(T)                              \
  template void leaky_relu(float, const T*, T*, int64_t); \
  template void leaky_relu_gradient(float, const T*, const T*, T*, int64_t);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
