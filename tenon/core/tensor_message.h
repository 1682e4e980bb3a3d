// tensorflow.TensorProto and TensorShapeProto on the wire: Tensor and PartialShape to bytes and
// back. Untrusted bytes; functions without state, safe from any thread.
#pragma once

#include <string>

#include "tenon/core/tensor.h"

namespace tenon {

// TensorFlow's rules (Tensor::FromProto): `tensor_content` has exactly the tensor's size; of the
// *_val fields surplus values are dropped, too few repeat the last one, none mean zeros. The tensor
// owns its memory. INVALID_ARGUMENT for malformed bytes, an unknown dtype, a bad shape or a wrong
// content size; RESOURCE_EXHAUSTED for more than `limit` bytes; UNIMPLEMENTED for handles.
StatusOr<Tensor> parse_tensor(std::string_view message, size_t limit = size_t{4} << 30);

// The same rules for a message whose dtype and shape stand elsewhere, as in TensorFlow 1's
// checkpoints; but `num_elements` values must be there: DATA_LOSS otherwise.
StatusOr<Tensor> parse_tensor_values(std::string_view message, DType dtype, Shape shape);

// Numbers as `tensor_content`, strings as `string_val`. Appends the fields of the message.
void append_tensor(std::string& out, const Tensor& tensor);

// Unknown rank and dimensions are kept. INVALID_ARGUMENT for malformed bytes, a dimension below -1
// or a rank above kMaxRank.
StatusOr<PartialShape> parse_shape(std::string_view message);
void append_shape(std::string& out, const PartialShape& shape);

}  // namespace tenon
