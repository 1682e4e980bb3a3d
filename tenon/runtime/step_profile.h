// StepProfile: what the steps of runs take, node by node (`tenon bench --profile`). Thread-safe.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tenon/runtime/binding.h"

namespace tenon {

struct StepTime {
  std::string op;        // "copy" for copies between host and device
  std::string node;      // empty for copies
  std::string shapes;    // of the inputs that are known before a run
  bool on_host = false;  // of a run on a device, whose kernel is the host's
  int team = 1;          // threads that the step was made for, the most of all its runs
  int64_t work_ns =
      0;  // estimated for one run on one thread, what its team was chosen by; 0: unknown
  int64_t runs = 0;
  int64_t ns = 0;  // of all runs together
};

class StepProfile {
 public:
  // From now on each step of each run in this process is timed. A step that calls functions
  // (While, If, PartitionedCall) has its own row and contains those of its functions; a step of a
  // device that works asynchronously takes what handing it over takes.
  static void start();
  // Ends it: the steps that were timed, the costliest first.
  static std::vector<StepTime> stop();

  static bool is_on();
  static void add(const Binding& binding, const Step& step, std::chrono::nanoseconds time);
};

}  // namespace tenon
