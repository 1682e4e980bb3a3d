// Shadow: a version that gets a copy of a model's predictions before it is trusted with them.
//
// Each prediction that another version of the model has made is made again by the shadow, and the
// answers are compared as golden records are. Nobody waits for that: it has a thread of its own, on
// the processors that are idle, and what does not fit into its queue is dropped. Metrics by model
// and version say how it went: shadow_count by result (match, mismatch, error, dropped) and
// shadow_drift, the largest difference of each prediction. Thread-safe.
#pragma once

#include <map>

#include "tenon/serving/traffic/prediction_queue.h"

namespace tenon::serving {

struct ShadowOptions {
  std::map<std::string, ModelSpec> shadows;  // by the model that they shadow
  size_t queue_bytes = 64 << 20;
  MetricRegistry* metrics = &MetricRegistry::global();
};

// "MODEL:VERSION,MODEL:LABEL": what --shadow_model says. INVALID_ARGUMENT for anything else.
StatusOr<std::map<std::string, ModelSpec>> parse_shadows(std::string_view text);

class Shadow final : public PredictionTap {
 public:
  static StatusOr<std::unique_ptr<Shadow>> start(const ShadowOptions& options);
  ~Shadow() override;

  // Where the shadows are found; until then nothing is done. `models` outlives the shadow's
  // detach().
  void attach(const ServedModels& models) { models_ = &models; }
  // Ends the prediction that is being made again, and drops those that wait.
  void detach();

  void predicted(const PredictionView& prediction) override;

 private:
  struct Outcome {
    Status status;  // of the shadow's own run, or of the comparison
    bool ran = false;
    double drift = 0;
  };
  explicit Shadow(const ShadowOptions& options);
  void repeat(const Prediction& prediction);
  Outcome compare(const Prediction& prediction, const ServedVersion& shadow) const;
  void log_at_times(std::string_view what);
  void count(const ServedVersion& shadow, const Prediction& prediction, const Outcome& outcome);

  const ShadowOptions options_;
  MetricFamily<Counter>& counts_;
  MetricFamily<Histogram>& drifts_;
  std::atomic<const ServedModels*> models_{nullptr};
  std::atomic<bool> cancelled_{false};
  // Of the queue's thread.
  std::chrono::steady_clock::time_point said_at_;  // when something was logged last
  std::unique_ptr<PredictionQueue> queue_;  // the last: its thread looks at what stands above
};

}  // namespace tenon::serving
