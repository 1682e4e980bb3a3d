// The JSON of an inference over REST (Open Inference Protocol), with the extension for binary
// tensors: their bytes stand behind the JSON, in the order of the tensors.
#pragma once

#include "tenon/serving/open_inference/open_inference.h"

namespace tenon::serving {

// `json_bytes`: how much of `body` is JSON, where a header says so. INVALID_ARGUMENT for what the
// protocol does not allow. BYTES are strings in JSON.
StatusOr<OpenInferenceRequest> parse_infer_request(std::string_view body,
                                                   std::optional<size_t> json_bytes);

// The request that a body of nothing but bytes is: of the only input of `signature`, whose shape
// has at most one unknown dimension; a single element of BYTES. All outputs are binary.
StatusOr<OpenInferenceRequest> raw_infer_request(const Signature& signature, std::string_view body);

struct InferResponse {
  std::string body;
  std::optional<size_t> json_bytes;  // where bytes stand behind the JSON
};

// INVALID_ARGUMENT for BYTES that are no text and were not asked for in binary.
StatusOr<InferResponse> write_infer_response(const OpenInferenceRequest& request,
                                             const OpenInferenceResult& result);

}  // namespace tenon::serving
