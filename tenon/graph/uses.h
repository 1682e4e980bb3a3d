// Uses: who reads each value of a Graph and who waits for each node, kept while the graph changes.
// The one way to let something else stand in for a value or a node.
//
// Nodes that are added meanwhile are seen by themselves. What nodes take otherwise changes through
// this object alone. All together, changes cost as much as there are inputs to rewire: nothing
// looks at the whole graph. Not thread-safe.
#pragma once

#include "tenon/base/function_ref.h"
#include "tenon/graph/graph.h"

namespace tenon {

class Uses {
 public:
  // O(size of the graph), which must outlive the object.
  explicit Uses(Graph& graph);
  ~Uses();
  Uses(const Uses&) = delete;
  Uses& operator=(const Uses&) = delete;

  // By a node, or as a result of the graph.
  bool is_read(Endpoint value);
  // The one node that reads `value`, once; -1 when there are more, none, or it is a result.
  NodeId only_reader(Endpoint value);
  // Whether all that read `value` are nodes for which `among` holds. A result is read by none.
  bool is_read_only_among(Endpoint value, FunctionRef<bool(NodeId)> among);
  // Calls take(NodeId) for each node that reads `value`, once for each time it does. It may not
  // change the graph.
  void for_each_reader(Endpoint value, FunctionRef<void(NodeId)> take);
  // By a node, or as a control result of the graph.
  bool is_waited_for(NodeId id);

  // Whoever reads `from` reads `to`.
  void replace_value(Endpoint from, Endpoint to);
  // Whoever waits for `from` waits for `to`.
  void replace_control(NodeId from, NodeId to);
  // Nobody waits for `id` any more. As long as the object lives, -1 stands in its place among
  // control inputs.
  void drop_control(NodeId id);

  // Removes a node that nobody reads or waits for, and so on with what it took. An argument stays.
  void remove_if_unused(NodeId id);

 private:
  // Input `index` of `node`, control input where it is a waiter; of node -1: a result of the graph.
  struct Use {
    NodeId node;
    int32_t index;
  };
  struct Entry {
    std::vector<std::vector<Use>> readers;  // by output
    std::vector<Use> waiters;
  };

  void see_new_nodes();
  bool stands(const Use& use) const { return use.node < 0 || graph_.alive(use.node); }
  // The users that are left, up to `most` of them.
  std::span<const Use> first_users(std::vector<Use>& users, size_t most);
  std::vector<Use>& readers(Endpoint value);
  std::vector<Use>& waiters(NodeId id);
  std::vector<Use> take(std::vector<Use>& users) const;
  bool is_unused(NodeId id);

  Graph& graph_;
  std::vector<Entry> entries_;   // by NodeId
  std::vector<NodeId> dropped_;  // nodes with -1 among their control inputs
};

}  // namespace tenon
