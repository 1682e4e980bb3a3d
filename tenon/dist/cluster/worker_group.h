// WorkerGroup: this process among the workers of a cluster: it sums values with them, agrees with
// them, and learns when one is lost.
//
// A reduction is taken apart: worker r adds up the r-th piece of all workers' values, and sends the
// sum to all (so that each sends and receives about twice the bytes, however many there are); a
// small one each adds up itself, from what all send to all. Either way an element's sum is taken in
// the order of the ranks, 0 + 1 + 2 + ..., as ReplicaGroup takes it: equal bits for any timing, and
// those of as many replicas in one process.
#pragma once

#include "tenon/core/collective.h"
#include "tenon/dist/cluster/cluster.h"
#include "tenon/runtime/model_state.h"

namespace tenon::dist {

// The version, and a checksum of the program's file: two builds of one version are two. Reads the
// whole file.
StatusOr<std::string> name_of_build(std::string_view version);

struct WorkerGroupOptions {
  Cluster cluster;
  std::string build;   // of the program, see name_of_build()
  std::string secret;  // that all workers must prove to know; empty: none is asked for
  // Every worker has stopped so long after one is lost.
  std::chrono::milliseconds health_timeout{30'000};
  // So long the others are waited for in the beginning.
  std::chrono::milliseconds join_timeout{600'000};
  // Called, on a thread of the group, when a worker is lost and nobody in this process has asked
  // the group for anything since, for a part of health_timeout: what it does then hangs. May be
  // empty.
  std::function<void(const Status&)> abandon = {};
};

// Thread-safe. Reductions of one name are begun by all workers in the same order.
class WorkerGroup : public std::enable_shared_from_this<WorkerGroup> {
 public:
  // Waits until all workers have come. FAILED_PRECONDITION, ALREADY_EXISTS where the workers do not
  // go together, UNAVAILABLE where not all have come.
  static StatusOr<std::shared_ptr<WorkerGroup>> join(WorkerGroupOptions options);
  // Without leave() before, the others take this worker for lost.
  ~WorkerGroup();

  const Cluster& cluster() const;
  int rank() const { return cluster().rank; }
  int size() const { return cluster().size(); }

  // This worker's place; reductions of communicators with another `name` are others. The values
  // need not keep their bytes once start() has returned.
  Ref<Communicator> communicator(std::string_view name);
  Status install(std::string_view name, ModelState& state);

  // The texts that the workers hand in under `name`, by rank. Waits for all of them.
  StatusOr<std::vector<std::string>> exchange(std::string_view name, std::string_view text);
  // FAILED_PRECONDITION names the first line that another worker has otherwise than the chief.
  Status agree(std::string_view name, std::string_view lines);

  // Waits until all workers leave, too; nothing may follow.
  Status leave();

  // This worker cannot go on: the others are told why, and stop.
  void fail(const Status& why);
  // UNAVAILABLE, and a sentence that names it, when another worker is lost.
  Status lost() const;

 private:
  struct Shared;
  class Pending;
  class Place;
  explicit WorkerGroup(std::shared_ptr<Shared> shared);
  std::shared_ptr<Shared> shared_;
};

}  // namespace tenon::dist
