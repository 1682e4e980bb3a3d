// GraphDef in: pieces of a TensorFlow graph as Graphs, imported when they are asked for.
#pragma once

#include "tenon/graph/function_library.h"
#include "tenon/graph/messages/graph_view.h"

namespace tenon {

// The graph and the function library of one MetaGraphDef. Immutable and thread-safe.
//
// Only what the fetches and targets reach is imported, so ops that nobody implements do no harm
// elsewhere. TensorFlow 1's reference variables become resource variables of the same name.
class GraphImporter {
 public:
  // INVALID_ARGUMENT for names used twice and functions without a name.
  static StatusOr<std::shared_ptr<GraphImporter>> create(std::shared_ptr<const GraphView> graph);
  ~GraphImporter();

  const std::shared_ptr<FunctionLibrary>& library() const { return library_; }

  // A function that takes `feeds` and returns `fetches` (tensor names: "node:0", "node") and runs
  // the nodes `targets`. Arguments are named as `arg_names` say. NOT_FOUND names a node that does
  // not exist; UNIMPLEMENTED an op that is reached and missing.
  StatusOr<Graph> extract(std::span<const std::string> feeds,
                          std::span<const std::string> arg_names,
                          std::span<const std::string> fetches,
                          std::span<const std::string> targets) const;

  // dtype and declared shape of a tensor of the top-level graph.
  StatusOr<ValueInfo> describe_tensor(const std::string& tensor) const;

  // Whether an import takes nodes of this op: one that is registered, or that it turns into such.
  static bool knows(std::string_view op);

  struct Impl;

 private:
  explicit GraphImporter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
  std::shared_ptr<FunctionLibrary> library_;
};

}  // namespace tenon
