#include "tenon/runtime/binding_memory.h"

#include <limits>

#include "tenon/runtime/memory_plan.h"

namespace tenon {
namespace {

constexpr int kForever = std::numeric_limits<int>::max();

class Placing {
 public:
  explicit Placing(Binding& binding)
      : b_(binding), separate_memory_(!binding.plan->device()->host_accessible()) {}

  void run() {
    find_lifetimes();
    share_memory();
    place_arena();
  }

 private:
  Slot& slot(int index) { return b_.slots[static_cast<size_t>(index)]; }
  void find_lifetimes();
  void share_memory();
  void place_arena();

  Binding& b_;
  const bool separate_memory_;
  std::vector<int> first_step_, last_step_;  // by root slot
};

void Placing::find_lifetimes() {
  first_step_.assign(b_.slots.size(), kForever);
  last_step_.assign(b_.slots.size(), -1);
  const auto touch = [&](int index, int step) {
    const auto root = static_cast<size_t>(slot(index).root);
    first_step_[root] = std::min(first_step_[root], step);
    last_step_[root] = std::max(last_step_[root], step);
  };
  std::vector<bool> read(b_.slots.size(), false);
  for (size_t i = 0; i < b_.steps.size(); ++i) {
    for (int index : b_.steps[i].inputs) touch(index, static_cast<int>(i));
    for (int index : b_.steps[i].outputs) touch(index, static_cast<int>(i));
    for (int index : b_.steps[i].inputs) read[static_cast<size_t>(index)] = true;
  }
  for (Step& step : b_.steps) {
    if (step.kind == Step::Kind::kToHost) step.awaited = read[static_cast<size_t>(step.outputs[0])];
  }
  for (int index : b_.result_slots) {
    last_step_[static_cast<size_t>(slot(index).root)] = kForever;
  }
  for (size_t index = 0; index < b_.slots.size(); ++index) {
    const int last = last_step_[index];
    if (b_.slots[index].storage == Storage::kOwned && last >= 0 && last != kForever) {
      b_.steps[static_cast<size_t>(last)].release.push_back(static_cast<int>(index));
    }
  }
}

// Lets outputs be written over inputs that die in the same step, where the kernel allows it; then
// gives the memory of results to the caller.
void Placing::share_memory() {
  std::vector<int> new_root(b_.slots.size());
  for (size_t i = 0; i < new_root.size(); ++i) new_root[i] = b_.slots[i].root;
  const auto root_of = [&](int index) {
    int root = index;
    while (new_root[static_cast<size_t>(root)] != root) root = new_root[static_cast<size_t>(root)];
    return root;
  };
  // What a step may hand on as its own result, as a branch that returns its argument does, is read
  // for as long as that result: nothing is written over it.
  std::vector<bool> handed_on(b_.slots.size(), false);
  for (const Step& step : b_.steps) {
    if (!step.node || !step.node->op->decl().sets_outputs()) continue;
    for (int input : step.inputs) handed_on[static_cast<size_t>(slot(input).root)] = true;
  }
  for (size_t i = 0; i < b_.steps.size(); ++i) {
    const Step& step = b_.steps[i];
    for (const auto& [in, out] : step.overwrites) {
      const int input = step.inputs[static_cast<size_t>(in)];
      const int output = step.outputs[static_cast<size_t>(out)];
      const int from = root_of(input);
      const int to = root_of(output);
      if (from == to || to != output || slot(from).storage != Storage::kArena ||
          slot(to).storage != Storage::kArena || slot(from).on_host != slot(to).on_host ||
          slot(from).bytes() != slot(to).bytes() ||
          last_step_[static_cast<size_t>(from)] != static_cast<int>(i)) {
        continue;
      }
      bool read_otherwise = false;
      // A second reading of the same value counts: the kernel may come to it after writing.
      for (size_t other = 0; other < step.inputs.size(); ++other) {
        read_otherwise |= other != static_cast<size_t>(in) && root_of(step.inputs[other]) == from;
      }
      if (read_otherwise || handed_on[static_cast<size_t>(from)]) continue;
      new_root[static_cast<size_t>(to)] = from;
      if (handed_on[static_cast<size_t>(to)]) handed_on[static_cast<size_t>(from)] = true;
      last_step_[static_cast<size_t>(from)] = last_step_[static_cast<size_t>(to)];
    }
  }
  for (size_t i = 0; i < b_.slots.size(); ++i) {
    b_.slots[i].root = root_of(static_cast<int>(i));
  }
  for (size_t i = 0; i < b_.result_slots.size(); ++i) {
    Slot& root = slot(slot(b_.result_slots[i]).root);
    if (root.storage != Storage::kArena) continue;
    root.storage = Storage::kResult;
    root.source = static_cast<int>(i);
  }
  for (Slot& each : b_.slots) {
    const Slot& root = slot(each.root);
    if (each.storage == Storage::kArena && root.storage == Storage::kResult) {
      each.storage = Storage::kResult;
      each.source = root.source;
    }
  }
}

void Placing::place_arena() {
  std::vector<ArenaBlock> host, device;
  std::vector<int> host_slots, device_slots;
  for (size_t i = 0; i < b_.slots.size(); ++i) {
    const Slot& root = b_.slots[i];
    if (root.storage != Storage::kArena || root.root != static_cast<int>(i)) continue;
    if (first_step_[i] == kForever) continue;
    const bool on_host = root.on_host || !separate_memory_;
    (on_host ? host : device).push_back({root.bytes(), first_step_[i], last_step_[i], 0});
    (on_host ? host_slots : device_slots).push_back(static_cast<int>(i));
  }
  b_.arena_bytes = plan_memory(host);
  b_.device_arena_bytes = plan_memory(device);
  for (size_t i = 0; i < host.size(); ++i) slot(host_slots[i]).offset = host[i].offset;
  for (size_t i = 0; i < device.size(); ++i) slot(device_slots[i]).offset = device[i].offset;
  for (Slot& each : b_.slots) {
    if (each.storage == Storage::kArena) each.offset = slot(each.root).offset;
  }
}

}  // namespace

void place_memory(Binding& binding) { Placing(binding).run(); }

}  // namespace tenon
