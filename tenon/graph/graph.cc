#include "tenon/graph/graph.h"

#include <algorithm>
#include <queue>

#include "tenon/base/log.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/shape_inference.h"

namespace tenon {

std::string describe(const Node& node) {
  return cat("node '", node.name, "' (op ", node.op ? std::string_view(node.op->name()) : "removed",
             ")");
}

std::string Graph::unique_name(std::string_view wanted) {
  const auto [it, fresh] = names_.try_emplace(std::string(wanted), 1);
  if (fresh) return std::string(wanted);
  for (;;) {
    std::string name = cat(wanted, "_", it->second++);
    if (names_.try_emplace(name, 1).second) return name;
  }
}

StatusOr<NodeId> Graph::add(std::string_view op_name, std::string_view name,
                            std::vector<Endpoint> inputs, AttrMap attrs,
                            std::vector<NodeId> control_inputs) {
  const OpDef* op = OpRegistry::global().find(op_name);
  if (!op) {
    return with_context(OpRegistry::global().missing(op_name), cat("node '", name, "'"));
  }
  Node node;
  node.name = unique_name(name.empty() ? op_name : name);
  node.op = op;
  node.attrs = std::move(attrs);
  node.inputs = std::move(inputs);
  node.control_inputs = std::move(control_inputs);
  if (Status status = op->complete_attrs(node.attrs); !status.ok()) {
    return with_context(status, describe(node));
  }
  const std::vector<DType> expected = op->input_dtypes(node.attrs);
  if (expected.size() != node.inputs.size()) {
    return invalid_argument(describe(node), " has ", node.inputs.size(), " inputs, ",
                            expected.size(), " are expected");
  }
  for (size_t i = 0; i < expected.size(); ++i) {
    if (const DType found = value(node.inputs[i]).dtype; found != expected[i]) {
      return invalid_argument(describe(node), " has a ", found, " as input ", i, ", ", expected[i],
                              " is expected");
    }
  }
  const NodeId id = add_unchecked(std::move(node));
  if (Status status = infer(id); !status.ok()) {
    remove(id);
    return status;
  }
  return id;
}

NodeId Graph::add_unchecked(Node node) {
  names_.try_emplace(node.name, 1);
  node.op->note_use();
  if (node.outputs.empty()) {
    for (DType dtype : node.op->output_dtypes(node.attrs)) {
      node.outputs.push_back({dtype, PartialShape(), std::nullopt});
    }
  }
  nodes_.push_back(std::move(node));
  return size() - 1;
}

Status Graph::infer(NodeId id) {
  Node& target = node(id);
  NodeShapes shapes = shapes_of(*this, target);
  if (Status status = shapes.infer(); !status.ok()) {
    return with_context(status, cat("node '", target.name, "'"));
  }
  for (size_t i = 0; i < target.outputs.size(); ++i) {
    target.outputs[i].shape = std::move(shapes.outputs[i]);
    target.outputs[i].handle = std::move(shapes.handles[i]);
  }
  return absl::OkStatus();
}

void Graph::remove(NodeId id) {
  Node& target = node(id);
  target.op = nullptr;
  target.inputs.clear();
  target.control_inputs.clear();
  target.attrs = {};
}

const Tensor* Graph::constant(Endpoint e) const {
  const Node& source = node(e.node);
  return source.is("Const") ? source.attrs.get_if<Tensor>("value") : nullptr;
}

StatusOr<std::vector<NodeId>> Graph::topological_order(const std::vector<int8_t>& turn) const {
  std::vector<int> waiting(nodes_.size(), 0);
  std::vector<std::vector<NodeId>> next(nodes_.size());
  const auto wait = [&](NodeId id, NodeId input) {
    ++waiting[static_cast<size_t>(id)];
    next[static_cast<size_t>(input)].push_back(id);
  };
  for (NodeId id = 0; id < size(); ++id) {
    for (const Endpoint& input : node(id).inputs) wait(id, input.node);
    for (NodeId input : node(id).control_inputs) wait(id, input);
  }
  using Entry = std::pair<int8_t, NodeId>;  // smallest first
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> ready;
  const auto push = [&](NodeId id) {
    const auto at = static_cast<size_t>(id);
    ready.emplace(at < turn.size() ? turn[at] : int8_t{0}, id);
  };
  size_t alive_count = 0;
  for (NodeId id = 0; id < size(); ++id) {
    if (!alive(id)) continue;
    ++alive_count;
    if (waiting[static_cast<size_t>(id)] == 0) push(id);
  }
  std::vector<NodeId> order;
  while (!ready.empty()) {
    const NodeId id = ready.top().second;
    ready.pop();
    order.push_back(id);
    for (NodeId user : next[static_cast<size_t>(id)]) {
      if (--waiting[static_cast<size_t>(user)] == 0) push(user);
    }
  }
  if (order.size() != alive_count) {
    for (NodeId id = 0; id < size(); ++id) {
      if (alive(id) && waiting[static_cast<size_t>(id)] > 0) {
        return invalid_argument("the graph has a cycle through ", describe(node(id)));
      }
    }
  }
  return order;
}

int Graph::remove_unreached() {
  std::vector<bool> reached(nodes_.size());
  std::vector<NodeId> stack;
  const auto reach = [&](NodeId id) {
    if (reached[static_cast<size_t>(id)]) return;
    reached[static_cast<size_t>(id)] = true;
    stack.push_back(id);
  };
  for (NodeId id : args) reach(id);
  for (Endpoint result : results) reach(result.node);
  for (NodeId id : control_results) reach(id);
  while (!stack.empty()) {
    const Node& user = node(stack.back());
    stack.pop_back();
    for (Endpoint input : user.inputs) reach(input.node);
    for (NodeId control : user.control_inputs) reach(control);
  }
  int removed = 0;
  for (NodeId id = 0; id < size(); ++id) {
    if (!alive(id) || reached[static_cast<size_t>(id)]) continue;
    remove(id);
    ++removed;
  }
  return removed;
}

std::string to_string(const Graph& graph) {
  const auto endpoint = [&](Endpoint e) {
    const std::string& name = graph.node(e.node).name;
    return e.index == 0 ? name : cat(name, ":", e.index);
  };
  std::string text;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    std::vector<std::string> inputs;
    for (Endpoint e : node.inputs) inputs.push_back(endpoint(e));
    for (NodeId control : node.control_inputs) inputs.push_back(cat("^", graph.node(control).name));
    std::vector<std::string> outputs;
    for (const ValueInfo& info : node.outputs) outputs.push_back(cat(info.dtype, info.shape));
    text += cat(node.name, " = ", node.op->name(), "(", join(inputs, ", "), ") -> ",
                join(outputs, ", "), "\n");
  }
  std::vector<std::string> results;
  for (Endpoint e : graph.results) results.push_back(endpoint(e));
  return text + cat("return ", join(results, ", "), "\n");
}

}  // namespace tenon
