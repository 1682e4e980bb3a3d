#include <algorithm>
#include <unordered_map>

#include "tenon/graph/control_flow_v1/frames.h"
#include "tenon/graph/control_flow_v1/functionalize.h"
#include "tenon/graph/control_flow_v1/region.h"
#include "tenon/graph/effects.h"
#include "tenon/graph/import_ops.h"
#include "tenon/graph/uses.h"

namespace tenon {
namespace {

// One frame, taken apart.
struct Loop {
  struct Variable {
    NodeId enter = -1;
    NodeId merge = -1;
    NodeId next = -1;  // NextIteration
  };
  std::vector<Variable> variables;
  std::unordered_map<NodeId, size_t> variable_of;  // by Merge and Switch
  NodeId condition = -1;                           // LoopCond
};

bool is_constant_enter(const Node& node) {
  return node.is("Enter") && node.attrs.get<bool>("is_constant");
}

class LoopBoundary final : public Boundary {
 public:
  LoopBoundary(const Graph& graph, const Loop& loop) : graph_(graph), loop_(loop) {}

  StatusOr<std::optional<Endpoint>> argument(Endpoint e) const override {
    const Node& node = graph_.node(e.node);
    if (is_constant_enter(node)) return node.inputs[0];
    const auto variable = loop_.variable_of.find(e.node);
    const int32_t in_loop = node.is("Switch") ? 1 : 0;
    if (variable != loop_.variable_of.end() && e.index == in_loop) {
      return Endpoint{loop_.variables[variable->second].merge, 0};
    }
    if (inside(e.node)) return std::nullopt;
    return unimplemented("output ", e.index, " of ", describe(node),
                         " is used where a loop cannot have it");
  }

  bool inside(NodeId id) const override {
    const Node& node = graph_.node(id);
    return !node.is("Enter") && !node.is("NextIteration") && !node.is("LoopCond") &&
           !loop_.variable_of.contains(id);
  }

 private:
  const Graph& graph_;
  const Loop& loop_;
};

class LoopMaker {
 public:
  LoopMaker(Graph& graph, Uses& uses, const Frame& frame)
      : graph_(graph), uses_(uses), frame_(frame) {}

  // Returns the While.
  StatusOr<NodeId> run();

 private:
  struct Function {
    std::vector<Endpoint> results;
    std::vector<NodeId> control_results;
  };

  Status find_variables();
  Status add_variable(NodeId merge);
  Status find_switches();
  Status check_exits() const;
  Function condition() const;
  Function body() const;
  void wait_within(NodeId id, Function& function) const;
  Status check_shared_effects(const Region& a, const Region& b) const;
  StatusOr<FunctionAttr> build(const Region& region, const Function& function,
                               std::string_view suffix, bool& effects);
  StatusOr<NodeId> add_while(FunctionAttr condition, FunctionAttr body, bool effects);

  Graph& graph_;
  Uses& uses_;
  const Frame& frame_;
  Loop loop_;
  Arguments args_;
};

Status LoopMaker::add_variable(NodeId merge) {
  const Node& node = graph_.node(merge);
  Loop::Variable variable{-1, merge, -1};
  for (Endpoint input : node.inputs) {
    const Node& source = graph_.node(input.node);
    if (source.is("NextIteration")) variable.next = input.node;
    if (source.is("Enter") && !is_constant_enter(source)) variable.enter = input.node;
  }
  if (node.inputs.size() != 2 || variable.enter < 0 || variable.next < 0) {
    return unimplemented(describe(node),
                         " does not join one Enter, which is not constant, and one NextIteration");
  }
  loop_.variable_of[merge] = loop_.variables.size();
  loop_.variables.push_back(variable);
  args_.add({merge, 0});
  return absl::OkStatus();
}

Status LoopMaker::find_variables() {
  for (NodeId id : frame_.nodes) {
    const Node& node = graph_.node(id);
    if (node.is("LoopCond")) {
      if (loop_.condition >= 0) {
        return unimplemented(describe(node), " is the second LoopCond of its frame, beside '",
                             graph_.node(loop_.condition).name, "'");
      }
      loop_.condition = id;
    }
    const bool joins_iterations =
        node.is("Merge") && std::any_of(node.inputs.begin(), node.inputs.end(), [&](Endpoint e) {
          return graph_.node(e.node).is("NextIteration");
        });
    if (joins_iterations) TENON_RETURN_IF_ERROR(add_variable(id));
  }
  if (loop_.condition < 0) {
    return unimplemented("there is no LoopCond; ", describe(graph_.node(frame_.nodes[0])),
                         " enters the frame");
  }
  return absl::OkStatus();
}

Status LoopMaker::find_switches() {
  for (NodeId id : frame_.nodes) {
    const Node& node = graph_.node(id);
    if (!node.is("Switch") || node.inputs[1].node != loop_.condition) continue;
    const auto variable = loop_.variable_of.find(node.inputs[0].node);
    if (variable == loop_.variable_of.end() || node.inputs[0].index != 0) {
      return unimplemented(describe(node), " does not switch a loop variable");
    }
    loop_.variable_of[id] = variable->second;
  }
  return absl::OkStatus();
}

Status LoopMaker::check_exits() const {
  for (NodeId exit : frame_.exits) {
    const Endpoint value = graph_.node(exit).inputs[0];
    if (!graph_.node(exit).control_inputs.empty()) {
      return unimplemented(describe(graph_.node(exit)), " waits for '",
                           graph_.node(graph_.node(exit).control_inputs[0]).name, "'");
    }
    if (graph_.node(value.node).is("Switch") && value.index == 0 &&
        loop_.variable_of.contains(value.node)) {
      continue;
    }
    return unimplemented(describe(graph_.node(exit)), " takes '", graph_.node(value.node).name,
                         "', not what a loop variable is when the loop ends");
  }
  return absl::OkStatus();
}

// What the plumbing waits for in its own frame, the functions wait for.
void LoopMaker::wait_within(NodeId id, Function& function) const {
  const auto& controls = graph_.node(id).control_inputs;
  function.control_results.insert(function.control_results.end(), controls.begin(), controls.end());
}

LoopMaker::Function LoopMaker::condition() const {
  Function function;
  function.results = {graph_.node(loop_.condition).inputs[0]};
  wait_within(loop_.condition, function);
  return function;
}

LoopMaker::Function LoopMaker::body() const {
  Function function;
  for (const Loop::Variable& variable : loop_.variables) {
    function.results.push_back(graph_.node(variable.next).inputs[0]);
    wait_within(variable.next, function);
  }
  for (const auto& [id, index] : loop_.variable_of) wait_within(id, function);
  std::sort(function.control_results.begin(), function.control_results.end());
  return function;
}

// What condition and body both need is computed in both, which an effect must not be.
Status LoopMaker::check_shared_effects(const Region& a, const Region& b) const {
  for (NodeId id : a.nodes()) {
    if (!effects_of(graph_, graph_.node(id)).beyond_reading() || !b.nodes().contains(id)) continue;
    return unimplemented(describe(graph_.node(id)),
                         " has an effect and is needed by the loop's condition and by its body");
  }
  return absl::OkStatus();
}

StatusOr<FunctionAttr> LoopMaker::build(const Region& region, const Function& function,
                                        std::string_view suffix, bool& effects) {
  std::vector<Endpoint> results = function.results;
  TENON_ASSIGN_OR_RETURN(Graph body, region.build(args_, results, function.control_results));
  if (suffix == "_body") {
    // Loop invariants are handed on.
    for (size_t i = results.size(); i < args_.values().size(); ++i) {
      body.results.push_back({body.args[i], 0});
      body.result_names.push_back(cat("output_", i));
    }
  }
  TENON_RETURN_IF_ERROR(functionalize_conditions(body));
  body.remove_unreached();
  effects |= has_effects(body);
  return add_function(graph_, cat(frame_.name, suffix), std::move(body));
}

StatusOr<NodeId> LoopMaker::add_while(FunctionAttr condition, FunctionAttr body, bool effects) {
  std::vector<Endpoint> inputs;
  std::set<NodeId> controls;
  for (NodeId id : frame_.nodes) {
    const Node& node = graph_.node(id);
    if (node.is("Enter")) controls.insert(node.control_inputs.begin(), node.control_inputs.end());
  }
  std::vector<DType> dtypes;
  for (size_t i = 0; i < args_.values().size(); ++i) {
    inputs.push_back(i < loop_.variables.size() ? graph_.node(loop_.variables[i].enter).inputs[0]
                                                : args_.values()[i]);
    dtypes.push_back(graph_.value(inputs.back()).dtype);
  }
  return graph_.add(
      effects ? "While" : "StatelessWhile", frame_.name, std::move(inputs),
      {{"T", std::move(dtypes)}, {"cond", std::move(condition)}, {"body", std::move(body)}},
      {controls.begin(), controls.end()});
}

StatusOr<NodeId> LoopMaker::run() {
  TENON_RETURN_IF_ERROR(find_variables());
  TENON_RETURN_IF_ERROR(find_switches());
  TENON_RETURN_IF_ERROR(check_exits());
  const LoopBoundary boundary(graph_, loop_);
  Region condition_region(graph_, boundary), body_region(graph_, boundary);
  const Function condition = this->condition(), body = this->body();
  TENON_RETURN_IF_ERROR(
      condition_region.reach(condition.results, condition.control_results, args_));
  TENON_RETURN_IF_ERROR(body_region.reach(body.results, body.control_results, args_));
  TENON_RETURN_IF_ERROR(check_shared_effects(condition_region, body_region));
  bool effects = false;
  TENON_ASSIGN_OR_RETURN(FunctionAttr condition_function,
                         build(condition_region, condition, "_cond", effects));
  TENON_ASSIGN_OR_RETURN(FunctionAttr body_function, build(body_region, body, "_body", effects));
  TENON_ASSIGN_OR_RETURN(const NodeId loop, add_while(std::move(condition_function),
                                                      std::move(body_function), effects));
  for (NodeId exit : frame_.exits) {
    const size_t variable = loop_.variable_of.at(graph_.node(exit).inputs[0].node);
    uses_.replace_value({exit, 0}, {loop, static_cast<int32_t>(variable)});
    uses_.replace_control(exit, loop);
  }
  return loop;
}

}  // namespace

Status functionalize_loops(Graph& graph) {
  TENON_ASSIGN_OR_RETURN(const FrameTree tree, find_frames(graph));
  Uses uses(graph);
  // Frames come after their parents, so the innermost are made first.
  for (size_t i = tree.frames.size(); i-- > 1;) {
    const Frame& frame = tree.frames[i];
    if (StatusOr<NodeId> loop = LoopMaker(graph, uses, frame).run(); !loop.ok()) {
      return with_context(loop.status(), cat("frame '", frame.name, "'"));
    }
  }
  graph.remove_unreached();
  return absl::OkStatus();
}

}  // namespace tenon
