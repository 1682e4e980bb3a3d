// Warm-up: the requests that a model brings along, replayed before it serves; and the answers that
// they gave when the model was exported (its golden records), compared with those it gives now.
//
// They stand in assets.extra/tf_serving_warmup_requests, a TFRecord file of
// tensorflow.serving.PredictionLog. TensorFlow Serving replays the requests and ignores the
// answers.
#pragma once

#include "tenon/observe/metrics.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

enum class GoldenMode { kOff, kWarn, kRefuse };

struct WarmupOptions {
  int iterations = 1;  // of each record
  GoldenMode golden = GoldenMode::kWarn;
  double tolerance = 1e-4;  // |a - b| <= tolerance * max|b| + 1e-6 for floats; else equal
  MetricRegistry* metrics = &MetricRegistry::global();
};

// Replays the records of the model in `folder` on `servable`. OK where there are none.
// INVALID_ARGUMENT for more than 1000 records; a request that fails fails the warm-up;
// FAILED_PRECONDITION when goldens are missed in mode kRefuse (kWarn logs the same sentence).
Status replay_warmup(const Servable& servable, const std::string& folder,
                     const WarmupOptions& options);

// By how much `got` misses `want`: empty when it does not, else what differs first.
std::string golden_difference(const Tensor& got, const Tensor& want, double tolerance);

}  // namespace tenon::serving
