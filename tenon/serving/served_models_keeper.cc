// How ServedModels follows the file system: what is wanted, loaded, tried again and let go.
#include <malloc.h>

#include "tenon/base/log.h"
#include "tenon/base/thread.h"
#include "tenon/serving/served_models_impl.h"

namespace tenon::serving {
namespace {

// Errors that trying again does not mend, as long as the folder stays as it is.
bool is_permanent(const Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

}  // namespace

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
Status ServedModels::Impl::configure(const std::vector<ModelConfig>& configs, Unloaded unloaded) {
  TENON_RETURN_IF_ERROR(check_labels(configs));
  std::set<std::string> before;
  for (auto& [name, model] : models) {
    if (std::exchange(model.configured, false)) before.insert(name);
  }
  for (const ModelConfig& config : configs) {
    log_info("(Re-)adding model: ", config.name);
    Model& model = models[config.name];
    model.config = config;
    model.configured = true;
    const bool stays = unloaded == Unloaded::kStay && before.contains(config.name);
    model.unloaded = model.unloaded && stays;
  }
  for (auto& [name, model] : models) {
    if (model.configured) continue;
    model.config.labels.clear();
    want(model, {});
  }
  if (options.configured) options.configured(configs);
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
    const auto found = options.find(config);
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
    model.path_found = found.ok();
    const bool same = model.configured && model.config.base_path == config.base_path &&
                      model.config.policy == config.policy;
    if (model.unloaded) wanted.clear();
    if (found.ok() && same) want(model, wanted);
  }
  try_changed_again();
}

// Versions that failed are tried again at once when their folders are no longer what they were: a
// version that is still being copied becomes available when it is whole.
void ServedModels::Impl::try_changed_again() {
  std::vector<Failed> failed;
  {
    std::shared_lock lock(mutex);
    for (const auto& [name, model] : models) {
      for (const auto& [number, version] : model.versions) {
        const bool idle =
            version.state == VersionState::kEnd || version.state == VersionState::kStart;
        if (!version.wanted || !idle || version.failures == 0) continue;
        failed.push_back({name, number, version.path, version.fingerprint});
      }
    }
  }
  for (const Failed& one : failed) {
    if (options.fingerprint(one.path) == one.fingerprint) continue;
    std::unique_lock lock(mutex);
    Version& version = models[one.model].versions[one.version];
    const bool idle = version.state == VersionState::kEnd || version.state == VersionState::kStart;
    if (!version.wanted || !idle || version.fingerprint != one.fingerprint) continue;
    version.failures = 0;
    version.state = VersionState::kStart;
    version.next_try = {};
    changed.notify_all();
  }
}

// Under the lock.
void ServedModels::Impl::want(Model& model, const std::map<int64_t, std::string>& wanted) {
  for (const auto& [number, path] : wanted) {
    Version& version = model.versions[number];
    const bool again = !version.wanted && version.state == VersionState::kEnd;
    const bool moved = version.path != path && (version.state == VersionState::kStart ||
                                                version.state == VersionState::kEnd);
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
      if (version.wanted && version.status.ok()) {  // again, since it was told to go
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
  const uint64_t fingerprint = options.fingerprint(path);
  const Clock::time_point start = Clock::now();
  auto servable = options.load(name, number, path);
  count_load(path, servable.ok(), Clock::now() - start);
  lock.lock();
  Model& model = models[name];
  Version& version = model.versions[number];
  version.fingerprint = fingerprint;
  if (servable.ok()) {
    log_info("Successfully loaded servable version {name: ", name, " version: ", number, "}");
    std::vector<std::string> signatures;
    for (const Signature& signature : (*servable)->signatures()) {
      signatures.push_back(signature.name);
    }
    version.served = std::make_shared<const ServedVersion>(ServedVersion{
        name, number, *std::move(servable), ModelCells(*options.metrics, name), options.taps,
        std::make_shared<const SignatureMetrics>(*options.metrics, name, number,
                                                 std::move(signatures))});
    version.state = VersionState::kAvailable;
    version.status = absl::OkStatus();
    version.failures = 0;
  } else {
    log_error("Loading servable {name: ", name, " version: ", number,
              "} failed: ", code_name(servable.status().code()), ": ",
              message_of(servable.status()));
    version.status = servable.status();
    const bool retried = ++version.failures <= options.max_load_retries;
    const bool again = retried && version.wanted && !is_permanent(version.status);
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

}  // namespace tenon::serving
