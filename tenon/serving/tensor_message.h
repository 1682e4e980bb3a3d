// tensorflow.TensorProto of requests and responses. The header names the message only.
#pragma once

#include "tenon/core/tensor.h"

namespace tensorflow {
class TensorProto;
}

namespace tenon::serving {

// TensorFlow's rules: of the *_val fields surplus values are dropped, too few repeat the last one,
// none mean zeros; tensor_content has exactly the tensor's size. INVALID_ARGUMENT "tensor parsing
// error: NAME" for anything else.
StatusOr<Tensor> tensor_from_message(const std::string& name,
                                     const tensorflow::TensorProto& message);

// Values go to the *_val fields, or to tensor_content if `as_content`.
void tensor_to_message(const Tensor& tensor, bool as_content, tensorflow::TensorProto& message);

}  // namespace tenon::serving
