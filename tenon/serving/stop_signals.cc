#include "tenon/serving/stop_signals.h"

#include <pthread.h>

#include "tenon/base/thread.h"

namespace tenon::serving {

StopSignals::StopSignals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGTERM);
  sigaddset(&set_, SIGINT);
  pthread_sigmask(SIG_BLOCK, &set_, &before_);
}

StatusOr<std::unique_ptr<StopSignals>> StopSignals::take() {
  std::unique_ptr<StopSignals> signals(new StopSignals);
  TENON_ASSIGN_OR_RETURN(signals->thread_, start_thread([raw = signals.get()] { raw->follow(); }));
  return signals;
}

StopSignals::~StopSignals() {
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    pthread_kill(thread_.native_handle(), SIGTERM);
    thread_.join();
  }
  // One that came while everything ended has had what it asked for.
  const timespec at_once = {};
  while (sigtimedwait(&set_, nullptr, &at_once) > 0) continue;
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void StopSignals::follow() {
  for (;;) {
    int signal = 0;
    if (sigwait(&set_, &signal) != 0) continue;
    const std::lock_guard lock(mutex_);
    if (ending_) return;
    asked_ = true;
    ++untold_;
    come_.notify_all();
  }
}

bool StopSignals::wait(int64_t milliseconds) {
  std::unique_lock lock(mutex_);
  const bool come =
      come_.wait_for(lock, std::chrono::milliseconds(milliseconds), [this] { return untold_ > 0; });
  if (come) --untold_;
  return come;
}

}  // namespace tenon::serving
