// The routes of TensorFlow Serving's REST API (model_servers/http_rest_api_util.cc), matched by
// hand.
#pragma once

#include "tenon/serving/served_models.h"

namespace tenon::serving {

class RestApi;
struct HttpRequest;

struct RestAnswer {
  std::string body;
  std::shared_ptr<const ServedVersion> served;  // by which model, where one ran
};

// What can be asked of a model: a row of RestApi's table.
struct RestCall {
  // "POST": the target ends with ":WORD" behind the model. "GET": with "/WORD", or with the model
  // itself where the word is empty.
  std::string_view method, word;
  StatusOr<RestAnswer> (*answer)(const RestApi& api, const ModelSpec& model,
                                 const HttpRequest& request);
};

struct RestRoute {
  const RestCall* call = nullptr;  // null: malformed
  ModelSpec model;                 // percent-decoded; the name is empty where the path gives none

  // "predict", "classify" or "regress"; empty for the GETs.
  std::string_view api() const { return call && call->method == "POST" ? call->word : ""; }
};

// Does `target` stand under /v1/, the only place where the API answers?
bool is_rest_target(std::string_view target);

// Which of `calls` it is. INVALID_ARGUMENT for a version number beyond int64.
StatusOr<RestRoute> parse_rest_route(std::span<const RestCall> calls, std::string_view method,
                                     std::string_view target);

// `text` with %XX replaced, as curl_easy_unescape does it: what is no escape stays.
std::string percent_decoded(std::string_view text);

// The HTTP status that TensorFlow Serving gives a canonical code.
int http_status_of(absl::StatusCode code);

}  // namespace tenon::serving
