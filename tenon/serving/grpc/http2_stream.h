// One stream of an Http2Session: a request on its way in, and its answer on its way out.
#pragma once

#include "tenon/serving/grpc/http2_session.h"

namespace tenon::serving {

struct Http2Session::HttpCall final : HttpExchange {
  using HttpExchange::HttpExchange;
  int32_t stream = 0;
  std::vector<std::pair<std::string, std::string>> fields;  // the request's views point here
};

struct Http2Session::Stream {
  Stream(int32_t stream_id, const GrpcLimits& limits)
      : id(stream_id), reader(static_cast<size_t>(limits.max_message_bytes)) {}

  const int32_t id;

  // Headers of the request.
  std::string method, path, content_type, timeout, encoding, accept_encoding, traceparent;
  std::string authorization;
  std::vector<std::pair<std::string, std::string>> fields;  // where there is a handler of HTTP
  int64_t header_bytes = 0;
  bool headers_end = false;

  // The request: at most one of the three.
  std::shared_ptr<GrpcCall> call;
  std::unique_ptr<GrpcStream> streaming;
  // Where each message is a call: those that wait for the one before.
  bool each_message = false;
  bool running = false;                              // `call`
  std::deque<std::pair<std::string, bool>> waiting;  // with: is it compressed?
  std::shared_ptr<HttpCall> http;
  GrpcMessageReader reader;
  bool has_message = false;
  bool incomplete = true;          // it is still arriving
  bool counted_incomplete = true;  // and it should not take long

  // The answer.
  bool answered = false;  // its status is known: what still arrives is ignored
  bool started = false;   // its headers are given to nghttp2
  bool unsent = false;    // counted among those that are not sent whole
  bool finished = false;  // nothing more is put into `out`
  bool deferred = false;  // nghttp2 waits for more of `out`
  GrpcEncoding encoded = GrpcEncoding::kIdentity;
  std::deque<std::string> out;
  size_t sent = 0;  // of out.front()
  Status status;    // of gRPC, once finished
};

}  // namespace tenon::serving
