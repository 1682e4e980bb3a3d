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

// Calls that reach deeper are refused: a function calls itself.
inline constexpr int kDeepestCall = 100;

// PartitionedCall and StatefulPartitionedCall: the body of their function may stand in their place.
bool is_call(const Node& node);

// The names of the functions that a node may run.
std::vector<std::string> functions_of(const Node& node);

// A function that a node of `graph` refers to. NOT_FOUND when there is none.
StatusOr<std::shared_ptr<const Graph>> find_function(const Graph& graph, std::string_view name);

}  // namespace tenon
