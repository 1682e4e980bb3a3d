#include "tenon/runtime/host_work.h"

#include "tenon/core/op.h"
#include "tenon/runtime/binding.h"

namespace tenon {
namespace {

// NoOp and the ops that name a variable or table look at nothing.
bool only_names(const Node& node) {
  return node.inputs.empty() &&
         std::all_of(node.outputs.begin(), node.outputs.end(),
                     [](const ValueInfo& output) { return output.dtype == DType::kResource; });
}

}  // namespace

HostWork host_work_of(const Binding& binding) {
  HostWork work;
  if (binding.plan->device()->host_accessible()) return work;
  const auto slot = [&](int index) -> const Slot& {
    return binding.slots[static_cast<size_t>(index)];
  };
  const auto is_result = [&](int index) {
    const std::vector<int>& results = binding.result_slots;
    return std::find(results.begin(), results.end(), index) != results.end();
  };
  for (const Step& step : binding.steps) {
    if (step.node) {
      if (step.on_stream || only_names(*step.node)) continue;
      work.steps.push_back({std::string(step.node->op->name()), step.node->name});
      continue;
    }
    const Slot& from = slot(step.inputs[0]);
    if (step.kind == Step::Kind::kCopy || slot(from.root).storage == Storage::kArgument ||
        is_result(step.outputs[0]) || !from.shape.is_fully_known()) {
      continue;
    }
    work.copied_bytes += from.bytes();
  }
  return work;
}

std::string HostWork::ops() const {
  std::vector<std::string_view> order;
  std::map<std::string_view, int> nodes;
  for (const Step& step : steps) {
    if (++nodes[step.op] == 1) order.push_back(step.op);
  }
  std::vector<std::string> parts;
  for (std::string_view op : order) {
    parts.push_back(nodes[op] == 1 ? std::string(op) : cat(op, " (", nodes[op], ")"));
  }
  return join(parts, ", ");
}

}  // namespace tenon
