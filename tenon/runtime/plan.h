// Plan: a function after all passes, in the order in which it runs. Made once for an Executable.
#pragma once

#include "tenon/passes/growth.h"
#include "tenon/runtime/executable.h"

namespace tenon {

// Immutable but for its caches, which lock. Shared by the Bindings made from it. The plans of the
// functions that it runs, at any depth, are its own, one for each function: they live as long as it
// does.
class Plan {
 public:
  static StatusOr<std::shared_ptr<Plan>> create(Graph function, std::shared_ptr<ModelState> state,
                                                ExecutableOptions options);

  const Graph& graph() const { return graph_; }
  const std::vector<NodeId>& order() const { return order_; }
  const ExecutableOptions& options() const { return options_; }
  Device* device() const { return options_.device; }
  // Is what its device does to be captured?
  bool captures() const { return options_.capture && options_.device->captures(); }
  // That every step is to have; 0: what its work pays for.
  int team() const { return options_.team; }
  const std::shared_ptr<ModelState>& state() const { return state_; }
  bool writes_state() const { return writes_state_; }
  bool has_effects() const { return has_effects_; }

  // True for the first caller: what is true of all its Bindings is said once.
  bool first_to_say() const { return !said_.exchange(true); }

  // The packed copy of the constant that `value` is, made once for each `layout`.
  StatusOr<Ref<Buffer>> packed(Endpoint value, const Tensor& tensor, std::string_view layout,
                               FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) const;

  // Function `name` of the library, planned once. It lives as long as the Plan that was not made
  // for a function: not owned, for functions may call each other in a circle.
  StatusOr<Executable*> function(const std::string& name) const;

 private:
  // Of a Plan and of those of its functions.
  struct Functions {
    // How many nodes copies may add to each. What is in the Plan's own library alone was counted
    // with all that it runs when it was copied.
    int64_t growth_of(const FunctionLibrary& library, const std::string& name) const;

    FunctionSizes sizes;
    std::map<std::string, int64_t> growth;
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<Executable>> planned;
  };

  Plan() = default;
  static StatusOr<std::shared_ptr<Plan>> create(Graph function, std::shared_ptr<ModelState> state,
                                                ExecutableOptions options, Functions* functions,
                                                int64_t& growth);
  Status order_nodes();

  Graph graph_;
  std::vector<NodeId> order_;
  ExecutableOptions options_;
  std::shared_ptr<ModelState> state_;
  bool writes_state_ = false;
  bool has_effects_ = false;
  mutable std::atomic<bool> said_{false};
  mutable std::mutex mutex_;
  mutable std::map<std::pair<Endpoint, std::string>, Ref<Buffer>> packed_;
  std::unique_ptr<Functions> own_functions_;  // null: it is itself among those of another
  Functions* functions_ = nullptr;
};

}  // namespace tenon
