#include "tenon/serving/model_loading.h"

#include <cstdlib>

#include "tenon/base/files.h"
#include "tenon/base/thread_pool.h"
#include "tenon/core/host_memory.h"
#include "tenon/serving/batching/batching_servable.h"
#include "tenon/serving/batching/merging_servable.h"
#include "tenon/serving/config_files.h"
#include "tenon/serving/remote/remote_models.h"
#include "tenon/serving/saved_model_servable.h"
#include "tenon/serving/warmup.h"

namespace tenon::serving {
namespace {

SavedModelOptions saved_model_options_of(const ServerFlags& flags,
                                         std::shared_ptr<MemoryKeeper> memory) {
  SavedModelOptions options;
  options.tags.clear();
  for (const std::string_view tag : split(flags.saved_model_tags, ',')) {
    if (!tag.empty()) options.tags.emplace_back(tag);
  }
  options.golden = flags.golden == "off"      ? GoldenMode::kOff
                   : flags.golden == "refuse" ? GoldenMode::kRefuse
                                              : GoldenMode::kWarn;
  if (flags.mixed_precision == "bfloat16") options.executable.precision = Precision::kBfloat16;
  options.prepare = flags.enable_model_warmup;
  options.memory = std::move(memory);
  if (options.memory) {  // one signature's shapes do not take it all
    size_t& most = options.executable.cache_bytes;
    most = std::min(most, options.memory->limit() / 8);
  }
  return options;
}

std::optional<MergingOptions> merging_of(const ServerFlags& flags) {
  if (!flags.merge_waiting_requests) return std::nullopt;
  MergingOptions options;
  options.runs = ThreadPool::configured_threads();
  options.merged =
      &MetricRegistry::global().counter("/tensorflow/serving/merged_request_count").cell({});
  return options;
}

// Merges the requests of the models that it is given.
struct Batcher {
  BatchingParameters parameters;
  bool per_model = false;  // by a file in the model's folder; models without one are not batched
  std::shared_ptr<BatchScheduler> scheduler;
  std::shared_ptr<void> shown;  // what waits in it, among the metrics

  void show_figures(MetricRegistry& metrics) {
    const auto gauge = [&](std::string_view what) -> Gauge& {
      return metrics.gauge(cat("/tensorflow/serving/batching_session/queued_", what)).cell({});
    };
    shown = metrics.before_reading(
        [weak = std::weak_ptr(scheduler), &tasks = gauge("tasks"), &rows = gauge("rows")] {
          const std::shared_ptr<BatchScheduler> alive = weak.lock();
          const auto figures = alive ? alive->figures() : BatchScheduler::Figures();
          tasks.set(figures.tasks);
          rows.set(figures.rows);
        });
  }

  StatusOr<std::shared_ptr<const Servable>> wrap(std::shared_ptr<const Servable> servable,
                                                 const std::string& folder) const {
    BatchingParameters own = parameters;
    if (per_model) {
      const std::string path = join_path(folder, "batching_params.pbtxt");
      if (!path_exists(path)) return servable;
      TENON_ASSIGN_OR_RETURN(const std::string text, read_config_file(path));
      TENON_ASSIGN_OR_RETURN(own, parse_batching_parameters(text, path));
      own.thread_pool_name = parameters.thread_pool_name;  // the threads are shared
    }
    return batching_servable(std::move(servable), scheduler, own, MetricRegistry::global());
  }
};

// Loads where there is room for it, as far as memory can be given back for that.
struct RoomyLoader {
  std::shared_ptr<MemoryKeeper> memory;  // null: there is no limit
  std::function<StatusOr<std::shared_ptr<const Servable>>(const std::string& folder)> load;

  StatusOr<std::shared_ptr<const Servable>> operator()(const std::string& folder) const {
    if (!memory) return load(folder);
    const size_t bytes = folder_bytes(folder);
    if (!memory->make_room(bytes, MemoryKeeper::For::kLoad)) return refuse(folder, bytes);
    auto servable = load(folder);
    if (absl::IsResourceExhausted(servable.status()) &&
        memory->make_room(std::max(bytes, take_refused_host_memory()), MemoryKeeper::For::kLoad)) {
      servable = load(folder);
    }
    const bool lacking = absl::IsResourceExhausted(servable.status());
    if (!lacking && memory->make_room(0, MemoryKeeper::For::kLoad)) return servable;
    return refuse(folder, bytes);
  }

  Status refuse(const std::string& folder, size_t bytes) const {
    memory->count_refusal("load");
    return resource_exhausted("no memory for ", folder, ", whose files have ", human_bytes(bytes),
                              ": ", human_bytes(memory->used()),
                              " of --memory_limit=", memory->limit(),
                              " are in use by what is not given back");
  }
};

}  // namespace

StatusOr<ServedModelsOptions> model_options_of(const ServerFlags& flags,
                                               const std::shared_ptr<MemoryKeeper>& memory,
                                               const UnpackArchive& unpack,
                                               const std::atomic<bool>& stopping) {
  std::optional<Batcher> batcher;
  if (flags.enable_batching) {
    batcher.emplace();
    TENON_ASSIGN_OR_RETURN(batcher->parameters, batching_parameters_of(flags));
    batcher->per_model = flags.enable_per_model_batching_parameters;
    TENON_ASSIGN_OR_RETURN(batcher->scheduler,
                           BatchScheduler::create(batcher->parameters.num_threads));
    batcher->show_figures(MetricRegistry::global());
  }
  RemoteModelsOptions remote_options;
  remote_options.store.endpoint = flags.s3_endpoint;
  remote_options.store.environment = [](const char* name) { return std::getenv(name); };
  remote_options.store.cancelled = &stopping;
  remote_options.cache_folder = flags.model_cache_dir;
  const auto remote = std::make_shared<RemoteModels>(std::move(remote_options));
  const auto archives = std::make_shared<ArchiveModels>(
      ArchiveModelsOptions{.unpack = unpack,
                           .cache_folder = flags.model_cache_dir,
                           .in_background = flags.file_system_poll_wait_seconds > 0,
                           .stopping = &stopping});
  WarmupOptions warmup;
  warmup.iterations = flags.num_request_iterations_for_warmup;
  ServedModelsOptions options;
  options.find = [remote, archives](const ModelConfig& model) {
    if (RemoteModels::is_remote(model.base_path)) return remote->find_versions(model);
    if (ArchiveModels::is_archive(model.base_path)) return archives->find_versions(model);
    return find_versions(model);
  };
  options.fingerprint = [remote](const std::string& path) {
    return RemoteModels::is_remote(path) ? remote->fingerprint(path) : folder_fingerprint(path);
  };
  const RoomyLoader load = {
      memory,
      [saved_model = saved_model_options_of(flags, memory), warmup, batcher,
       merging = merging_of(flags), enabled = flags.enable_model_warmup](
          const std::string& path) -> StatusOr<std::shared_ptr<const Servable>> {
        TENON_ASSIGN_OR_RETURN(auto servable, load_saved_model(path, saved_model));
        if (enabled) TENON_RETURN_IF_ERROR(replay_warmup(*servable, path, warmup));
        if (batcher) {
          TENON_ASSIGN_OR_RETURN(servable, batcher->wrap(std::move(servable), path));
        } else if (merging) {
          servable = merging_servable(std::move(servable), *merging);
        }
        return servable;
      }};
  options.load = [load, remote, archives](
                     const std::string&, int64_t,
                     std::string path) -> StatusOr<std::shared_ptr<const Servable>> {
    std::shared_ptr<const RemoteCopy> copy = archives->copy_of(path);
    if (RemoteModels::is_remote(path)) {
      TENON_ASSIGN_OR_RETURN(copy, remote->fetch(path));
      path = copy->path();
    }
    TENON_ASSIGN_OR_RETURN(auto servable, load(path));
    if (!copy) return servable;
    const Servable* const raw = servable.get();  // its folder stays as long as it
    return std::shared_ptr<const Servable>(raw, [servable, copy](const Servable*) mutable {
      servable.reset();
      copy.reset();
    });
  };
  constexpr int kMostLoadThreads = 256;
  options.load_threads = std::clamp(flags.num_load_threads, 1, kMostLoadThreads);
  options.max_load_retries = flags.max_num_load_retries;
  options.load_retry_interval = std::chrono::microseconds(flags.load_retry_interval_micros);
  options.poll = flags.file_system_poll_wait_seconds > 0;
  options.poll_interval = std::chrono::seconds(std::max(flags.file_system_poll_wait_seconds, 1));
  options.allow_labels_for_unavailable = flags.allow_version_labels_for_unavailable_models;
  return options;
}

}  // namespace tenon::serving
