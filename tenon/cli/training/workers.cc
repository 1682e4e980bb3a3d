#include "tenon/cli/training/workers.h"

#include <unistd.h>

#include <cstdlib>

#include "tenon/base/log.h"
#include "tenon/cli/flags.h"

namespace tenon::cli {
namespace {

const char* variable_of_environment(const char* name) { return std::getenv(name); }

// The process is held by something that does not end, a file system that is gone, say.
void abandon_training(const Status& why) {
  print_error(lost_worker(why));
  ::_exit(kLostWorkerExitCode);
}

}  // namespace

StatusOr<dist::Cluster> read_cluster(const WorkerFlags& flags) {
  if (flags.health_timeout < 1 || flags.health_timeout > 86400) {
    return wrong_usage("--health_timeout: expected 1 to 86400 seconds");
  }
  StatusOr<dist::Cluster> cluster =
      dist::find_cluster(flags.workers, flags.task_index, variable_of_environment);
  if (!cluster.ok()) return wrong_usage(message_of(cluster.status()));
  return cluster;
}

StatusOr<std::shared_ptr<dist::WorkerGroup>> join_workers(const WorkerFlags& flags,
                                                          const dist::Cluster& cluster) {
  if (cluster.size() > 1) {
    log_info("task ", cluster.task, " is ", cluster.name_of(cluster.rank), " of ", cluster.size(),
             "; the chief is at ", cluster.workers[0]);
  }
  dist::WorkerGroupOptions options;
  options.cluster = cluster;
  TENON_ASSIGN_OR_RETURN(options.build, dist::name_of_build(TENON_VERSION));
  if (const char* secret = std::getenv("TENON_CLUSTER_SECRET")) options.secret = secret;
  options.health_timeout = std::chrono::seconds(flags.health_timeout);
  options.abandon = abandon_training;
  return dist::WorkerGroup::join(std::move(options));
}

Status lost_worker(const Status& why) {
  return unavailable(message_of(why),
                     "; started again with --resume, all workers go on from the last checkpoint");
}

}  // namespace tenon::cli
