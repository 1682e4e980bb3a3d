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
#include "tenon/serving/model_versions.h"
#include "tenon/serving/request_metrics.h"
#include "tenon/serving/servable.h"
#include "tenon/serving/signature_metrics.h"

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

// What becomes of a model that ServedModels::unload() has taken away, when a configuration holds it
// that is like the one before.
enum class Unloaded : uint8_t {
  kReturn,  // it is loaded again
  kStay,    // it stays unloaded, if it was in the configuration before too
};

class PredictionTap;

struct ServedVersion {
  std::string model;
  int64_t version = 0;
  std::shared_ptr<const Servable> servable;
  ModelCells cells;
  std::vector<PredictionTap*> taps = {};  // told of its predictions; they outlive it
  std::shared_ptr<const SignatureMetrics> by_signature = nullptr;
};

// A model of the configuration.
struct ModelListing {
  std::string name;
  std::string base_path;
  std::map<std::string, int64_t> labels;
  bool unloaded = false;                // by unload()
  std::string warning;                  // why it has no version; empty: it has
  std::vector<VersionStatus> versions;  // newest first; those that have ended stay
};

struct ServedModelsOptions {
  // Called on loader threads.
  std::function<StatusOr<std::shared_ptr<const Servable>>(const std::string& model, int64_t version,
                                                          const std::string& path)>
      load;
  // The versions below a model's base path, and a number that changes with what one holds.
  std::function<StatusOr<std::map<int64_t, std::string>>(const ModelConfig& model)> find =
      find_versions;
  std::function<uint64_t(const std::string& path)> fingerprint = folder_fingerprint;
  int load_threads = 1;  // the first load uses as many as there are processors
  int max_load_retries = 5;
  std::chrono::microseconds load_retry_interval = std::chrono::seconds(60);
  std::chrono::milliseconds poll_interval = std::chrono::seconds(1);
  bool poll = true;  // false: look for versions once
  bool allow_labels_for_unavailable = false;
  std::vector<PredictionTap*> taps;  // of all versions
  // Told of each configuration that comes into force; may be empty.
  std::function<void(std::span<const ModelConfig>)> configured;
  MetricRegistry* metrics = &MetricRegistry::global();
};

class ServedModels {
 public:
  // Returns when each model that has versions has an available one and all of them have been tried.
  // UNKNOWN when all wanted versions of a model failed to load. A model without any version is
  // warned of and served once it has one; NOT_FOUND where nobody is going to look for it again
  // (options.poll). CANCELLED when `keep_waiting` says no.
  static StatusOr<std::unique_ptr<ServedModels>> start(
      ServedModelsOptions options, const std::vector<ModelConfig>& models,
      const std::function<bool()>& keep_waiting = [] { return true; });
  ~ServedModels();

  // Serves `models` and nothing else: labels change at once, versions come and go while requests
  // are answered. FAILED_PRECONDITION where a label names a version that is not available.
  Status configure(const std::vector<ModelConfig>& models, Unloaded unloaded = Unloaded::kReturn);

  // The same, and waits until each model that is new has an available version, however long that
  // takes: UNKNOWN when all of its versions failed, CANCELLED when `keep_waiting` says no or after
  // end_waiting(), NOT_FOUND at once where there is no base path (the configuration is in force all
  // the same). A later configuration supersedes it.
  Status reload(
      const std::vector<ModelConfig>& models,
      const std::function<bool()>& keep_waiting = [] { return true; });

  // Takes the versions of a configured model away, until load() or a configuration that holds it.
  // NOT_FOUND for a model that is not configured.
  Status unload(const std::string& model);

  // Begins to unload, for lack of memory, the longest unused version that is neither its model's
  // newest nor has a label, which its status says, until load() or until its folder changes.
  // Nothing where there is none.
  std::optional<std::weak_ptr<const void>> unload_spare();

  // Looks for versions of a configured model at once, tries again those that failed, and waits as
  // reload() does. NOT_FOUND also where the model has no version.
  Status load(
      const std::string& model, const std::function<bool()>& keep_waiting = [] { return true; });

  // From now on nobody waits in reload() and load().
  void end_waiting();

  // NOT_FOUND "Servable not found for request: Latest(name)", whatever the reason: it is not
  // configured, loads, has failed or was unloaded (status() tells). INVALID_ARGUMENT for an unknown
  // label.
  StatusOr<std::shared_ptr<const ServedVersion>> find(const ModelSpec& spec) const;

  // Newest first. Versions that have ended stay in the list.
  StatusOr<std::vector<VersionStatus>> status(const std::string& model,
                                              std::optional<int64_t> version) const;

  // By name.
  std::vector<ModelListing> list() const;

  // Is `model` one that is, or was, configured? Only of such are there metrics of their own.
  bool knows(const std::string& model) const;

  // Does every configured model that nobody has unloaded have an available version?
  bool ready() const;

 private:
  struct Impl;
  explicit ServedModels(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serving
