// Uses: who reads each value of a Graph, for passes that may only change what has one reader.
#pragma once

#include <set>

#include "tenon/graph/graph.h"

namespace tenon {

// A snapshot: it does not follow later changes of the graph.
class Uses {
 public:
  explicit Uses(const Graph& graph) {
    for (NodeId id = 0; id < graph.size(); ++id) {
      for (Endpoint input : graph.node(id).inputs) readers_[input].push_back(id);
      for (NodeId control : graph.node(id).control_inputs) waited_for_.insert(control);
    }
    for (Endpoint result : graph.results) readers_[result].push_back(-1);
  }

  // Readers in order of NodeId, once for each input; -1 for the graph's results.
  const std::vector<NodeId>& of(Endpoint value) const {
    static const std::vector<NodeId> none;
    const auto it = readers_.find(value);
    return it == readers_.end() ? none : it->second;
  }
  // The only reader; -1 when there are more, none, or it is a result.
  NodeId only_reader(Endpoint value) const {
    const auto& readers = of(value);
    return readers.size() == 1 ? readers[0] : -1;
  }
  bool is_waited_for(NodeId id) const { return waited_for_.contains(id); }

 private:
  std::map<Endpoint, std::vector<NodeId>> readers_;
  std::set<NodeId> waited_for_;
};

}  // namespace tenon
