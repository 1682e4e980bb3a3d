// Executable: a function of the graph, ready to run. The only way anything runs.
//
// It owns a Plan (passes, done once), a bounded cache of Bindings (one for each combination of
// argument shapes and team size) and, for each Binding, a bounded pool of Instances (memory of a
// run in flight). Immutable from outside and thread-safe: any number of threads may call run().
#pragma once

#include "tenon/base/lanes.h"
#include "tenon/core/device.h"
#include "tenon/graph/graph.h"
#include "tenon/runtime/model_state.h"

namespace tenon {

class Plan;

struct ExecutableOptions {
  Device* device = nullptr;  // null: DeviceRegistry::preferred()
  Precision precision = Precision::kFloat32;
  // kTeam, kCallersTeam: one run at a time with all threads; kSingle: as many runs as threads.
  Lanes::Form form = Lanes::Form::kTeam;
  // Bindings beyond this many bytes (arena and scratch of their idle Instances) are dropped, the
  // longest unused first.
  size_t cache_bytes = size_t{1} << 30;
  bool optimize = true;  // false: only what is needed to run at all (inlining)
  // Receives one line for each thing that a pass did (`--explain`).
  std::function<void(std::string_view)> explain;
  const FileAccess* files = nullptr;
};

class Executable {
 public:
  // Plans `function` (args, results, control_results). UNIMPLEMENTED names an op, node and function
  // that is reached and missing.
  static StatusOr<std::shared_ptr<Executable>> create(Graph function,
                                                      std::shared_ptr<ModelState> state,
                                                      ExecutableOptions options = {});
  ~Executable();

  // Runs on a lane (on the calling thread when that is one) and returns when done. `args` in the
  // order of the function's args, in host memory; their dtypes and known dimensions are checked.
  // `results` is resized; a tensor in it that nobody else holds and that has the right dtype and
  // size is written in place, so that a caller who keeps `results` makes runs allocate nothing.
  Status run(std::span<const Tensor> args, std::vector<Tensor>& results);

  // The same within a run, for functions called by ops.
  Status run_nested(RunContext& context, std::span<const Tensor> args,
                    std::vector<Tensor>& results);

  // Makes the Binding for these argument shapes now, off the request path.
  Status prepare(std::span<const Shape> arg_shapes);

  int num_args() const;
  int num_results() const;
  const ValueInfo& arg(int index) const;
  const ValueInfo& result(int index) const;
  const Graph& graph() const;  // after the passes
  const std::shared_ptr<ModelState>& state() const;

  // Does any run write variables or touch anything outside?
  bool has_effects() const;

 private:
  friend class Plan;  // makes those of its functions
  explicit Executable(std::shared_ptr<Plan> plan);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon
