#include "tenon/graph/messages/constant_pool.h"

#include <cstring>

namespace tenon {
namespace {

constexpr size_t kLargeConstant = size_t{64} << 10;
// Constants that were made so that samples do not tell them apart cost no more than this.
constexpr int kMostCompared = 4;

uint64_t samples_of(const Tensor& tensor) {
  constexpr size_t kSamples = 64;
  const size_t bytes = tensor.num_bytes();
  uint64_t hash = bytes * 31 + static_cast<uint64_t>(tensor.dtype());
  for (size_t i = 0; i < kSamples; ++i) {
    uint64_t sample = 0;
    const size_t at = (bytes - sizeof(sample)) / kSamples * i;
    std::memcpy(&sample, static_cast<const char*>(tensor.raw()) + at, sizeof(sample));
    hash = (hash ^ sample) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

bool same_value(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         (a.raw() == b.raw() || std::memcmp(a.raw(), b.raw(), a.num_bytes()) == 0);
}

}  // namespace

Tensor ConstantPool::find_locked(uint64_t samples, const Tensor& value) const {
  const auto [first, last] = constants_.equal_range(samples);
  int compared = 0;
  for (auto it = first; it != last && compared < kMostCompared; ++it, ++compared) {
    if (same_value(it->second, value)) return it->second;
  }
  return {};
}

Tensor ConstantPool::find(const Tensor& value) {
  if (is_object(value.dtype()) || value.num_bytes() < kLargeConstant) return {};
  const uint64_t samples = samples_of(value);
  const std::lock_guard lock(mutex_);
  return find_locked(samples, value);
}

Tensor ConstantPool::shared(const Tensor& value) {
  if (!value.buffer() || value.buffer()->device() || is_object(value.dtype()) ||
      value.num_bytes() < kLargeConstant) {
    return value;
  }
  const uint64_t samples = samples_of(value);
  const std::lock_guard lock(mutex_);
  if (Tensor found = find_locked(samples, value); found.has_value()) return found;
  std::erase_if(constants_, [](const auto& entry) { return entry.second.buffer()->unique(); });
  return constants_.emplace(samples, value)->second;
}

}  // namespace tenon
