// Growth: how far a graph may grow by copies of the functions that it calls and runs.
#pragma once

#include <unordered_map>

#include "tenon/graph/graph.h"

namespace tenon {

// How large functions become, each looked at once, by name: of one FunctionLibrary. Thread-safe.
class FunctionSizes {
 public:
  // Sizes beyond this are not told apart.
  static constexpr int64_t kMost = int64_t{1} << 40;

  // Nodes of `graph` when all calls in it are inlined. NOT_FOUND or UNIMPLEMENTED name what a body
  // lacks; INVALID_ARGUMENT a function that calls itself whatever happens, or calls more than 100
  // deep.
  StatusOr<int64_t> inlined(const Graph& graph);

  // Nodes of function `name` when also its branches and loop bodies, at any depth, are copied for
  // each node that runs them. kMost for what runs itself, is not found or goes too deep.
  int64_t copied(const Graph& graph, const std::string& name);

 private:
  StatusOr<int64_t> inlined_of(const Graph& graph);
  StatusOr<int64_t> inlined_of(const Graph& graph, const std::string& name);
  int64_t copied_of(const Graph& graph, const std::string& name);

  std::mutex mutex_;
  std::unordered_map<std::string, int64_t> inlined_;  // -1: it is being looked at
  std::unordered_map<std::string, int64_t> copied_;
  int depth_ = 0;
};

int64_t count_nodes(const Graph& graph);

// How many nodes copies may add to `graph` and to the functions that it may run, so that all
// together grow to eight times what they hold, or some thousand nodes.
int64_t growth_limit(const Graph& graph);

// How many of the `left` that `graph` has not used each function may use that it still shares with
// others, by name, in the order in which they are reached: whole where that fits, else for its
// calls. What is in the graph's own library was copied for it, with all that it runs.
std::map<std::string, int64_t> growth_of_functions(const Graph& graph, FunctionSizes& sizes,
                                                   int64_t left);

}  // namespace tenon
