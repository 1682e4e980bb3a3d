#include "tenon/serving/request_metrics.h"

#include <chrono>

#include "tenon/base/log.h"
#include "tenon/serving/net/trace_context.h"

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

bool is_fault_of_server(absl::StatusCode code) {
  return code == absl::StatusCode::kInternal || code == absl::StatusCode::kUnknown ||
         code == absl::StatusCode::kDataLoss;
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

// Clients may send any number of wrong requests; the log takes 20 a second.
void RequestMetrics::log_failure(std::string_view request, const Status& status) {
  constexpr int kMostLines = 20;
  constexpr size_t kMostBytes = 512;
  int64_t silent = 0;
  {
    std::lock_guard lock(mutex_);
    const int64_t now = steady_microseconds() / 1'000'000;
    if (now != second_) lines_ = 0;
    second_ = now;
    if (++lines_ > kMostLines) {
      ++left_out_;
      return;
    }
    silent = std::exchange(left_out_, 0);
  }
  std::string line = cat(request.substr(0, kMostBytes), " failed: ", code_name(status.code()), ": ",
                         message_of(status).substr(0, kMostBytes), trace_suffix());
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  if (silent > 0) line += cat(" (", silent, " more before this were not logged)");
  write_log(is_fault_of_server(status.code()) ? Severity::kError : Severity::kWarning, line);
}

void RequestMetrics::count_failure(std::string_view model, std::string_view request,
                                   const Status& status) {
  count(model, status.code());
  log_failure(request, status);
}

void RequestMetrics::observe(std::string_view model, std::string_view api,
                             std::string_view entrypoint, int64_t microseconds) {
  latency_.cell({model, api, entrypoint}).observe(static_cast<double>(microseconds));
}

void log_access(std::string_view entrypoint, std::string_view request, std::string_view status,
                size_t bytes_in, size_t bytes_out, int64_t microseconds) {
  constexpr size_t kMostBytes = 512;
  std::string line =
      cat("access: ", entrypoint, " ", request.substr(0, kMostBytes), " ", status, " in=", bytes_in,
          " out=", bytes_out, " us=", microseconds, trace_suffix());
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  write_log(Severity::kInfo, line);
}

int64_t steady_microseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

int64_t microseconds_since(int64_t start) { return steady_microseconds() - start; }

}  // namespace tenon::serving
