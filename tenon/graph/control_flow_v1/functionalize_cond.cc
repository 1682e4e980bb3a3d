#include <algorithm>
#include <numeric>

#include "tenon/graph/builder.h"
#include "tenon/graph/control_flow_v1/conditions.h"
#include "tenon/graph/control_flow_v1/functionalize.h"
#include "tenon/graph/control_flow_v1/region.h"
#include "tenon/graph/uses.h"

namespace tenon {
namespace {

// What runs on one side of a predicate.
class BranchBoundary final : public Boundary {
 public:
  BranchBoundary(const Graph& graph, const ConditionTable& table, Side side)
      : graph_(graph), table_(table), side_(side) {}

  StatusOr<std::optional<Endpoint>> argument(Endpoint e) const override {
    if (inside(e.node)) return std::nullopt;
    // A Switch by this predicate hands its data in; everything else outside comes in as it is.
    return switches(e.node) ? graph_.node(e.node).inputs[0] : e;
  }

  bool inside(NodeId id) const override { return holds(table_.of(id), side_); }

  bool switches(NodeId id) const {
    return graph_.node(id).is("Switch") && table_.predicate_of(id) == side_.predicate;
  }

 private:
  const Graph& graph_;
  const ConditionTable& table_;
  Side side_;
};

// Merges that become one If: those whose branches have a node in common.
struct Condition {
  Endpoint predicate;
  std::vector<NodeId> merges;
};

class ConditionMaker {
 public:
  ConditionMaker(Graph& graph, ConditionTable& table, Uses& uses, const Condition& condition)
      : graph_(graph), table_(table), uses_(uses), condition_(condition) {}

  Status run();

 private:
  std::vector<Endpoint> roots(int32_t side) const;
  void collect_controls(const Region& region, const BranchBoundary& boundary);
  void wait_for_switch(NodeId id);
  StatusOr<FunctionAttr> build(const Region& region, int32_t side);
  void add_value_indices(Graph& body, int32_t side) const;
  StatusOr<NodeId> add_if(FunctionAttr then_branch, FunctionAttr else_branch);
  void rewire(NodeId made);

  Graph& graph_;
  ConditionTable& table_;
  Uses& uses_;
  const Condition& condition_;
  Arguments args_;
  std::set<NodeId> controls_;    // that the If waits for
  std::vector<NodeId> indexed_;  // Merges whose value_index is read
  bool effects_ = false;
};

// What the Merges take on that side.
std::vector<Endpoint> ConditionMaker::roots(int32_t side) const {
  std::vector<Endpoint> roots;
  for (NodeId merge : condition_.merges) {
    const size_t at = table_.first_side(merge).value == side ? 0 : 1;
    roots.push_back(graph_.node(merge).inputs[at]);
  }
  return roots;
}

// Waiting for a Switch is waiting for what it waits for.
void ConditionMaker::wait_for_switch(NodeId id) {
  const Node& node = graph_.node(id);
  controls_.insert(node.inputs[0].node);
  controls_.insert(node.control_inputs.begin(), node.control_inputs.end());
}

void ConditionMaker::collect_controls(const Region& region, const BranchBoundary& boundary) {
  for (NodeId id : region.outside_controls()) {
    if (boundary.switches(id)) {
      wait_for_switch(id);
    } else {
      controls_.insert(id);
    }
  }
  for (const auto& [value, argument] : region.arguments()) {
    if (!boundary.switches(value.node)) continue;
    const auto& controls = graph_.node(value.node).control_inputs;
    controls_.insert(controls.begin(), controls.end());
  }
}

// Which input each Merge took, as its output value_index tells: results after the values.
void ConditionMaker::add_value_indices(Graph& body, int32_t side) const {
  GraphBuilder builder(body);
  for (NodeId merge : indexed_) {
    const int32_t index = table_.first_side(merge).value == side ? 0 : 1;
    body.results.push_back(builder.scalar<int32_t>(index));
    body.result_names.push_back(cat("output_", body.results.size() - 1));
  }
}

StatusOr<FunctionAttr> ConditionMaker::build(const Region& region, int32_t side) {
  TENON_ASSIGN_OR_RETURN(Graph body, region.build(args_, roots(side), {}));
  add_value_indices(body, side);
  effects_ |= has_effects(body);
  const std::string& name = graph_.node(condition_.merges[0]).name;
  return add_function(graph_, cat(name, side == 1 ? "_then" : "_else"), std::move(body));
}

StatusOr<NodeId> ConditionMaker::add_if(FunctionAttr then_branch, FunctionAttr else_branch) {
  std::vector<Endpoint> inputs = {table_.value_of(condition_.predicate)};
  std::vector<DType> in, out;
  for (Endpoint arg : args_.values()) {
    inputs.push_back(arg);
    in.push_back(graph_.value(arg).dtype);
  }
  for (NodeId merge : condition_.merges) out.push_back(graph_.value({merge, 0}).dtype);
  out.insert(out.end(), indexed_.size(), DType::kInt32);
  return graph_.add(effects_ ? "If" : "StatelessIf", graph_.node(condition_.merges[0]).name,
                    std::move(inputs),
                    {{"Tcond", DType::kBool},
                     {"Tin", std::move(in)},
                     {"Tout", std::move(out)},
                     {"then_branch", std::move(then_branch)},
                     {"else_branch", std::move(else_branch)}},
                    {controls_.begin(), controls_.end()});
}

void ConditionMaker::rewire(NodeId made) {
  int32_t output = 0;
  const auto replace = [&](Endpoint value) {
    uses_.replace_value(value, {made, output});
    table_.replaced(value, {made, output++});
  };
  for (NodeId merge : condition_.merges) replace({merge, 0});
  for (NodeId merge : indexed_) replace({merge, 1});
  for (NodeId merge : condition_.merges) uses_.replace_control(merge, made);
}

Status ConditionMaker::run() {
  const BranchBoundary then_side(graph_, table_, {condition_.predicate, 1});
  const BranchBoundary else_side(graph_, table_, {condition_.predicate, 0});
  Region then_region(graph_, then_side), else_region(graph_, else_side);
  TENON_RETURN_IF_ERROR(then_region.reach(roots(1), {}, args_));
  TENON_RETURN_IF_ERROR(else_region.reach(roots(0), {}, args_));
  collect_controls(then_region, then_side);
  collect_controls(else_region, else_side);
  for (NodeId merge : condition_.merges) {
    if (uses_.is_read({merge, 1})) indexed_.push_back(merge);
    const auto& controls = graph_.node(merge).control_inputs;
    controls_.insert(controls.begin(), controls.end());
  }
  TENON_ASSIGN_OR_RETURN(FunctionAttr then_branch, build(then_region, 1));
  TENON_ASSIGN_OR_RETURN(FunctionAttr else_branch, build(else_region, 0));
  TENON_ASSIGN_OR_RETURN(const NodeId made, add_if(std::move(then_branch), std::move(else_branch)));
  const Conditions conditions = table_.of(condition_.merges[0]);
  table_.set(made, conditions);
  rewire(made);
  return absl::OkStatus();
}

// Disjoint sets of Merges, by their place in a list.
class MergeSets {
 public:
  explicit MergeSets(size_t count) : parent_(count) {
    std::iota(parent_.begin(), parent_.end(), size_t{0});
  }
  size_t find(size_t i) {
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }
  void join(size_t a, size_t b) { parent_[find(a)] = find(b); }

 private:
  std::vector<size_t> parent_;
};

// Groups Merges of one predicate under the same conditions by the branch nodes that they share.
std::vector<Condition> group(const Graph& graph, const ConditionTable& table, Endpoint predicate,
                             std::span<const NodeId> merges) {
  MergeSets sets(merges.size());
  std::map<NodeId, size_t> owner;  // of a node in a branch
  std::vector<NodeId> stack;
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto visit = [&](NodeId id) {
      const Conditions& conditions = table.of(id);
      if (!holds(conditions, {predicate, 0}) && !holds(conditions, {predicate, 1})) return;
      const auto [it, fresh] = owner.try_emplace(id, i);
      if (fresh) stack.push_back(id);
      sets.join(it->second, i);
    };
    for (Endpoint input : graph.node(merges[i]).inputs) visit(input.node);
    while (!stack.empty()) {
      const Node& node = graph.node(stack.back());
      stack.pop_back();
      for (Endpoint input : node.inputs) visit(input.node);
      for (NodeId control : node.control_inputs) visit(control);
    }
  }
  std::map<size_t, Condition> conditions;
  for (size_t i = 0; i < merges.size(); ++i) {
    Condition& condition = conditions[sets.find(i)];
    condition.predicate = predicate;
    condition.merges.push_back(merges[i]);
  }
  std::vector<Condition> list;
  for (auto& [root, condition] : conditions) list.push_back(std::move(condition));
  return list;
}

}  // namespace

Status functionalize_conditions(Graph& graph) {
  // Merges that could belong together: the deepest first, so that what a branch holds is done.
  using Key = std::tuple<size_t, Conditions, Endpoint>;
  std::map<Key, std::vector<NodeId>, std::greater<>> merges;
  TENON_ASSIGN_OR_RETURN(ConditionTable table, ConditionTable::create(graph));
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id) || !graph.node(id).is("Merge")) continue;
    const Conditions& conditions = table.of(id);
    merges[{conditions.size(), conditions, table.first_side(id).predicate}].push_back(id);
  }
  if (merges.empty()) return absl::OkStatus();
  Uses uses(graph);
  for (const auto& [key, candidates] : merges) {
    for (const Condition& condition : group(graph, table, std::get<Endpoint>(key), candidates)) {
      if (Status status = ConditionMaker(graph, table, uses, condition).run(); !status.ok()) {
        return with_context(status,
                            cat("the condition of ", describe(graph.node(condition.merges[0]))));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace tenon
