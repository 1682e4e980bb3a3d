// Operands of float16 or bfloat16 as float32 ones, for kernels that compute in float32: inputs are
// converted before they run and the result is rounded after.
#pragma once

#include <vector>

#include "tenon/core/dtype.h"
#include "tenon/kernels/cast.h"
#include "tenon/kernels/product/worker_scratch.h"

namespace tenon::kernels {

// Lays out float32 copies of operands in scratch memory, one after the other.
class WidenedOperands {
 public:
  // `counts`: values of each operand.
  WidenedOperands(DType dtype, std::vector<int64_t> counts)
      : counts_(std::move(counts)),
        widen_(find_cast(dtype, DType::kFloat)),
        round_(find_cast(DType::kFloat, dtype)) {}

  size_t bytes() const { return offset(counts_.size()); }
  float* operand(size_t index, void* scratch) const {
    return reinterpret_cast<float*>(static_cast<char*>(scratch) + offset(index));
  }
  void* rest(void* scratch) const { return static_cast<char*>(scratch) + bytes(); }

  // With the team. Returns the copy.
  const float* widen(size_t index, const void* values, void* scratch) const {
    float* const copy = operand(index, scratch);
    run_cast(widen_, 2, values, sizeof(float), copy, counts_[index]);
    return copy;
  }
  void round(size_t index, void* scratch, void* values) const {
    run_cast(round_, sizeof(float), operand(index, scratch), 2, values, counts_[index]);
  }

 private:
  size_t offset(size_t index) const {
    size_t bytes = 0;
    for (size_t i = 0; i < index; ++i) bytes += float_bytes(counts_[i]);
    return bytes;
  }

  std::vector<int64_t> counts_;
  CastKernel widen_, round_;
};

}  // namespace tenon::kernels
