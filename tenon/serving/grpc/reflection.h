// Server reflection (grpc.reflection.v1 and v1alpha, the same messages): what a client like grpcurl
// asks in order to call methods that it has no .proto files of.
#pragma once

#include "tenon/serving/grpc/grpc_method.h"

namespace tenon::serving {

// Adds the two services. `services` are the names that are listed.
void add_reflection_service(std::vector<std::string> services, GrpcMethods& methods);

// google.protobuf.FileDescriptorSet of all services and what they import; made by protoc at build
// time.
std::string_view service_descriptors();

}  // namespace tenon::serving
