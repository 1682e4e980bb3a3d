#include "tenon/serving/request_metrics.h"

#include <chrono>

namespace tenon::serving {
namespace {

MetricFamily<Counter>& request_count(MetricRegistry& registry) {
  return registry.counter("/tensorflow/serving/request_count", {"model_name", "status"});
}

MetricFamily<Histogram>& request_latency(MetricRegistry& registry) {
  return registry.histogram("/tensorflow/serving/request_latency",
                            {"model_name", "API", "entrypoint"}, latency_limits());
}

MetricFamily<Histogram>& runtime_latency(MetricRegistry& registry) {
  return registry.histogram("/tensorflow/serving/runtime_latency", {"model_name", "API", "runtime"},
                            latency_limits());
}

}  // namespace

BucketLimits latency_limits() { return exponential_limits(10, 1.8, 33); }

ModelCells::ModelCells(MetricRegistry& registry, std::string_view model)
    : ok(request_count(registry).cell({model, "OK"})),
      rest_latency(request_latency(registry).cell({model, "predict", "REST"})),
      grpc_latency(request_latency(registry).cell({model, "Predict", "GRPC"})),
      runtime_latency(serving::runtime_latency(registry).cell({model, "Predict", "TF1"})),
      classify_runtime(serving::runtime_latency(registry).cell({model, "Classify", "TF1"})),
      regress_runtime(serving::runtime_latency(registry).cell({model, "Regress", "TF1"})),
      example_counts(registry
                         .histogram("/tensorflow/serving/request_example_counts", {"model"},
                                    exponential_limits(1, 2, 15))
                         .cell({model})),
      example_total(registry.counter("/tensorflow/serving/request_example_count_total", {"model"})
                        .cell({model})) {}

void ModelCells::count_examples(int64_t examples) const {
  example_counts.observe(static_cast<double>(examples));
  example_total.add(examples);
}

RequestMetrics::RequestMetrics(MetricRegistry& registry)
    : count_(request_count(registry)), latency_(request_latency(registry)) {}

void RequestMetrics::count(std::string_view model, absl::StatusCode code) {
  count_.cell({model, code_name(code)}).add();
}

void RequestMetrics::observe(std::string_view model, std::string_view api,
                             std::string_view entrypoint, int64_t microseconds) {
  latency_.cell({model, api, entrypoint}).observe(static_cast<double>(microseconds));
}

int64_t steady_microseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

int64_t microseconds_since(int64_t start) { return steady_microseconds() - start; }

}  // namespace tenon::serving
