#include "tenon/serving/rest_api.h"

#include "tenon/base/out_of_memory.h"
#include "tenon/observe/prometheus.h"
#include "tenon/serving/json/json_examples.h"
#include "tenon/serving/json/json_predict.h"
#include "tenon/serving/model_messages.h"
#include "tenon/serving/net/bearer_tokens.h"
#include "tenon/serving/net/trace_context.h"
#include "tenon/serving/open_inference/open_inference_rest.h"
#include "tenon/serving/predict.h"
#include "tenon/serving/status/process_metrics.h"
#include "tenon/serving/status/status_report.h"

namespace tenon::serving {
namespace {

HttpResponse plain_text(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.content_type = "text/plain";
  response.body = std::move(text);
  return response;
}

std::string_view path_of(const HttpRequest& request) {
  return request.target.substr(0, request.target.find_first_of("?#"));
}

bool is_cross_origin(const HttpRequest& request) {
  const std::string_view origin = request.headers.get("origin");
  return origin.find("http://") != std::string_view::npos ||
         origin.find("https://") != std::string_view::npos;
}

}  // namespace

bool is_open_to_all(const HttpRequest& request) {
  const std::string_view path = path_of(request);
  if (request.method == "OPTIONS") return true;
  if (request.method != "GET" && request.method != "HEAD") return false;
  return path == "/healthz" || path == "/readyz" || path == "/v2/health/live" ||
         path == "/v2/health/ready";
}

const RestApi::Page RestApi::kPages[] = {
    {"/healthz", nullptr, &RestApi::health},
    {"/readyz", nullptr, &RestApi::readiness},
    {"/", &RestOptions::status_page, &RestApi::page},
    {"/status.json", &RestOptions::status_page, &RestApi::figures},
};

// Behind /v1/models[/NAME[/versions/N|/labels/L]].
const RestCall RestApi::kCalls[] = {
    {"GET", "", [](const RestApi& api, auto& model, auto&) { return api.status(model); }},
    {"GET", "metadata", [](const RestApi& api, auto& model, auto&) { return api.metadata(model); }},
    {"POST", "predict",
     [](const RestApi& api, auto& model, auto& request) { return api.predict(model, request); }},
    {"POST", "classify",
     [](const RestApi& api, auto& model, auto& request) {
       return api.infer(InferenceMethod::kClassify, model, request);
     }},
    {"POST", "regress",
     [](const RestApi& api, auto& model, auto& request) {
       return api.infer(InferenceMethod::kRegress, model, request);
     }},
};

RestApi::RestApi(ServedModels& models, RestOptions options)
    : models_(models),
      options_(std::move(options)),
      requests_(*options_.metrics),
      open_inference_{models_, requests_, draining_, options_.model_control} {}

HttpResponse RestApi::answer(const HttpRequest& request) {
  const TraceScope trace(request.headers.get("traceparent"));
  if (!options_.access_log) return answer_unlogged(request);
  const int64_t start = steady_microseconds();
  HttpResponse response = answer_unlogged(request);
  log_access("REST", cat(request.method, " ", request.target), cat(response.status),
             request.body.size(), response.body.size(), microseconds_since(start));
  return response;
}

HttpResponse RestApi::answer_unlogged(const HttpRequest& request) {
  if (!request.admitted) return challenge(request);
  const std::string_view path = path_of(request);
  const bool is_api = is_rest_target(request.target);
  if (is_api || is_open_inference_path(path)) {
    if (request.method == "OPTIONS") return preflight(request);
    HttpResponse response =
        is_api ? answer_api(request)
               : answer_open_inference(open_inference_, request, limits_of(request));
    add_cors_headers(response);
    return response;
  }
  return answer_page(request, path);
}

HttpResponse RestApi::answer_page(const HttpRequest& request, std::string_view path) {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  for (const Page& page : kPages) {
    const bool shown = page.shown == nullptr || options_.*page.shown;
    if (reads && shown && path == page.path) return (this->*page.answer)();
  }
  if (options_.monitoring.enable && path == options_.monitoring.path) {
    return plain_text(200, prometheus_text(*options_.metrics) + process_metrics_text());
  }
  return http_error_page(404);
}

HttpResponse RestApi::health() const { return plain_text(200, "ok\n"); }

HttpResponse RestApi::readiness() const {
  return !draining_ && models_.ready() ? plain_text(200, "ok\n") : plain_text(503, "not ready\n");
}

HttpResponse RestApi::page() const {
  HttpResponse page;
  page.content_type = "text/html; charset=utf-8";
  page.headers = {{"Content-Security-Policy",
                   "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
                   "connect-src 'self'; img-src data:; frame-ancestors 'none'"}};
  page.body = status_page();
  return page;
}

HttpResponse RestApi::figures() const {
  HttpResponse response;
  response.body = server_status_json(models_, *options_.metrics, draining_);
  return response;
}

void RestApi::add_cors_headers(HttpResponse& response) const {
  if (!options_.cors) return;
  for (const auto& [name, value] :
       {std::pair{"Access-Control-Allow-Origin", "*"},
        std::pair{"Access-Control-Allow-Methods", "POST, GET"},
        std::pair{"Access-Control-Allow-Headers",
                  options_.tokens ? "Content-Type, Authorization" : "Content-Type"}}) {
    response.headers.emplace_back(name, value);
  }
}

HttpResponse RestApi::challenge(const HttpRequest& request) {
  const std::string_view authorization = request.headers.get("authorization");
  const Status why = lacks_token(authorization);
  requests_.count_failure({}, cat("REST ", request.method, " ", request.target), why);
  HttpResponse response;
  response.status = 401;
  response.headers.emplace_back("WWW-Authenticate", bearer_challenge(authorization));
  add_cors_headers(response);
  response.body = write_json_error(message_of(why));
  return response;
}

// Of CORS.
HttpResponse RestApi::preflight(const HttpRequest& request) const {
  HttpResponse response;
  add_cors_headers(response);
  response.status = is_cross_origin(request) ? 200 : 400;
  return response;
}

HttpResponse RestApi::answer_api(const HttpRequest& request) {
  const int64_t start = steady_microseconds();
  HttpResponse response;
  RestRoute route;
  StatusOr<RestRoute> parsed = parse_rest_route(kCalls, request.method, request.target);
  StatusOr<RestAnswer> answer =
      parsed.ok() ? or_out_of_memory([&] { return dispatch(route = *parsed, request); })
                  : StatusOr<RestAnswer>(parsed.status());
  count(route, request, answer, start);
  response.status = http_status_of(answer.status().code());
  response.body =
      answer.ok() ? std::move(answer->body) : write_json_error(message_of(answer.status()));
  return response;
}

void RestApi::count(const RestRoute& route, const HttpRequest& request,
                    const StatusOr<RestAnswer>& answer, int64_t start) {
  const int64_t took = microseconds_since(start);
  if (answer.ok() && answer->served && route.api() == "predict") {
    answer->served->cells.ok.add();
    answer->served->cells.rest_latency.observe(static_cast<double>(took));
    return;
  }
  const std::string_view name =
      models_.knows(route.model.name) ? std::string_view(route.model.name) : std::string_view();
  if (!answer.ok()) {
    const std::string what = cat("REST ", request.method, " ", request.target);
    return requests_.count_failure(name, what, answer.status());
  }
  requests_.count(name, absl::StatusCode::kOk);
  requests_.observe(name, route.api(), "REST", took);
}

StatusOr<RestAnswer> RestApi::dispatch(const RestRoute& route, const HttpRequest& request) const {
  if (route.call) return route.call->answer(*this, route.model, request);
  return invalid_argument("Malformed request: ", request.method, " ", request.target);
}

RunLimits RestApi::limits_of(const HttpRequest& request) const {
  RunLimits limits{.cancelled = request.cancelled};
  if (options_.timeout_milliseconds > 0) {
    limits.deadline =
        std::chrono::steady_clock::now() + std::chrono::milliseconds(options_.timeout_milliseconds);
  }
  return limits;
}

StatusOr<RestAnswer> RestApi::predict(const ModelSpec& spec, const HttpRequest& http) const {
  std::shared_ptr<const ServedVersion> served;
  const Signature* signature = nullptr;
  TENON_ASSIGN_OR_RETURN(
      JsonPredictRequest request,
      parse_predict_request(http.body,
                            [&](std::string_view name) -> StatusOr<std::span<const TensorSpec>> {
                              TENON_ASSIGN_OR_RETURN(served, models_.find(spec));
                              signature = find_signature(*served->servable, name);
                              if (signature == nullptr) {
                                return invalid_argument("Serving signature name: \"",
                                                        name.empty() ? kDefaultSignature : name,
                                                        "\" not found in signature def");
                              }
                              return signature->inputs;
                            }));
  TENON_ASSIGN_OR_RETURN(const std::vector<int> outputs, select_outputs(*signature, {}));
  TENON_ASSIGN_OR_RETURN(const std::vector<Tensor> results,
                         run_predict(served, PredictionKind::kPredict, *signature,
                                     std::move(request.inputs), outputs, limits_of(http)));
  std::vector<NamedTensor> named;
  for (size_t i = 0; i < results.size(); ++i) {
    named.push_back({signature->outputs[i].name, &results[i]});
  }
  RestAnswer answer;
  TENON_ASSIGN_OR_RETURN(answer.body, write_predict_response(request.format, named));
  answer.served = std::move(served);
  return answer;
}

StatusOr<RestAnswer> RestApi::infer(InferenceMethod method, const ModelSpec& spec,
                                    const HttpRequest& http) const {
  TENON_ASSIGN_OR_RETURN(JsonExamplesRequest request, parse_examples_request(http.body));
  RestAnswer answer;
  TENON_ASSIGN_OR_RETURN(answer.served, models_.find(spec));
  TENON_ASSIGN_OR_RETURN(
      const InferenceResult result,
      serving::infer(answer.served, request.signature_name, method, options_.check_method_name,
                     std::move(request.examples), limits_of(http)));
  answer.body = write_inference_response(result);
  return answer;
}

// Labels are not looked at: TensorFlow Serving answers with every version.
StatusOr<RestAnswer> RestApi::status(const ModelSpec& spec) const {
  if (spec.name.empty() && options_.model_list && !spec.version && spec.label.empty()) {
    return RestAnswer{model_list_json(models_), nullptr};
  }
  if (spec.name.empty()) return invalid_argument("Missing model name in request.");
  TENON_ASSIGN_OR_RETURN(const auto versions, models_.status(spec.name, spec.version));
  RestAnswer answer;
  TENON_ASSIGN_OR_RETURN(answer.body, model_status_json(versions));
  return answer;
}

StatusOr<RestAnswer> RestApi::metadata(const ModelSpec& spec) const {
  if (spec.name.empty()) return invalid_argument("Missing model name in request.");
  RestAnswer answer;
  TENON_ASSIGN_OR_RETURN(answer.served, models_.find(spec));
  TENON_ASSIGN_OR_RETURN(answer.body, model_metadata_json(*answer.served));
  return answer;
}

}  // namespace tenon::serving
