// ReplicaTeam: threads that run the steps of replicas side by side.
#pragma once

#include <memory>

#include "tenon/base/function_ref.h"
#include "tenon/base/status.h"

namespace tenon::dist {

// The thread that calls run() is that of replica 0. Used by one caller at a time.
class ReplicaTeam {
 public:
  // RESOURCE_EXHAUSTED where there are no threads to be had.
  static StatusOr<std::unique_ptr<ReplicaTeam>> create(int replicas);
  // No run() may be under way.
  ~ReplicaTeam();

  // Calls `step(rank)` for every replica at a time and returns when all have. `failed(status)` is
  // called, by the thread that saw it, as soon as one returns an error, and lets the others know.
  // The error is that of the first replica that failed for a reason of its own, with its number:
  // ABORTED is taken for the word of another one.
  Status run(FunctionRef<Status(int)> step, FunctionRef<void(const Status&)> failed);

 private:
  struct Shared;
  explicit ReplicaTeam(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  std::shared_ptr<Shared> shared_;
};

}  // namespace tenon::dist
