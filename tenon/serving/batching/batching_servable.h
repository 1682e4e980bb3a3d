// A Servable whose runs are merged with others (tensorflow_serving/batching/batching_session.cc).
#pragma once

#include "tenon/observe/metrics.h"
#include "tenon/serving/batching/batch_scheduler.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

// The cells that batches are counted in.
struct BatchingMetrics {
  BatchingMetrics(MetricRegistry& registry, std::string_view thread_pool_name);
  Histogram& queuing_latency;
  Counter& wrapped_runs;
  MetricFamily<Histogram>& padding;
  Histogram& input_rows;
  Histogram& processed_rows;
};

// Runs of all outputs of a signature wait in the signature's queue, and are merged along dimension
// 0 whatever the model makes of it; others run by themselves. `metrics` outlives it.
std::shared_ptr<const Servable> batching_servable(std::shared_ptr<const Servable> servable,
                                                  std::shared_ptr<BatchScheduler> scheduler,
                                                  const BatchingParameters& parameters,
                                                  MetricRegistry& metrics);

}  // namespace tenon::serving
