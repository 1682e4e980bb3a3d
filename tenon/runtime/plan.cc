#include "tenon/runtime/plan.h"

#include <cstdlib>

#include "tenon/graph/effects.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/verifier.h"
#include "tenon/passes/pass.h"
#include "tenon/runtime/work.h"

namespace tenon {

StatusOr<std::shared_ptr<Plan>> Plan::create(Graph function, std::shared_ptr<ModelState> state,
                                             ExecutableOptions options) {
  TENON_RETURN_IF_ERROR(verify(function));
  // What is made for this Plan stays in a library of its own.
  function.set_library(std::make_shared<FunctionLibrary>(function.library()));
  auto functions = std::make_unique<Functions>();
  int64_t growth = growth_limit(function);
  TENON_ASSIGN_OR_RETURN(
      std::shared_ptr<Plan> plan,
      create(std::move(function), std::move(state), std::move(options), functions.get(), growth));
  functions->growth = growth_of_functions(plan->graph_, functions->sizes, growth);
  plan->own_functions_ = std::move(functions);
  return plan;
}

StatusOr<std::shared_ptr<Plan>> Plan::create(Graph function, std::shared_ptr<ModelState> state,
                                             ExecutableOptions options, Functions* functions,
                                             int64_t& growth) {
  std::shared_ptr<Plan> plan(new Plan);
  plan->functions_ = functions;
  if (!options.device) options.device = DeviceRegistry::global().preferred();
  if (options.team == 0) options.team = team_of_environment();
  const char* capture = std::getenv("TENON_CAPTURE");
  options.capture &= !capture || std::string_view(capture) != "0";
  PassContext context;
  context.growth = &growth;
  context.sizes = &functions->sizes;
  context.explain = options.explain;
  context.resources = state.get();
  context.wants_fusion = [device = options.device](std::string_view op) {
    return device->wants_fusion(op);
  };
  context.frozen_variable = [&](std::string_view name) {
    if (!state->is_frozen(name)) return Tensor();
    const Ref<Variable> variable = state->variable(name);
    if (!variable) return Tensor();
    StatusOr<Tensor> value = variable->read();
    return value.ok() ? *std::move(value) : Tensor();
  };
  TENON_RETURN_IF_ERROR(run_passes(function, context, options.optimize));
  for (NodeId id = 0; id < function.size(); ++id) {
    if (const Tensor* value = function.constant({id, 0})) {
      function.node(id).attrs.set("value", state->constants().shared(*value));
    }
  }
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
    plan->has_effects_ |= effects.writes || effects.outside || effects.collective;
  }
  return plan;
}

int64_t Plan::Functions::growth_of(const FunctionLibrary& library, const std::string& name) const {
  if (library.contains_itself(name)) return FunctionSizes::kMost;
  const auto it = growth.find(name);
  return it == growth.end() ? 0 : it->second;
}

// Among nodes that are ready, writers of variables come last, so that the value they replace has
// been read by everybody and is changed in place. What begins to exchange values comes first and
// what waits for them late, so that the work between goes on meanwhile, but before all writers: a
// replica that hears in a wait that another one has failed has changed nothing.
Status Plan::order_nodes() {
  std::vector<int8_t> turn(static_cast<size_t>(graph_.size()));
  for (NodeId id = 0; id < graph_.size(); ++id) {
    if (!graph_.alive(id)) continue;
    const Node& node = graph_.node(id);
    const Effects effects = effects_of(graph_, node);
    const bool begins = node.is("_AllReduceStart") || node.is("_DeviceAllReduceStart");
    turn[static_cast<size_t>(id)] = begins ? -1 : effects.writes ? 2 : effects.collective;
  }
  TENON_ASSIGN_OR_RETURN(order_, graph_.topological_order(turn));
  return absl::OkStatus();
}

StatusOr<Ref<Buffer>> Plan::packed(Endpoint value, const Tensor& tensor, std::string_view layout,
                                   FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) const {
  std::lock_guard lock(mutex_);
  Ref<Buffer>& place = packed_[{value, std::string(layout)}];
  if (!place) {
    TENON_ASSIGN_OR_RETURN(place, state_->packed_weights().find_or_pack(tensor, layout, pack));
  }
  return place;
}

StatusOr<Executable*> Plan::function(const std::string& name) const {
  {
    std::lock_guard lock(functions_->mutex);
    const auto it = functions_->planned.find(name);
    if (it != functions_->planned.end()) return it->second.get();
  }
  TENON_ASSIGN_OR_RETURN(const auto body, find_function(graph_, name));
  Graph function = *body;
  function.set_library(graph_.library());
  Status status = verify(function);
  if (status.ok()) {
    int64_t growth = functions_->growth_of(*graph_.library(), name);
    auto plan = create(std::move(function), state_, options_, functions_, growth);
    if (plan.ok()) {
      std::shared_ptr<Executable> made(new Executable(*std::move(plan)));
      std::lock_guard lock(functions_->mutex);
      return functions_->planned.try_emplace(name, std::move(made)).first->second.get();
    }
    status = plan.status();
  }
  return with_context(status, cat("function '", name, "'"));
}

}  // namespace tenon
