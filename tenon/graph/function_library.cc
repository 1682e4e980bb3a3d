#include "tenon/graph/function_library.h"

namespace tenon {
namespace {

// The functions that the calling thread is importing, each for the one before. Importing one asks
// for those that it calls.
thread_local std::vector<std::pair<const FunctionLibrary*, std::string_view>> imports_in_progress;

}  // namespace

// Bodies refer to the library that holds them; owning it too would keep both alive for ever.
std::shared_ptr<const Graph> FunctionLibrary::own(Graph graph) {
  graph.set_library(std::shared_ptr<FunctionLibrary>(std::shared_ptr<void>(), this));
  return std::make_shared<const Graph>(std::move(graph));
}

void FunctionLibrary::add(std::string_view name, Graph graph) {
  std::lock_guard lock(mutex_);
  Entry& entry = entries_[std::string(name)];
  if (entry.graph || entry.import) {
    for (auto& [other, its] : entries_) its.effects = nullptr;  // they may call this one
  }
  entry = {nullptr, own(std::move(graph)), absl::OkStatus(), nullptr};
}

void FunctionLibrary::add_lazy(std::string_view name, Import import) {
  std::lock_guard lock(mutex_);
  entries_[std::string(name)] = {std::move(import), nullptr, absl::OkStatus(), nullptr};
}

std::string FunctionLibrary::unique_name(std::string_view prefix) {
  std::lock_guard lock(mutex_);
  std::string name(prefix);
  int& suffix = next_suffix_.try_emplace(name, 1).first->second;
  while (entries_.contains(name) || (base_ && base_->contains(name)))
    name = cat(prefix, "_", suffix++);
  entries_[name];  // taken from now on
  return name;
}

bool FunctionLibrary::contains(std::string_view name) const {
  return contains_itself(name) || (base_ && base_->contains(name));
}

bool FunctionLibrary::contains_itself(std::string_view name) const {
  std::lock_guard lock(mutex_);
  return entries_.contains(name);
}

std::vector<std::string> FunctionLibrary::names() const {
  std::vector<std::string> names;
  if (base_) names = base_->names();
  std::lock_guard lock(mutex_);
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

StatusOr<std::shared_ptr<const Graph>> FunctionLibrary::find(std::string_view name) {
  Import import;
  {
    std::lock_guard lock(mutex_);
    const auto it = entries_.find(name);
    if (it == entries_.end() && base_) return base_->find(name);
    if (it == entries_.end()) {
      return not_found("function '", name, "' is referred to, but the model has none of that name");
    }
    if (it->second.graph) return it->second.graph;
    TENON_RETURN_IF_ERROR(it->second.error);
    import = it->second.import;
    name = it->first;
  }
  if (!import) return internal("function '", name, "' was named but never given a body");
  for (const auto& [library, other] : imports_in_progress) {
    if (library == this && other == name) {
      return invalid_argument("function '", name, "' calls itself");
    }
  }
  if (imports_in_progress.size() >= kDeepestCall) {
    return invalid_argument("calls of function '", name, "' go more than ", kDeepestCall, " deep");
  }
  imports_in_progress.emplace_back(this, name);
  auto imported = this->import(name, import);
  imports_in_progress.pop_back();
  return imported;
}

// Outside the lock: importing a body looks other functions up.
StatusOr<std::shared_ptr<const Graph>> FunctionLibrary::import(std::string_view name,
                                                               const Import& import) {
  StatusOr<Graph> graph = import(shared_from_this());
  std::lock_guard lock(mutex_);
  Entry& entry = entries_.find(name)->second;
  if (!graph.ok()) {
    entry.error = graph.status();
    return entry.error;
  }
  if (!entry.graph) entry.graph = own(*std::move(graph));
  return entry.graph;
}

std::shared_ptr<const FunctionEffects> FunctionLibrary::effects(std::string_view name) const {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(name);
  if (it == entries_.end()) return base_ ? base_->effects(name) : nullptr;
  return it->second.effects;
}

void FunctionLibrary::set_effects(std::string_view name,
                                  std::shared_ptr<const FunctionEffects> effects) {
  std::lock_guard lock(mutex_);
  if (const auto it = entries_.find(name); it != entries_.end()) {
    it->second.effects = std::move(effects);
  } else if (base_) {
    base_->set_effects(name, std::move(effects));
  }
}

bool is_call(const Node& node) {
  return node.is("PartitionedCall") || node.is("StatefulPartitionedCall");
}

std::vector<std::string> functions_of(const Node& node) {
  std::vector<std::string> names;
  for (const auto& [name, value] : node.attrs) {
    if (const auto* one = std::get_if<FunctionAttr>(&value)) names.push_back(one->name);
    if (const auto* list = std::get_if<std::vector<FunctionAttr>>(&value)) {
      for (const FunctionAttr& function : *list) names.push_back(function.name);
    }
  }
  return names;
}

StatusOr<std::shared_ptr<const Graph>> find_function(const Graph& graph, std::string_view name) {
  if (!graph.library()) return not_found("function '", name, "' is called, there are none");
  return graph.library()->find(name);
}

}  // namespace tenon
