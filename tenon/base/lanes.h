// Lanes: the only threads that execute graphs.
//
// OpenMP keeps one team of threads per calling thread, and callers that overlap cost dearly, so
// work reaches the processors in one of two forms that are never mixed at one moment: a job that
// leads a team of all threads, alone, or up to `threads` jobs side by side with a team of one each.
// A thread that runs many short jobs one after the other may lead the team itself, in its turn.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tenon/base/function_ref.h"

namespace tenon {

class Lanes {
 public:
  // The process' lanes: made at first use with configured_threads().
  static Lanes& global();

  // Sets the number of threads of global() before its first use (`--threads`); 0: all processors
  // that this process may run on.
  static void configure(int threads);
  static int configured_threads();

  explicit Lanes(int threads);
  ~Lanes();
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;

  int threads() const { return threads_; }

  enum class Form {
    kTeam,        // a team of all threads
    kSingle,      // a team of one
    kCallersTeam  // as kTeam, led by the calling thread: no hand-over (some 20 us), but OpenMP
                  // makes a team more for each thread that does so
  };

  // Runs `job` on a lane and returns when it is done. First come, first served. Called on a lane,
  // it runs `job` there at once, under that lane's team. Thread-safe; allocates nothing.
  void run(Form form, FunctionRef<void()> job);

  // Is the calling thread a lane, or one that leads a team just now?
  static bool on_lane();

 private:
  struct Waiting;
  void work(int lane);
  void enqueue(Waiting& waiting);
  Waiting* take_first();
  bool is_free(Form form) const;
  // Runs it with the team that its form asks for, `lock` let go meanwhile.
  void perform(Waiting& taken, std::unique_lock<std::mutex>& lock);

  const int threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Waiting* first_ = nullptr;  // queue, linked through the callers' stack frames
  Waiting* last_ = nullptr;
  int singles_running_ = 0;
  bool team_running_ = false;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace tenon
