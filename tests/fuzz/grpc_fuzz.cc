// Any bytes from a gRPC client, in pieces whose size the first byte says: as what a connection
// brings that is, with the preface before them or without; and as a TensorProto and a
// ModelInferRequest. What is complete is answered, the rest refused; what is decoded can be encoded
// again.

#include <cstdlib>

#include "tenon/base/out_of_memory.h"
#include "tenon/core/tensor_message.h"
#include "tenon/serving/grpc/health.h"
#include "tenon/serving/grpc/http2_session.h"
#include "tenon/serving/grpc/reflection.h"
#include "tenon/serving/grpc/tensor_message.h"
#include "tenon/serving/open_inference/infer_message.h"

namespace {

using tenon::serving::GrpcMethod;
using tenon::serving::Http2Services;
using tenon::serving::Http2Session;
using tenon::serving::RequestPtr;
using tenon::serving::Session;

const std::atomic<bool> draining{false};

Http2Services make_services() {
  Http2Services services;
  GrpcMethod echo;
  echo.path = "/e/E";
  echo.call = [](std::string_view request, const tenon::RunLimits&, std::string* response) {
    *response = request;
    return absl::OkStatus();
  };
  services.methods.add(std::move(echo));
  services.limits.compression = tenon::serving::GrpcEncoding::kGzip;
  services.limits.max_message_bytes = 1 << 20;
  tenon::serving::add_health_service({"a"}, draining, services.methods);
  tenon::serving::add_reflection_service({"a"}, services.methods);
  return services;
}

void serve(std::string_view bytes, size_t piece) {
  static const Http2Services services = make_services();
  const std::unique_ptr<Http2Session> session = Http2Session::create(services);
  std::vector<RequestPtr> ready;
  std::string out;
  const auto answer = [&] {
    for (size_t i = 0; i < ready.size(); ++i) {
      const RequestPtr request = ready[i];
      request->run();
      session->answered(*request, ready);
    }
    ready.clear();
    do {
      out.clear();
      session->produce(out);
    } while (!out.empty());
    (void)session->deadline();
  };
  while (!bytes.empty() && session->end() == Session::End::kOpen) {
    session->receive(bytes.substr(0, piece), ready);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    answer();
  }
  session->drain();
  answer();
  session->drain();
  answer();
}

// As a request does it: what memory does not suffice for is refused.
void decode(std::string_view bytes) {
  (void)tenon::or_out_of_memory([&] {
    return tenon::serving::parse_infer_message(bytes).status();
  }).ok();
  (void)tenon::or_out_of_memory([&] { return tenon::parse_tensor(bytes, size_t{1} << 28); }).ok();
  const auto tensor =
      tenon::or_out_of_memory([&] { return tenon::serving::parse_input_tensor("x", bytes); });
  if (!tensor.ok() || tensor->num_bytes() > size_t{1} << 20) return;
  for (const bool as_content : {false, true}) {
    std::string again;
    tenon::serving::append_output_tensor(again, *tensor, as_content);
    if (!tenon::serving::parse_input_tensor("x", again).ok()) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  serve(bytes, size_t{data[0]} + 1);
  serve(tenon::cat(kPreface, bytes), size_t{data[0]} + 1);
  decode(bytes);
  return 0;
}
