// What a WorkerGroup keeps: internal to cluster/. worker_group.cc has what is about workers,
// worker_reductions.cc what is about values.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>

#include "tenon/dist/cluster/pieces.h"
#include "tenon/dist/cluster/worker_group.h"

namespace tenon::dist {

// One reduction: its parts come in, this worker's piece is added up, the others' sums come in.
struct WorkerRound {
  struct Contribution {
    bool there = false, present = false;
    uint64_t signature = 0;
    Body body;
  };
  std::string name;              // the reduction's, for messages
  std::optional<Pieces> pieces;  // once this worker has begun it
  Reduction reduction = Reduction::kSum;
  std::vector<Contribution> parts;  // by rank
  std::vector<Tensor> results;
  int arrived = 0, sums_wanted = 1;
  bool done = false;
};
using RoundRef = std::shared_ptr<WorkerRound>;

struct WorkerGroup::Shared {
  explicit Shared(WorkerGroupOptions given) : options(std::move(given)), left(size_t(size())) {}

  struct Slot {
    uint64_t next = 0;                    // the round that this worker begins next
    std::map<uint64_t, RoundRef> rounds;  // those that are not done
    std::vector<Tensor> results;          // of the last round: their memory is used again
  };

  int size() const { return options.cluster.size(); }
  int rank() const { return options.cluster.rank; }
  std::string name_of(int worker) const { return options.cluster.name_of(worker); }

  StatusOr<RoundRef> begin(const std::string& name, Reduction reduction, bool present,
                           std::span<const Tensor> values);
  RoundRef round_at(Slot& slot, std::string_view name, uint64_t sequence);
  bool add_part(WorkerRound& round, int from, bool present, uint64_t signature, Body body);
  Status add_up(const RoundRef& round, const std::string& name, uint64_t sequence);
  void take_sum(const RoundRef& round, const std::string& name, uint64_t sequence);
  void received(int from, Message message);
  void received_text(int from, const Message& message);
  void received_leave(int from);
  Status check_left(const WorkerRound& round) const;
  void fail(const Status& why, bool is_lost);
  void fail_here(const Status& why);
  void abandon_if_nobody_asks();
  std::string awaited(const WorkerRound& round) const;
  template <class Ready>
  Status wait_for(std::unique_lock<std::mutex>& lock, const Ready& ready);

  const WorkerGroupOptions options;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::shared_ptr<WorkerMesh> mesh;  // null: alone, or closed
  std::map<std::string, Slot, std::less<>> slots;
  std::map<std::string, std::vector<std::deque<std::string>>, std::less<>> texts;  // by rank
  std::vector<bool> left;
  Status failed, lost;
  mutable bool noticed = false;  // somebody has been told that the group failed
  bool closed = false;
};

}  // namespace tenon::dist
