#include "tenon/serving/signature_metrics.h"

#include "tenon/serving/request_metrics.h"

namespace tenon::serving {
namespace {

MetricFamily<Counter>& signature_requests(MetricRegistry& registry) {
  return registry.counter("/tensorflow/serving/signature_request_count",
                          {"model_name", "version", "signature_name", "status"});
}

MetricFamily<Histogram>& signature_runtimes(MetricRegistry& registry) {
  return registry.histogram("/tensorflow/serving/signature_runtime_latency",
                            {"model_name", "version", "signature_name"}, latency_limits());
}

}  // namespace

SignatureMetrics::SignatureMetrics(MetricRegistry& registry, std::string_view model,
                                   int64_t version, std::vector<std::string> signatures)
    : registry_(registry),
      model_(model),
      version_(cat(version)),
      names_(std::move(signatures)),
      cells_(std::make_unique<Cells[]>(names_.size())) {}

void SignatureMetrics::count_success(size_t signature, int64_t microseconds) const {
  Cells& cells = cells_[signature];
  std::call_once(cells.succeeded, [&] {
    const std::string& name = names_[signature];
    cells.ok = signature_requests(registry_).passing_cell({model_, version_, name, "OK"});
    cells.runtime = signature_runtimes(registry_).passing_cell({model_, version_, name});
  });
  cells.ok->add();
  cells.runtime->observe(static_cast<double>(microseconds));
}

void SignatureMetrics::count_failure(size_t signature, absl::StatusCode code) const {
  Cells& cells = cells_[signature];
  const std::lock_guard lock(cells.mutex);
  std::shared_ptr<Counter>& cell = cells.failures[static_cast<size_t>(code) % kCodes];
  if (!cell) {
    cell = signature_requests(registry_).passing_cell(
        {model_, version_, names_[signature], code_name(code)});
  }
  cell->add();
}

void SignatureMetrics::declare(MetricRegistry& registry) {
  signature_requests(registry);
  signature_runtimes(registry);
}

}  // namespace tenon::serving
