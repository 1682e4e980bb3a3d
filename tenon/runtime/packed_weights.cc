#include "tenon/runtime/packed_weights.h"

namespace tenon {

StatusOr<Ref<Buffer>> PackedWeights::find_or_pack(
    const Tensor& value, std::string_view layout,
    FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) {
  const std::lock_guard lock(mutex_);
  Key key{value.raw(), cat(value.dtype(), " ", value.shape(), " ", layout)};
  if (const auto it = entries_.find(key); it != entries_.end()) return it->second.packed;
  drop_unused_locked();
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> packed, pack(value));
  if (packed) entries_.emplace(std::move(key), Entry{value, packed});
  return packed;
}

void PackedWeights::drop_unused() {
  const std::lock_guard lock(mutex_);
  drop_unused_locked();
}

void PackedWeights::drop_unused_locked() {
  std::erase_if(entries_, [](const auto& entry) { return entry.second.packed->unique(); });
}

size_t PackedWeights::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace tenon
