// For tests: requests of the gRPC services, as bytes.
#pragma once

#include <string>

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"

namespace tenon::serving {

inline const std::string kPredictPath = "/tensorflow.serving.PredictionService/Predict";
inline const std::string kModelStatusPath = "/tensorflow.serving.ModelService/GetModelStatus";

// GetModelStatusRequest, and the beginning of a PredictRequest.
inline std::string request_for(std::string_view model) {
  std::string bytes;
  append_message(bytes, 1, [&] { append_string_field(bytes, 1, model); });
  return bytes;
}

inline std::string predict_request(std::string_view model, std::string_view input,
                                   const Tensor& tensor) {
  std::string bytes = request_for(model);
  append_message(bytes, 2, [&] {
    append_string_field(bytes, 1, input);
    append_message(bytes, 2, [&] { append_tensor(bytes, tensor); });
  });
  return bytes;
}

// The first output of a PredictResponse.
inline StatusOr<Tensor> first_output(std::string_view response) {
  WireReader reader(response);
  WireField field;
  while (reader.next(field)) {
    MapEntry entry;
    if (field.is_bytes(1) && parse_map_entry(field.bytes, entry)) {
      return parse_tensor(entry.message.bytes());
    }
  }
  return not_found("a PredictResponse has no output");
}

}  // namespace tenon::serving
