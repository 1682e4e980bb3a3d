// BindingCache: the Bindings of a Plan and their idle Instances, over the Workspaces that all Plans
// of a model share.
//
// Bounded in bytes and in number (ExecutableOptions), the longest unused Bindings go first. A
// thread finds the small Instance that it used last in a place of its own, so that many threads
// that run the same shapes touch nothing in common.
#pragma once

#include <list>

#include "tenon/runtime/instance.h"

namespace tenon {

// Thread-safe.
class BindingCache {
 public:
  explicit BindingCache(std::shared_ptr<const Plan> plan)
      : plan_(std::move(plan)), workspaces_(plan_->state()->workspaces(plan_->device())) {}

  // The form of a run of these arguments, whose Binding is made if there is none.
  StatusOr<RunForm> form_of(std::span<const Tensor> args, const RunLimits& limits,
                            bool results_stay = false);

  // An Instance with a Workspace for these arguments; see BindingKey.
  StatusOr<std::unique_ptr<Instance>> take(std::span<const Tensor> args, bool results_stay = false);
  void give_back(std::unique_ptr<Instance> instance);

  // The Binding of this key, made in a turn of its own (within the calling thread's) if there
  // is none.
  StatusOr<std::shared_ptr<const Binding>> bind(BindingKey key, const RunLimits& limits);

  // Of what is cached and of the idle Workspaces, estimated; and how many Bindings.
  size_t bytes() const;
  size_t size() const;

 private:
  // A Binding and its idle Instances, which have no Workspace.
  struct Bound {
    std::shared_ptr<const Binding> binding;
    size_t own_bytes = 0;
    std::vector<std::unique_ptr<Instance>> idle;
    size_t bytes() const { return own_bytes * (idle.size() + 1); }
  };
  struct alignas(64) Place {
    std::mutex mutex;
    std::unique_ptr<Instance> last;  // with its Workspace
  };
  static constexpr size_t kPlaces = 32;

  Place& place_of_thread();
  Bound* find(std::span<const Tensor> args, bool results_stay);
  void drop_bindings();

  const std::shared_ptr<const Plan> plan_;
  const std::shared_ptr<WorkspacePool> workspaces_;
  std::array<Place, kPlaces> places_;
  mutable std::mutex mutex_;
  std::list<Bound> bound_;  // the last used first
};

}  // namespace tenon
