#include "tenon/base/lanes.h"

#include <sched.h>

#include <algorithm>
#include <atomic>

#include "tenon/base/parallel.h"

namespace tenon {
namespace {

thread_local bool is_lane = false;
std::atomic<int> wanted_threads{0};

int processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

// A caller that waits in run().
struct Lanes::Waiting {
  Form form;
  FunctionRef<void()> job;
  bool done = false;
  Waiting* next = nullptr;
};

Lanes& Lanes::global() {
  static Lanes lanes(configured_threads());
  return lanes;
}

void Lanes::configure(int threads) { wanted_threads = threads; }

int Lanes::configured_threads() {
  const int wanted = wanted_threads;
  return wanted > 0 ? wanted : processors();
}

bool Lanes::on_lane() { return is_lane; }

Lanes::Lanes(int threads) : threads_(std::max(threads, 1)) {
  for (int lane = 0; lane < threads_; ++lane) {
    workers_.emplace_back([this, lane] { work(lane); });
  }
}

Lanes::~Lanes() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void Lanes::enqueue(Waiting& waiting) {
  (last_ ? last_->next : first_) = &waiting;
  last_ = &waiting;
}

Lanes::Waiting* Lanes::take_first() {
  Waiting* taken = first_;
  first_ = taken->next;
  if (!first_) last_ = nullptr;
  return taken;
}

bool Lanes::is_free(Form form) const {
  return !team_running_ && (form == Form::kSingle || singles_running_ == 0);
}

void Lanes::perform(Waiting& taken, std::unique_lock<std::mutex>& lock) {
  const bool team = taken.form != Form::kSingle;
  if (team) {
    team_running_ = true;
  } else {
    ++singles_running_;
    if (first_) changed_.notify_all();
  }
  lock.unlock();
  set_team_size(team ? threads_ : 1);
  taken.job();
  lock.lock();
  if (team) {
    team_running_ = false;
  } else {
    --singles_running_;
  }
  taken.done = true;
  // A caller that led its own team waits for nobody; waking idle lanes would cost it time.
  if (first_ || taken.form != Form::kCallersTeam) changed_.notify_all();
}

void Lanes::run(Form form, FunctionRef<void()> job) {
  if (is_lane) return job();
  Waiting waiting{form, job};
  std::unique_lock lock(mutex_);
  enqueue(waiting);
  if (form != Form::kCallersTeam) {
    changed_.notify_all();
    changed_.wait(lock, [&] { return waiting.done; });
    return;
  }
  changed_.wait(lock, [&] { return first_ == &waiting && is_free(form); });
  take_first();
  is_lane = true;
  perform(waiting, lock);
  is_lane = false;
  set_team_size(1);
}

void Lanes::work(int lane) {
  is_lane = true;
  std::unique_lock lock(mutex_);
  for (;;) {
    // Team jobs are always led by lane 0, so that OpenMP keeps one team.
    changed_.wait(lock, [&] {
      if (stopping_) return true;
      if (!first_ || !is_free(first_->form)) return false;
      return first_->form == Form::kSingle || (first_->form == Form::kTeam && lane == 0);
    });
    if (stopping_) return;
    perform(*take_first(), lock);
  }
}

}  // namespace tenon
