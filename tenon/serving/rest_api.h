// RestApi: TensorFlow Serving's REST API, with the paths that orchestrators and Prometheus ask for.
//
//   POST /v1/models/NAME[/versions/N|/labels/L]:predict|:classify|:regress
//   GET /v1/models/NAME[/versions/N|/labels/L][/metadata]
//   GET, POST /v2...   the Open Inference Protocol (open_inference/open_inference_rest.h)
//   GET /v1/models, /, /status.json   all models, and a page about them, where options say so
//   GET /healthz   200 as long as the process answers
//   GET /readyz    200 while every model can be served and the server is not draining, else 503
//   GET <monitoring path>   where monitoring is enabled
//
// Thread-safe.
#pragma once

#include <atomic>

#include "tenon/serving/http/http_message.h"
#include "tenon/serving/inference/inference.h"
#include "tenon/serving/model_config.h"
#include "tenon/serving/open_inference/open_inference.h"
#include "tenon/serving/rest_route.h"

namespace tenon::serving {

struct RestOptions {
  bool cors = false;
  bool tokens = false;               // requests bring one, so that other origins' may, too
  int64_t timeout_milliseconds = 0;  // a prediction that takes longer ends; 0: none does
  bool check_method_name = false;    // :classify and :regress refuse signatures of other methods
  // The page at / with its figures at /status.json; TensorFlow Serving answers with errors there.
  bool status_page = false;
  bool model_list = false;     // at /v1/models, where TensorFlow Serving answers with an error
  bool access_log = false;     // a line a request
  bool model_control = false;  // may clients load and unload models?
  MonitoringConfig monitoring;
  MetricRegistry* metrics = &MetricRegistry::global();
};

// Is it answered to clients that bring no token? Probes are, and questions whether another origin
// may ask, which browsers put without one.
bool is_open_to_all(const HttpRequest& request);

class RestApi {
 public:
  // `models` outlives this.
  RestApi(ServedModels& models, RestOptions options);

  HttpResponse answer(const HttpRequest& request);

  // From now on /readyz says no.
  void set_draining() { draining_ = true; }

 private:
  // A page that is read by GET.
  struct Page {
    std::string_view path;
    bool RestOptions::*shown;  // null: always
    HttpResponse (RestApi::*answer)() const;
  };
  static const Page kPages[];
  static const RestCall kCalls[];

  HttpResponse answer_unlogged(const HttpRequest& request);
  HttpResponse answer_page(const HttpRequest& request, std::string_view path);
  HttpResponse answer_api(const HttpRequest& request);
  HttpResponse health() const;
  HttpResponse readiness() const;
  HttpResponse page() const;
  HttpResponse figures() const;

  StatusOr<RestAnswer> dispatch(const RestRoute& route, const HttpRequest& request) const;
  StatusOr<RestAnswer> predict(const ModelSpec& spec, const HttpRequest& request) const;
  StatusOr<RestAnswer> infer(InferenceMethod method, const ModelSpec& spec,
                             const HttpRequest& request) const;
  StatusOr<RestAnswer> status(const ModelSpec& spec) const;
  StatusOr<RestAnswer> metadata(const ModelSpec& spec) const;
  RunLimits limits_of(const HttpRequest& request) const;
  void count(const RestRoute& route, const HttpRequest& request, const StatusOr<RestAnswer>& answer,
             int64_t start);

  void add_cors_headers(HttpResponse& response) const;
  HttpResponse challenge(const HttpRequest& request);
  HttpResponse preflight(const HttpRequest& request) const;

  ServedModels& models_;
  const RestOptions options_;
  RequestMetrics requests_;
  std::atomic<bool> draining_{false};
  const OpenInference open_inference_;
};

}  // namespace tenon::serving
