#include "tenon/runtime/executable.h"

#include "tenon/base/out_of_memory.h"
#include "tenon/graph/function_library.h"
#include "tenon/runtime/binding_cache.h"

namespace tenon {
namespace {

// `function` for arguments of any shape.
StatusOr<Graph> without_argument_shapes(Graph function) {
  for (NodeId arg : function.args) {
    function.node(arg).attrs.set("shape", PartialShape());
    function.value({arg, 0}).shape = PartialShape();
  }
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, function.topological_order());
  for (NodeId id : order) TENON_RETURN_IF_ERROR(function.infer(id));
  return function;
}

}  // namespace

struct Executable::Impl {
  explicit Impl(std::shared_ptr<Plan> p) : plan(std::move(p)), cache(plan) {}

  // The Executable for arguments that contradict the declared shapes, which passes rely on: null
  // when these do not.
  StatusOr<Executable*> for_other_shapes(std::span<const Tensor> args);

  const std::shared_ptr<Plan> plan;
  BindingCache cache;
  std::optional<Graph> declared;  // before the passes, when arguments have declared shapes
  std::mutex mutex;
  std::shared_ptr<Executable> other;  // made when first needed
};

StatusOr<Executable*> Executable::Impl::for_other_shapes(std::span<const Tensor> args) {
  if (!declared) return nullptr;
  bool fits = true;
  for (size_t i = 0; i < args.size() && fits; ++i) {
    fits = plan->graph().value({plan->graph().args[i], 0}).shape.matches(args[i].shape());
  }
  if (fits) return nullptr;
  std::lock_guard lock(mutex);
  if (!other) {
    TENON_ASSIGN_OR_RETURN(Graph function, without_argument_shapes(*declared));
    TENON_ASSIGN_OR_RETURN(other,
                           Executable::create(std::move(function), plan->state(), plan->options()));
  }
  return other.get();
}

Executable::Executable(std::shared_ptr<Plan> plan)
    : impl_(std::make_unique<Impl>(std::move(plan))) {}

Executable::~Executable() = default;

StatusOr<std::shared_ptr<Executable>> Executable::create(Graph function,
                                                         std::shared_ptr<ModelState> state,
                                                         ExecutableOptions options) {
  return or_out_of_memory([&]() -> StatusOr<std::shared_ptr<Executable>> {
    std::optional<Graph> declared;
    for (NodeId arg : function.args) {
      if (function.value({arg, 0}).shape.has_rank()) declared = function;
      if (declared) break;
    }
    TENON_ASSIGN_OR_RETURN(auto plan,
                           Plan::create(std::move(function), std::move(state), std::move(options)));
    std::shared_ptr<Executable> made(new Executable(std::move(plan)));
    made->impl_->declared = std::move(declared);
    return made;
  });
}

Status Executable::run(std::span<const Tensor> args, std::vector<Tensor>& results,
                       const RunLimits& limits) {
  return run(args, results, limits, false);
}

Status Executable::start(std::span<const Tensor> args, std::vector<Tensor>& results,
                         const RunLimits& limits) {
  return run(args, results, limits, !impl_->plan->device()->host_accessible());
}

Status Executable::run(std::span<const Tensor> args, std::vector<Tensor>& results,
                       const RunLimits& limits, bool results_stay) {
  if (static_cast<int>(args.size()) != num_args()) {
    return invalid_argument(args.size(), " arguments were given, ", num_args(), " are expected");
  }
  Device* const device = impl_->plan->device();
  bool from_elsewhere = false;
  for (int i = 0; i < num_args(); ++i) {
    const Tensor& given = args[static_cast<size_t>(i)];
    if (given.dtype() != arg(i).dtype) {
      return invalid_argument("Expects arg[", i, "] to be ", arg(i).dtype, " but ", given.dtype(),
                              " is provided");
    }
    from_elsewhere |= device_of(given) && device_of(given) != device;
  }
  return or_out_of_memory([&]() -> Status {
    if (from_elsewhere) {
      std::vector<Tensor> here(args.begin(), args.end());
      for (Tensor& each : here) {
        if (!device_of(each) || device_of(each) == device) continue;
        TENON_ASSIGN_OR_RETURN(each, copy_to(each, nullptr));
      }
      return run(here, results, limits, results_stay);
    }
    TENON_ASSIGN_OR_RETURN(Executable * other, impl_->for_other_shapes(args));
    if (other) return other->run(args, results, limits, results_stay);
    ModelState& state = *impl_->plan->state();
    RunContext context;
    context.resources = &state;
    context.files = impl_->plan->options().files;
    context.seed = state.seed();
    // Before the turn: those that wait for another writer must not fill the gate.
    std::unique_lock<std::mutex> alone;
    if (impl_->plan->writes_state()) alone = std::unique_lock(state.writers());
    TENON_ASSIGN_OR_RETURN(const RunForm form, impl_->cache.form_of(args, limits, results_stay));
    TENON_ASSIGN_OR_RETURN(const RunTurn turn, RunTurn::take(form, limits));
    return run_instance(context, args, results, results_stay,
                        alone ? &state.last_write() : nullptr);
  });
}

Status Executable::run_nested(RunContext& context, std::span<const Tensor> args,
                              std::vector<Tensor>& results) {
  if (context.depth >= kDeepestCall) {
    return resource_exhausted("functions call each other more than ", kDeepestCall, " deep");
  }
  // A loop whose body does nothing ends here.
  TENON_RETURN_IF_ERROR(RunTurn::check());
  return run_instance(context, args, results, false, nullptr);
}

Status Executable::run_instance(const RunContext& context, std::span<const Tensor> args,
                                std::vector<Tensor>& results, bool results_stay,
                                std::shared_ptr<Completion>* last) {
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<Instance> instance, impl_->cache.take(args, results_stay));
  RunContext inner = context;
  ++inner.depth;
  Status status = instance->run(inner, args, results, last ? last->get() : nullptr);
  if (last) *last = instance->take_end();
  impl_->cache.give_back(std::move(instance));
  return status;
}

Status Executable::prepare(std::span<const Shape> arg_shapes) {
  return or_out_of_memory([&] { return impl_->cache.bind(BindingKey(arg_shapes), {}).status(); });
}

StatusOr<HostWork> Executable::host_work(std::span<const Shape> arg_shapes) {
  return or_out_of_memory([&]() -> StatusOr<HostWork> {
    TENON_ASSIGN_OR_RETURN(const auto binding, impl_->cache.bind(BindingKey(arg_shapes), {}));
    return host_work_of(*binding);
  });
}

int Executable::num_args() const { return static_cast<int>(graph().args.size()); }
int Executable::num_results() const { return static_cast<int>(graph().results.size()); }
const ValueInfo& Executable::arg(int index) const {
  return graph().value({graph().args[static_cast<size_t>(index)], 0});
}
const ValueInfo& Executable::result(int index) const {
  return graph().value(graph().results[static_cast<size_t>(index)]);
}
const Graph& Executable::graph() const { return impl_->plan->graph(); }
const std::shared_ptr<ModelState>& Executable::state() const { return impl_->plan->state(); }
bool Executable::has_effects() const { return impl_->plan->has_effects(); }

}  // namespace tenon
