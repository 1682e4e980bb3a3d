#include "tenon/serving/served_models.h"

#include <malloc.h>

#include <condition_variable>
#include <set>
#include <shared_mutex>

#include "tenon/base/log.h"
#include "tenon/base/thread.h"
#include "tenon/serving/model_versions.h"

namespace tenon::serving {
namespace {

using Clock = std::chrono::steady_clock;

struct Version {
  std::string path;
  bool wanted = false;
  VersionState state = VersionState::kStart;
  Status status;
  int failures = 0;
  Clock::time_point next_try = {};
  std::shared_ptr<const ServedVersion> served;   // while available
  std::weak_ptr<const ServedVersion> unloading;  // until its last request is done
};

struct Model {
  ModelConfig config;
  bool configured = true;  // false: only the versions that have ended are remembered
  std::string warning;     // the last one, said once
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

}  // namespace

struct ServedModels::Impl {
  explicit Impl(ServedModelsOptions given) : options(std::move(given)) {}

  Status configure(const std::vector<ModelConfig>& configs);
  Status check_labels(const std::vector<ModelConfig>& configs) const;
  Status wait_for(const std::set<std::string>& names, const std::function<bool()>& keep_waiting);
  Status failure(const std::set<std::string>& names) const;
  void scan();
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
  std::thread keeper;
  std::vector<std::thread> loaders;
};

Status ServedModels::Impl::check_labels(const std::vector<ModelConfig>& configs) const {
  for (const ModelConfig& config : configs) {
    const auto model = models.find(config.name);
    for (const auto& [label, number] : config.labels) {
      bool available = false;
      bool unused = true;
      if (model != models.end()) {
        const auto version = model->second.versions.find(number);
        available = version != model->second.versions.end() &&
                    version->second.state == VersionState::kAvailable;
        unused = !model->second.config.labels.contains(label);
      }
      if (available || (unused && options.allow_labels_for_unavailable)) continue;
      return failed_precondition("Request to assign label to version ", number, " of model ",
                                 config.name, ", which is not currently available for inference");
    }
  }
  return absl::OkStatus();
}

// Under the lock.
Status ServedModels::Impl::configure(const std::vector<ModelConfig>& configs) {
  TENON_RETURN_IF_ERROR(check_labels(configs));
  for (auto& [name, model] : models) model.configured = false;
  for (const ModelConfig& config : configs) {
    log_info("(Re-)adding model: ", config.name);
    Model& model = models[config.name];
    model.config = config;
    model.configured = true;
  }
  for (auto& [name, model] : models) {
    if (model.configured) continue;
    model.config.labels.clear();
    want(model, {});
  }
  return absl::OkStatus();
}

// Looks at the folders without the lock, then says what is wanted.
void ServedModels::Impl::scan() {
  std::lock_guard one_at_a_time(scanning);
  std::vector<ModelConfig> configs;
  {
    std::shared_lock lock(mutex);
    for (const auto& [name, model] : models) {
      if (model.configured) configs.push_back(model.config);
    }
  }
  for (const ModelConfig& config : configs) {
    const auto found = find_versions(config);
    std::string warning;
    std::map<int64_t, std::string> wanted;
    if (found.ok()) {
      wanted = wanted_versions(config, *found, warning);
    } else {
      warning = message_of(found.status());
    }
    std::unique_lock lock(mutex);
    Model& model = models[config.name];
    if (!warning.empty() && warning != model.warning) log_warning(warning);
    model.warning = warning;
    const bool same = model.configured && model.config.base_path == config.base_path &&
                      model.config.policy == config.policy;
    if (found.ok() && same) want(model, wanted);
  }
}

// Under the lock.
void ServedModels::Impl::want(Model& model, const std::map<int64_t, std::string>& wanted) {
  for (const auto& [number, path] : wanted) {
    Version& version = model.versions[number];
    const bool again = !version.wanted && version.state == VersionState::kEnd;
    const bool moved = version.path != path && version.state == VersionState::kStart;
    if (version.path.empty() || again || moved) {
      version = Version();
      version.path = path;
    }
    version.wanted = true;
  }
  for (auto& [number, version] : model.versions) {
    if (!wanted.contains(number)) version.wanted = false;
  }
  settle(model);
  changed.notify_all();
}

// Ends what is not wanted, as far as that leaves the model available. Under the lock.
void ServedModels::Impl::settle(Model& model) {
  const bool any_wanted = std::any_of(model.versions.begin(), model.versions.end(),
                                      [](const auto& entry) { return entry.second.wanted; });
  const bool replaced = !any_wanted || model.has(VersionState::kAvailable, true);
  for (auto& [number, version] : model.versions) {
    if (version.wanted) continue;
    if (version.state == VersionState::kStart) version.state = VersionState::kEnd;
    if (version.state == VersionState::kAvailable && replaced) unload(model, number, version);
  }
}

void ServedModels::Impl::unload(Model& model, int64_t number, Version& version) {
  log_info("Unloading servable version {name: ", model.config.name, " version: ", number, "}");
  version.state = VersionState::kUnloading;
  version.unloading = version.served;
  version.served.reset();
}

// Versions whose last request is done have ended. Under the lock.
void ServedModels::Impl::reap() {
  bool freed = false;
  for (auto& [name, model] : models) {
    for (auto& [number, version] : model.versions) {
      if (version.state != VersionState::kUnloading || !version.unloading.expired()) continue;
      freed = true;
      version.state = VersionState::kEnd;
      if (version.wanted) {  // again, since it was told to go
        const std::string path = version.path;
        version = Version();
        version.path = path;
        version.wanted = true;
      }
    }
  }
  // glibc keeps what was freed; a server that has replaced a model should not look as if it leaked.
  if (freed) malloc_trim(0);
}

void ServedModels::Impl::keep() {
  constexpr auto kReapInterval = std::chrono::milliseconds(20);
  Clock::time_point next_scan = Clock::now() + options.poll_interval;
  std::unique_lock lock(mutex);
  while (!stopping) {
    reap();
    const bool unloading = std::any_of(models.begin(), models.end(), [](const auto& entry) {
      return entry.second.has(VersionState::kUnloading, false) ||
             entry.second.has(VersionState::kUnloading, true);
    });
    if (options.poll && Clock::now() >= next_scan) {
      lock.unlock();
      scan();
      lock.lock();
      next_scan = Clock::now() + options.poll_interval;
      continue;
    }
    if (unloading) {
      changed.wait_for(lock, kReapInterval);
    } else if (options.poll) {
      changed.wait_until(lock, next_scan);
    } else {
      changed.wait(lock);
    }
  }
}

// The next version to load, if its time has come; else `wake` says when one's will. Under the lock.
Version* ServedModels::Impl::next_to_load(std::string& name, int64_t& number,
                                          Clock::time_point& wake) {
  const Clock::time_point now = Clock::now();
  wake = Clock::time_point::max();
  for (auto& [model_name, model] : models) {
    for (auto& [version_number, version] : model.versions) {
      if (!version.wanted || version.state != VersionState::kStart) continue;
      if (version.next_try > now) {
        wake = std::min(wake, version.next_try);
        continue;
      }
      name = model_name;
      number = version_number;
      return &version;
    }
  }
  return nullptr;
}

void ServedModels::Impl::load_all(int loader) {
  std::unique_lock lock(mutex);
  while (!stopping && (starting || loader < options.load_threads)) {
    std::string model;
    int64_t number = 0;
    Clock::time_point wake;
    if (Version* version = next_to_load(model, number, wake)) {
      version->state = VersionState::kLoading;
      load_one(lock, model, number);
      changed.notify_all();
    } else if (wake == Clock::time_point::max()) {
      changed.wait(lock);
    } else {
      changed.wait_until(lock, wake);
    }
  }
}

// Called with the lock, which it gives up while loading.
void ServedModels::Impl::load_one(std::unique_lock<std::shared_mutex>& lock,
                                  const std::string& name, int64_t number) {
  const std::string path = models[name].versions[number].path;
  lock.unlock();
  log_info("Loading servable version {name: ", name, " version: ", number, "} from ", path);
  const Clock::time_point start = Clock::now();
  auto servable = options.load(name, number, path);
  count_load(path, servable.ok(), Clock::now() - start);
  lock.lock();
  Model& model = models[name];
  Version& version = model.versions[number];
  if (servable.ok()) {
    log_info("Successfully loaded servable version {name: ", name, " version: ", number, "}");
    version.served = std::make_shared<const ServedVersion>(
        ServedVersion{name, number, *std::move(servable), ModelCells(*options.metrics, name)});
    version.state = VersionState::kAvailable;
    version.status = absl::OkStatus();
  } else {
    log_error("Loading servable {name: ", name, " version: ", number,
              "} failed: ", code_name(servable.status().code()), ": ",
              message_of(servable.status()));
    version.status = servable.status();
    const bool again = ++version.failures <= options.max_load_retries && version.wanted;
    version.state = again ? VersionState::kStart : VersionState::kEnd;
    version.next_try = Clock::now() + options.load_retry_interval;
  }
  settle(model);
}

void ServedModels::Impl::count_load(const std::string& path, bool ok, Clock::duration took) const {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
  options.metrics
      ->counter("/tensorflow/cc/saved_model/load_attempt_count", {"model_path", "status"})
      .cell({path, ok ? "success" : "fail"})
      .add();
  options.metrics->counter("/tensorflow/cc/saved_model/load_latency", {"model_path"})
      .cell({path})
      .add(micros);
}

// Under a lock.
Status ServedModels::Impl::failure(const std::set<std::string>& names) const {
  std::string text;
  int count = 0;
  for (const std::string& name : names) {
    const auto model = models.find(name);
    if (model == models.end() || model->second.available() || !model->second.failed()) continue;
    for (const auto& [number, version] : model->second.versions) {
      if (!version.wanted) continue;
      ++count;
      text += cat(text.empty() ? "" : ", ", "{{name: ", name, " version: ", number,
                  "} due to error: ", code_name(version.status.code()), ": ",
                  message_of(version.status), "}");
    }
  }
  if (count == 0) return absl::OkStatus();
  return unknown_error(count, " servable(s) did not become available: {", text, "}");
}

Status ServedModels::Impl::wait_for(const std::set<std::string>& names,
                                    const std::function<bool()>& keep_waiting) {
  std::unique_lock lock(mutex);
  for (;;) {
    TENON_RETURN_IF_ERROR(failure(names));
    const bool all = std::all_of(names.begin(), names.end(), [&](const std::string& name) {
      return models[name].started() || !models[name].configured;
    });
    if (all) return absl::OkStatus();
    if (stopping || !keep_waiting()) return cancelled("stopped while waiting for models to load");
    changed.wait_for(lock, std::chrono::milliseconds(100));
  }
}

ServedModels::ServedModels(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

ServedModels::~ServedModels() {
  {
    std::unique_lock lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->changed.notify_all();
  if (impl_->keeper.joinable()) impl_->keeper.join();
  for (std::thread& loader : impl_->loaders) loader.join();
}

StatusOr<std::unique_ptr<ServedModels>> ServedModels::start(
    ServedModelsOptions options, const std::vector<ModelConfig>& models,
    const std::function<bool()>& keep_waiting) {
  std::unique_ptr<ServedModels> served(
      new ServedModels(std::make_unique<Impl>(std::move(options))));
  Impl& impl = *served->impl_;
  std::set<std::string> names;
  for (const ModelConfig& model : models) names.insert(model.name);
  {
    std::unique_lock lock(impl.mutex);
    TENON_RETURN_IF_ERROR(impl.configure(models));
  }
  impl.scan();
  const int processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U));
  const int count =
      std::max(impl.options.load_threads, std::min(processors, static_cast<int>(models.size())));
  for (int i = 0; i < count; ++i) {
    TENON_ASSIGN_OR_RETURN(std::thread loader, start_thread([&impl, i] { impl.load_all(i); }));
    impl.loaders.push_back(std::move(loader));
  }
  TENON_ASSIGN_OR_RETURN(impl.keeper, start_thread([&impl] { impl.keep(); }));
  TENON_RETURN_IF_ERROR(impl.wait_for(names, keep_waiting));
  {
    std::unique_lock lock(impl.mutex);
    impl.starting = false;
  }
  impl.changed.notify_all();
  return served;
}

Status ServedModels::reload(const std::vector<ModelConfig>& models) {
  std::set<std::string> added;
  {
    std::unique_lock lock(impl_->mutex);
    for (const ModelConfig& model : models) {
      const auto known = impl_->models.find(model.name);
      if (known == impl_->models.end() || !known->second.configured) added.insert(model.name);
    }
    TENON_RETURN_IF_ERROR(impl_->configure(models));
  }
  impl_->scan();
  return impl_->wait_for(added, [] { return true; });
}

StatusOr<std::shared_ptr<const ServedVersion>> ServedModels::find(const ModelSpec& spec) const {
  if (spec.name.empty()) return invalid_argument("ModelSpec has no name specified.");
  std::optional<int64_t> number = spec.version;
  std::shared_lock lock(impl_->mutex);
  const auto model = impl_->models.find(spec.name);
  const bool known = model != impl_->models.end();
  if (!spec.label.empty()) {
    const bool found = known && model->second.config.labels.contains(spec.label);
    if (!found) return invalid_argument("Unrecognized servable version label: ", spec.label);
    number = model->second.config.labels.at(spec.label);
  }
  if (known && number) {
    const auto version = model->second.versions.find(*number);
    if (version != model->second.versions.end() && version->second.served) {
      return version->second.served;
    }
  } else if (known) {
    for (const auto& [version_number, version] : model->second.versions) {
      if (version.served) return version.served;
    }
  }
  if (number) {
    return not_found("Servable not found for request: Specific(", spec.name, ", ", *number, ")");
  }
  return not_found("Servable not found for request: Latest(", spec.name, ")");
}

StatusOr<std::vector<VersionStatus>> ServedModels::status(const std::string& name,
                                                          std::optional<int64_t> number) const {
  std::shared_lock lock(impl_->mutex);
  std::vector<VersionStatus> list;
  if (const auto model = impl_->models.find(name); model != impl_->models.end()) {
    for (const auto& [version_number, version] : model->second.versions) {
      if (number && version_number != *number) continue;
      list.push_back({version_number, version.state, version.status});
    }
  }
  if (!list.empty()) return list;
  if (number) return not_found("Could not find version ", *number, " of model ", name);
  return not_found("Could not find any versions of model ", name);
}

bool ServedModels::knows(const std::string& model) const {
  std::shared_lock lock(impl_->mutex);
  return impl_->models.contains(model);
}

bool ServedModels::ready() const {
  std::shared_lock lock(impl_->mutex);
  return std::all_of(impl_->models.begin(), impl_->models.end(), [](const auto& entry) {
    return !entry.second.configured || entry.second.available();
  });
}

}  // namespace tenon::serving
