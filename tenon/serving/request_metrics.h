// What is counted of requests, under TensorFlow Serving's names.
#pragma once

#include <mutex>

#include "tenon/base/status.h"
#include "tenon/observe/metrics.h"

namespace tenon::serving {

// TensorFlow Serving's buckets for latencies in microseconds.
BucketLimits latency_limits();

// The cells of one model's successful requests, looked up once.
struct ModelCells {
  ModelCells(MetricRegistry& registry, std::string_view model);
  // Of one request that brought so many tf.Examples.
  void count_examples(int64_t examples) const;

  Counter& ok;
  Histogram& rest_latency;  // of predicts
  Histogram& grpc_latency;
  Histogram& runtime_latency;
  Histogram& classify_runtime;
  Histogram& regress_runtime;
  Histogram& example_counts;
  Counter& example_total;
};

// Looks the cells up at each call: for requests that fail, and those that are no predicts. `model`
// is empty for a name that no configured model has, since a client can make up any number of them.
class RequestMetrics {
 public:
  explicit RequestMetrics(MetricRegistry& registry);
  void count(std::string_view model, absl::StatusCode code);
  // Counts a request that failed and logs it: "REST POST /v1/models/m:predict", "gRPC Predict of
  // m". Of many a second only some are logged, and the next line says how many were not.
  void count_failure(std::string_view model, std::string_view request, const Status& status);
  // Of a success. `api`: "predict", "" (REST), "Predict" (gRPC); `entrypoint`: "REST" or "GRPC".
  void observe(std::string_view model, std::string_view api, std::string_view entrypoint,
               int64_t microseconds);

 private:
  void log_failure(std::string_view request, const Status& status);

  MetricFamily<Counter>& count_;
  MetricFamily<Histogram>& latency_;
  std::mutex mutex_;      // guards what follows
  int64_t second_ = 0;    // of the last line
  int lines_ = 0;         // in that second
  int64_t left_out_ = 0;  // since the last line
};

// A line of the access log, with the trace that the calling thread works for: "access: REST GET
// /v1/models/m 200 in=0 out=130 us=85". `request` is cut where it is long.
void log_access(std::string_view entrypoint, std::string_view request, std::string_view status,
                size_t bytes_in, size_t bytes_out, int64_t microseconds);

int64_t microseconds_since(int64_t start);
// On the steady clock.
int64_t steady_microseconds();

}  // namespace tenon::serving
