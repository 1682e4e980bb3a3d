// PackedWeights: packed copies of a model's constants, one for each buffer and layout, whatever
// Plan reads them.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/core/tensor.h"

namespace tenon {

// Thread-safe.
class PackedWeights {
 public:
  // The copy of `value` that `pack` makes: at most once for each `layout` as long as somebody else
  // has it.
  StatusOr<Ref<Buffer>> find_or_pack(const Tensor& value, std::string_view layout,
                                     FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack);
  // Drops the copies that nobody else has.
  void drop_unused();
  size_t size() const;

 private:
  void drop_unused_locked();

  struct Entry {
    Tensor source;  // so that its address stays its own
    Ref<Buffer> packed;
  };
  using Key = std::pair<const void*, std::string>;  // of the source; dtype, shape and layout

  mutable std::mutex mutex_;
  std::map<Key, Entry> entries_;
};

}  // namespace tenon
