// start_thread: a thread, or an error where the system has none to give (ulimit -u, pids.max,
// memory for its stack), which std::thread's constructor would throw.
#pragma once

#include <functional>
#include <thread>

#include "tenon/base/status.h"

namespace tenon {

// RESOURCE_EXHAUSTED says why. Thread-safe.
StatusOr<std::thread> start_thread(std::function<void()> body);

}  // namespace tenon
