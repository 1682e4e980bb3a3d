// Cluster: the processes that train together, and which of them this one is. TensorFlow's TF_CONFIG
// (TFConfigClusterResolver, multi_worker_util.py), Slurm's variables (SlurmClusterResolver), or
// flags say so.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::dist {

struct Cluster {
  // "HOST:PORT" of each worker by rank: the chief first, which is the task `chief`, or without one
  // the first of `worker`. Empty: this process trains alone.
  std::vector<std::string> workers;
  int rank = 0;
  bool evaluator = false;  // this process trains not at all, but judges checkpoints
  std::string task;        // as TF_CONFIG names it: "worker 1"

  int size() const { return workers.empty() ? 1 : static_cast<int>(workers.size()); }
  bool is_chief() const { return rank == 0 && !evaluator; }
  // "worker 1 (10.0.0.2:2222)": by rank, for messages.
  std::string name_of(int rank) const;
};

// Of a variable of the environment; null: not set.
using Environment = std::function<const char*(const char* name)>;

// INVALID_ARGUMENT says what is wrong with TF_CONFIG's text.
StatusOr<Cluster> cluster_from_tf_config(std::string_view json);

// One worker a task of the job step, on ports from 8888 on each node. INVALID_ARGUMENT.
StatusOr<Cluster> cluster_from_slurm(const Environment& environment);

// The first that says something: `workers`, TF_CONFIG, SLURM_STEP_NUM_TASKS. Else this process
// alone, as in TensorFlow. `index` goes with `workers`; -1: not given.
StatusOr<Cluster> find_cluster(std::span<const std::string> workers, int64_t index,
                               const Environment& environment);

}  // namespace tenon::dist
