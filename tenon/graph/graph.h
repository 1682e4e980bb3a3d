// Graph: TensorFlow ops as nodes, the one intermediate representation of Tenon.
//
// A Graph is also the body of a function: `args` are its _Arg nodes in order, `results` what it
// returns, `control_results` the nodes that must run for their effect. Nodes are addressed by
// index; removing one leaves a hole. Not thread-safe while it is changed.
#pragma once

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {

class FunctionLibrary;

using NodeId = int32_t;

// Output `index` of a node.
struct Endpoint {
  NodeId node = -1;
  int32_t index = 0;
  explicit operator bool() const { return node >= 0; }
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// What is known of an output before anything runs.
struct ValueInfo {
  DType dtype = DType::kInvalid;
  PartialShape shape;
  std::optional<HandleInfo> handle;  // of resources and variants
};

struct Node {
  std::string name;
  const OpDef* op = nullptr;  // null: removed
  AttrMap attrs;
  std::vector<Endpoint> inputs;
  std::vector<NodeId> control_inputs;
  std::string device;  // as the GraphDef says; empty: anywhere
  std::vector<ValueInfo> outputs;

  bool is(std::string_view op_name) const { return op && op->name() == op_name; }
};

class Graph {
 public:
  explicit Graph(std::shared_ptr<FunctionLibrary> library = nullptr)
      : library_(std::move(library)) {}

  // Adds a node, completes its attributes, checks inputs against the op and infers output shapes.
  // INVALID_ARGUMENT names node and op. An empty `name` gives "<op>", "<op>_1", ...; a name that is
  // taken gets such a suffix.
  StatusOr<NodeId> add(std::string_view op, std::string_view name, std::vector<Endpoint> inputs,
                       AttrMap attrs = {}, std::vector<NodeId> control_inputs = {});

  // As add(), for importers that bring nodes in any order: inputs are checked later, by the
  // verifier.
  NodeId add_unchecked(Node node);

  NodeId size() const { return static_cast<NodeId>(nodes_.size()); }
  bool alive(NodeId id) const { return nodes_[static_cast<size_t>(id)].op != nullptr; }
  Node& node(NodeId id) { return nodes_[static_cast<size_t>(id)]; }
  const Node& node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  ValueInfo& value(Endpoint e) { return node(e.node).outputs[static_cast<size_t>(e.index)]; }
  const ValueInfo& value(Endpoint e) const {
    return node(e.node).outputs[static_cast<size_t>(e.index)];
  }

  void remove(NodeId id);

  // The value of a Const node's output; null for everything else.
  const Tensor* constant(Endpoint e) const;

  // Alive nodes, inputs and control inputs before their users; of those that are ready, the ones of
  // the smallest `turn` (by NodeId; 0 where none is given) first, otherwise in order of NodeId.
  // INVALID_ARGUMENT naming a node when there is a cycle.
  StatusOr<std::vector<NodeId>> topological_order(const std::vector<int8_t>& turn = {}) const;

  // Removes the nodes that arguments, results and control results do not need; returns how many.
  int remove_unreached();

  // Infers a node's output shapes again from its inputs'.
  Status infer(NodeId id);

  // A graph that a FunctionLibrary holds does not keep that library alive; its copies that must
  // outlive the caller are given it again by set_library().
  const std::shared_ptr<FunctionLibrary>& library() const { return library_; }
  void set_library(std::shared_ptr<FunctionLibrary> library) { library_ = std::move(library); }

  std::vector<NodeId> args;
  std::vector<Endpoint> results;
  std::vector<std::string> result_names;
  std::vector<NodeId> control_results;

 private:
  std::string unique_name(std::string_view wanted);

  std::vector<Node> nodes_;
  std::map<std::string, int, std::less<>> names_;  // name -> next suffix
  std::shared_ptr<FunctionLibrary> library_;
};

// One line a node, for --explain, inspect and tests.
std::string to_string(const Graph& graph);

// "node 'dense/MatMul' (op MatMul)".
std::string describe(const Node& node);

}  // namespace tenon
