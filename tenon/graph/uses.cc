#include "tenon/graph/uses.h"

#include <algorithm>

namespace tenon {

Uses::Uses(Graph& graph) : graph_(graph) {
  see_new_nodes();
  for (size_t i = 0; i < graph.results.size(); ++i) {
    readers(graph.results[i]).push_back({-1, static_cast<int32_t>(i)});
  }
  for (size_t i = 0; i < graph.control_results.size(); ++i) {
    waiters(graph.control_results[i]).push_back({-1, static_cast<int32_t>(i)});
  }
}

Uses::~Uses() {
  std::sort(dropped_.begin(), dropped_.end());
  dropped_.erase(std::unique(dropped_.begin(), dropped_.end()), dropped_.end());
  for (NodeId id : dropped_) std::erase(graph_.node(id).control_inputs, -1);
  std::erase(graph_.control_results, -1);
}

void Uses::see_new_nodes() {
  const NodeId seen = static_cast<NodeId>(entries_.size());
  if (seen == graph_.size()) return;
  entries_.resize(static_cast<size_t>(graph_.size()));
  for (NodeId id = seen; id < graph_.size(); ++id) {
    const Node& node = graph_.node(id);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      readers(node.inputs[i]).push_back({id, static_cast<int32_t>(i)});
    }
    for (size_t i = 0; i < node.control_inputs.size(); ++i) {
      if (node.control_inputs[i] < 0) continue;
      waiters(node.control_inputs[i]).push_back({id, static_cast<int32_t>(i)});
    }
  }
}

std::vector<Uses::Use> Uses::take(std::vector<Use>& users) const {
  std::vector<Use> taken;
  taken.swap(users);
  std::erase_if(taken, [&](const Use& use) { return !stands(use); });
  return taken;
}

std::vector<Uses::Use>& Uses::readers(Endpoint value) {
  auto& by_output = entries_[static_cast<size_t>(value.node)].readers;
  const size_t index = static_cast<size_t>(value.index);
  if (by_output.size() <= index) by_output.resize(index + 1);
  return by_output[index];
}

std::vector<Uses::Use>& Uses::waiters(NodeId id) {
  return entries_[static_cast<size_t>(id)].waiters;
}

// Uses by nodes that were removed are dropped when they are met, each once.
std::span<const Uses::Use> Uses::first_users(std::vector<Use>& users, size_t most) {
  size_t left = 0;
  while (left < users.size() && left < most) {
    if (stands(users[left])) {
      ++left;
    } else {
      users[left] = users.back();
      users.pop_back();
    }
  }
  return std::span(users).first(left);
}

bool Uses::is_read(Endpoint value) {
  see_new_nodes();
  return !first_users(readers(value), 1).empty();
}

NodeId Uses::only_reader(Endpoint value) {
  see_new_nodes();
  const auto users = first_users(readers(value), 2);
  return users.size() == 1 ? users[0].node : -1;
}

bool Uses::is_read_only_among(Endpoint value, FunctionRef<bool(NodeId)> among) {
  see_new_nodes();
  std::vector<Use>& users = readers(value);
  for (size_t i = 0; first_users(users, i + 1).size() > i; ++i) {
    if (users[i].node < 0 || !among(users[i].node)) return false;
  }
  return true;
}

void Uses::for_each_reader(Endpoint value, FunctionRef<void(NodeId)> take) {
  see_new_nodes();
  for (const Use& use : readers(value)) {
    if (use.node >= 0 && graph_.alive(use.node)) take(use.node);
  }
}

bool Uses::is_waited_for(NodeId id) {
  see_new_nodes();
  return !first_users(waiters(id), 1).empty();
}

void Uses::replace_value(Endpoint from, Endpoint to) {
  see_new_nodes();
  if (from == to) return;
  std::vector<Use> moved = take(readers(from));
  for (const Use& use : moved) {
    const auto index = static_cast<size_t>(use.index);
    (use.node < 0 ? graph_.results : graph_.node(use.node).inputs)[index] = to;
  }
  std::vector<Use>& users = readers(to);
  if (users.empty()) {
    users = std::move(moved);
  } else {
    users.insert(users.end(), moved.begin(), moved.end());
  }
}

void Uses::replace_control(NodeId from, NodeId to) {
  see_new_nodes();
  if (from == to) return;
  std::vector<Use> moved = take(waiters(from));
  for (const Use& use : moved) {
    const auto index = static_cast<size_t>(use.index);
    (use.node < 0 ? graph_.control_results : graph_.node(use.node).control_inputs)[index] = to;
  }
  std::vector<Use>& users = waiters(to);
  users.insert(users.end(), moved.begin(), moved.end());
}

void Uses::drop_control(NodeId id) {
  see_new_nodes();
  for (const Use& use : take(waiters(id))) {
    const auto index = static_cast<size_t>(use.index);
    (use.node < 0 ? graph_.control_results : graph_.node(use.node).control_inputs)[index] = -1;
    if (use.node >= 0) dropped_.push_back(use.node);
  }
}

bool Uses::is_unused(NodeId id) {
  if (!graph_.alive(id) || graph_.node(id).is("_Arg")) return false;
  Entry& entry = entries_[static_cast<size_t>(id)];
  return first_users(entry.waiters, 1).empty() &&
         std::all_of(entry.readers.begin(), entry.readers.end(),
                     [&](std::vector<Use>& users) { return first_users(users, 1).empty(); });
}

void Uses::remove_if_unused(NodeId id) {
  see_new_nodes();
  std::vector<NodeId> candidates{id};
  while (!candidates.empty()) {
    const NodeId next = candidates.back();
    candidates.pop_back();
    if (!is_unused(next)) continue;
    const Node& node = graph_.node(next);
    for (Endpoint input : node.inputs) candidates.push_back(input.node);
    for (NodeId control : node.control_inputs) {
      if (control >= 0) candidates.push_back(control);
    }
    graph_.remove(next);
  }
}

}  // namespace tenon
