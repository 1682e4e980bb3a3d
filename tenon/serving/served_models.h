// ServedModels: the models being served and the versions of each, kept as the file system and the
// configuration want them.
//
// A keeper thread looks for versions; loader threads load them, away from requests. A version that
// is no longer wanted is unloaded once one that is wanted is available (TensorFlow Serving's
// AvailabilityPreservingPolicy), and freed when its last request is done. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "tenon/observe/metrics.h"
#include "tenon/serving/model_config.h"
#include "tenon/serving/request_metrics.h"
#include "tenon/serving/servable.h"

namespace tenon::serving {

// Values are those of tensorflow.serving.ModelVersionStatus.State.
enum class VersionState { kStart = 10, kLoading = 20, kAvailable = 30, kUnloading = 40, kEnd = 50 };

struct VersionStatus {
  int64_t version = 0;
  VersionState state = VersionState::kStart;
  Status status;  // why it could not be loaded
};

// What a request asks for.
struct ModelSpec {
  std::string name;
  std::optional<int64_t> version;
  std::string label;  // empty: none
};

struct ServedVersion {
  std::string model;
  int64_t version = 0;
  std::shared_ptr<const Servable> servable;
  ModelCells cells;
};

struct ServedModelsOptions {
  // Called on loader threads.
  std::function<StatusOr<std::shared_ptr<const Servable>>(const std::string& model, int64_t version,
                                                          const std::string& path)>
      load;
  int load_threads = 1;  // the first load uses as many as there are processors
  int max_load_retries = 5;
  std::chrono::microseconds load_retry_interval = std::chrono::seconds(60);
  std::chrono::milliseconds poll_interval = std::chrono::seconds(1);
  bool poll = true;  // false: look for versions once
  bool allow_labels_for_unavailable = false;
  MetricRegistry* metrics = &MetricRegistry::global();
};

class ServedModels {
 public:
  // Returns when each model has an available version and all its versions have been tried. UNKNOWN
  // when all wanted versions of a model failed to load. While `keep_waiting` says so, it waits for
  // models without any version.
  static StatusOr<std::unique_ptr<ServedModels>> start(
      ServedModelsOptions options, const std::vector<ModelConfig>& models,
      const std::function<bool()>& keep_waiting = [] { return true; });
  ~ServedModels();

  // Serves `models` and nothing else. Labels change at once; returns when each model that is new
  // has started as above, or with UNKNOWN.
  Status reload(const std::vector<ModelConfig>& models);

  // NOT_FOUND "Servable not found for request: Latest(name)"; INVALID_ARGUMENT for an unknown
  // label.
  StatusOr<std::shared_ptr<const ServedVersion>> find(const ModelSpec& spec) const;

  // Newest first. Versions that have ended stay in the list.
  StatusOr<std::vector<VersionStatus>> status(const std::string& model,
                                              std::optional<int64_t> version) const;

  // Is `model` one that is, or was, configured? Only of such are there metrics of their own.
  bool knows(const std::string& model) const;

  // Does every configured model have an available version?
  bool ready() const;

 private:
  struct Impl;
  explicit ServedModels(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serving
