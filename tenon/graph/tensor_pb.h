// tensorflow.TensorProto to Tensor and back. The header names the messages only.
#pragma once

#include "tenon/core/attributes.h"

namespace tensorflow {
class AttrValue;
class TensorProto;
class TensorShapeProto;
}  // namespace tensorflow

namespace tenon {

// TensorFlow's rules (Tensor::FromProto): `tensor_content` has exactly the tensor's size; of the
// *_val fields surplus values are dropped, too few repeat the last one, none mean zeros.
// INVALID_ARGUMENT for an unknown dtype, a bad shape, a wrong content size, or more than `limit`
// bytes.
StatusOr<Tensor> tensor_from_proto(const tensorflow::TensorProto& proto,
                                   size_t limit = size_t{4} << 30);

// Numbers as `tensor_content`, strings as `string_val`.
void tensor_to_proto(const Tensor& tensor, tensorflow::TensorProto& proto);

// Unknown rank and dimensions are kept. INVALID_ARGUMENT for a dimension below -1.
StatusOr<PartialShape> shape_from_proto(const tensorflow::TensorShapeProto& proto);
void shape_to_proto(const PartialShape& shape, tensorflow::TensorShapeProto& proto);

// Attribute values; UNIMPLEMENTED for a placeholder (a function's own attribute).
StatusOr<AttrValue> attr_from_proto(const tensorflow::AttrValue& proto);
void attr_to_proto(const AttrValue& value, tensorflow::AttrValue& proto);

}  // namespace tenon
