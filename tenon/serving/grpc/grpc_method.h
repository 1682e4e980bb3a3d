// The methods that a gRPC server answers, and one call of a unary one.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

#include "tenon/runtime/run_turn.h"
#include "tenon/serving/grpc/grpc_wire.h"
#include "tenon/serving/net/session.h"

namespace tenon::serving {

// The server's side of one call of a streaming method. Called under its connection's lock, so that
// it does nothing that takes long.
class GrpcStream {
 public:
  virtual ~GrpcStream() = default;
  // A message has come; appends what is answered. An error ends the call.
  virtual Status receive(std::string_view message, std::vector<std::string>& answers) = 0;
  // The client has sent its last message: is the call over?
  virtual bool over_with_input() const { return true; }
  // The server stops, and ends the call when this returns.
  virtual void drain(std::vector<std::string>&) {}
};

struct GrpcMethod {
  std::string_view path;  // "/tensorflow.serving.PredictionService/Predict"
  int gate = ServerRequest::kNoGate;
  bool open = false;  // to clients without a token, too
  // Unary: the bytes of a request in, those of the response out. Thread-safe.
  std::function<Status(std::string_view request, const RunLimits& limits, std::string* response)>
      call;
  // Told of a call that was not let through its gate, or, without its request, of one that lacks a
  // token; may be empty.
  std::function<void(std::string_view request, const Status& why)> refused;
  // Streaming: each message is a call of its own, whose answers come in their order; one that fails
  // ends the stream.
  bool each_message = false;
  // Streaming: made for each call. Exactly one of `call` and this is there.
  std::function<std::unique_ptr<GrpcStream>()> stream;
};

class GrpcMethods {
 public:
  void add(GrpcMethod method);
  // Null when there is none.
  const GrpcMethod* find(std::string_view path) const;

 private:
  std::unordered_map<std::string_view, GrpcMethod> methods_;  // a node stays where it is
};

struct GrpcLimits {
  int64_t max_message_bytes = INT32_MAX;               // of a request
  int64_t max_metadata_bytes = 16 << 10;               // of a request's headers
  int64_t max_streams = 1000;                          // calls at once on a connection
  int64_t max_idle_ms = INT32_MAX;                     // without a call; then the connection ends
  GrpcEncoding compression = GrpcEncoding::kIdentity;  // of answers, where the client takes it
  bool access_log = false;                             // a line a call
};

// One call of a unary method.
class GrpcCall final : public ServerRequest {
 public:
  GrpcCall(int32_t stream_id, const GrpcMethod& method, const GrpcLimits& limits);

  void run() override;
  void refuse(const Status& why) override;
  bool abandoned() const override { return cancelled; }
  // How calls like this are known: by method, the beginning of the message (which names the model)
  // and its length.
  void set_kind();

  const int32_t stream;
  const GrpcMethod& method;
  RunLimits run_limits;
  std::atomic<bool> cancelled{false};
  std::string message;
  std::string traceparent;  // W3C's header
  bool compressed = false;
  GrpcEncoding encoding = GrpcEncoding::kIdentity;         // of the message
  GrpcEncoding answer_encoding = GrpcEncoding::kIdentity;  // wanted; what the answer has in the end
  Status status;
  std::string response;

 private:
  Status answer();
  const GrpcLimits& limits_;
};

}  // namespace tenon::serving
