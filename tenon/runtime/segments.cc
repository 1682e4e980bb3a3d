#include "tenon/runtime/segments.h"

#include <algorithm>

#include "tenon/core/collective.h"
#include "tenon/core/variable.h"
#include "tenon/graph/effects.h"

namespace tenon {
namespace {

// A captured stretch of one kernel saves nothing.
constexpr size_t kLeastWork = 2;

class SegmentFinder {
 public:
  explicit SegmentFinder(Binding& binding) : b_(binding) {}

  void find();

  // The variable that a step's first input is a handle of; null when that is not known yet.
  const Variable* variable_of(const Step& step) const {
    return step.inputs.empty() ? nullptr : slot(step.inputs[0]).constant.object_as<Variable>();
  }
  bool may_change(const Step& step, const Variable* variable) const;
  bool is_done_before_changes(size_t read) const;

 private:
  enum class Fit : uint8_t { kNone, kWork, kRead };

  const Slot& slot(int index) const { return b_.slots[static_cast<size_t>(index)]; }
  bool has_fixed_place(int index) const {
    return slot(index).storage == Storage::kArena && !slot(index).on_host;
  }
  Fit fit(const Step& step) const;
  bool is_fixed_input(int index) const;
  Segment segment(size_t first, size_t last) const;

  Binding& b_;
};

// May the step change the value of `variable`?
bool SegmentFinder::may_change(const Step& step, const Variable* variable) const {
  if (!step.node) return false;
  const Effect effect = step.node->op->decl().effect;
  if (effect == Effect::kCall) return effects_of(b_.plan->graph(), *step.node).writes;
  if (effect != Effect::kWrite) return false;
  for (int input : step.inputs) {
    if (slot(input).dtype != DType::kResource) continue;
    const Variable* changed = slot(input).constant.object_as<Variable>();
    if (!changed || changed == variable) return true;
  }
  return false;
}

bool SegmentFinder::is_done_before_changes(size_t read) const {
  const Variable* variable = variable_of(b_.steps[read]);
  if (!variable) return false;
  std::vector<bool> shares(b_.slots.size(), false);  // its memory
  shares[static_cast<size_t>(b_.steps[read].outputs[0])] = true;
  bool changed = false;
  for (size_t i = read + 1; i < b_.steps.size(); ++i) {
    const Step& step = b_.steps[i];
    changed |= may_change(step, variable);
    const bool uses = std::any_of(step.inputs.begin(), step.inputs.end(),
                                  [&](int input) { return shares[static_cast<size_t>(input)]; });
    if (!uses) continue;
    if (changed) return false;
    if (!step.node || !step.node->op->decl().touches_no_elements()) continue;
    for (int output : step.outputs) shares[static_cast<size_t>(output)] = true;
  }
  return std::none_of(b_.result_slots.begin(), b_.result_slots.end(),
                      [&](int result) { return shares[static_cast<size_t>(result)]; });
}

// An input that work finds where it was, or where the addresses that are compared say.
bool SegmentFinder::is_fixed_input(int index) const {
  const Slot& input = slot(index);
  if (input.dtype == DType::kResource) {
    return input.constant.object_as<Variable>() || input.constant.object_as<DeviceCommunicator>();
  }
  return input.storage == Storage::kConstant || has_fixed_place(index) ||
         (input.storage == Storage::kOwned && !input.on_host);
}

SegmentFinder::Fit SegmentFinder::fit(const Step& step) const {
  if (step.kind != Step::Kind::kKernel || !step.fresh.empty()) return Fit::kNone;
  if (!std::all_of(step.inputs.begin(), step.inputs.end(),
                   [&](int input) { return is_fixed_input(input); })) {
    return Fit::kNone;
  }
  const OpDecl& decl = step.node->op->decl();
  if (step.node->is("ReadVariableOp")) {
    return step.reads_in_place || !b_.plan->writes_state() ? Fit::kRead : Fit::kNone;
  }
  if (step.node->is("AssignVariableOp")) {
    return has_fixed_place(step.inputs[1]) ? Fit::kWork : Fit::kNone;
  }
  // What is random or seen from outside is decided when it runs, not when it is captured.
  const bool is_work = !step.on_host && !decl.sets_outputs() &&
                       (decl.effect == Effect::kNone || decl.effect == Effect::kWrite ||
                        decl.effect == Effect::kCollective) &&
                       std::all_of(step.outputs.begin(), step.outputs.end(),
                                   [&](int output) { return has_fixed_place(output); });
  return is_work ? Fit::kWork : Fit::kNone;
}

Segment SegmentFinder::segment(size_t first, size_t last) const {
  Segment made{first, last, {}, {}, {}};
  const auto add = [](std::vector<int>& to, int index) {
    if (std::find(to.begin(), to.end(), index) == to.end()) to.push_back(index);
  };
  for (size_t i = first; i < last; ++i) {
    const Step& step = b_.steps[i];
    if (fit(step) == Fit::kRead) {
      made.reads.push_back(i);
      continue;
    }
    for (int input : step.inputs) {
      if (slot(input).constant.object_as<Variable>()) add(made.changed, input);
      if (slot(input).storage == Storage::kOwned) add(made.owned, input);
    }
  }
  return made;
}

void SegmentFinder::find() {
  size_t first = 0, work = 0;
  for (size_t i = 0; i <= b_.steps.size(); ++i) {
    const Fit found = i < b_.steps.size() ? fit(b_.steps[i]) : Fit::kNone;
    work += found == Fit::kWork;
    if (found != Fit::kNone) continue;
    if (work >= kLeastWork) b_.segments.push_back(segment(first, i));
    first = i + 1;
    work = 0;
  }
}

}  // namespace

void place_arguments_first(Binding& binding) {
  if (!binding.plan->captures()) return;
  std::stable_partition(binding.steps.begin(), binding.steps.end(), [&](const Step& step) {
    return (step.kind == Step::Kind::kToDevice || step.kind == Step::Kind::kCopy) &&
           binding.slots[static_cast<size_t>(step.inputs[0])].storage == Storage::kArgument;
  });
}

void find_reads_in_place(Binding& binding) {
  if (!binding.plan->writes_state()) return;
  const SegmentFinder finder(binding);
  for (size_t i = 0; i < binding.steps.size(); ++i) {
    Step& step = binding.steps[i];
    if (step.kind != Step::Kind::kKernel || !step.node->is("ReadVariableOp")) continue;
    step.reads_in_place =
        !is_object(step.node->outputs[0].dtype) && finder.is_done_before_changes(i);
  }
}

void find_segments(Binding& binding) {
  if (binding.plan->captures()) SegmentFinder(binding).find();
}

}  // namespace tenon
