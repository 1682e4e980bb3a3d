#include "tenon/graph/function_library.h"

namespace tenon {

// Bodies refer to the library that holds them; owning it too would keep both alive for ever.
std::shared_ptr<const Graph> FunctionLibrary::own(Graph graph) {
  graph.set_library(std::shared_ptr<FunctionLibrary>(std::shared_ptr<void>(), this));
  return std::make_shared<const Graph>(std::move(graph));
}

void FunctionLibrary::add(std::string_view name, Graph graph) {
  std::lock_guard lock(mutex_);
  entries_[std::string(name)] = {nullptr, own(std::move(graph))};
}

void FunctionLibrary::add_lazy(std::string_view name, Import import) {
  std::lock_guard lock(mutex_);
  entries_[std::string(name)] = {std::move(import), nullptr};
}

std::string FunctionLibrary::unique_name(std::string_view prefix) {
  std::lock_guard lock(mutex_);
  std::string name(prefix);
  for (int suffix = 1; entries_.contains(name); ++suffix) name = cat(prefix, "_", suffix);
  entries_[name];  // taken from now on
  return name;
}

bool FunctionLibrary::contains(std::string_view name) const {
  std::lock_guard lock(mutex_);
  return entries_.contains(name);
}

std::vector<std::string> FunctionLibrary::names() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

StatusOr<std::shared_ptr<const Graph>> FunctionLibrary::find(std::string_view name) {
  Import import;
  {
    std::lock_guard lock(mutex_);
    const auto it = entries_.find(name);
    if (it == entries_.end()) {
      return not_found("function '", name, "' is referred to, but the model has none of that name");
    }
    if (it->second.graph) return it->second.graph;
    import = it->second.import;
  }
  if (!import) return internal("function '", name, "' was named but never given a body");
  // Outside the lock: importing a body may look other functions up.
  StatusOr<Graph> graph = import(shared_from_this());
  if (!graph.ok()) return with_context(graph.status(), cat("function '", name, "'"));
  std::lock_guard lock(mutex_);
  Entry& entry = entries_.find(name)->second;
  if (!entry.graph) entry.graph = own(*std::move(graph));
  return entry.graph;
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
