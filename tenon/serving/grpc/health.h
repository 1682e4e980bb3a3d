// grpc.health.v1.Health: Check and Watch of services whose status changes once, when the server
// stops.
#pragma once

#include "tenon/serving/grpc/grpc_method.h"

namespace tenon::serving {

// Adds the two methods. `services` are those that are served; the empty name, the server as a
// whole, is one as well. `draining` outlives the methods.
void add_health_service(std::vector<std::string> services, const std::atomic<bool>& draining,
                        GrpcMethods& methods);

}  // namespace tenon::serving
