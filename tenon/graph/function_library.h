// FunctionLibrary: the functions of a model by name, built when they are first reached.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// Thread-safe. Graphs handed out are immutable and live as long as somebody holds them.
class FunctionLibrary : public std::enable_shared_from_this<FunctionLibrary> {
 public:
  // Called at most once, with this library, when the function is first found.
  using Import = std::function<StatusOr<Graph>(std::shared_ptr<FunctionLibrary>)>;

  void add(std::string_view name, Graph graph);
  void add_lazy(std::string_view name, Import import);

  // A name that is not taken yet and starts with `prefix`.
  std::string unique_name(std::string_view prefix);

  bool contains(std::string_view name) const;
  std::vector<std::string> names() const;

  // NOT_FOUND when there is none of that name; the importer's error otherwise. A function that
  // reaches itself is INVALID_ARGUMENT only when it is inlined or run too deep, not here.
  StatusOr<std::shared_ptr<const Graph>> find(std::string_view name);

 private:
  std::shared_ptr<const Graph> own(Graph graph);

  struct Entry {
    Import import;
    std::shared_ptr<const Graph> graph;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace tenon
