#include "tenon/dist/sum_replicas.h"

#include "tenon/base/parallel.h"

namespace tenon::dist {
namespace {

using SummedTypes = TypeList<float, double, float16, bfloat16, int32_t, int64_t>;

template <class T>
struct Accumulator {
  using type = T;
};
template <>
struct Accumulator<float16> {
  using type = float;
};
template <>
struct Accumulator<bfloat16> {
  using type = float;
};
// Overflow of signed integers is no behaviour to rely on; that of unsigned ones wraps.
template <>
struct Accumulator<int32_t> {
  using type = uint32_t;
};
template <>
struct Accumulator<int64_t> {
  using type = uint64_t;
};

// So many elements at a time stay in the nearest cache.
constexpr int64_t kChunk = 1024;
constexpr int64_t kRange = 16 * kChunk;

// `parts`: where each replica's value is.
template <class T>
void sum_range(std::span<const void* const> parts, bool mean, T* to, int64_t begin, int64_t end) {
  using A = typename Accumulator<T>::type;
  A sum[kChunk];
  for (; begin < end; begin += kChunk) {
    const auto count = static_cast<size_t>(std::min(kChunk, end - begin));
    std::fill_n(sum, count, A(0));
    for (size_t replica = 0; replica < parts.size(); ++replica) {
      const T* from = static_cast<const T*>(parts[replica]) + begin;
      if (replica == 0) {
        for (size_t i = 0; i < count; ++i) sum[i] = static_cast<A>(from[i]);
      } else {
        for (size_t i = 0; i < count; ++i) sum[i] += static_cast<A>(from[i]);
      }
    }
    T* out = to + begin;
    if constexpr (std::is_integral_v<T>) {
      const auto divisor = static_cast<T>(mean ? std::max<size_t>(1, parts.size()) : 1);
      for (size_t i = 0; i < count; ++i) out[i] = static_cast<T>(static_cast<T>(sum[i]) / divisor);
    } else {
      const auto divisor = static_cast<A>(mean ? std::max<size_t>(1, parts.size()) : 1);
      for (size_t i = 0; i < count; ++i) out[i] = static_cast<T>(sum[i] / divisor);
    }
  }
}

}  // namespace

Status sum_elements(DType dtype, int64_t elements, std::span<const void* const> values,
                    Reduction reduction, void* to) {
  const bool known = visit<SummedTypes>(dtype, [&]<class T>() {
    parallel_for(elements, kRange, [&](int64_t begin, int64_t end) {
      sum_range<T>(values, reduction == Reduction::kMean, static_cast<T*>(to), begin, end);
    });
  });
  return known ? absl::OkStatus() : unimplemented("values of dtype ", dtype, " are not reduced");
}

Status make_room_for_sum(const Tensor& like, Tensor& result) {
  const bool fits = result.has_value() && result.dtype() == like.dtype() &&
                    result.shape() == like.shape() && result.writable();
  if (fits) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(result, Tensor::allocate(like.dtype(), like.shape()));
  return absl::OkStatus();
}

Status sum_replicas(std::span<const Part> parts, Reduction reduction,
                    std::vector<Tensor>& results) {
  const std::vector<Tensor>& first = parts[0].values;
  results.resize(first.size());
  std::vector<const void*> values;
  for (size_t i = 0; i < first.size(); ++i) {
    TENON_RETURN_IF_ERROR(make_room_for_sum(first[i], results[i]));
    values.clear();
    for (const Part& part : parts) {
      if (part.present) values.push_back(part.values[i].raw());
    }
    TENON_RETURN_IF_ERROR(sum_elements(first[i].dtype(), first[i].num_elements(), values, reduction,
                                       results[i].mutable_raw()));
  }
  return absl::OkStatus();
}

}  // namespace tenon::dist
