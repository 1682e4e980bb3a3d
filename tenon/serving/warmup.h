// Warm-up: the requests that a model brings along, replayed before it serves.
//
// They stand in assets.extra/tf_serving_warmup_requests, a TFRecord file of
// tensorflow.serving.PredictionLog. The answers in it are golden records (saved_model/golden.h).
#pragma once

#include "tenon/observe/metrics.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

struct WarmupOptions {
  int iterations = 1;  // of each record
  MetricRegistry* metrics = &MetricRegistry::global();
};

// Replays the records of the model in `folder` on `servable`. OK where there are none.
// INVALID_ARGUMENT for more than 1000 records; a request that fails fails the warm-up.
Status replay_warmup(const Servable& servable, const std::string& folder,
                     const WarmupOptions& options);

}  // namespace tenon::serving
