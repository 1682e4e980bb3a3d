#include "tenon/graph/control_flow_v1/conditions.h"

#include <algorithm>

namespace tenon {

bool holds(const Conditions& conditions, const Side& side) {
  return std::binary_search(conditions.begin(), conditions.end(), side);
}

StatusOr<ConditionTable> ConditionTable::create(const Graph& graph) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  ConditionTable table(graph);
  for (NodeId id : order) TENON_RETURN_IF_ERROR(table.place(id));
  return table;
}

Endpoint ConditionTable::value_of(Endpoint predicate) const {
  const auto it = replaced_.find(predicate);
  return it == replaced_.end() ? predicate : it->second;
}

Conditions ConditionTable::of(Endpoint e) const {
  Conditions conditions = of(e.node);
  if (!graph_->node(e.node).is("Switch")) return conditions;
  const Side side{predicate_of(e.node), e.index};
  conditions.insert(std::lower_bound(conditions.begin(), conditions.end(), side), side);
  return conditions;
}

void ConditionTable::set(NodeId id, const Conditions& conditions) {
  if (by_node_.size() <= static_cast<size_t>(id)) by_node_.resize(static_cast<size_t>(id) + 1);
  by_node_[static_cast<size_t>(id)] = &*known_.insert(conditions).first;
}

Status ConditionTable::add(const Node& node, const Conditions& more, Conditions& all) const {
  if (all == more) return absl::OkStatus();
  Conditions both;
  std::set_union(all.begin(), all.end(), more.begin(), more.end(), std::back_inserter(both));
  for (size_t i = 1; i < both.size(); ++i) {
    if (both[i].predicate != both[i - 1].predicate) continue;
    return unimplemented(describe(node), " needs both sides of the predicate '",
                         graph_->node(both[i].predicate.node).name, "' and never runs");
  }
  if (both.size() > kMostConditions) {
    return unimplemented(describe(node), " runs under more than ", kMostConditions,
                         " conditions in one another");
  }
  all = std::move(both);
  return absl::OkStatus();
}

// A Merge of two sides runs under what its inputs have in common.
StatusOr<Conditions> ConditionTable::of_merge(NodeId id) {
  const Node& node = graph_->node(id);
  if (node.inputs.size() != 2) {
    return unimplemented(describe(node), " joins ", node.inputs.size(), " values, not two");
  }
  const Conditions a = of(node.inputs[0]), b = of(node.inputs[1]);
  Conditions common, only_a;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only_a));
  if (only_a.size() != 1 || b.size() != a.size() || !holds(b, only_a[0].other())) {
    return unimplemented(describe(node), " joins '", graph_->node(node.inputs[0].node).name,
                         "' and '", graph_->node(node.inputs[1].node).name,
                         "', which are not the two sides of one predicate");
  }
  first_sides_[id] = only_a[0];
  return common;
}

Status ConditionTable::place_switch(NodeId id, const Conditions& conditions) {
  Endpoint predicate = graph_->node(id).inputs[1];
  std::vector<NodeId> copies;
  while (graph_->node(predicate.node).is("Identity")) {
    const auto known = copied_.find(predicate.node);
    if (known == copied_.end()) copies.push_back(predicate.node);
    predicate = known == copied_.end() ? graph_->node(predicate.node).inputs[0] : known->second;
  }
  for (NodeId copy : copies) copied_[copy] = predicate;
  predicates_[id] = predicate;
  for (const Side& side : conditions) {
    if (side.predicate != predicate) continue;
    return unimplemented(describe(graph_->node(id)), " switches by '",
                         graph_->node(predicate.node).name, "' where that is decided already");
  }
  return absl::OkStatus();
}

Status ConditionTable::place(NodeId id) {
  const Node& node = graph_->node(id);
  Conditions conditions;
  if (node.is("Merge")) {
    TENON_ASSIGN_OR_RETURN(conditions, of_merge(id));
  } else {
    for (Endpoint input : node.inputs) {
      TENON_RETURN_IF_ERROR(add(node, of(input), conditions));
    }
  }
  const size_t of_inputs = conditions.size();
  for (NodeId control : node.control_inputs) {
    TENON_RETURN_IF_ERROR(add(node, of(control), conditions));
    if (!node.is("Merge") || conditions.size() == of_inputs) continue;
    return unimplemented(describe(node), " waits for '", graph_->node(control).name,
                         "', which does not run whenever it does");
  }
  if (node.is("Switch")) TENON_RETURN_IF_ERROR(place_switch(id, conditions));
  set(id, conditions);
  return absl::OkStatus();
}

}  // namespace tenon
