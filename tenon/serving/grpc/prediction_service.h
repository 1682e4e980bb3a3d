// The methods of tensorflow.serving.PredictionService and ModelService: from the bytes of a request
// to those of its response. Thread-safe.
#pragma once

#include "tenon/serving/served_models.h"

namespace tenon::serving {

struct PredictOptions {
  bool tensor_content = false;     // answer in tensor_content rather than *_val
  bool check_method_name = false;  // refuse signatures that are for no prediction
};

// What the methods work on; all of it outlives the calls.
struct PredictionService {
  ServedModels& models;
  RequestMetrics& requests;
  MetricRegistry& metrics;
  PredictOptions options;
};

// Each appends its response to `response`; what a call that fails leaves there means nothing.
// INTERNAL where the request is malformed, as gRPC answers for what it cannot parse. Requests for
// predictions are counted.
Status predict(const PredictionService& service, std::string_view request, const RunLimits& limits,
               std::string* response);
Status get_model_metadata(const PredictionService& service, std::string_view request,
                          const RunLimits& limits, std::string* response);
Status get_model_status(const PredictionService& service, std::string_view request,
                        const RunLimits& limits, std::string* response);
Status reload_config(const PredictionService& service, std::string_view request,
                     const RunLimits& limits, std::string* response);

// Counts a PredictRequest that was refused before it ran.
void count_refusal(const PredictionService& service, std::string_view request, const Status& why);

// Runs a PredictRequest on `servable`, whatever model it names, and drops the answer: what warm-up
// asks for.
Status replay_predict(const Servable& servable, std::string_view request);

}  // namespace tenon::serving
