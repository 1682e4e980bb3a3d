// Executable: a function of the graph, ready to run. The only way anything runs.
//
// It owns a Plan (passes, done once), a bounded cache of Bindings (one for each combination of
// argument shapes) with idle Instances, and a bounded pool of Workspaces (memory of a run in
// flight) that they share. Immutable from outside and thread-safe: any number of threads may call
// run().
#pragma once

#include "tenon/core/device.h"
#include "tenon/graph/graph.h"
#include "tenon/runtime/host_work.h"
#include "tenon/runtime/model_state.h"
#include "tenon/runtime/run_turn.h"

namespace tenon {

class Plan;

struct ExecutableOptions {
  Device* device = nullptr;  // null: DeviceRegistry::preferred()
  Precision precision = Precision::kFloat32;
  // Threads of every step's team, for tests and measurements; 0: what its work pays for.
  int team = 0;
  // Bindings and their idle Instances beyond so many bytes (estimated) or beyond `cache_bindings`
  // are dropped, the longest unused first; so are idle Workspaces beyond `workspace_bytes`.
  size_t cache_bytes = size_t{256} << 20;
  size_t cache_bindings = 256;
  size_t workspace_bytes = size_t{1} << 30;
  // May a device capture what its runs do each time? TENON_CAPTURE=0 says no for all.
  bool capture = true;
  bool optimize = true;  // false: only what is needed to run at all (inlining)
  // Receives one line for each thing that a pass did (`--explain`).
  std::function<void(std::string_view)> explain;
  const FileAccess* files = nullptr;
  // Holds the random streams of its nodes: they begin anew where it is new, as those of a
  // tf.function do. Null: the ModelState, where functions go on with each other's.
  std::shared_ptr<ResourceStore> streams;
};

class Executable {
 public:
  // Plans `function` (args, results, control_results). UNIMPLEMENTED names an op, node and function
  // that is reached and missing.
  static StatusOr<std::shared_ptr<Executable>> create(Graph function,
                                                      std::shared_ptr<ModelState> state,
                                                      ExecutableOptions options = {});
  ~Executable();

  // Runs on the calling thread when it is its turn (RunTurn), long runs with helpers, and returns
  // when done, or soon after one of the `limits` was reached with CANCELLED or DEADLINE_EXCEEDED;
  // variables then keep what was written until then. `args` in the order of the function's args, in
  // the memory of any device; their dtypes are checked. Declared shapes are hints: arguments of
  // others are run by a second plan, made when they first come. `results` is resized; a tensor in
  // it that nobody else holds and that has the right dtype and size is written in place, so that a
  // caller who keeps `results` makes runs allocate nothing. Results are in host memory.
  Status run(std::span<const Tensor> args, std::vector<Tensor>& results,
             const RunLimits& limits = {});

  // The same, but results stay where they are computed and may be under way when it returns: each
  // carries its Buffer::completion(), by which the run's failures come (wait_for(), copy_to()).
  // They can be arguments of other runs at once. Runs that change variables come one after the
  // other.
  Status start(std::span<const Tensor> args, std::vector<Tensor>& results,
               const RunLimits& limits = {});

  // The same within a run, for functions called by ops.
  Status run_nested(RunContext& context, std::span<const Tensor> args,
                    std::vector<Tensor>& results);

  // Makes the Binding for these argument shapes now, off the request path.
  Status prepare(std::span<const Shape> arg_shapes);

  // What the device leaves to the host in runs with these argument shapes; functions that loops and
  // branches call, which are bound when they run, are not looked into.
  StatusOr<HostWork> host_work(std::span<const Shape> arg_shapes);

  int num_args() const;
  int num_results() const;
  const ValueInfo& arg(int index) const;
  const ValueInfo& result(int index) const;
  const Graph& graph() const;  // after the passes
  const std::shared_ptr<ModelState>& state() const;

  // Does any run write variables or touch anything outside?
  bool has_effects() const;

 private:
  Status run(std::span<const Tensor> args, std::vector<Tensor>& results, const RunLimits& limits,
             bool results_stay);
  // `last`, which may be null, is the run that it comes after, and then the run itself, null when
  // it has ended.
  Status run_instance(const RunContext& context, std::span<const Tensor> args,
                      std::vector<Tensor>& results, bool results_stay,
                      std::shared_ptr<Completion>* last);

  friend class Plan;  // makes those of its functions
  explicit Executable(std::shared_ptr<Plan> plan);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon
