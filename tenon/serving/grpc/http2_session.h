// Http2Session: HTTP/2 on one connection (RFC 9113, by nghttp2), with gRPC in it, and HTTP requests
// of other kinds where there is a handler for them.
//
// Calls of a connection run side by side. What a client may cost without calling anything is
// bounded: streams, header bytes, control frames a second, and the time that half a request or an
// answer that is not taken may lie about.
#pragma once

#include <deque>
#include <map>

#include "tenon/serving/grpc/grpc_method.h"
#include "tenon/serving/http/http_session.h"
#include "tenon/serving/net/bearer_tokens.h"

struct nghttp2_session;

namespace tenon::serving {

// What a session answers with; outlives it.
struct Http2Services {
  GrpcMethods methods;
  GrpcLimits limits;
  const BearerTokens* tokens = nullptr;  // of which calls need one; null: none is needed
  HttpHandler http;                      // for what is not gRPC; may be empty
  HttpAdmission http_admission;
  HttpLimits http_limits;
  HttpTimeouts timeouts;
};

class Http2Session final : public Session {
 public:
  // Null when there is no memory for it.
  static std::unique_ptr<Http2Session> create(const Http2Services& services);
  ~Http2Session() override;

  void receive(std::string_view bytes, std::vector<RequestPtr>& ready) override;
  void answered(ServerRequest& request, std::vector<RequestPtr>& ready) override;
  void produce(std::string& out) override;
  // Not while more messages wait for those before than it holds.
  bool reads() const override { return waiting_messages_ < kMostWaiting; }
  End end() const override;
  void drain() override;
  void cancel() override;
  int64_t deadline() const override;

 private:
  struct Callbacks;  // nghttp2's, as static functions
  struct HttpCall;   // a request that is not gRPC
  struct Stream;

  explicit Http2Session(const Http2Services& services);
  bool start();

  // What nghttp2 tells.
  void on_header(Stream& stream, std::string_view name, std::string_view value);
  void on_headers(Stream& stream);
  void on_data(Stream& stream, std::string_view bytes);
  void on_end(Stream& stream);
  void on_close(int32_t id);
  void on_control_frame();

  void begin_grpc(Stream& stream);
  void begin_http(Stream& stream);
  void receive_messages(Stream& stream, std::string_view bytes);
  void take_message(Stream& stream);
  void run_next(Stream& stream, std::vector<RequestPtr>& ready);
  void complete(Stream& stream);
  void answer(Stream& stream, GrpcCall& call, std::vector<RequestPtr>& ready);
  void answer(Stream& stream, const HttpResponse& response);
  // Sends `bytes` behind the answer's headers, which go before the first.
  void send_message(Stream& stream, std::string bytes, bool compressed);
  void send_status(Stream& stream, const Status& status);
  void start_answer(Stream& stream);
  int64_t read_answer(Stream& stream, char* buffer, size_t size, uint32_t* flags);
  void refuse_http(Stream& stream, int status);
  void end_incomplete(Stream& stream);
  void end_unsent(Stream& stream);

  const Http2Services& services_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::unique_ptr<Stream>> streams_;
  // Messages of streams that wait for those before, each counted as at least 64 KiB.
  static constexpr size_t kMostWaiting = 64 << 20;
  size_t waiting_messages_ = 0;               // their bytes
  std::vector<RequestPtr>* ready_ = nullptr;  // of the call of receive() that goes on
  bool over_ = false;
  bool greeted_ = false;  // the client's SETTINGS have come
  int drains_ = 0;
  // Of control frames, which cost us and not the client: how many more may come at once.
  int64_t control_tokens_ = 0;
  int64_t control_since_ = 0;
  // Requests that have begun to arrive, since when there are any, and their bytes.
  int incomplete_ = 0;
  int64_t incomplete_since_ = 0;
  uint64_t incomplete_bytes_ = 0;
  // Answers that are not sent whole, and when the last piece of one was.
  int unsent_ = 0;
  int64_t unsent_since_ = 0;
  int64_t active_at_ = 0;  // when a stream last began or ended
};

}  // namespace tenon::serving
