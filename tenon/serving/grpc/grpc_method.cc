#include "tenon/serving/grpc/grpc_method.h"

#include <bit>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/timeline.h"
#include "tenon/serving/net/trace_context.h"
#include "tenon/serving/request_metrics.h"

namespace tenon::serving {

void GrpcMethods::add(GrpcMethod method) {
  const std::string_view path = method.path;
  methods_.emplace(path, std::move(method));
}

const GrpcMethod* GrpcMethods::find(std::string_view path) const {
  const auto found = methods_.find(path);
  return found == methods_.end() ? nullptr : &found->second;
}

GrpcCall::GrpcCall(int32_t stream_id, const GrpcMethod& called, const GrpcLimits& limits)
    : stream(stream_id), method(called), limits_(limits) {
  gate = called.gate;
  run_limits.cancelled = &cancelled;
}

void GrpcCall::set_kind() {
  // FNV-1a.
  uint64_t hash = 14695981039346656037U ^ reinterpret_cast<uintptr_t>(&method);
  for (const char c : std::string_view(message).substr(0, 48)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  }
  hash = (hash ^ std::bit_width(message.size())) * 1099511628211U;
  kind = (hash ^ hash >> 32) | 1;
}

void GrpcCall::refuse(const Status& why) {
  status = why;
  const TraceScope trace(traceparent);
  if (method.refused) method.refused(message, why);
}

void GrpcCall::run() {
  const TraceScope trace(traceparent);
  const TimelineScope span("gRPC", method.path);
  const int64_t start = limits_.access_log ? steady_microseconds() : 0;
  const size_t bytes_in = message.size();
  status = or_out_of_memory([this] { return answer(); });
  if (!status.ok()) response.clear();
  if (limits_.access_log) {
    log_access("GRPC", method.path, code_name(status.code()), bytes_in, response.size(),
               microseconds_since(start));
  }
  std::string().swap(message);
}

Status GrpcCall::answer() {
  TENON_RETURN_IF_ERROR(run_limits.check());
  if (compressed) {
    TENON_ASSIGN_OR_RETURN(
        message,
        grpc_decompress(message, encoding, static_cast<size_t>(limits_.max_message_bytes)));
  }
  TENON_RETURN_IF_ERROR(method.call(message, run_limits, &response));
  if (response.size() > INT32_MAX) {
    return resource_exhausted("Sent message larger than max (", response.size(), " vs. ", INT32_MAX,
                              ")");
  }
  if (response.empty()) answer_encoding = GrpcEncoding::kIdentity;
  if (answer_encoding != GrpcEncoding::kIdentity) {
    response = grpc_compress(response, answer_encoding);
  }
  return absl::OkStatus();
}

}  // namespace tenon::serving
