// ReplicaGroup: replicas of one process that sum values: the host's implementation of
// Communicator (core/collective.h).
//
// The sum of each element is taken in the order of the replicas, 0 + 1 + 2 + ..., by whichever
// replica hands its part in last, so that results have the same bits whatever the timing. Nobody
// waits before the result is needed. One that waits gives its turn to compute (runtime/run_turn.h)
// to others, so that any number of replicas come to their end on any number of threads.
#pragma once

#include "tenon/core/collective.h"
#include "tenon/runtime/model_state.h"

namespace tenon::dist {

// Thread-safe. Pending reductions keep what they need alive.
class ReplicaGroup {
 public:
  explicit ReplicaGroup(int replicas);
  int size() const;

  // The place of replica `rank`, 0 and up.
  Ref<Communicator> communicator(int rank) const;
  // Puts it into the replica's state, for the op _Communicator.
  Status install(int rank, std::string_view name, ModelState& state) const;

  // All that wait, or come later, get ABORTED with this sentence, until reset(). The first failure
  // counts.
  void fail(const Status& status);
  // After a failure, when no replica is within a step any more.
  void reset();

 private:
  struct Shared;
  struct Round;
  class Pending;
  class Place;
  std::shared_ptr<Shared> shared_;
};

}  // namespace tenon::dist
