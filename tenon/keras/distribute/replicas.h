// Replicas: the copies of a model's variables under a MirroredStrategy, and their training steps
// run side by side; where there are several workers, this one's replica. Internal to keras/.
#pragma once

#include "tenon/dist/cluster/worker_group.h"
#include "tenon/dist/replica_group.h"
#include "tenon/dist/replica_team.h"
#include "tenon/keras/distribute/mirrored_strategy.h"
#include "tenon/keras/layer.h"
#include "tenon/runtime/executable.h"
#include "tenon/runtime/plugin/plugin_group.h"

namespace tenon::keras {

// What a replica differentiates: its part of the mean of all replicas' losses.
Endpoint share_of_loss(Trace& trace, Endpoint loss);

// The sums of gradients over all replicas, in buckets: those of the last weights are begun first,
// and all are begun before the first is waited for. Invalid gradients stay so. Those of a replica
// without rows do not count, unless `all_count`.
std::vector<Endpoint> sum_gradients(Trace& trace, std::span<const Endpoint> gradients,
                                    std::span<Weight* const> weights, int64_t bucket_bytes,
                                    bool all_count);

// Of the non-trainable weights that layers have written in this step (moving statistics), the mean
// over the replicas becomes every replica's value.
void average_statistics(Trace& trace, std::span<Weight* const> weights);

// Not thread-safe.
class Replicas {
 public:
  // `primary` is the state of replica 0, `mirrored` are the weights in it of which the others have
  // copies. UNIMPLEMENTED where a layer keeps a state for each row.
  static StatusOr<std::unique_ptr<Replicas>> create(const MirroredStrategy& strategy,
                                                    std::shared_ptr<ModelState> primary,
                                                    std::vector<Weight*> mirrored);

  // Of this process.
  int size() const { return static_cast<int>(states_.size()); }

  // In a step's graph, before its ops: the argument that says whether the replica has rows, and how
  // it meets the others.
  void describe(Trace& trace) const;
  // What each replica of this process has of `counts`, of any dtypes: where there are several
  // workers, the sums over them.
  std::vector<Endpoint> sum_over_workers(Trace& trace, std::vector<Endpoint> counts) const;

  // What each replica has one of its own of, such as metrics' sums; replaces those before. The
  // weights must outlive this, or the next call.
  Status set_local(std::span<Weight* const> weights);
  // Sets them to 0.
  Status reset_local();

  // The step of every replica, planned for its device. FAILED_PRECONDITION where another worker has
  // another one.
  Status set_step(const Graph& graph);

  // Splits the batch by TensorFlow's rule (each replica gets ceil(rows / replicas) rows, the last
  // ones what is left) and runs the step. A replica that gets none runs it on row 0, without a say.
  // Weights that were changed from outside are copied first. The error is that of the replica that
  // failed; weights are then as they were, but where devices were adding what was written has no
  // value any more, until it is assigned again.
  Status run(std::span<const Tensor> batch);

  // Of replica `rank`, after run().
  const std::vector<Tensor>& results(int rank) const { return results_[static_cast<size_t>(rank)]; }
  const std::shared_ptr<ModelState>& state(int rank) const {
    return states_[static_cast<size_t>(rank)];
  }

 private:
  Replicas(const MirroredStrategy& strategy, std::vector<Weight*> mirrored);
  Status meet();
  Status make_steps();
  void fail(const Status& status);
  void end_failure(const Status& status);
  Status mirror();
  Status take_weights_of_chief();
  void split(std::span<const Tensor> batch);
  int all_replicas() const { return size() * (workers_ ? workers_->size() : 1); }

  const std::vector<Device*> devices_;
  // How they meet: by rank, where the devices sum themselves; else by the host.
  std::vector<Ref<DeviceCommunicator>> group_;
  dist::ReplicaGroup gradients_, layers_;
  const std::shared_ptr<dist::WorkerGroup> workers_;  // in place of both; null: this process alone
  bool has_met_chief_ = false;
  std::unique_ptr<dist::ReplicaTeam> team_;
  std::vector<std::shared_ptr<ModelState>> states_;  // by rank; the model's own first
  std::vector<Weight*> mirrored_;
  std::vector<uint64_t> seen_;                      // versions of the mirrored, when last equal
  std::vector<std::vector<Ref<Variable>>> copies_;  // by rank; none of replica 0
  std::vector<Weight*> local_weights_;
  std::vector<std::vector<Ref<Variable>>> local_;  // by rank
  Graph step_;
  std::vector<std::shared_ptr<Executable>> steps_;   // by rank; none after a failure of devices
  std::vector<std::vector<Tensor>> args_, results_;  // by rank
  std::vector<std::vector<Tensor>> staging_;         // by rank: parts that had to be copied
};

}  // namespace tenon::keras
