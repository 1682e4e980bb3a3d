// The sum of equal tensors of several replicas, in the replicas' order.
#pragma once

#include "tenon/core/collective.h"

namespace tenon::dist {

// What one replica hands in.
struct Part {
  bool present = true;
  std::vector<Tensor> values;
};

// to[i] = values[0][i] + values[1][i] + ..., divided by their number for a mean; zeros when there
// are none. float16 and bfloat16 are added in float32 and rounded once, integers wrap around.
// UNIMPLEMENTED for a dtype that is not added.
Status sum_elements(DType dtype, int64_t elements, std::span<const void* const> values,
                    Reduction reduction, void* to);

// Makes `result` a tensor like `like`; its memory is used again where it fits and nobody else holds
// it. RESOURCE_EXHAUSTED.
Status make_room_for_sum(const Tensor& like, Tensor& result);

// results[i] = parts[0].values[i] + parts[1].values[i] + ... of those present, as
// sum_elements() adds them. Memory of `results` that nobody else holds is used again. `parts` are
// of equal dtypes and shapes. RESOURCE_EXHAUSTED; UNIMPLEMENTED.
Status sum_replicas(std::span<const Part> parts, Reduction reduction, std::vector<Tensor>& results);

}  // namespace tenon::dist
