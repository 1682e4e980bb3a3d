// ReplicatedFunction: a traced function that holds all replicas of a strategy over several devices,
// each run on its own.
//
// Each replica has a ModelState of its own, which holds the process' variables that it uses, so
// that replicas do not wait for each other's writes. They meet by the devices' own sums, or by the
// host's where these have none.
#pragma once

#include "python/native/devices.h"
#include "python/native/replica_graphs.h"
#include "tenon/runtime/executable.h"

namespace tenon::python {

class ReplicatedFunction {
 public:
  // `places` are the names of `devices` in the graph. UNIMPLEMENTED where it can only run as a
  // whole.
  static StatusOr<std::unique_ptr<ReplicatedFunction>> create(const Graph& whole,
                                                              std::vector<std::string> places,
                                                              std::vector<Device*> devices,
                                                              std::shared_ptr<ModelState> state,
                                                              const FileAccess* files);
  ~ReplicatedFunction();

  // Runs all replicas and waits for them. Results are in host memory. Thread-safe; one at a time of
  // all that run on these devices. The error is that of the replica that failed; variables that
  // others had written by then have no value any more where devices add up, until it is assigned.
  Status run(std::span<const Tensor> args, std::vector<Tensor>& results);

 private:
  struct Group;
  static StatusOr<std::shared_ptr<Group>> group_of(const std::vector<Device*>& devices);

  ReplicatedFunction() = default;
  Status prepare();
  Status run_replicas(std::span<const Tensor> args);
  Status run_rest(std::span<const Tensor> args, std::vector<Tensor>& results);

  std::vector<Device*> devices_;
  std::shared_ptr<ModelState> state_;  // the process'
  const FileAccess* files_ = nullptr;
  ReplicaGraphs graphs_;
  std::shared_ptr<Group> group_;
  std::vector<std::shared_ptr<ModelState>> states_;  // by replica
  std::vector<Ref<Variable>> variables_;             // that replicas use
  std::vector<std::shared_ptr<Executable>> steps_;   // by replica; none after a failure
  std::shared_ptr<Executable> rest_;
  std::vector<std::vector<Tensor>> given_, results_;  // by replica
};

}  // namespace tenon::python
