// tensorflow.ProfilerService: what TensorBoard's capture button and
// tf.profiler.experimental.client.trace() ask for. Profile records what the server does for as long
// as it is asked to and answers with an XSpace (tsl/profiler/protobuf/xplane.proto); Terminate ends
// a recording early. One records at a time.
#pragma once

#include "tenon/base/timeline.h"
#include "tenon/serving/grpc/grpc_method.h"

namespace tenon::serving {

// Adds the two methods, which pass `gate`. `draining` outlives them: a server that stops ends the
// recording, which is answered.
void add_profiler_service(int gate, const std::atomic<bool>& draining, GrpcMethods& methods);

// The XSpace of `timeline`: a plane of the host with a line a thread, which TensorBoard's tools
// know by its name.
std::string xspace_of(const RecordedTimeline& timeline, std::string_view host);

}  // namespace tenon::serving
