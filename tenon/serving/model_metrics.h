// What is counted of models and of the runs of their graphs, under TensorFlow's names.
#pragma once

#include "tenon/observe/metrics.h"

namespace tenon::serving {

// The cells that every run of a graph is counted in. Cells live as long as their registry.
struct GraphMetrics {
  explicit GraphMetrics(MetricRegistry& registry);
  Counter& runs;
  Counter& run_microseconds;
  Histogram& run_times;
  Histogram& input_bytes;
  Histogram& output_bytes;
  Counter& session_runs;
  Counter& builds;
  Counter& build_microseconds;
};

// Stages of loading, as TensorFlow names them: "restore_graph", "init_graph".
void observe_load_stage(MetricRegistry& registry, std::string_view model_path,
                        std::string_view stage, int64_t microseconds);

// Declares TensorFlow Serving's metrics, so that all of their names stand on the page from the
// start, and gives the batcher's queue a cell: dashboards plot 0 rather than nothing.
void declare_metrics(MetricRegistry& registry);

}  // namespace tenon::serving
