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
  if (static_cast<int>(args.size()) != num_args()) {
    return invalid_argument(args.size(), " arguments were given, ", num_args(), " are expected");
  }
  for (int i = 0; i < num_args(); ++i) {
    const DType found = args[static_cast<size_t>(i)].dtype();
    if (found != arg(i).dtype) {
      return invalid_argument("Expects arg[", i, "] to be ", arg(i).dtype, " but ", found,
                              " is provided");
    }
  }
  return or_out_of_memory([&]() -> Status {
    TENON_ASSIGN_OR_RETURN(Executable * other, impl_->for_other_shapes(args));
    if (other) return other->run(args, results, limits);
    RunContext context;
    context.resources = impl_->plan->state().get();
    context.files = impl_->plan->options().files;
    context.seed = impl_->plan->state()->seed();
    // Before the turn: those that wait for another writer must not fill the gate.
    std::unique_lock<std::mutex> alone;
    if (impl_->plan->writes_state()) alone = std::unique_lock(impl_->plan->state()->writers());
    TENON_ASSIGN_OR_RETURN(const RunForm form, impl_->cache.form_of(args, limits));
    TENON_ASSIGN_OR_RETURN(const RunTurn turn, RunTurn::take(form, limits));
    return run_nested(context, args, results);
  });
}

Status Executable::run_nested(RunContext& context, std::span<const Tensor> args,
                              std::vector<Tensor>& results) {
  if (context.depth >= kDeepestCall) {
    return resource_exhausted("functions call each other more than ", kDeepestCall, " deep");
  }
  // A loop whose body does nothing ends here.
  TENON_RETURN_IF_ERROR(RunTurn::check());
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<Instance> instance, impl_->cache.take(args));
  RunContext inner = context;
  ++inner.depth;
  Status status = instance->run(inner, args, results);
  impl_->cache.give_back(std::move(instance));
  return status;
}

Status Executable::prepare(std::span<const Shape> arg_shapes) {
  return or_out_of_memory([&] { return impl_->cache.bind(arg_shapes, {}).status(); });
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
