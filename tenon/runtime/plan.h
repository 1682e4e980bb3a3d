// Plan: a function after all passes, in the order in which it runs. Made once for an Executable.
#pragma once

#include "tenon/runtime/executable.h"

namespace tenon {

// Immutable but for its caches, which lock. Shared by the Bindings made from it.
class Plan {
 public:
  static StatusOr<std::shared_ptr<Plan>> create(Graph function, std::shared_ptr<ModelState> state,
                                                ExecutableOptions options);

  const Graph& graph() const { return graph_; }
  const std::vector<NodeId>& order() const { return order_; }
  const ExecutableOptions& options() const { return options_; }
  Device* device() const { return options_.device; }
  // That every step is to have; 0: what its work pays for.
  int team() const { return options_.team; }
  const std::shared_ptr<ModelState>& state() const { return state_; }
  bool writes_state() const { return writes_state_; }
  bool has_effects() const { return has_effects_; }

  // The packed copy of the constant that `value` is, made once for each `layout`.
  StatusOr<Ref<Buffer>> packed(Endpoint value, const Tensor& tensor, std::string_view layout,
                               FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) const;

  // Function `name` of the library, planned once.
  StatusOr<std::shared_ptr<Executable>> function(const std::string& name) const;

 private:
  Plan() = default;
  Status order_nodes();

  Graph graph_;
  std::vector<NodeId> order_;
  ExecutableOptions options_;
  std::shared_ptr<ModelState> state_;
  bool writes_state_ = false;
  bool has_effects_ = false;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<Endpoint, std::string>, Ref<Buffer>> packed_;
  mutable std::map<std::string, std::shared_ptr<Executable>> functions_;
};

}  // namespace tenon
