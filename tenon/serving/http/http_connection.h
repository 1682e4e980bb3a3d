// HttpConnection: one client's connection, from its first byte to its last.
//
// Runs wherever it is driven: the socket is non-blocking, and drive() says what it waits for.
// Requests of a connection are answered in order; a request is read whole before the handler sees
// it.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

#include "tenon/serving/http/http_message.h"

namespace tenon::serving {

// Milliseconds; what a client may cost the server without sending or taking anything useful.
struct HttpTimeouts {
  int64_t idle = 75'000;   // between requests
  int64_t head = 10'000;   // from the first byte of a request to the end of its head
  int64_t body = 30'000;   // for a body, or to take an answer, plus a second each kSlowestRate
  int64_t linger = 2'000;  // for the client to close after an answer that ends the connection
  static constexpr int64_t kSlowestRate = 4096;  // bytes a second
};

// Turns: how many requests that may take long are answered at a time, so that there is a worker for
// the others. Thread-safe.
class HttpTurns {
 public:
  explicit HttpTurns(int most) : free_(most) {}

  // True: the connection may answer now. Else it waits; next() will name it.
  bool take(uint64_t connection);
  // The turn goes to the connection that waits longest.
  void give_back();
  // A waiting connection whose turn has come; the caller drives it.
  std::optional<uint64_t> next();

 private:
  std::mutex mutex_;
  int free_;
  std::deque<uint64_t> waiting_, ready_;
};

class HttpConnection {
 public:
  enum class Wants { kRead, kWrite, kTurn, kClose };

  // What outlives it: the server.
  HttpConnection(uint64_t id, int fd, const HttpHandler& handler, const HttpLimits& limits,
                 const HttpTimeouts& timeouts, const std::atomic<bool>& draining,
                 const std::atomic<bool>& cut_off, HttpTurns& turns);
  ~HttpConnection();
  HttpConnection(const HttpConnection&) = delete;
  HttpConnection& operator=(const HttpConnection&) = delete;

  // Reads, answers and writes until it has to wait. A connection that waited for its turn has it
  // when it is driven again. Thread-safe: one call after another.
  Wants drive();

  int fd() const { return fd_; }

  // When it may be shut down for having made no progress (steady clock, ms). Thread-safe.
  int64_t deadline() const { return deadline_.load(std::memory_order_relaxed); }
  // No request has begun to arrive and no answer is being sent. Thread-safe.
  bool idle() const { return idle_.load(std::memory_order_relaxed); }

 private:
  enum class State { kHead, kBody, kChunks, kTurn, kLinger };
  enum class Step { kProgress, kNeedInput, kNeedTurn, kAnswered };

  bool flush(bool& blocked);    // false: the connection is lost
  bool receive(bool& blocked);  // false: the client has closed, or the connection is lost
  Step parse();
  Step parse_head();
  Step parse_body();
  Step answer_in_turn();
  void answer();
  void refuse(int status);
  void send(const HttpResponse& response, bool keep_alive, bool with_body);
  void expect_within(int64_t milliseconds);
  void expect_progress(uint64_t bytes_so_far);
  std::string_view unread() const { return std::string_view(input_).substr(consumed_); }

  const uint64_t id_;
  const int fd_;
  const HttpHandler& handler_;
  const HttpLimits& limits_;
  const HttpTimeouts& timeouts_;
  const std::atomic<bool>& draining_;
  const std::atomic<bool>& cut_off_;
  HttpTurns& turns_;

  std::mutex driving_;  // guards what follows, up to the deadline
  State state_ = State::kHead;
  std::string input_;
  size_t consumed_ = 0;  // of input_
  std::string head_;     // of the request being read; its views point here
  HttpRequest request_;
  HttpFraming framing_;
  ChunkDecoder chunks_;
  std::string body_;
  std::string output_;
  size_t sent_ = 0;  // of output_
  bool close_after_output_ = false;
  bool refused_ = false;  // the rest of the input was not understood
  int64_t started_ = 0;   // when the current part began
  std::atomic<int64_t> deadline_;
  std::atomic<bool> idle_{true};
};

// Milliseconds on the steady clock.
int64_t steady_milliseconds();

}  // namespace tenon::serving
