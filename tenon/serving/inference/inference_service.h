// Classify, Regress and MultiInference of tensorflow.serving.PredictionService: from the bytes of a
// request to those of its response. Thread-safe.
#pragma once

#include "tenon/serving/served_models.h"

namespace tenon::serving {

// What the methods work on; all of it outlives the calls.
struct InferenceService {
  const ServedModels& models;
  RequestMetrics& requests;
  bool check_method_name = false;  // refuse signatures whose method name is not the method's
};

// Each appends its response to `response`, which is left as it was where the call fails. Requests
// are counted, as TensorFlow Serving does, except those of MultiInference.
Status classify(const InferenceService& service, std::string_view request, const RunLimits& limits,
                std::string* response);
Status regress(const InferenceService& service, std::string_view request, const RunLimits& limits,
               std::string* response);
Status multi_inference(const InferenceService& service, std::string_view request,
                       const RunLimits& limits, std::string* response);

// Runs a request on `servable`, whatever model it names, and drops the answer: what warm-up asks
// for.
enum class InferenceCall : uint8_t { kClassify, kRegress, kMultiInference };
Status replay_inference(const Servable& servable, InferenceCall call, std::string_view request);

}  // namespace tenon::serving
