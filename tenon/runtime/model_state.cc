#include "tenon/runtime/model_state.h"

#include <random>

#include "tenon/runtime/workspace.h"

namespace tenon {

uint64_t ModelState::draw_seed() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

Ref<Object> ModelState::find(std::string_view container, std::string_view name) const {
  std::shared_lock lock(mutex_);
  const auto it = resources_.find({std::string(container), std::string(name)});
  return it == resources_.end() ? Ref<Object>() : it->second;
}

StatusOr<Ref<Object>> ModelState::find_or_create(std::string_view container, std::string_view name,
                                                 FunctionRef<StatusOr<Ref<Object>>()> create) {
  std::unique_lock lock(mutex_);
  Ref<Object>& place = resources_[{std::string(container), std::string(name)}];
  if (place) return place;
  StatusOr<Ref<Object>> created = create();
  if (!created.ok()) {
    resources_.erase({std::string(container), std::string(name)});
    return created.status();
  }
  place = *std::move(created);
  return place;
}

Status ModelState::remove(std::string_view container, std::string_view name) {
  std::unique_lock lock(mutex_);
  if (resources_.erase({std::string(container), std::string(name)}) == 0) {
    return not_found("there is no resource '", name, "' in container '", container, "'");
  }
  return absl::OkStatus();
}

Ref<Variable> ModelState::variable(std::string_view name) const {
  const Ref<Object> object = find("", name);
  return Ref<Variable>(object_cast<Variable>(object.get()));
}

Status ModelState::set_variable(std::string_view name, Tensor value,
                                const std::optional<PartialShape>& shape) {
  Ref<Variable> existing = variable(name);
  if (existing) return existing->assign(std::move(value));
  auto fresh = make_ref<Variable>(std::string(name), value.dtype(),
                                  shape.value_or(PartialShape(value.shape())));
  TENON_RETURN_IF_ERROR(fresh->assign(std::move(value)));
  return find_or_create("", name, [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(fresh); })
      .status();
}

std::vector<std::pair<std::string, Ref<Variable>>> ModelState::variables() const {
  std::shared_lock lock(mutex_);
  std::vector<std::pair<std::string, Ref<Variable>>> found;
  for (const auto& [key, object] : resources_) {
    if (auto* variable = object_cast<Variable>(object.get())) {
      found.emplace_back(key.second, Ref<Variable>(variable));
    }
  }
  return found;
}

std::shared_ptr<WorkspacePool> ModelState::workspaces(Device* device) {
  std::unique_lock lock(mutex_);
  std::shared_ptr<WorkspacePool>& pool = workspaces_[device];
  if (!pool) pool = std::make_shared<WorkspacePool>(device);
  return pool;
}

void ModelState::freeze(std::string_view name) {
  std::unique_lock lock(mutex_);
  frozen_.emplace(name);
}

bool ModelState::is_frozen(std::string_view name) const {
  std::shared_lock lock(mutex_);
  return frozen_.contains(name);
}

}  // namespace tenon
