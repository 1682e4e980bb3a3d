// The sum of equal tensors of several replicas, in the replicas' order.
#pragma once

#include "tenon/core/collective.h"

namespace tenon::dist {

// What one replica hands in.
struct Part {
  bool present = true;
  std::vector<Tensor> values;
};

// results[i] = parts[0].values[i] + parts[1].values[i] + ... of those present, divided by their
// number for a mean; zeros when there are none. float16 and bfloat16 are added in float32 and
// rounded once, integers wrap around. Memory of `results` that nobody else holds is used again.
// `parts` are of equal dtypes and shapes. RESOURCE_EXHAUSTED; UNIMPLEMENTED for a dtype that is not
// added.
Status sum_replicas(std::span<const Part> parts, Reduction reduction, std::vector<Tensor>& results);

}  // namespace tenon::dist
