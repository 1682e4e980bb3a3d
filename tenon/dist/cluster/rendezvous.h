// Rendezvous: the workers of a cluster find each other and end with a connection from each to each.
//
// Every worker listens at its own address and calls the chief until it answers. When all have
// come, the chief names the run, and each worker calls those of lower ranks. A worker that is
// started again meets only such as have been started again too.
#pragma once

#include "tenon/dist/cluster/handshake.h"

namespace tenon::dist {

// The connections by rank; none to itself. `identity.rank` and `identity.run` are set here.
// FAILED_PRECONDITION or ALREADY_EXISTS when another worker refuses this one, ALREADY_EXISTS when
// its address is taken, UNAVAILABLE when not all have come before the deadline: the sentence names
// those that are missing.
StatusOr<std::vector<Socket>> meet_workers(const Cluster& cluster, Identity identity,
                                           Deadline deadline);

}  // namespace tenon::dist
