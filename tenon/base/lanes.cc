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

void Lanes::run(Form form, FunctionRef<void()> job) {
  if (is_lane) return job();
  Waiting waiting{form, job};
  std::unique_lock lock(mutex_);
  (last_ ? last_->next : first_) = &waiting;
  last_ = &waiting;
  changed_.notify_all();
  changed_.wait(lock, [&] { return waiting.done; });
}

void Lanes::work(int lane) {
  is_lane = true;
  std::unique_lock lock(mutex_);
  for (;;) {
    // Team jobs are always led by lane 0, so that OpenMP keeps one team.
    changed_.wait(lock, [&] {
      if (stopping_) return true;
      if (!first_ || team_running_) return false;
      return first_->form == Form::kTeam ? lane == 0 && singles_running_ == 0 : true;
    });
    if (stopping_) return;
    Waiting* taken = first_;
    first_ = taken->next;
    if (!first_) last_ = nullptr;
    const bool team = taken->form == Form::kTeam;
    if (team) {
      team_running_ = true;
    } else {
      ++singles_running_;
    }
    if (!team && first_) changed_.notify_all();
    lock.unlock();
    set_team_size(team ? threads_ : 1);
    taken->job();
    lock.lock();
    if (team) {
      team_running_ = false;
    } else {
      --singles_running_;
    }
    taken->done = true;
    changed_.notify_all();
  }
}

}  // namespace tenon
