// The arguments of StridedSlice resolved against a shape. Rules: NumPy's, with TensorFlow's masks
// (tensorflow/core/util/strided_slice_op.cc).
#pragma once

#include "tenon/core/shape_context.h"
#include "tenon/kernels/strided_copy.h"

namespace tenon {

struct StridedSliceMasks {
  int64_t begin = 0, end = 0, ellipsis = 0, new_axis = 0, shrink = 0;
  static StridedSliceMasks of(const AttrMap& attrs);
};

struct StridedSlice {
  // For each axis of the input: first index, step and size (-1: not known).
  Dims begin, stride, size;
  // Of the result: new axes put in, shrunk ones taken out.
  PartialShape shape;

  // All sizes known: the copy out of a tensor of `input` shape and the offset of its first element.
  kernels::StridedCopy copy(const Shape& input, int64_t& offset) const;
};

// begin, end and strides may be null when they are not known. INVALID_ARGUMENT in TensorFlow's
// cases: a stride of 0, an index outside a shrunk axis, more indices than axes, two ellipses.
StatusOr<StridedSlice> resolve_strided_slice(const PartialShape& input, const Tensor* begin,
                                             const Tensor* end, const Tensor* strides,
                                             int64_t count, const StridedSliceMasks& masks);

}  // namespace tenon
