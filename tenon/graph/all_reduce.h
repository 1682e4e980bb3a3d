// All-reduce in a graph: every replica of a group gets the sum (or mean) of all replicas' values.
// Two ops, so that what stands between them goes on while the others are waited for.
#pragma once

#include "tenon/graph/builder.h"

namespace tenon {

struct AllReduce {
  Endpoint communicator, present;
  Endpoint pending;              // where the host sums
  std::vector<Endpoint> values;  // where devices do: what is being summed
  std::string instance;
  bool mean = false;
};

// The group's communicator, which the model's state holds under that name: a Communicator, or a
// DeviceCommunicator where the replicas' devices sum values among themselves.
Endpoint communicator(GraphBuilder& build, std::string_view group, bool on_device = false);
bool sums_on_device(GraphBuilder& build, Endpoint communicator);

// Hands `values`, of one dtype, to the reduction `instance`, whose name is that of no other in the
// graph. Where `present` (a bool) is false they do not count; without it, which only devices that
// sum themselves take, all do. All replicas start the reductions of one group in the same order.
AllReduce start_all_reduce(GraphBuilder& build, Endpoint communicator, Endpoint present,
                           std::vector<Endpoint> values, std::string_view instance, bool mean);
// Waits for it. Gradients flow through the result to the values of all replicas; where devices sum
// themselves, the loss of a replica that is not present must not depend on its values.
std::vector<Endpoint> finish_all_reduce(GraphBuilder& build, const AllReduce& started);

}  // namespace tenon
