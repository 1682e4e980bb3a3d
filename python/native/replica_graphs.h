// A graph that holds all replicas of a strategy, taken apart: one graph for each, which meet where
// values are added up over them, and one for what is made of their results in the end.
#pragma once

#include <set>

#include "tenon/graph/graph.h"

namespace tenon::python {

// Where an argument or a result of one of the graphs comes from.
struct ReplicaValue {
  int replica = -1;  // -1: the whole function's arguments
  size_t index = 0;  // among its arguments, or the results of that replica
};

struct ReplicaGraphs {
  struct Part {
    Graph graph;
    std::vector<size_t> args;  // of the whole function's
  };
  std::vector<Part> replicas;
  // Takes results of replicas and arguments of the whole. Empty where results are as replicas left
  // them.
  Graph rest;
  std::vector<ReplicaValue> rest_args;
  // By result of the whole: that of a replica, or, with replica -1, of `rest`.
  std::vector<ReplicaValue> results;
  // The variables that each replica reads or writes, by their names.
  std::vector<std::set<std::string>> variables;
};

// `places` are the devices of the replicas, as nodes name them; `group` is the communicator in each
// replica's state, a device's where `on_device`. Nodes without device were made where replicas
// meet: an AddN of one value of each replica becomes a sum over them; what else meets there must
// not be wanted by a replica. UNIMPLEMENTED, with the reason, where a graph is not of that kind: it
// can only run as a whole.
StatusOr<ReplicaGraphs> split_replicas(const Graph& whole, std::span<const std::string> places,
                                       std::string_view group, bool on_device);

}  // namespace tenon::python
