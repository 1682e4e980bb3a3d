// The Open Inference Protocol over REST, with binary tensors, and Triton's model repository:
//
//   GET  /v2, /v2/health/live, /v2/health/ready, /v2/models
//   GET  /v2/models/NAME[/versions/V][/ready]
//   POST /v2/models/NAME[/versions/V]/infer
//   POST /v2/repository/index, /v2/repository/models/NAME/load|unload
//
// V is a number or a label. Thread-safe.
#pragma once

#include "tenon/serving/http/http_message.h"
#include "tenon/serving/open_inference/open_inference.h"

namespace tenon::serving {

// Does `path`, which has no query, stand where this protocol answers?
bool is_open_inference_path(std::string_view path);

HttpResponse answer_open_inference(const OpenInference& service, const HttpRequest& request,
                                   const RunLimits& limits);

}  // namespace tenon::serving
