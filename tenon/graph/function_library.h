// FunctionLibrary: the functions of a model by name, built when they are first reached.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

// Thread-safe. Graphs handed out are immutable and live as long as somebody holds them.
struct FunctionEffects;  // tenon/graph/effects.h

class FunctionLibrary : public std::enable_shared_from_this<FunctionLibrary> {
 public:
  FunctionLibrary() = default;
  // With all functions of `base` (may be null), and those that are added to it alone.
  explicit FunctionLibrary(std::shared_ptr<FunctionLibrary> base) : base_(std::move(base)) {}

  // Called at most once, with this library, when the function is first found. Its errors name the
  // function.
  using Import = std::function<StatusOr<Graph>(std::shared_ptr<FunctionLibrary>)>;

  void add(std::string_view name, Graph graph);
  void add_lazy(std::string_view name, Import import);

  // A name that is not taken yet and starts with `prefix`.
  std::string unique_name(std::string_view prefix);

  bool contains(std::string_view name) const;
  // Whether it was added to this library, not to its base.
  bool contains_itself(std::string_view name) const;
  std::vector<std::string> names() const;

  // NOT_FOUND when there is none of that name; the importer's error otherwise, each time.
  // INVALID_ARGUMENT when the function is asked for while it is imported, or 100 others are: where
  // that is for the shape of its results (a branch may call the function it belongs to), they stay
  // unknown.
  StatusOr<std::shared_ptr<const Graph>> find(std::string_view name);

  // What effects_of() found out about function `name`; null: nothing yet.
  std::shared_ptr<const FunctionEffects> effects(std::string_view name) const;
  void set_effects(std::string_view name, std::shared_ptr<const FunctionEffects> effects);

 private:
  std::shared_ptr<const Graph> own(Graph graph);

  struct Entry {
    Import import;
    std::shared_ptr<const Graph> graph;
    Status error;  // of the import
    std::shared_ptr<const FunctionEffects> effects;
  };
  StatusOr<std::shared_ptr<const Graph>> import(std::string_view name, const Import& import);

  const std::shared_ptr<FunctionLibrary> base_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, int, std::less<>> next_suffix_;
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
