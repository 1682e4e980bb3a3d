// RequestLog: predictions with their answers in files that `tenon verify --replay`, TensorFlow
// Serving's warm-up and any reader of TFRecord files of PredictionLog can read.
//
// What is logged is chosen at random at a rate that each model has. The files are written by a
// thread of its own; what does not fit into its queue, because the disk is slow, or cannot be
// written, because it is full, is dropped and counted in request_log_count. Thread-safe.
#pragma once

#include <map>
#include <shared_mutex>

#include "tenon/serving/traffic/prediction_queue.h"
#include "tenon/serving/traffic/rotated_records.h"

namespace tenon::serving {

struct RequestLogOptions {
  std::string prefix;        // of models whose configuration says nothing; empty: those are not
  double sampling_rate = 1;  // of those: 0 to 1
  RotationLimits rotation;
  size_t queue_bytes = 64 << 20;
  MetricRegistry* metrics = &MetricRegistry::global();
};

class RequestLog final : public PredictionTap {
 public:
  static StatusOr<std::unique_ptr<RequestLog>> start(const RequestLogOptions& options);
  ~RequestLog() override;  // what waits is still written, for two seconds at most

  // The models that are served from now on.
  void configure(std::span<const ModelConfig> models);

  void predicted(const PredictionView& prediction) override;

 private:
  struct Target {
    std::string prefix;
    double rate = 0;
    Counter* dropped = nullptr;
  };
  explicit RequestLog(const RequestLogOptions& options);
  void write(const Prediction& prediction);
  void count(const std::string& model, const Status& status);

  const RequestLogOptions options_;
  MetricFamily<Counter>& counts_;
  std::atomic<bool> active_{false};  // is there any target?
  mutable std::shared_mutex mutex_;
  std::map<std::string, Target> targets_;  // by model; guarded by mutex_
  // Of the queue's thread.
  std::map<std::string, RotatedRecords> files_;  // by prefix
  std::string said_;                             // the last error
  std::unique_ptr<PredictionQueue> queue_;       // the last: its thread looks at what stands above
};

}  // namespace tenon::serving
