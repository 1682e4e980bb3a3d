// ConstantPool: large constants, each kept once. A file may hold one once for each function that
// reads it, and passes make equal ones from it for each signature.
#pragma once

#include <unordered_map>

#include "tenon/core/tensor.h"

namespace tenon {

// Thread-safe.
class ConstantPool {
 public:
  // The constant with these bytes that is there already, or `value`, which is kept as long as
  // somebody else has it (and until the next call). Small ones and objects are left alone. Nobody
  // may write it. Costs a look at some of the bytes, and at all of them where there seems to be an
  // equal one.
  Tensor shared(const Tensor& value);

  // The constant with the bytes of `value`, which may be a view of any memory; no value when there
  // is none.
  Tensor find(const Tensor& value);

 private:
  Tensor find_locked(uint64_t samples, const Tensor& value) const;

  std::mutex mutex_;
  std::unordered_multimap<uint64_t, Tensor> constants_;  // by samples of their bytes
};

}  // namespace tenon
