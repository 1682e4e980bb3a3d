// The reductions of a WorkerGroup.
#include "tenon/base/log.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/dist/cluster/worker_shared.h"
#include "tenon/dist/sum_replicas.h"
#include "tenon/runtime/run_turn.h"

namespace tenon::dist {
namespace {

using std::chrono::milliseconds;

// How often one that waits looks whether its run is to end, where it has limits.
constexpr milliseconds kLookAtRun{5};
constexpr milliseconds kLookAtClock{1'000};
// Up to so many bytes all send all to all: one message less to wait for.
constexpr size_t kSmallBytes = size_t{16} << 10;

Status check_summable(std::span<const Tensor> values) {
  for (const Tensor& value : values) {
    if (is_object(value.dtype())) {
      return unimplemented("values of dtype ", value.dtype(), " are not reduced");
    }
  }
  return absl::OkStatus();
}

}  // namespace

RoundRef WorkerGroup::Shared::round_at(Slot& slot, std::string_view name, uint64_t sequence) {
  RoundRef& round = slot.rounds[sequence];
  if (!round) {
    round = std::make_shared<WorkerRound>();
    round->name = name;
    round->parts.resize(static_cast<size_t>(size()));
  }
  return round;
}

// True when it was the last part, and this worker's own is among them. The lock is held.
bool WorkerGroup::Shared::add_part(WorkerRound& round, int from, bool present, uint64_t signature,
                                   Body body) {
  const auto at = static_cast<size_t>(from);
  if (round.arrived == size() || round.parts[at].there) {
    fail(failed_precondition(name_of(from), " hands in its part of '", round.name, "' twice"),
         false);
    return false;
  }
  round.parts[at] = {true, present, signature, std::move(body)};
  return ++round.arrived == size();
}

// A reduction that somebody who has left has no part in will not end.
Status WorkerGroup::Shared::check_left(const WorkerRound& round) const {
  for (size_t worker = 0; worker < left.size(); ++worker) {
    if (!left[worker] || round.parts[worker].there) continue;
    return failed_precondition(name_of(static_cast<int>(worker)),
                               " has come to its end and this one goes on: do all workers have the "
                               "same data and flags?");
  }
  return absl::OkStatus();
}

StatusOr<RoundRef> WorkerGroup::Shared::begin(const std::string& name, Reduction reduction,
                                              bool present, std::span<const Tensor> values) {
  TENON_RETURN_IF_ERROR(check_summable(values));
  size_t bytes = 0;
  for (const Tensor& value : values) bytes += value.num_bytes();
  const bool whole = size() <= 2 || bytes <= kSmallBytes;
  const Pieces pieces(values, size(), whole);
  Message message;
  message.kind = Message::kPart;
  message.present = present;
  message.signature = pieces.signature() + static_cast<uint64_t>(reduction);
  message.name = name;
  std::vector<Body> bodies;  // by rank; one for all where all get all
  for (int to = 0; to < (whole ? 1 : size()); ++to) bodies.push_back(pieces.pack(values, to));
  const auto body_for = [&](int to) { return bodies[whole ? 0 : static_cast<size_t>(to)]; };

  std::unique_lock lock(mutex);
  if (!failed.ok()) noticed = true;
  TENON_RETURN_IF_ERROR(failed);
  if (closed) return failed_precondition("the group of workers is closed");
  Slot& slot = slots[name];
  message.sequence = slot.next++;
  const RoundRef round = round_at(slot, name, message.sequence);
  round->pieces.emplace(pieces);
  round->reduction = reduction;
  round->sums_wanted = whole ? 1 : size();
  round->results = std::move(slot.results);
  round->results.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    TENON_RETURN_IF_ERROR(make_room_for_sum(values[i], round->results[i]));
  }
  const bool last = add_part(*round, rank(), present, message.signature, body_for(rank()));
  Status status = failed;
  status.Update(check_left(*round));
  const std::shared_ptr<WorkerMesh> others = mesh;
  lock.unlock();
  for (int to = 0; status.ok() && to < size(); ++to) {
    if (to == rank()) continue;
    message.body = body_for(to);
    others->send(to, message);
  }
  if (status.ok() && last) status = add_up(round, name, message.sequence);
  if (!status.ok()) fail_here(status);
  TENON_RETURN_IF_ERROR(status);
  return round;
}

// By the thread that brought the last part, without the lock: nobody else looks at the parts now.
Status WorkerGroup::Shared::add_up(const RoundRef& round, const std::string& name,
                                   uint64_t sequence) {
  const uint64_t signature = round->parts[static_cast<size_t>(rank())].signature;
  const std::vector<Pieces::Range> ranges = round->pieces->ranges(rank());
  for (int worker = 0; worker < size(); ++worker) {
    const WorkerRound::Contribution& part = round->parts[static_cast<size_t>(worker)];
    if (part.signature == signature && part.body.size == round->pieces->bytes(rank())) continue;
    return invalid_argument(name_of(worker), " has values of other dtypes or shapes for '",
                            round->name, "' than ", name_of(rank()));
  }
  std::vector<const void*> values;
  for (size_t i = 0; i < ranges.size(); ++i) {
    values.clear();
    for (const WorkerRound::Contribution& part : round->parts) {
      if (part.present) values.push_back(part.body.data.get() + ranges[i].offset);
    }
    Tensor& result = round->results[i];
    TENON_RETURN_IF_ERROR(
        sum_elements(result.dtype(), ranges[i].count, values, round->reduction,
                     static_cast<char*>(result.mutable_raw()) + ranges[i].first_byte));
  }
  round->parts.clear();
  if (!round->pieces->whole()) {
    Message sum;
    sum.kind = Message::kSum;
    sum.sequence = sequence;
    sum.signature = signature;
    sum.name = name;
    sum.body = round->pieces->pack(round->results, rank());
    std::shared_ptr<WorkerMesh> others;
    {
      const std::lock_guard lock(mutex);
      others = mesh;
    }
    if (others) others->send_to_all(sum);
  }
  take_sum(round, name, sequence);
  return absl::OkStatus();
}

// One more piece of the results is there.
void WorkerGroup::Shared::take_sum(const RoundRef& round, const std::string& name,
                                   uint64_t sequence) {
  const std::lock_guard lock(mutex);
  if (!failed.ok() || --round->sums_wanted > 0) return;
  round->done = true;
  Slot& slot = slots[name];
  slot.results = round->results;
  slot.rounds.erase(sequence);
  changed.notify_all();
}

void WorkerGroup::Shared::received(int from, Message message) {
  if (message.kind == Message::kText) return received_text(from, message);
  if (message.kind == Message::kLeave) return received_leave(from);
  const auto is_part = message.kind == Message::kPart;
  std::unique_lock lock(mutex);
  if (!failed.ok()) return;
  Slot& slot = slots[message.name];
  const bool known = slot.rounds.contains(message.sequence);
  if (!known && (!is_part || message.sequence < slot.next)) {
    lock.unlock();
    return fail_here(internal(name_of(from), " sends a sum that nobody waits for"));
  }
  const RoundRef round = round_at(slot, message.name, message.sequence);
  Status status;
  if (is_part) {
    const bool last =
        add_part(*round, from, message.present, message.signature, std::move(message.body));
    status = failed;
    lock.unlock();
    if (last && status.ok()) {
      status = or_out_of_memory([&] { return add_up(round, message.name, message.sequence); });
    }
  } else {
    lock.unlock();
    if (!round->pieces || message.body.size != round->pieces->bytes(from)) {
      status = internal(name_of(from), " sends a sum of another size");
    } else {
      round->pieces->unpack(message.body, from, round->results);
      take_sum(round, message.name, message.sequence);
    }
  }
  if (!status.ok()) fail_here(status);
}

// Who keeps a reduction from its end. The lock is held.
std::string WorkerGroup::Shared::awaited(const WorkerRound& round) const {
  if (round.arrived == size()) return "the sums of the others";
  std::vector<std::string> names;
  for (size_t worker = 0; worker < round.parts.size(); ++worker) {
    if (!round.parts[worker].there) names.push_back(name_of(static_cast<int>(worker)));
  }
  return tenon::join(names, ", ");
}

class WorkerGroup::Pending final : public PendingReduction {
 public:
  Pending(std::shared_ptr<Shared> shared, RoundRef round)
      : shared_(std::move(shared)), round_(std::move(round)) {}

  StatusOr<std::span<const Tensor>> wait() override {
    std::unique_lock lock(shared_->mutex);
    if (!is_over()) {
      lock.unlock();
      const RunPause pause;
      lock.lock();
      Deadline notice = after(shared_->options.health_timeout);
      while (!is_over()) {
        if (const Status status = RunTurn::check(); !status.ok()) {
          lock.unlock();  // the turn is waited for without it
          return status;
        }
        shared_->changed.wait_for(lock, RunTurn::limited() ? kLookAtRun : kLookAtClock);
        if (!is_over() && std::chrono::steady_clock::now() > notice) {
          log_info("waiting for ", shared_->awaited(*round_));
          notice = after(shared_->options.health_timeout);
        }
      }
      lock.unlock();
    }
    if (round_->done) return std::span<const Tensor>(round_->results);
    if (!lock.owns_lock()) lock.lock();
    shared_->noticed = true;
    shared_->changed.notify_all();
    return shared_->failed;
  }

 private:
  bool is_over() const { return round_->done || !shared_->failed.ok(); }

  const std::shared_ptr<Shared> shared_;
  const RoundRef round_;
};

class WorkerGroup::Place final : public Communicator {
 public:
  Place(std::shared_ptr<Shared> shared, std::string_view name)
      : shared_(std::move(shared)), name_(name) {}
  int rank() const override { return shared_->rank(); }
  int size() const override { return shared_->size(); }
  StatusOr<Ref<PendingReduction>> start(std::string_view instance, Reduction reduction,
                                        bool present, std::vector<Tensor> values) override {
    TENON_ASSIGN_OR_RETURN(RoundRef round,
                           shared_->begin(cat(name_, "/", instance), reduction, present, values));
    return Ref<PendingReduction>(make_ref<Pending>(shared_, std::move(round)));
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const std::string name_;
};

Ref<Communicator> WorkerGroup::communicator(std::string_view name) {
  return make_ref<Place>(shared_, name);
}

}  // namespace tenon::dist
