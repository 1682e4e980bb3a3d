#include "tenon/serving/http/http_connection.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <limits>
#include <new>

#include "tenon/base/log.h"
#include "tenon/io/gzip.h"
#include "tenon/serving/json/json_predict.h"

namespace tenon::serving {
namespace {

constexpr size_t kReceiveBytes = 64 << 10;
constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

HttpResponse json_error_response(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = write_json_error(message);
  return response;
}

}  // namespace

int64_t steady_milliseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

bool HttpTurns::take(uint64_t connection) {
  std::lock_guard lock(mutex_);
  if (free_ > 0) {
    --free_;
    return true;
  }
  waiting_.push_back(connection);
  return false;
}

void HttpTurns::give_back() {
  std::lock_guard lock(mutex_);
  if (waiting_.empty()) {
    ++free_;
    return;
  }
  ready_.push_back(waiting_.front());
  waiting_.pop_front();
}

std::optional<uint64_t> HttpTurns::next() {
  std::lock_guard lock(mutex_);
  if (ready_.empty()) return std::nullopt;
  const uint64_t connection = ready_.front();
  ready_.pop_front();
  return connection;
}

HttpConnection::HttpConnection(uint64_t id, int fd, const HttpHandler& handler,
                               const HttpLimits& limits, const HttpTimeouts& timeouts,
                               const std::atomic<bool>& draining, const std::atomic<bool>& cut_off,
                               HttpTurns& turns)
    : id_(id),
      fd_(fd),
      handler_(handler),
      limits_(limits),
      timeouts_(timeouts),
      draining_(draining),
      cut_off_(cut_off),
      turns_(turns),
      chunks_(limits),
      deadline_(steady_milliseconds() + timeouts.idle) {}

HttpConnection::~HttpConnection() { ::close(fd_); }

void HttpConnection::expect_within(int64_t milliseconds) {
  deadline_.store(steady_milliseconds() + milliseconds, std::memory_order_relaxed);
}

void HttpConnection::expect_progress(uint64_t bytes_so_far) {
  const auto earned = static_cast<int64_t>(bytes_so_far) * 1000 / HttpTimeouts::kSlowestRate;
  deadline_.store(started_ + timeouts_.body + earned, std::memory_order_relaxed);
}

HttpConnection::Wants HttpConnection::drive() {
  // The workers hand a connection on by way of the kernel (EPOLLONESHOT), which C++ knows nothing
  // of.
  std::lock_guard lock(driving_);
  for (;;) {
    bool blocked = false;
    if (!flush(blocked)) return Wants::kClose;
    if (blocked) return Wants::kWrite;
    switch (parse()) {
      case Step::kAnswered:
        continue;
      case Step::kNeedTurn:
        return Wants::kTurn;
      case Step::kProgress:
      case Step::kNeedInput:
        break;
    }
    if (!output_.empty()) continue;  // "100 Continue"
    if (draining_ && state_ == State::kHead && unread().empty()) return Wants::kClose;
    if (!receive(blocked)) return Wants::kClose;
    if (blocked) return Wants::kRead;
  }
}

// After an answer that ends the connection, a client that may still be sending is read and ignored
// for a while, lest the answer be lost to a reset.
bool HttpConnection::flush(bool& blocked) {
  while (sent_ < output_.size()) {
    const ssize_t sent = ::send(fd_, output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      expect_progress(sent_);
      blocked = true;
      return true;
    }
    if (sent < 0) return false;
    sent_ += static_cast<size_t>(sent);
  }
  if (output_.empty()) return true;
  output_.clear();
  if (output_.capacity() > kReceiveBytes) output_.shrink_to_fit();
  sent_ = 0;
  if (close_after_output_) {
    if (!refused_ && unread().empty()) return false;
    if (state_ != State::kLinger) {
      state_ = State::kLinger;
      expect_within(timeouts_.linger);
      ::shutdown(fd_, SHUT_WR);
    }
  } else if (state_ == State::kHead) {
    idle_ = unread().empty();
    expect_within(idle_ ? timeouts_.idle : timeouts_.head);
  }
  return true;
}

bool HttpConnection::receive(bool& blocked) {
  if (consumed_ == input_.size()) {
    input_.clear();
    consumed_ = 0;
  } else if (consumed_ >= kReceiveBytes) {
    input_.erase(0, std::exchange(consumed_, 0));
  }
  // The rest of a body of known length goes where it belongs, without a copy.
  const bool direct = state_ == State::kBody && input_.empty();
  std::string& target = direct ? body_ : input_;
  const uint64_t wanted = direct ? std::min<uint64_t>(framing_.content_length - body_.size(),
                                                      std::max(kReceiveBytes, body_.size()))
                                 : kReceiveBytes;
  const size_t before = target.size();
  target.resize(before + wanted);
  ssize_t received;
  do {
    received = ::recv(fd_, target.data() + before, wanted, 0);
  } while (received < 0 && errno == EINTR);
  target.resize(before + static_cast<size_t>(std::max<ssize_t>(received, 0)));
  if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
    blocked = true;
    return true;
  }
  if (received <= 0) return false;
  if (state_ == State::kHead && idle_) {
    idle_ = false;
    expect_within(timeouts_.head);
  }
  return true;
}

HttpConnection::Step HttpConnection::parse() {
  if (state_ == State::kLinger) {
    consumed_ = input_.size();
    return Step::kNeedInput;
  }
  if (state_ == State::kTurn) return answer_in_turn();
  if (state_ == State::kHead) {
    const Step step = parse_head();
    if (step != Step::kProgress) return step;
  }
  return parse_body();
}

HttpConnection::Step HttpConnection::parse_head() {
  while (unread().starts_with("\r\n")) consumed_ += 2;  // RFC 9112, 2.2: empty lines before it
  const std::string_view text = unread();
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos || end > limits_.head_bytes) {
    if (text.size() <= limits_.head_bytes) return Step::kNeedInput;
    refuse(431);
    return Step::kAnswered;
  }
  head_.assign(text.substr(0, end + 4));
  consumed_ += end + 4;
  if (const int status = parse_http_head(head_, limits_, request_, framing_)) {
    refuse(status);
    return Step::kAnswered;
  }
  started_ = steady_milliseconds();
  expect_progress(0);
  body_.clear();
  chunks_ = ChunkDecoder(limits_);
  state_ = framing_.chunked ? State::kChunks : State::kBody;
  const bool has_body = framing_.chunked || framing_.content_length > 0;
  if (framing_.expects_continue && has_body && unread().empty()) {
    output_ += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  return Step::kProgress;
}

HttpConnection::Step HttpConnection::parse_body() {
  std::string_view text = unread();
  if (state_ == State::kChunks) {
    const size_t before = text.size();
    const int status = chunks_.decode(text, body_);
    consumed_ += before - text.size();
    if (status != 0) {
      refuse(status);
      return Step::kAnswered;
    }
  } else {
    text = text.substr(0, framing_.content_length - body_.size());
    body_.append(text);
    consumed_ += text.size();
  }
  expect_progress(body_.size());
  const bool done =
      state_ == State::kChunks ? chunks_.done() : body_.size() == framing_.content_length;
  if (!done) return Step::kNeedInput;
  deadline_.store(kNever, std::memory_order_relaxed);
  if (request_.method != "POST") {
    answer();
    return Step::kAnswered;
  }
  // Only what is posted may take long.
  state_ = State::kTurn;
  return turns_.take(id_) ? answer_in_turn() : Step::kNeedTurn;
}

HttpConnection::Step HttpConnection::answer_in_turn() {
  answer();
  turns_.give_back();
  return Step::kAnswered;
}

void HttpConnection::answer() {
  HttpResponse response;
  try {
    if (request_.headers.get("content-encoding").find("gzip") != std::string_view::npos) {
      StatusOr<std::string> plain =
          inflate(body_, DeflateFormat::kGzip, limits_.inflated_bytes, "the request body");
      if (!plain.ok()) {
        const bool too_large = absl::IsResourceExhausted(plain.status());
        return send(json_error_response(too_large ? 413 : 400, message_of(plain.status())),
                    framing_.keep_alive, true);
      }
      body_ = *std::move(plain);
    }
    request_.body = body_;
    request_.cancelled = &cut_off_;
    response = handler_(request_);
  } catch (const std::bad_alloc&) {
    response = json_error_response(503, "out of memory: the request is too large to be answered");
  }
  send(response, framing_.keep_alive && !draining_, request_.method != "HEAD");
}

// Answers a request that cannot be understood, so that what follows it cannot be either.
void HttpConnection::refuse(int status) {
  refused_ = true;
  send(json_error_response(status, cat("HTTP request refused: ", http_reason(status))), false,
       true);
}

void HttpConnection::send(const HttpResponse& response, bool keep_alive, bool with_body) {
  output_ = http_response_head(response, keep_alive);
  if (with_body) output_ += response.body;
  close_after_output_ = !keep_alive;
  state_ = State::kHead;
  started_ = steady_milliseconds();
  expect_progress(0);
  if (body_.capacity() > kReceiveBytes) std::string().swap(body_);
}

}  // namespace tenon::serving
