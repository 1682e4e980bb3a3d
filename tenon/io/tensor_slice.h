// Rectangular parts of tensors: of partitioned variables, and of shape_and_slice arguments.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon {

// `begin` and `size` have the rank of the tensor; size -1 means all of the dimension.
struct TensorSlice {
  Dims begin;
  Dims size;

  // The extent of a tensor of `full` shape with -1 replaced; INVALID_ARGUMENT when the slice does
  // not lie inside it.
  StatusOr<TensorSlice> resolve(const Shape& full) const;
  Shape shape() const { return Shape(std::span<const int64_t>(size)); }
};

// "3,4:0,2:-" as TensorFlow prints slices.
std::string to_string(const TensorSlice& slice);

// Parses "full shape, then start,length or - per dimension": "4 6 0,2:-". An empty text gives
// neither shape nor slice (false).
StatusOr<bool> parse_shape_and_slice(std::string_view text, Shape& full, TensorSlice& slice);

// The key under which a checkpoint keeps one slice of the tensor `name`.
// Source: tensorflow/core/util/saved_tensor_slice_util.cc, lib/strings/ordered_code.cc.
std::string slice_key(std::string_view name, const TensorSlice& slice);

// Copies `part` into the place of `slice` (resolved) in `full`, and the other way round. Shapes and
// dtypes must agree; elements of strings are views, whose blocks the caller keeps alive.
void copy_into_slice(const Tensor& part, const TensorSlice& slice, Tensor& full);
void copy_from_slice(const Tensor& full, const TensorSlice& slice, Tensor& part);

}  // namespace tenon
