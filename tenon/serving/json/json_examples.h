// The JSON of REST classify and regress: request in, response out (TensorFlow Serving's REST API).
#pragma once

#include <string>
#include <string_view>

#include "tenon/serving/inference/inference.h"

namespace tenon::serving {

struct JsonExamplesRequest {
  std::string signature_name;  // empty when the request names none
  Tensor examples;             // serialized tf.Examples, one a row
};

// Strings become bytes, integers and booleans int64, other numbers float; of a feature that is
// given twice the last one counts. INVALID_ARGUMENT with TensorFlow Serving's texts;
// RESOURCE_EXHAUSTED as examples_tensor().
StatusOr<JsonExamplesRequest> parse_examples_request(std::string_view body);

// The body of the answer, byte for byte as TensorFlow Serving lays it out.
std::string write_inference_response(const InferenceResult& result);

}  // namespace tenon::serving
