// The JSON of REST predict: request in, response out (TensorFlow Serving's REST API).
//
// Both are independent of models: the caller says which inputs a signature has.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/function_ref.h"
#include "tenon/serving/json/json_writer.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

enum class JsonFormat {
  kRow,       // {"instances": [...]} is answered by {"predictions": [...]}
  kColumnar,  // {"inputs": ...} is answered by {"outputs": ...}
};

struct JsonPredictRequest {
  std::string signature_name;  // empty when the request names none
  JsonFormat format = JsonFormat::kRow;
  std::vector<Tensor> inputs;  // in the order of the signature's; without value where not given
};

// The inputs of a signature by name, or why there are none; the name is empty when the request
// gives none. The specs outlive the parse.
using InputsOf = FunctionRef<StatusOr<std::span<const TensorSpec>>(std::string_view signature)>;

// INVALID_ARGUMENT with TensorFlow Serving's texts, or UNIMPLEMENTED for element types that have no
// JSON form (complex) in the columnar format.
StatusOr<JsonPredictRequest> parse_predict_request(std::string_view body, InputsOf inputs_of);

struct NamedTensor {
  std::string_view name;
  const Tensor* tensor;
};

// The body of the answer, byte for byte as TensorFlow Serving lays it out.
StatusOr<std::string> write_predict_response(JsonFormat format,
                                             std::span<const NamedTensor> outputs);

// All elements of a tensor as one list, whatever its shape.
Status write_flat_values(JsonWriter& writer, const NamedTensor& output);

// {"error": message} as TensorFlow Serving lays it out.
std::string write_json_error(std::string_view message);

}  // namespace tenon::serving
