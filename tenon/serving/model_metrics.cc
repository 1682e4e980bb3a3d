#include "tenon/serving/model_metrics.h"

#include "tenon/serving/request_metrics.h"
#include "tenon/serving/signature_metrics.h"

namespace tenon::serving {
namespace {

Histogram& tensor_bytes(MetricRegistry& registry, std::string_view name) {
  return registry.histogram(name, {}, exponential_limits(1, 4, 14)).cell({});
}

}  // namespace

GraphMetrics::GraphMetrics(MetricRegistry& registry)
    : runs(registry.counter("/tensorflow/core/graph_runs").cell({})),
      run_microseconds(registry.counter("/tensorflow/core/graph_run_time_usecs").cell({})),
      run_times(registry
                    .histogram("/tensorflow/core/graph_run_time_usecs_histogram", {},
                               exponential_limits(1000, 2, 20))
                    .cell({})),
      input_bytes(tensor_bytes(registry, "/tensorflow/core/graph_run_input_tensor_bytes")),
      output_bytes(tensor_bytes(registry, "/tensorflow/core/graph_run_output_tensor_bytes")),
      session_runs(registry.counter("/tensorflow/core/direct_session_runs").cell({})),
      builds(registry.counter("/tensorflow/core/graph_build_calls").cell({})),
      build_microseconds(registry.counter("/tensorflow/core/graph_build_time_usecs").cell({})) {}

void observe_load_stage(MetricRegistry& registry, std::string_view model_path,
                        std::string_view stage, int64_t microseconds) {
  registry
      .histogram("/tensorflow/cc/saved_model/load_latency_by_stage", {"model_path", "stage"},
                 latency_limits())
      .cell({model_path, stage})
      .observe(static_cast<double>(microseconds));
}

void declare_metrics(MetricRegistry& registry) {
  const GraphMetrics graph(registry);
  const RequestMetrics requests(registry);
  SignatureMetrics::declare(registry);
  registry.counter("/tensorflow/serving/merged_request_count").cell({});
  registry.counter("/tensorflow/serving/model_warmup_records_read", {"model_path", "status"});
  registry.histogram("/tensorflow/serving/model_warmup_latency", {"model_path", "status"},
                     latency_limits());
  registry.counter("/tensorflow/serving/request_log_count", {"model_name", "status_code"});
  registry.counter("/tensorflow/serving/shadow_count", {"model_name", "version", "result"});
  registry.histogram("/tensorflow/serving/shadow_drift", {"model_name", "version"},
                     exponential_limits(1e-9, 10, 13));
  registry.gauge("/tensorflow/serving/mlmd_map", {"model_name", "version"});
  registry.counter("/tensorflow/cc/saved_model/load_attempt_count", {"model_path", "status"});
  registry.counter("/tensorflow/cc/saved_model/load_latency", {"model_path"});
  registry.histogram("/tensorflow/cc/saved_model/load_latency_by_stage", {"model_path", "stage"},
                     latency_limits());
  registry.counter("/tensorflow/core/graph_optimization_usecs", {"kind", "name"});
  registry.gauge("/tensorflow/core/session_created").cell({}).set(1);
  registry
      .histogram("/tensorflow/serving/batching_session/queuing_latency", {"thread_pool_name"},
                 exponential_limits(100, 1.2, 52))
      .cell({"model_server_batch_threads"});
  registry.counter("/tensorflow/serving/batching_session/wrapped_run_count").cell({});
  registry.histogram("/tensorflow/serving/batching_session/padding_size", {"execution_batch_size"},
                     exponential_limits(1, 2, 14));
  for (const char* name : {"input_batch_size", "processed_batch_size"}) {
    registry.histogram(cat("/tensorflow/serving/batching_session/", name), {},
                       exponential_limits(1, 2, 14));
  }
}

}  // namespace tenon::serving
