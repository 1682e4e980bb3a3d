#include "tenon/runtime/plan.h"

#include <queue>

#include "tenon/graph/effects.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/verifier.h"
#include "tenon/passes/pass.h"
#include "tenon/runtime/work.h"

namespace tenon {

StatusOr<std::shared_ptr<Plan>> Plan::create(Graph function, std::shared_ptr<ModelState> state,
                                             ExecutableOptions options) {
  std::shared_ptr<Plan> plan(new Plan);
  if (!options.device) options.device = DeviceRegistry::global().preferred();
  if (options.team == 0) options.team = team_of_environment();
  TENON_RETURN_IF_ERROR(verify(function));
  PassContext context;
  context.explain = options.explain;
  context.resources = state.get();
  context.frozen_variable = [&](std::string_view name) {
    if (!state->is_frozen(name)) return Tensor();
    const Ref<Variable> variable = state->variable(name);
    if (!variable) return Tensor();
    StatusOr<Tensor> value = variable->read();
    return value.ok() ? *std::move(value) : Tensor();
  };
  TENON_RETURN_IF_ERROR(run_passes(function, context, options.optimize));
  plan->graph_ = std::move(function);
  plan->options_ = std::move(options);
  plan->state_ = std::move(state);
  TENON_RETURN_IF_ERROR(plan->order_nodes());
  for (NodeId id : plan->order_) {
    const Node& node = plan->graph_.node(id);
    const Effects effects = effects_of(plan->graph_, node);
    // A function may make the handle that it writes to itself.
    bool resource = node.op->decl().effect == Effect::kCall;
    for (Endpoint input : node.inputs) {
      resource |= plan->graph_.value(input).dtype == DType::kResource;
    }
    plan->writes_state_ |= effects.writes && resource;
    plan->has_effects_ |= effects.writes || effects.outside;
  }
  return plan;
}

// Inputs before users; among nodes that are ready, writers of variables last, so that the value
// they replace has been read by everybody and is changed in place.
Status Plan::order_nodes() {
  TENON_RETURN_IF_ERROR(graph_.topological_order().status());  // names a node of a cycle
  const auto count = static_cast<size_t>(graph_.size());
  std::vector<int> waiting(count, 0);
  std::vector<std::vector<NodeId>> next(count);
  for (NodeId id = 0; id < graph_.size(); ++id) {
    const auto wait = [&](NodeId input) {
      ++waiting[static_cast<size_t>(id)];
      next[static_cast<size_t>(input)].push_back(id);
    };
    for (Endpoint input : graph_.node(id).inputs) wait(input.node);
    for (NodeId control : graph_.node(id).control_inputs) wait(control);
  }
  using Entry = std::pair<bool, NodeId>;  // (writes, id): smallest first
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  const auto push = [&](NodeId id) {
    ready.emplace(effects_of(graph_, graph_.node(id)).writes, id);
  };
  for (NodeId id = 0; id < graph_.size(); ++id) {
    if (graph_.alive(id) && waiting[static_cast<size_t>(id)] == 0) push(id);
  }
  while (!ready.empty()) {
    const NodeId id = ready.top().second;
    ready.pop();
    order_.push_back(id);
    for (NodeId user : next[static_cast<size_t>(id)]) {
      if (--waiting[static_cast<size_t>(user)] == 0) push(user);
    }
  }
  return absl::OkStatus();
}

StatusOr<Ref<Buffer>> Plan::packed(Endpoint value, const Tensor& tensor, std::string_view layout,
                                   FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) const {
  std::lock_guard lock(mutex_);
  Ref<Buffer>& place = packed_[{value, std::string(layout)}];
  if (!place) {
    TENON_ASSIGN_OR_RETURN(place, pack(tensor));
  }
  return place;
}

StatusOr<std::shared_ptr<Executable>> Plan::function(const std::string& name) const {
  {
    std::lock_guard lock(mutex_);
    if (const auto it = functions_.find(name); it != functions_.end()) return it->second;
  }
  TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph_, name));
  Graph function = *body;
  function.set_library(graph_.library());
  StatusOr<std::shared_ptr<Executable>> made =
      Executable::create(std::move(function), state_, options_);
  if (!made.ok()) return with_context(made.status(), cat("function '", name, "'"));
  std::lock_guard lock(mutex_);
  return functions_.try_emplace(name, *std::move(made)).first->second;
}

}  // namespace tenon
