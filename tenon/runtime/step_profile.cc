#include "tenon/runtime/step_profile.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include "tenon/core/op.h"
#include "tenon/graph/graph.h"

namespace tenon {
namespace {

std::atomic<bool> on{false};
std::mutex mutex;

// Copies have no node: they are told apart by what they copy, and to where.
using StepKey = std::tuple<const Node*, Endpoint, Step::Kind>;
std::map<StepKey, StepTime> steps;  // guarded by mutex

StepKey key_of(const Binding& binding, const Step& step) {
  if (step.node) return {step.node, {}, step.kind};
  return {nullptr, binding.slots[static_cast<size_t>(step.outputs[0])].endpoint, step.kind};
}

}  // namespace

void StepProfile::start() {
  const std::lock_guard lock(mutex);
  steps.clear();
  on = true;
}

std::vector<StepTime> StepProfile::stop() {
  on = false;
  std::vector<StepTime> sorted;
  const std::lock_guard lock(mutex);
  for (const auto& [key, step] : steps) sorted.push_back(step);
  steps.clear();
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const StepTime& a, const StepTime& b) { return a.ns > b.ns; });
  return sorted;
}

bool StepProfile::is_on() { return on.load(std::memory_order_relaxed); }

void StepProfile::add(const Binding& binding, const Step& step, std::chrono::nanoseconds time) {
  const std::lock_guard lock(mutex);
  StepTime& sum = steps[key_of(binding, step)];
  if (sum.runs == 0) {
    // The graph may be gone when the times are read.
    sum.op = step.node ? std::string(step.node->op->name()) : "copy";
    if (step.node) sum.node = step.node->name;
    sum.on_host = step.node && !step.on_stream;
    for (int input : step.inputs) {
      const Slot& slot = binding.slots[static_cast<size_t>(input)];
      sum.shapes += cat(sum.shapes.empty() ? "" : " ", slot.shape);
    }
  }
  sum.team = std::max(sum.team, step.team);
  sum.work_ns = std::max(sum.work_ns, step.work_ns);
  sum.runs += 1;
  sum.ns += time.count();
}

}  // namespace tenon
