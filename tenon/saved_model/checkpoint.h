// Checkpoints of a training run, in TensorFlow 2's format: a tensor bundle with an object graph,
// which tf.train.load_checkpoint, tf.train.list_variables and tf.train.Checkpoint read, and the
// text file `checkpoint` that names the newest.
#pragma once

#include "tenon/core/tensor.h"

namespace tenon {

// "dense/kernel" is stored as the attribute `kernel` of the object `dense`.
struct NamedTensor {
  std::string name;
  Tensor value;
};

// What training must know to go on where it stopped, beside the variables.
struct TrainingProgress {
  int64_t epoch = 0;  // epochs that are done
  int64_t step = 0;   // steps that are done, over all epochs
  uint64_t seed = 0;
  std::string isa;  // equal bits are promised for equal ISA and threads only
  int64_t threads = 0;
  std::string details;  // what else the trainer wants back: a text of its own, JSON say
};

struct Checkpoint {
  TrainingProgress progress;
  std::vector<NamedTensor> variables;  // sorted by name
  // The variable of that name; null when there is none.
  const Tensor* find(std::string_view name) const;
};

// Writes `folder`/ckpt-<epoch> and names it the newest; of those that the file `checkpoint` names,
// the newest `keep` stay (0: all). A checkpoint counts once the file `checkpoint` names it: on an
// error, a full disk say, the one before is still there and still the newest. Returns its prefix.
StatusOr<std::string> save_checkpoint(const std::string& folder, const TrainingProgress& progress,
                                      std::span<const NamedTensor> variables, int keep = 5);

// The checkpoint under `prefix`, one of Tenon's or another with an object graph; of those without
// Tenon's progress the epoch is 0. NOT_FOUND; DATA_LOSS when a checksum does not match.
StatusOr<Checkpoint> load_checkpoint(const std::string& prefix);

// The newest of a folder. NOT_FOUND when it has none.
StatusOr<Checkpoint> load_latest_checkpoint(const std::string& folder);

}  // namespace tenon
