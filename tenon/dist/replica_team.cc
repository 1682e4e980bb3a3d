#include "tenon/dist/replica_team.h"

#include <condition_variable>
#include <mutex>
#include <vector>

#include "tenon/base/thread.h"

namespace tenon::dist {

struct ReplicaTeam::Shared {
  std::mutex mutex;
  std::condition_variable begun, done;
  int64_t step = 0;  // counts the calls of run()
  int running = 0;   // replicas other than 0 within the step
  bool ends = false;
  const FunctionRef<Status(int)>* body = nullptr;
  const FunctionRef<void(const Status&)>* failed = nullptr;
  std::vector<Status> statuses;
  std::vector<std::thread> threads;

  void run_one(int rank) {
    Status status = (*body)(rank);
    if (!status.ok()) (*failed)(status);
    statuses[static_cast<size_t>(rank)] = std::move(status);
  }

  void serve(int rank) {
    int64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      begun.wait(lock, [&] { return ends || step != seen; });
      if (ends) return;
      seen = step;
      lock.unlock();
      run_one(rank);
      lock.lock();
      if (--running == 0) done.notify_one();
    }
  }

  Status result() const {
    size_t chosen = statuses.size();
    for (size_t rank = 0; rank < statuses.size(); ++rank) {
      const Status& status = statuses[rank];
      if (status.ok()) continue;
      const bool first = chosen == statuses.size();
      if (!first && !absl::IsAborted(statuses[chosen])) continue;
      if (first || !absl::IsAborted(status)) chosen = rank;
    }
    if (chosen == statuses.size()) return absl::OkStatus();
    return with_context(statuses[chosen], cat("replica ", chosen, " of ", statuses.size()));
  }
};

StatusOr<std::unique_ptr<ReplicaTeam>> ReplicaTeam::create(int replicas) {
  auto shared = std::make_shared<Shared>();
  shared->statuses.resize(static_cast<size_t>(std::max(1, replicas)));
  std::unique_ptr<ReplicaTeam> team(new ReplicaTeam(shared));
  for (int rank = 1; rank < replicas; ++rank) {
    Shared* const all = shared.get();
    TENON_ASSIGN_OR_RETURN(std::thread thread, start_thread([all, rank] { all->serve(rank); }));
    shared->threads.push_back(std::move(thread));
  }
  return team;
}

ReplicaTeam::~ReplicaTeam() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->ends = true;
  }
  shared_->begun.notify_all();
  for (std::thread& thread : shared_->threads) thread.join();
}

Status ReplicaTeam::run(FunctionRef<Status(int)> step, FunctionRef<void(const Status&)> failed) {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->body = &step;
    shared_->failed = &failed;
    shared_->running = static_cast<int>(shared_->threads.size());
    ++shared_->step;
  }
  shared_->begun.notify_all();
  shared_->run_one(0);
  std::unique_lock lock(shared_->mutex);
  shared_->done.wait(lock, [&] { return shared_->running == 0; });
  return shared_->result();
}

}  // namespace tenon::dist
