#include "tenon/serving/http/http_session.h"

#include <new>

#include "tenon/base/timeline.h"
#include "tenon/io/gzip.h"
#include "tenon/serving/json/json_predict.h"
#include "tenon/serving/net/append_bytes.h"

namespace tenon::serving {
namespace {

constexpr size_t kKeptBytes = 4 << 10;  // of the buffers of an idle connection
constexpr int64_t kSlowestBody = 4096;  // bytes a second

HttpResponse json_error_response(int status, std::string_view message) {
  HttpResponse response;
  response.status = status;
  response.body = write_json_error(message);
  return response;
}

// What cannot be had at the moment may be asked for again (RFC 9110, 10.2.3).
void say_when_to_retry(HttpResponse& response) {
  if (response.status != 429 && response.status != 503) return;
  response.headers.emplace_back("Retry-After", "1");
}

// RFC 1950, 2.2.
bool begins_as_zlib(std::string_view bytes) {
  if (bytes.size() < 2) return false;
  const auto first = static_cast<unsigned char>(bytes[0]);
  return (first & 15) == 8 && (first * 256 + static_cast<unsigned char>(bytes[1])) % 31 == 0;
}

}  // namespace

void HttpExchange::choose_gate() {
  gate = request.admitted && request.method == "POST" ? 0 : kNoGate;
}

void HttpExchange::refuse(const Status& why) {
  response = json_error_response(429, message_of(why));
  say_when_to_retry(response);
}

void HttpExchange::refuse(int status) {
  // 429 of a request that has not been read: memory lacks, whoever asks.
  response = json_error_response(status, status == 429
                                             ? "out of memory: the request is too large to be read"
                                             : cat("HTTP request refused: ", http_reason(status)));
  say_when_to_retry(response);
}

void HttpExchange::run() {
  const TimelineScope span(request.method, request.target);
  try {
    if (const Status status = inflate_body(); !status.ok()) {
      const bool too_large = absl::IsResourceExhausted(status);
      response = json_error_response(too_large ? 413 : 400, message_of(status));
      return;
    }
    request.body = body;
    request.cancelled = &cancelled;
    response = handler_(request);
    deflate_answer();
  } catch (const std::bad_alloc&) {
    response = json_error_response(503, "out of memory: the request is too large to be answered");
  }
  say_when_to_retry(response);
}

// "deflate" is zlib's format (RFC 9110, 8.4.1.2), for which some clients send bare deflate.
Status HttpExchange::inflate_body() {
  const std::string_view encoding = request.headers.get("content-encoding");
  if (!request.admitted || encoding.empty()) return absl::OkStatus();
  DeflateFormat format = DeflateFormat::kGzip;
  if (encoding.find("gzip") == std::string_view::npos) {
    if (encoding.find("deflate") == std::string_view::npos) return absl::OkStatus();
    format = begins_as_zlib(body) ? DeflateFormat::kZlib : DeflateFormat::kRaw;
  }
  TENON_ASSIGN_OR_RETURN(body, inflate(body, format, limits_.inflated_bytes, "the request body"));
  return absl::OkStatus();
}

void HttpExchange::deflate_answer() {
  constexpr int kFast = 1;
  if (limits_.deflated_from == 0 || response.body.size() < limits_.deflated_from) return;
  const std::string_view type = response.content_type;
  if (!type.starts_with("text/") && !type.starts_with("application/json")) return;
  response.headers.emplace_back("Vary", "Accept-Encoding");
  if (!request.headers.accepts_gzip()) return;
  response.headers.emplace_back("Content-Encoding", "gzip");
  response.body = deflate(response.body, DeflateFormat::kGzip, kFast);
}

HttpSession::HttpSession(const HttpHandler& handler, const HttpAdmission& admission,
                         const HttpLimits& limits, const HttpTimeouts& timeouts)
    : handler_(handler),
      admission_(admission),
      limits_(limits),
      timeouts_(timeouts),
      chunks_(limits) {
  expect_within(timeouts.idle);
}

void HttpSession::expect_within(int64_t milliseconds) {
  deadline_ = steady_milliseconds() + milliseconds;
}

void HttpSession::expect_progress(uint64_t bytes_so_far) {
  const auto earned = static_cast<int64_t>(bytes_so_far / kSlowestBody) * 1000;
  deadline_ = started_ + timeouts_.body + earned;
}

Session::End HttpSession::end() const {
  if (state_ == State::kOver) {
    return refused_ || !unread().empty() ? End::kLinger : End::kClose;
  }
  return drained_ && state_ == State::kHead && unread().empty() ? End::kClose : End::kOpen;
}

void HttpSession::drain() { drained_ = std::exchange(draining_, true); }

void HttpSession::cancel() {
  if (exchange_) exchange_->cancelled = true;
}

void HttpSession::receive(std::string_view bytes, std::vector<RequestPtr>& ready) {
  if (state_ == State::kOver) return;
  if (state_ == State::kHead && unread().empty()) expect_within(timeouts_.head);
  // The rest of a body of known length goes where it belongs, without a copy between.
  if (state_ == State::kBody && unread().empty()) {
    const uint64_t missing = exchange_->framing.content_length - exchange_->body.size();
    const std::string_view own = bytes.substr(0, missing);
    if (!append_bytes(exchange_->body, own)) return (void)refuse(429);
    bytes.remove_prefix(own.size());
  }
  input_.append(bytes);
  parse(ready);
}

void HttpSession::parse(std::vector<RequestPtr>& ready) {
  Step step = state_ == State::kHead ? parse_head() : Step::kProgress;
  if (step == Step::kProgress) step = parse_body();
  if (step == Step::kComplete) {
    state_ = State::kRunning;
    deadline_ = kNever;
    exchange_->choose_gate();
    ready.push_back(exchange_);
  }
  if (consumed_ == input_.size()) {
    input_.clear();
    if (input_.capacity() > kKeptBytes) input_.shrink_to_fit();
    consumed_ = 0;
  } else if (consumed_ >= kKeptBytes) {
    input_.erase(0, std::exchange(consumed_, 0));
  }
}

HttpSession::Step HttpSession::parse_head() {
  while (unread().starts_with("\r\n")) consumed_ += 2;  // RFC 9112, 2.2: empty lines before it
  const std::string_view text = unread();
  const size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos || end > limits_.head_bytes) {
    return text.size() <= limits_.head_bytes ? Step::kNeedInput : refuse(431);
  }
  exchange_ = std::make_shared<HttpExchange>(handler_, limits_);
  exchange_->head.assign(text.substr(0, end + 4));
  consumed_ += end + 4;
  HttpFraming& framing = exchange_->framing;
  if (const int status = parse_http_head(exchange_->head, limits_, exchange_->request, framing)) {
    return refuse(status);
  }
  started_ = steady_milliseconds();
  expect_progress(0);
  chunks_ = ChunkDecoder(limits_);
  state_ = framing.chunked ? State::kChunks : State::kBody;
  const bool has_body = framing.chunked || framing.content_length > 0;
  if (admission_ && !admission_(exchange_->request)) {
    exchange_->request.admitted = false;
    refused_ = has_body;
    framing.keep_alive = framing.keep_alive && !has_body;
    return Step::kComplete;
  }
  if (framing.expects_continue && has_body && unread().empty()) {
    output_ += "HTTP/1.1 100 Continue\r\n\r\n";
  }
  return Step::kProgress;
}

HttpSession::Step HttpSession::parse_body() {
  std::string_view text = unread();
  std::string& body = exchange_->body;
  if (state_ == State::kChunks) {
    const size_t before = text.size();
    const int status = chunks_.decode(text, body);
    consumed_ += before - text.size();
    if (status != 0) return refuse(status);
  } else {
    text = text.substr(0, exchange_->framing.content_length - body.size());
    if (!append_bytes(body, text)) return refuse(429);
    consumed_ += text.size();
  }
  expect_progress(body.size());
  const bool done =
      state_ == State::kChunks ? chunks_.done() : body.size() == exchange_->framing.content_length;
  return done ? Step::kComplete : Step::kNeedInput;
}

void HttpSession::answered(ServerRequest&, std::vector<RequestPtr>& ready) {
  const std::shared_ptr<HttpExchange> done = std::move(exchange_);
  done->response.is_1_0 = done->framing.is_1_0;
  send(done->response, done->framing.keep_alive && !draining_, done->request.method != "HEAD");
  if (state_ == State::kHead && !unread().empty()) {
    expect_within(timeouts_.head);
    parse(ready);
  }
}

// Answers a request that cannot be understood, so that what follows it cannot be either.
HttpSession::Step HttpSession::refuse(int status) {
  refused_ = true;
  HttpExchange refusal(handler_, limits_);
  refusal.refuse(status);
  send(refusal.response, false, true);
  exchange_.reset();
  return Step::kRefused;
}

void HttpSession::send(const HttpResponse& response, bool keep_alive, bool with_body) {
  const size_t before = output_.size();
  output_ += http_response_head(response, keep_alive);
  if (with_body && !append_bytes(output_, response.body)) {
    output_.resize(before);
    const HttpResponse lacking = json_error_response(429, "out of memory: the answer is too large");
    output_ += cat(http_response_head(lacking, keep_alive), lacking.body);
  }
  state_ = keep_alive ? State::kHead : State::kOver;
  expect_within(timeouts_.idle);
}

}  // namespace tenon::serving
