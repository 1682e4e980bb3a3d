// The paddings argument of Pad, PadV2, MirrorPad and MirrorPadGrad: [rank, 2], before and after.
#pragma once

#include "tenon/core/shape_context.h"

namespace tenon {

struct Paddings {
  std::vector<int64_t> before, after;
};

// INVALID_ARGUMENT unless `value` is [rank, 2] with no negative element.
StatusOr<Paddings> read_paddings(const Tensor& value, int rank);

// Output 0: input 0 with paddings from input 1.
Status padded_shape(ShapeContext& c);

}  // namespace tenon
