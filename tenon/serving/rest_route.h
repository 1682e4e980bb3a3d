// The routes of TensorFlow Serving's REST API (model_servers/http_rest_api_util.cc), matched by
// hand.
#pragma once

#include "tenon/serving/served_models.h"

namespace tenon::serving {

struct RestRoute {
  enum class Kind {
    kMalformed,  // no route
    kPredict,
    kClassify,
    kRegress,
    kStatus,
    kMetadata,
  };
  Kind kind = Kind::kMalformed;
  ModelSpec model;  // percent-decoded; the name is empty where the path gives none

  // "predict", "classify" or "regress"; empty for the GETs.
  std::string_view api() const;
};

// Does `target` stand under /v1/, the only place where the API answers?
bool is_rest_target(std::string_view target);

// INVALID_ARGUMENT for a version number beyond int64.
StatusOr<RestRoute> parse_rest_route(std::string_view method, std::string_view target);

// `text` with %XX replaced, as curl_easy_unescape does it: what is no escape stays.
std::string percent_decoded(std::string_view text);

// The HTTP status that TensorFlow Serving gives a canonical code.
int http_status_of(absl::StatusCode code);

}  // namespace tenon::serving
