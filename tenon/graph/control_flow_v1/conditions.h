// Under which conditions each node of a graph runs: what TensorFlow 1's Switch and Merge say.
#pragma once

#include <map>
#include <set>

#include "tenon/graph/graph.h"

namespace tenon {

// One side of a predicate.
struct Side {
  Endpoint predicate;
  int32_t value = 0;  // 1: where it holds
  Side other() const { return {predicate, 1 - value}; }
  friend auto operator<=>(const Side&, const Side&) = default;
};

// All hold at once; sorted by predicate, each predicate once.
using Conditions = std::vector<Side>;

bool holds(const Conditions& conditions, const Side& side);

// Nests conditions no deeper than this.
inline constexpr size_t kMostConditions = 64;

class ConditionTable {
 public:
  // The graph must outlive the table and have no cycles. INVALID_ARGUMENT when it has, or when a
  // node waits for both sides of a predicate; UNIMPLEMENTED for a Merge that does not join the two
  // sides of one predicate, and above kMostConditions.
  static StatusOr<ConditionTable> create(const Graph& graph);

  const Conditions& of(NodeId id) const { return *by_node_[static_cast<size_t>(id)]; }
  // An output of a Switch is there on one side only.
  Conditions of(Endpoint e) const;

  // What a Switch is by: one name for all copies of a predicate, kept when its value is replaced.
  Endpoint predicate_of(NodeId switch_node) const { return predicates_.at(switch_node); }
  // The value of a predicate now.
  Endpoint value_of(Endpoint predicate) const;

  // For Merge nodes, the side on which input 0 is taken.
  const Side& first_side(NodeId merge) const { return first_sides_.at(merge); }

  // Gives a node that was added after create() its conditions.
  void set(NodeId id, const Conditions& conditions);
  // Tells that who read `from` reads `to` now.
  void replaced(Endpoint from, Endpoint to) { replaced_[from] = to; }

 private:
  explicit ConditionTable(const Graph& graph) : graph_(&graph) {}
  Status place(NodeId id);
  StatusOr<Conditions> of_merge(NodeId id);
  Status place_switch(NodeId id, const Conditions& conditions);
  Status add(const Node& node, const Conditions& more, Conditions& all) const;

  const Graph* graph_;
  std::set<Conditions> known_;
  std::vector<const Conditions*> by_node_;  // into known_
  std::map<NodeId, Side> first_sides_;
  std::map<NodeId, Endpoint> predicates_;  // of Switch nodes
  std::map<NodeId, Endpoint> copied_;      // by Identity node on the way to one: the predicate
  std::map<Endpoint, Endpoint> replaced_;
};

}  // namespace tenon
