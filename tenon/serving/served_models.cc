#include "tenon/serving/served_models.h"

#include "tenon/base/log.h"
#include "tenon/base/thread.h"
#include "tenon/serving/served_models_impl.h"

namespace tenon::serving {

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
      const Model& model = models[name];
      return model.started() || !model.configured || model.unloaded;
    });
    if (all) return absl::OkStatus();
    if (stopping || waiting_ended || !keep_waiting())
      return cancelled("stopped while waiting for models to load");
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
    TENON_RETURN_IF_ERROR(impl.configure(models, Unloaded::kReturn));
  }
  impl.scan();
  for (const ModelConfig& config : models) {
    std::unique_lock lock(impl.mutex);
    const Model& model = impl.models[config.name];
    if (!model.versions.empty()) continue;
    names.erase(config.name);
    if (!impl.options.poll) return not_found(model.warning);
    log_warning("Model ", config.name, " is served once it has a version: ", model.warning);
  }
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

std::set<std::string> ServedModels::Impl::new_among(const std::vector<ModelConfig>& configs) const {
  std::set<std::string> names;
  for (const ModelConfig& config : configs) {
    const auto known = models.find(config.name);
    if (known == models.end() || !known->second.configured) names.insert(config.name);
  }
  return names;
}

Status ServedModels::configure(const std::vector<ModelConfig>& models, Unloaded unloaded) {
  {
    std::unique_lock lock(impl_->mutex);
    TENON_RETURN_IF_ERROR(impl_->configure(models, unloaded));
  }
  impl_->scan();
  return absl::OkStatus();
}

Status ServedModels::reload(const std::vector<ModelConfig>& models,
                            const std::function<bool()>& keep_waiting) {
  std::set<std::string> added;
  {
    std::shared_lock lock(impl_->mutex);
    added = impl_->new_among(models);
  }
  TENON_RETURN_IF_ERROR(configure(models));
  for (const std::string& name : added) {
    std::shared_lock lock(impl_->mutex);
    const auto model = impl_->models.find(name);
    if (model != impl_->models.end() && !model->second.path_found) {
      return not_found(model->second.warning, "; the model is served once it is there");
    }
  }
  return impl_->wait_for(added, keep_waiting);
}

// Under a lock.
Model* ServedModels::Impl::configured_model(const std::string& name) {
  const auto found = models.find(name);
  return found != models.end() && found->second.configured ? &found->second : nullptr;
}

Status ServedModels::unload(const std::string& name) {
  std::unique_lock lock(impl_->mutex);
  Model* const model = impl_->configured_model(name);
  if (model == nullptr) return not_found("Model ", name, " is not configured");
  log_info("Unloading model ", name, " as asked");
  model->unloaded = true;
  impl_->want(*model, {});
  return absl::OkStatus();
}

std::optional<std::weak_ptr<const void>> ServedModels::unload_spare() {
  std::unique_lock lock(impl_->mutex);
  Model* of = nullptr;
  std::pair<const int64_t, Version>* spare = nullptr;
  int64_t longest = INT64_MAX;
  for (auto& [name, model] : impl_->models) {
    bool newest = true;
    for (auto& entry : model.versions) {
      const Version& version = entry.second;
      if (!version.served) continue;
      const bool labelled =
          std::any_of(model.config.labels.begin(), model.config.labels.end(),
                      [&](const auto& label) { return label.second == entry.first; });
      const int64_t last_used = version.served->servable->unmerged().last_used();
      if (!newest && !labelled && version.wanted && last_used < longest) {
        of = &model;
        spare = &entry;
        longest = last_used;
      }
      newest = false;
    }
  }
  if (spare == nullptr) return std::nullopt;
  auto& [number, version] = *spare;
  version.status = resource_exhausted("Version ", number, " of model ", of->config.name,
                                      " was unloaded to keep --memory_limit");
  version.failures = 1;
  impl_->unload(*of, number, version);
  impl_->changed.notify_all();
  return version.unloading;
}

Status ServedModels::load(const std::string& name, const std::function<bool()>& keep_waiting) {
  {
    std::unique_lock lock(impl_->mutex);
    Model* const model = impl_->configured_model(name);
    if (model == nullptr) return not_found("Model ", name, " is not configured");
    model->unloaded = false;
    for (auto& [number, version] : model->versions) {
      const bool failed = version.wanted && version.failures > 0;
      if (failed && version.state == VersionState::kEnd) version.state = VersionState::kStart;
      if (!failed || version.state != VersionState::kStart) continue;
      version.failures = 0;
      version.next_try = {};
    }
  }
  impl_->scan();
  impl_->changed.notify_all();
  {
    std::shared_lock lock(impl_->mutex);
    const auto found = impl_->models.find(name);
    const auto& versions = found->second.versions;
    const bool any = std::any_of(versions.begin(), versions.end(),
                                 [](const auto& entry) { return entry.second.wanted; });
    if (!any && found->second.configured && !found->second.unloaded) {
      return not_found("Model ", name, " has no version: ", found->second.warning);
    }
  }
  return impl_->wait_for({name}, keep_waiting);
}

void ServedModels::end_waiting() {
  {
    std::unique_lock lock(impl_->mutex);
    impl_->waiting_ended = true;
  }
  impl_->changed.notify_all();
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
    const bool served = version != model->second.versions.end() && version->second.served;
    if (served) return version->second.served;
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

std::vector<ModelListing> ServedModels::list() const {
  std::shared_lock lock(impl_->mutex);
  std::vector<ModelListing> listings;
  for (const auto& [name, model] : impl_->models) {
    if (!model.configured) continue;
    ModelListing& listing = listings.emplace_back();
    listing.name = name;
    listing.base_path = model.config.base_path;
    listing.labels = model.config.labels;
    listing.unloaded = model.unloaded;
    listing.warning = model.warning;
    for (const auto& [number, version] : model.versions) {
      listing.versions.push_back({number, version.state, version.status});
    }
  }
  return listings;
}

bool ServedModels::knows(const std::string& model) const {
  std::shared_lock lock(impl_->mutex);
  return impl_->models.contains(model);
}

bool ServedModels::ready() const {
  std::shared_lock lock(impl_->mutex);
  return std::all_of(impl_->models.begin(), impl_->models.end(), [](const auto& entry) {
    const Model& model = entry.second;
    return !model.configured || model.unloaded || model.available();
  });
}

}  // namespace tenon::serving
