// BodyImporter: nodes of a file as the nodes of one Graph.
#pragma once

#include <unordered_map>
#include <unordered_set>

#include "tenon/graph/graph.h"
#include "tenon/graph/messages/graph_view.h"

namespace tenon {

using NodeViews = std::unordered_map<std::string_view, const NodeView*>;

// An input as NodeDef writes it: "^node", "node", "node:1" or, in function bodies, "node:out:1".
struct InputRef {
  std::string_view node;
  std::string_view output;  // name of the output argument; empty in GraphDefs
  int index = 0;
  bool control = false;
};

// A view of `text`. INVALID_ARGUMENT when it is none.
StatusOr<InputRef> parse_input(std::string_view text);

// Imports the nodes that some roots reach. TensorFlow 1's reference variables become resource
// variables: what takes a variable by reference takes its handle, what takes its value reads it
// when that node runs. Its control flow and TensorArrays become functions and TensorLists.
class BodyImporter {
 public:
  // `defs` must outlive the importer, and `function`, the name of the function whose nodes they
  // are; empty: the graph's own.
  BodyImporter(const NodeViews& defs, std::shared_ptr<FunctionLibrary> library,
               std::string_view function = "")
      : defs_(defs), function_(function), library_(std::move(library)), graph_(library_) {}

  Graph& graph() { return graph_; }

  // A name that stands for an endpoint of the graph: a function's argument, a fed tensor. `index`
  // -1: every output.
  void bind(std::string_view node, int index, Endpoint value) {
    bound_[std::string(node)].emplace_back(index, value);
  }

  // Everything that makes `results` and the nodes `controls`, as the graph's results and control
  // results. Called once. NOT_FOUND names a node that does not exist; UNIMPLEMENTED an op that is
  // reached and missing, or control flow that functionalize() does not take.
  Status import(std::span<const InputRef> results, std::span<const InputRef> controls);

 private:
  std::optional<Endpoint> find_bound(std::string_view node, int index) const;
  Status collect(std::span<const InputRef> results, std::span<const InputRef> controls);
  Status make(const NodeView& def);
  Status make_reads(const NodeView& def);
  StatusOr<Node> describe_call(const NodeView& def) const;
  Status connect(const NodeView& def);

  // Of a reference: what it refers to.
  struct Reference {
    const NodeView* variable = nullptr;
    std::optional<Endpoint> handle;  // once its nodes are made
    NodeId after = -1;               // the node that changes it, -1: none
  };
  std::optional<Reference> find_reference(InputRef ref) const;
  NodeId add_read(const Reference& reference, std::string_view name);

  StatusOr<std::optional<OpDef::Range>> output_of_function(std::string_view function,
                                                           std::string_view output) const;
  StatusOr<Endpoint> resolve(const InputRef& ref) const;
  StatusOr<Endpoint> resolve_result(const InputRef& ref);
  StatusOr<NodeId> resolve_node(std::string_view name) const;

  bool is_implemented(std::string_view op) const;
  Status not_implemented(const NodeView& def) const;
  Status import_nodes(std::span<const NodeView* const> defs, std::span<const InputRef> results,
                      std::span<const InputRef> controls);

  const NodeViews& defs_;
  const std::string_view function_;
  std::shared_ptr<FunctionLibrary> library_;
  Graph graph_;
  std::unordered_map<std::string, std::vector<std::pair<int, Endpoint>>> bound_;
  std::unordered_set<std::string_view> reached_;
  std::unordered_map<std::string_view, NodeId> made_;
  // The ReadVariableOp in front of a node, by (node, index among its inputs).
  std::map<std::pair<std::string_view, int>, NodeId> reads_;
};

}  // namespace tenon
