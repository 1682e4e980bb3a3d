// ModelInferRequest and ModelInferResponse of the Open Inference Protocol on the wire. Untrusted
// bytes; functions without state.
#pragma once

#include "tenon/serving/open_inference/open_inference.h"

namespace tenon::serving {

struct InferMessage {
  ModelSpec model;
  OpenInferenceRequest request;
  bool raw = false;  // its tensors stand in raw_input_contents
};

// The name of the model alone; empty where there is none.
std::string infer_model_name(std::string_view message);

// The id that its answer is to have; empty where there is none.
std::string infer_request_id(std::string_view message);

// INTERNAL where it is malformed, INVALID_ARGUMENT for what the protocol does not allow.
StatusOr<InferMessage> parse_infer_message(std::string_view message);

// Outputs are in raw_output_contents where inputs were, or where one of them is of a datatype that
// has no other place (FP16, BF16).
Status append_infer_response(const InferMessage& message, const OpenInferenceResult& result,
                             std::string& out);

}  // namespace tenon::serving
