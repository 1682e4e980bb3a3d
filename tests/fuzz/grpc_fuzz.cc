// Any bytes as a gRPC predict request: its tensors are refused, or decoded into what can be encoded
// again. The decoder of files' tensors sees the same messages.

#include "tenon/core/tensor_message.h"
#include "tenon/serving/tensor_message.h"
#include "tensorflow_serving/apis/predict.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tensorflow::serving::PredictRequest request;
  if (!request.ParseFromArray(data, static_cast<int>(size))) return 0;
  for (const auto& [name, message] : request.inputs()) {
    (void)tenon::parse_tensor(message.SerializeAsString(), size_t{1} << 28).ok();
    const auto tensor = tenon::serving::tensor_from_message(name, message);
    if (!tensor.ok() || tensor->num_bytes() > size_t{1} << 20) continue;
    tensorflow::TensorProto again;
    tenon::serving::tensor_to_message(*tensor, false, again);
    tenon::serving::tensor_to_message(*tensor, true, again);
  }
  return 0;
}
