// For tests: a tensor as a message of protobuf's, by way of the bytes that we write.
#pragma once

#include "tenon/serving/grpc/tensor_message.h"

namespace tenon::serving {

template <class TensorProto>
void tensor_to_proto(const Tensor& tensor, bool as_content, TensorProto& message) {
  std::string bytes;
  append_output_tensor(bytes, tensor, as_content);
  message.ParseFromString(bytes);
}

}  // namespace tenon::serving
