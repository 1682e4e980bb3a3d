#include "tests/differential/compare.h"

#include <cmath>
#include <cstdio>
#include <cstring>

#include "tenon/base/function_ref.h"

namespace tenon::differential {
namespace {

using Numbers = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                         uint8_t, uint16_t, uint32_t, uint64_t, bool>;

std::string compare_kind(const Tensor& got, const Tensor& want) {
  if (got.dtype() != want.dtype()) return cat("dtype ", got.dtype(), ", want ", want.dtype());
  if (!(got.shape() == want.shape())) return cat("shape ", got.shape(), ", want ", want.shape());
  return "";
}

// Complex tensors as real ones with two elements for each.
Tensor as_real(const Tensor& tensor) {
  if (!is_complex(tensor.dtype())) return tensor;
  Shape shape = tensor.shape();
  shape.append(2);
  const DType part = tensor.dtype() == DType::kComplex64 ? DType::kFloat : DType::kDouble;
  return Tensor(part, shape, tensor.buffer(), const_cast<void*>(tensor.raw()));
}

// `same(i)` for all elements, or where it is not and how often.
template <class T>
std::string tell(const Tensor& got, const Tensor& want, FunctionRef<bool(int64_t)> same) {
  int64_t wrong = 0, first = -1;
  for (int64_t i = 0; i < got.num_elements(); ++i) {
    if (same(i)) continue;
    if (wrong++ == 0) first = i;
  }
  if (wrong == 0) return "";
  const auto print = [&](const Tensor& tensor) {
    if constexpr (std::is_same_v<T, std::string_view>) {
      return std::string(tensor.data<T>()[first]);
    } else if constexpr (std::is_integral_v<T>) {
      return std::to_string(tensor.data<T>()[first]);
    } else {
      char text[40];
      std::snprintf(text, sizeof text, "%.9g", static_cast<double>(tensor.data<T>()[first]));
      return std::string(text);
    }
  };
  return cat(wrong, " of ", got.num_elements(), " differ, first element ", first, " of ",
             got.shape(), ": ", print(got), ", want ", print(want));
}

std::string compare_strings(const Tensor& got, const Tensor& want) {
  return tell<std::string_view>(got, want, [&](int64_t i) {
    return got.data<std::string_view>()[i] == want.data<std::string_view>()[i];
  });
}

}  // namespace

std::string compare(const Tensor& got_any, const Tensor& want_any, Tolerance tolerance) {
  const std::string kind = compare_kind(got_any, want_any);
  if (!kind.empty()) return kind;
  if (got_any.dtype() == DType::kString) return compare_strings(got_any, want_any);
  const Tensor got = as_real(got_any), want = as_real(want_any);
  std::string difference;
  visit<Numbers>(got.dtype(), [&]<class T>() {
    const T *g = got.data<T>(), *w = want.data<T>();
    double largest = 0;
    for (int64_t i = 0; tolerance.of_largest > 0 && i < want.num_elements(); ++i) {
      const double magnitude = std::abs(static_cast<double>(w[i]));
      if (std::isfinite(magnitude)) largest = std::max(largest, magnitude);
    }
    difference = tell<T>(got, want, [&](int64_t i) {
      if (g[i] == w[i]) return true;
      const double a = static_cast<double>(g[i]), b = static_cast<double>(w[i]);
      if (std::isnan(a) && std::isnan(b)) return true;
      return std::abs(a - b) <=
             tolerance.absolute + tolerance.relative * std::abs(b) + tolerance.of_largest * largest;
    });
  });
  return difference;
}

std::string compare_bits(const Tensor& got_any, const Tensor& want_any) {
  const std::string kind = compare_kind(got_any, want_any);
  if (!kind.empty()) return kind;
  if (got_any.dtype() == DType::kString) return compare_strings(got_any, want_any);
  const Tensor got = as_real(got_any), want = as_real(want_any);
  if (is_object(got.dtype()) || got.num_elements() == 0 ||
      std::memcmp(got.raw(), want.raw(), got.num_bytes()) == 0) {
    return "";
  }
  std::string difference;
  visit<Numbers>(got.dtype(), [&]<class T>() {
    const T *g = got.data<T>(), *w = want.data<T>();
    difference = tell<T>(got, want, [&](int64_t i) {
      return std::memcmp(g + i, w + i, sizeof(T)) == 0 || (g[i] != g[i] && w[i] != w[i]);
    });
  });
  return difference.empty() ? "" : cat("bits: ", difference);
}

Tensor concatenated(const std::vector<Tensor>& parts) {
  Shape shape = parts.front().shape();
  int64_t rows = 0;
  for (const Tensor& part : parts) rows += part.dim(0);
  shape.set(0, rows);
  Tensor whole(parts.front().dtype(), shape);
  int64_t at = 0;
  for (const Tensor& part : parts) {
    if (whole.dtype() == DType::kString) {
      // Views of the parts' characters, which the caller keeps.
      std::copy_n(part.data<std::string_view>(), part.num_elements(),
                  whole.mutable_data<std::string_view>() + at);
    } else {
      std::memcpy(static_cast<char*>(whole.mutable_raw()) +
                      static_cast<size_t>(at) * size_of(whole.dtype()),
                  part.raw(), part.num_bytes());
    }
    at += part.num_elements();
  }
  return whole;
}

}  // namespace tenon::differential
