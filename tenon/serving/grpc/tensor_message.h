// tensorflow.TensorProto of requests and responses, between the wire and tensors without a message
// object in between. Untrusted bytes; functions without state, safe from any thread.
#pragma once

#include <string>

#include "tenon/core/tensor.h"

namespace tenon::serving {

// TensorFlow's rules: of the *_val fields surplus values are dropped, too few repeat the last one,
// none mean zeros; tensor_content has exactly the tensor's size. INVALID_ARGUMENT "tensor parsing
// error: NAME" for anything else.
StatusOr<Tensor> parse_input_tensor(std::string_view name, std::string_view message);

// Appends the fields of the message: values in the *_val fields, or in tensor_content if
// `as_content`.
void append_output_tensor(std::string& out, const Tensor& tensor, bool as_content);

}  // namespace tenon::serving
