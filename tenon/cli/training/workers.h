// `tenon train --strategy multi_worker`: the flags that name the workers, and what this process is
// among them.
#pragma once

#include "tenon/dist/cluster/worker_group.h"

namespace tenon::cli {

// What a worker ends with when another one is lost: EX_TEMPFAIL, start all of them again.
constexpr int kLostWorkerExitCode = 75;

struct WorkerFlags {
  std::vector<std::string> workers;  // "host:port"; empty: TF_CONFIG, or Slurm's variables
  int64_t task_index = -1;           // of `workers`
  int64_t health_timeout = 30;       // seconds
};

// Errors are wrong usage.
StatusOr<dist::Cluster> read_cluster(const WorkerFlags& flags);

// Waits until all workers have come. The secret is TENON_CLUSTER_SECRET. A process that hangs when
// another worker is lost is ended by it, with kLostWorkerExitCode.
StatusOr<std::shared_ptr<dist::WorkerGroup>> join_workers(const WorkerFlags& flags,
                                                          const dist::Cluster& cluster);

// What is said of a lost worker.
Status lost_worker(const Status& why);

}  // namespace tenon::cli
