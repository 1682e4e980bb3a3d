// What ServedModels is made of: one table of models and versions, and the threads that keep it. Of
// concern to served_models*.cc alone.
#pragma once

#include <condition_variable>
#include <set>
#include <shared_mutex>
#include <thread>

#include "tenon/serving/served_models.h"

namespace tenon::serving {

using Clock = std::chrono::steady_clock;

// One version of a model, from when it was found.
struct Version {
  std::string path;
  bool wanted = false;
  VersionState state = VersionState::kStart;
  Status status;
  int failures = 0;
  Clock::time_point next_try = {};
  uint64_t fingerprint = 0;                      // of the folder when its last load began
  std::shared_ptr<const ServedVersion> served;   // while available
  std::weak_ptr<const ServedVersion> unloading;  // until its last request is done
};

struct Model {
  ModelConfig config;
  bool configured = true;  // false: only the versions that have ended are remembered
  bool unloaded = false;   // its versions were taken away by hand
  std::string warning;     // the last one, said once
  bool path_found = true;  // when its folder was looked at last
  std::map<int64_t, Version, std::greater<>> versions;

  bool has(VersionState state, bool wanted) const {
    return std::any_of(versions.begin(), versions.end(), [&](const auto& entry) {
      return entry.second.state == state && entry.second.wanted == wanted;
    });
  }
  bool available() const {
    return has(VersionState::kAvailable, true) || has(VersionState::kAvailable, false);
  }
  // Can be served, and every version that is wanted has been tried.
  bool started() const {
    return available() && std::all_of(versions.begin(), versions.end(), [](const auto& entry) {
             const Version& version = entry.second;
             return !version.wanted || version.failures > 0 ||
                    version.state == VersionState::kAvailable ||
                    version.state == VersionState::kEnd;
           });
  }
  // All that is wanted has failed.
  bool failed() const {
    bool any = false;
    for (const auto& [number, version] : versions) {
      if (!version.wanted) continue;
      if (version.state != VersionState::kEnd) return false;
      any = true;
    }
    return any;
  }
};

struct ServedModels::Impl {
  explicit Impl(ServedModelsOptions given) : options(std::move(given)) {}

  // A version that failed, where it lies.
  struct Failed {
    std::string model;
    int64_t version;
    std::string path;
    uint64_t fingerprint;
  };

  Status configure(const std::vector<ModelConfig>& configs, Unloaded unloaded);
  Status check_labels(const std::vector<ModelConfig>& configs) const;
  Model* configured_model(const std::string& name);
  Status wait_for(const std::set<std::string>& names, const std::function<bool()>& keep_waiting);
  Status failure(const std::set<std::string>& names) const;
  void scan();
  void try_changed_again();
  std::set<std::string> new_among(const std::vector<ModelConfig>& models) const;
  void want(Model& model, const std::map<int64_t, std::string>& wanted);
  void settle(Model& model);
  void unload(Model& model, int64_t number, Version& version);
  void reap();
  void keep();
  void load_all(int loader);
  Version* next_to_load(std::string& model, int64_t& number, Clock::time_point& wake);
  void load_one(std::unique_lock<std::shared_mutex>& lock, const std::string& model,
                int64_t number);
  void count_load(const std::string& path, bool ok, Clock::duration took) const;

  const ServedModelsOptions options;
  std::mutex scanning;  // one scan at a time, so that an old listing never undoes a newer one
  mutable std::shared_mutex mutex;  // guards what follows
  std::condition_variable_any changed;
  std::map<std::string, Model> models;
  bool starting = true;
  bool stopping = false;
  bool waiting_ended = false;
  std::thread keeper;
  std::vector<std::thread> loaders;
};

}  // namespace tenon::serving
