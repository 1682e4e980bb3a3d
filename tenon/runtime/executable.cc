#include "tenon/runtime/executable.h"

#include <list>

#include "tenon/base/parallel.h"
#include "tenon/graph/function_library.h"
#include "tenon/runtime/instance.h"

namespace tenon {
namespace {

// A Binding and its idle Instances.
struct Bound {
  std::shared_ptr<const Binding> binding;
  std::vector<std::unique_ptr<Instance>> idle;

  bool serves(int team, std::span<const Tensor> args) const {
    if (binding->team != team) return false;
    for (size_t i = 0; i < args.size(); ++i) {
      if (!(binding->arg_shapes[i] == args[i].shape())) return false;
    }
    return true;
  }
  size_t bytes() const {
    return (binding->arena_bytes + binding->device_arena_bytes + binding->scratch_bytes +
            binding->device_scratch_bytes) *
           (idle.size() + 1);
  }
};

}  // namespace

struct Executable::Impl {
  std::shared_ptr<Plan> plan;
  std::mutex mutex;
  std::list<Bound> bound;  // the last used first

  StatusOr<std::unique_ptr<Instance>> take(std::span<const Tensor> args);
  void give_back(std::unique_ptr<Instance> instance);
  StatusOr<std::shared_ptr<const Binding>> bind(std::span<const Shape> shapes, int team);
  void drop_unused();
};

// An Instance of the Binding for these arguments, made if there is none idle.
StatusOr<std::unique_ptr<Instance>> Executable::Impl::take(std::span<const Tensor> args) {
  std::shared_ptr<const Binding> binding;
  {
    std::lock_guard lock(mutex);
    for (auto it = bound.begin(); it != bound.end(); ++it) {
      if (!it->serves(team_size(), args)) continue;
      if (it != bound.begin()) bound.splice(bound.begin(), bound, it);
      if (it->idle.empty()) {
        binding = it->binding;
        break;
      }
      std::unique_ptr<Instance> instance = std::move(it->idle.back());
      it->idle.pop_back();
      return instance;
    }
  }
  if (!binding) {
    std::vector<Shape> shapes;
    for (const Tensor& arg : args) shapes.push_back(arg.shape());
    TENON_ASSIGN_OR_RETURN(binding, bind(shapes, team_size()));
  }
  return Instance::create(std::move(binding));
}

StatusOr<std::shared_ptr<const Binding>> Executable::Impl::bind(std::span<const Shape> shapes,
                                                                int team) {
  TENON_ASSIGN_OR_RETURN(auto binding, Binding::create(plan, shapes, team));
  std::lock_guard lock(mutex);
  for (const Bound& other : bound) {
    // Somebody else made the same one meanwhile: use that, so that its Instances are shared.
    if (other.binding->team == team && other.binding->arg_shapes == binding->arg_shapes) {
      return other.binding;
    }
  }
  bound.push_front({binding, {}});
  drop_unused();
  return binding;
}

void Executable::Impl::drop_unused() {
  size_t bytes = 0;
  for (auto it = bound.begin(); it != bound.end();) {
    bytes += it->bytes();
    it = bytes > plan->options().cache_bytes && it != bound.begin() ? bound.erase(it)
                                                                    : std::next(it);
  }
}

void Executable::Impl::give_back(std::unique_ptr<Instance> instance) {
  std::lock_guard lock(mutex);
  for (Bound& each : bound) {
    if (each.binding.get() != &instance->binding()) continue;
    if (each.idle.size() < static_cast<size_t>(Lanes::configured_threads())) {
      each.idle.push_back(std::move(instance));
    }
    return;
  }
}

Executable::Executable(std::shared_ptr<Plan> plan) : impl_(std::make_unique<Impl>()) {
  impl_->plan = std::move(plan);
}

Executable::~Executable() = default;

StatusOr<std::shared_ptr<Executable>> Executable::create(Graph function,
                                                         std::shared_ptr<ModelState> state,
                                                         ExecutableOptions options) {
  TENON_ASSIGN_OR_RETURN(auto plan,
                         Plan::create(std::move(function), std::move(state), std::move(options)));
  return std::shared_ptr<Executable>(new Executable(std::move(plan)));
}

Status Executable::run(std::span<const Tensor> args, std::vector<Tensor>& results) {
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
  Status status;
  Lanes::global().run(impl_->plan->options().form, [&] {
    RunContext context;
    context.resources = impl_->plan->state().get();
    context.files = impl_->plan->options().files;
    if (impl_->plan->writes_state()) {
      std::lock_guard lock(impl_->plan->state()->writers());
      status = run_nested(context, args, results);
    } else {
      status = run_nested(context, args, results);
    }
  });
  return status;
}

Status Executable::run_nested(RunContext& context, std::span<const Tensor> args,
                              std::vector<Tensor>& results) {
  if (context.depth >= kDeepestCall) {
    return resource_exhausted("functions call each other more than ", kDeepestCall, " deep");
  }
  TENON_ASSIGN_OR_RETURN(std::unique_ptr<Instance> instance, impl_->take(args));
  RunContext inner = context;
  ++inner.depth;
  Status status = instance->run(inner, args, results);
  impl_->give_back(std::move(instance));
  return status;
}

Status Executable::prepare(std::span<const Shape> arg_shapes) {
  Status status;
  Lanes::global().run(impl_->plan->options().form,
                      [&] { status = impl_->bind(arg_shapes, team_size()).status(); });
  return status;
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
