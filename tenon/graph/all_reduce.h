// All-reduce in a graph: every replica of a group gets the sum (or mean) of all replicas' values.
// Two ops, so that what stands between them goes on while the others are waited for.
#pragma once

#include "tenon/graph/builder.h"

namespace tenon {

struct AllReduce {
  Endpoint communicator, present, pending;
  std::vector<Endpoint> values;
};

// The group's communicator, which the model's state holds under that name.
Endpoint communicator(GraphBuilder& build, std::string_view group);

// Hands `values`, of one dtype, to the reduction `instance`, whose name is that of no other in the
// graph. Where `present` (a bool) is false they do not count. All replicas start the reductions of
// one group in the same order.
AllReduce start_all_reduce(GraphBuilder& build, Endpoint communicator, Endpoint present,
                           std::vector<Endpoint> values, std::string_view instance, bool mean);
// Waits for it. Gradients flow through the result to the values of all replicas.
std::vector<Endpoint> finish_all_reduce(GraphBuilder& build, const AllReduce& started);

}  // namespace tenon
