#include "tenon/dist/replica_group.h"

#include <condition_variable>

#include "tenon/base/out_of_memory.h"
#include "tenon/dist/sum_replicas.h"
#include "tenon/runtime/run_turn.h"

namespace tenon::dist {
namespace {

// How often one that waits looks whether its run is to end, where it has limits.
constexpr std::chrono::milliseconds kLookAtLimits{5};

Status check_part(const std::vector<Tensor>& first, const std::vector<Tensor>& part) {
  bool fits = first.size() == part.size();
  for (size_t i = 0; fits && i < part.size(); ++i) {
    fits = first[i].dtype() == part[i].dtype() && first[i].shape() == part[i].shape();
    if (!fits) {
      return invalid_argument("value ", i, " is ", part[i].dtype(), part[i].shape(),
                              ", another replica's is ", first[i].dtype(), first[i].shape());
    }
  }
  if (fits) return absl::OkStatus();
  return invalid_argument(part.size(), " values are handed in, another replica has ", first.size());
}

}  // namespace

// One reduction: gathering parts, then summing, then done; or failed. All under the group's mutex
// but the summing.
struct ReplicaGroup::Round {
  enum class State : uint8_t { kGathering, kSumming, kDone, kFailed };
  State state = State::kGathering;
  Reduction reduction = Reduction::kSum;
  int arrived = 0;
  std::vector<Part> parts;  // by rank; without values: not handed in
  std::vector<Tensor> results;
  Status status;  // when failed
};

struct ReplicaGroup::Shared {
  explicit Shared(int size) : size(size) {}

  struct Slot {
    std::shared_ptr<Round> gathering;
    std::vector<Tensor> results;  // of the last round: their memory, when nobody holds it any more
  };

  StatusOr<std::shared_ptr<Round>> join(int rank, std::string_view instance, Reduction reduction,
                                        bool present, std::vector<Tensor> values);
  void fail(const Status& status);

  const int size;
  std::mutex mutex;
  std::condition_variable changed;
  Status failed;
  std::map<std::string, Slot, std::less<>> slots;
};

// The lock is held.
void ReplicaGroup::Shared::fail(const Status& status) {
  if (failed.ok()) {
    failed = make_status(absl::StatusCode::kAborted,
                         cat("another replica has failed: ", message_of(status)));
  }
  for (auto& [name, slot] : slots) {
    if (!slot.gathering) continue;
    slot.gathering->state = Round::State::kFailed;
    slot.gathering->status = failed;
    slot.gathering.reset();
  }
  changed.notify_all();
}

StatusOr<std::shared_ptr<ReplicaGroup::Round>> ReplicaGroup::Shared::join(
    int rank, std::string_view instance, Reduction reduction, bool present,
    std::vector<Tensor> values) {
  std::unique_lock lock(mutex);
  TENON_RETURN_IF_ERROR(failed);
  const auto it = slots.find(instance);
  Slot& slot = it == slots.end() ? slots[std::string(instance)] : it->second;
  if (!slot.gathering) {
    slot.gathering = std::make_shared<Round>();
    slot.gathering->reduction = reduction;
    slot.gathering->parts.resize(static_cast<size_t>(size));
  }
  const std::shared_ptr<Round> round = slot.gathering;
  Part& part = round->parts[static_cast<size_t>(rank)];
  Status status;
  if (!part.values.empty()) {
    status = failed_precondition("replica ", rank, " hands its part in twice");
  } else if (round->reduction != reduction) {
    status = invalid_argument("one replica wants a sum, another one a mean");
  }
  for (const Part& other : round->parts) {
    if (!other.values.empty()) status.Update(check_part(other.values, values));
  }
  if (!status.ok()) {
    fail(status);
    return status;
  }
  part = {present, std::move(values)};
  if (++round->arrived < size) return round;
  slot.gathering.reset();
  round->state = Round::State::kSumming;
  round->results = std::move(slot.results);
  lock.unlock();
  status = or_out_of_memory(
      [&] { return sum_replicas(round->parts, round->reduction, round->results); });
  lock.lock();
  round->parts.clear();
  if (status.ok()) {
    round->state = Round::State::kDone;
    slot.results = round->results;
    changed.notify_all();
    return round;
  }
  round->state = Round::State::kFailed;
  fail(status);
  round->status = failed;
  return status;
}

class ReplicaGroup::Pending final : public PendingReduction {
 public:
  Pending(std::shared_ptr<Shared> shared, std::shared_ptr<Round> round, int rank)
      : shared_(std::move(shared)), round_(std::move(round)), rank_(rank) {}

  // The memory of the values is let go with it.
  ~Pending() override {
    std::unique_lock lock(shared_->mutex);
    shared_->changed.wait(lock, [&] { return round_->state != Round::State::kSumming; });
    if (round_->state == Round::State::kGathering) {
      shared_->fail(make_status(absl::StatusCode::kAborted,
                                cat("replica ", rank_, " ended its step too early")));
    }
  }

  StatusOr<std::span<const Tensor>> wait() override {
    std::unique_lock lock(shared_->mutex);
    if (!is_over()) {
      lock.unlock();
      const RunPause pause;
      lock.lock();
      while (!is_over()) {
        if (RunTurn::limited()) {
          TENON_RETURN_IF_ERROR(leave(lock));
          shared_->changed.wait_for(lock, kLookAtLimits);
        } else {
          shared_->changed.wait(lock);
        }
      }
      lock.unlock();
    }
    if (round_->state == Round::State::kFailed) return round_->status;
    return std::span<const Tensor>(round_->results);
  }

 private:
  bool is_over() const {
    return round_->state == Round::State::kDone || round_->state == Round::State::kFailed;
  }

  // An error when the run is to end. The lock is let go then: the turn is waited for without it.
  Status leave(std::unique_lock<std::mutex>& lock) const {
    Status status = RunTurn::check();
    if (!status.ok()) lock.unlock();
    return status;
  }

  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<Round> round_;
  const int rank_;
};

class ReplicaGroup::Place final : public Communicator {
 public:
  Place(std::shared_ptr<Shared> shared, int rank) : shared_(std::move(shared)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return shared_->size; }
  StatusOr<Ref<PendingReduction>> start(std::string_view instance, Reduction reduction,
                                        bool present, std::vector<Tensor> values) override {
    TENON_ASSIGN_OR_RETURN(auto round,
                           shared_->join(rank_, instance, reduction, present, std::move(values)));
    return Ref<PendingReduction>(make_ref<Pending>(shared_, std::move(round), rank_));
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const int rank_;
};

ReplicaGroup::ReplicaGroup(int replicas) : shared_(std::make_shared<Shared>(replicas)) {}

int ReplicaGroup::size() const { return shared_->size; }

Ref<Communicator> ReplicaGroup::communicator(int rank) const {
  return make_ref<Place>(shared_, rank);
}

Status ReplicaGroup::install(int rank, std::string_view name, ModelState& state) const {
  const auto made = [&]() -> StatusOr<Ref<Object>> { return Ref<Object>(communicator(rank)); };
  return state.find_or_create("", name, made).status();
}

void ReplicaGroup::fail(const Status& status) {
  const std::lock_guard lock(shared_->mutex);
  shared_->fail(status);
}

void ReplicaGroup::reset() {
  const std::lock_guard lock(shared_->mutex);
  shared_->failed = absl::OkStatus();
}

}  // namespace tenon::dist
