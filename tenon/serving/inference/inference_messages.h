// The messages of Classify, Regress and MultiInference on the wire (tensorflow_serving/apis:
// model.proto, input.proto, classification.proto, regression.proto, inference.proto). Untrusted
// bytes; what is read is a view into them.
#pragma once

#include "tenon/serving/inference/inference.h"

namespace tenon::serving {

// tensorflow.serving.ModelSpec.
struct NamedSpec {
  ModelSpec model;
  std::string signature_name;  // empty: the default one
};

// Well-formed UTF-8 (RFC 3629), which protobuf asks of every `string` field.
bool is_utf8(std::string_view text);

// False where it is malformed. Texts that are not UTF-8 are, as for protobuf.
bool parse_model_spec(std::string_view message, NamedSpec& spec);

// As TensorFlow Serving answers: name, signature (the default one by its name) and version.
void append_model_spec(std::string& out, uint32_t number, const ServedVersion& served,
                       std::string_view signature_name);

// tensorflow.serving.Input as a tensor of serialized Examples; as examples_tensor(). False where it
// is malformed.
bool parse_input(std::string_view message, StatusOr<Tensor>& examples);

// ClassificationRequest and RegressionRequest, which have the same fields.
struct InferenceRequest {
  bool has_spec = false;
  NamedSpec spec;
  StatusOr<Tensor> examples{Tensor()};
};
// INTERNAL where it is malformed, as gRPC answers for what it cannot parse.
StatusOr<InferenceRequest> parse_inference_request(std::string_view message);

struct InferenceTask {
  NamedSpec spec;
  std::string method_name;
};
struct MultiInferenceRequest {
  std::vector<InferenceTask> tasks;
  StatusOr<Tensor> examples{Tensor()};
};
StatusOr<MultiInferenceRequest> parse_multi_inference_request(std::string_view message);

// ClassificationResult or RegressionResult, as field `number`.
void append_result(std::string& out, uint32_t number, const InferenceResult& result);

}  // namespace tenon::serving
