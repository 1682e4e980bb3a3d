// HttpSession: HTTP/1.1 on one connection. Requests are answered in order; a request is read whole
// before the handler sees it, and while it runs no more is read.
//
// Keep-alive (HTTP/1.0's too), pipelining, chunked and gzip request bodies, "Expect: 100-continue".
#pragma once

#include <optional>

#include "tenon/serving/http/http_message.h"
#include "tenon/serving/net/session.h"

namespace tenon::serving {

// Milliseconds; what a client may cost the server without sending anything useful.
struct HttpTimeouts {
  int64_t idle = 75'000;  // between requests
  int64_t head = 10'000;  // from the first byte of a request to the end of its head
  int64_t body = 30'000;  // for a body, plus a second each 4096 bytes of it
};

// One request and its answer.
class HttpExchange : public ServerRequest {
 public:
  HttpExchange(const HttpHandler& handler, const HttpLimits& limits)
      : handler_(handler), limits_(limits) {}

  // Calls the handler; a body in gzip or deflate is inflated first, and a long answer compressed.
  void run() override;
  void refuse(const Status& why) override;  // 429
  // Answers with a status instead.
  void refuse(int status);
  // Only what is posted may take long: it passes gate 0, the rest none.
  void choose_gate();

  std::string head;  // the request's views point here, and into `body`
  HttpRequest request;
  HttpFraming framing;
  std::string body;
  HttpResponse response;
  std::atomic<bool> cancelled{false};

 private:
  Status inflate_body();
  void deflate_answer();
  const HttpHandler& handler_;
  const HttpLimits& limits_;
};

class HttpSession final : public Session {
 public:
  // All of them outlive it.
  HttpSession(const HttpHandler& handler, const HttpAdmission& admission, const HttpLimits& limits,
              const HttpTimeouts& timeouts);

  void receive(std::string_view bytes, std::vector<RequestPtr>& ready) override;
  void answered(ServerRequest& request, std::vector<RequestPtr>& ready) override;
  void produce(std::string& out) override { out.swap(output_); }
  bool reads() const override { return state_ != State::kRunning; }
  End end() const override;
  // At first a connection without a request stays, since one may be under way; what is answered
  // then ends it.
  void drain() override;
  void cancel() override;
  int64_t deadline() const override { return deadline_; }

 private:
  enum class State { kHead, kBody, kChunks, kRunning, kOver };
  enum class Step { kProgress, kNeedInput, kRefused, kComplete };

  void parse(std::vector<RequestPtr>& ready);
  Step parse_head();
  Step parse_body();
  Step refuse(int status);
  void send(const HttpResponse& response, bool keep_alive, bool with_body);
  void expect_within(int64_t milliseconds);
  void expect_progress(uint64_t bytes_so_far);
  std::string_view unread() const { return std::string_view(input_).substr(consumed_); }

  const HttpHandler& handler_;
  const HttpAdmission& admission_;
  const HttpLimits& limits_;
  const HttpTimeouts& timeouts_;
  State state_ = State::kHead;
  bool draining_ = false;
  bool drained_ = false;  // no request is waited for that has not begun to arrive
  bool refused_ = false;  // the rest of the input is not looked at
  std::string input_;
  size_t consumed_ = 0;                     // of input_
  std::shared_ptr<HttpExchange> exchange_;  // from its head to its answer
  ChunkDecoder chunks_;
  std::string output_;
  int64_t started_ = 0;  // when the current part began
  int64_t deadline_;
};

}  // namespace tenon::serving
