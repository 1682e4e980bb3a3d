// MirroredStrategy: trains a model on several devices at a time, TensorFlow's way.
//
//   TENON_ASSIGN_OR_RETURN(const auto strategy, MirroredStrategy::create());
//   Sequential model({...}, {.strategy = strategy});  // or Model::load(path, {.strategy = ...})
//
// Each replica has a copy of every variable and runs the training step on its share of the batch,
// side by side with the others; the gradients are summed within the step, so that all copies stay
// equal. fit() and train_on_batch() work this way; evaluate(), predict(), checkpoints and exports
// use the copy of replica 0. docs/distributed.md says what is split, scaled and averaged.
//
// Over several processes it is TensorFlow's MultiWorkerMirroredStrategy: `workers` are those of the
// cluster, each with one replica. Every one runs the same program on the same data, of which it
// takes its share of each batch; before the first step all get the weights of the chief.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tenon/core/device.h"

namespace tenon::dist {
class WorkerGroup;
}

namespace tenon::keras {

struct MirroredOptions {
  // Such as "CPU:0"; empty: all devices of the kind where Executables run.
  std::vector<std::string> devices = {};
  // Gradients are summed in buckets of at most so many bytes (or one gradient), those of the last
  // weights first, as soon as the backward pass has them.
  int64_t bucket_bytes = int64_t{4} << 20;
  // dist/cluster/worker_group.h; null: this process alone.
  std::shared_ptr<dist::WorkerGroup> workers = {};
};

// Immutable; may be that of several models.
class MirroredStrategy {
 public:
  // NOT_FOUND names the devices there are; INVALID_ARGUMENT when one is named twice. Devices of one
  // backend that sums values among its devices do that; values of others are summed on the host.
  // UNIMPLEMENTED for several devices in each of several workers.
  static StatusOr<std::shared_ptr<const MirroredStrategy>> create(MirroredOptions options = {});

  // Of all workers.
  int num_replicas_in_sync() const;
  // Of this process.
  const std::vector<Device*>& devices() const { return devices_; }
  const std::shared_ptr<dist::WorkerGroup>& workers() const { return workers_; }
  int64_t bucket_bytes() const { return bucket_bytes_; }

 private:
  MirroredStrategy() = default;
  std::vector<Device*> devices_;
  std::shared_ptr<dist::WorkerGroup> workers_;
  int64_t bucket_bytes_ = 0;
};

}  // namespace tenon::keras
