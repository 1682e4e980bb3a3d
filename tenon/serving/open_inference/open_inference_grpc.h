// inference.GRPCInferenceService: its methods, from the bytes of a request to those of its
// response. Thread-safe.
#pragma once

#include "tenon/serving/open_inference/open_inference.h"

namespace tenon::serving {

struct OpenInferenceMethod {
  enum class Kind : uint8_t { kProbe, kQuestion, kInference, kControl };
  std::string_view path;  // "/inference.GRPCInferenceService/ModelInfer"
  Kind kind;
  // Appends the response. INTERNAL where the request is malformed, as gRPC answers for what it
  // cannot parse. Inferences are counted.
  Status (*call)(const OpenInference& service, std::string_view request, const RunLimits& limits,
                 std::string* response);
  bool each_message = false;  // of a stream is a call
};
std::span<const OpenInferenceMethod> open_inference_methods();

// Counts a ModelInferRequest that was refused before it ran.
void count_infer_refusal(const OpenInference& service, std::string_view request, const Status& why);

}  // namespace tenon::serving
