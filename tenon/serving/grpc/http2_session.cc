#include "tenon/serving/grpc/http2_session.h"

#include <nghttp2/nghttp2.h>

#include "tenon/serving/grpc/http2_stream.h"
#include "tenon/serving/net/append_bytes.h"

namespace tenon::serving {
namespace {

constexpr uint32_t kStreamWindow = 4 << 20;
constexpr int32_t kConnectionWindow = 16 << 20;
constexpr uint32_t kMaxFrame = 256 << 10;
constexpr size_t kProducedAtOnce = 256 << 10;
constexpr int64_t kControlBurst = 2000;
constexpr int64_t kControlRate = 500;                                      // a second
constexpr int64_t kSlowestRequestRate = 4096;                              // bytes a second
constexpr int64_t kLongestTimeout = int64_t{3600} * 24 * 365 * 1'000'000;  // microseconds

template <auto kDelete>
struct Deleted {
  template <class T>
  void operator()(T* pointer) const {
    kDelete(pointer);
  }
};

std::string_view view_of(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// What a message that waits counts as.
size_t waiting_bytes(std::string_view message) {
  return std::max<size_t>(message.size(), 64 << 10);
}

bool ends_stream(const nghttp2_frame_hd& head) {
  return (head.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

}  // namespace

struct Http2Session::Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static Stream* stream_of(Http2Session& session, int32_t id) {
    const auto found = session.streams_.find(id);
    return found == session.streams_.end() ? nullptr : found->second.get();
  }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& session = self(user);
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    const int32_t id = frame->hd.stream_id;
    session.streams_[id] = std::make_unique<Stream>(id, session.services_.limits);
    session.active_at_ = steady_milliseconds();
    if (session.incomplete_++ == 0) {
      session.incomplete_since_ = session.active_at_;
      session.incomplete_bytes_ = 0;
    }
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    Http2Session& session = self(user);
    Stream* const stream = stream_of(session, frame->hd.stream_id);
    if (stream != nullptr && !stream->headers_end) {
      session.on_header(*stream, view_of(name, name_size), view_of(value, value_size));
    }
    return 0;
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    Http2Session& session = self(user);
    const nghttp2_frame_hd& head = frame->hd;
    Stream* const stream = stream_of(session, head.stream_id);
    switch (head.type) {
      case NGHTTP2_HEADERS:
        if (stream == nullptr) break;
        if (!stream->headers_end) session.on_headers(*stream);
        if (ends_stream(head)) session.on_end(*stream);
        break;
      case NGHTTP2_DATA:
        if (head.length == 0 && !ends_stream(head)) session.on_control_frame();
        if (stream != nullptr && ends_stream(head)) session.on_end(*stream);
        break;
      case NGHTTP2_SETTINGS:
        session.greeted_ = true;
        if ((head.flags & NGHTTP2_FLAG_ACK) == 0) session.on_control_frame();
        break;
      case NGHTTP2_PING:
        if ((head.flags & NGHTTP2_FLAG_ACK) == 0) session.on_control_frame();
        break;
      case NGHTTP2_RST_STREAM:
      case NGHTTP2_PRIORITY:
        session.on_control_frame();
        break;
      default:
        break;
    }
    return 0;
  }

  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                     void* user) {
    Http2Session& session = self(user);
    if (Stream* const stream = stream_of(session, id)) {
      session.on_data(*stream, view_of(data, size));
    }
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t id, uint32_t, void* user) {
    self(user).on_close(id);
    return 0;
  }

  // Large answers go out in large frames, where the client takes such. nghttp2 keeps a buffer of
  // that size for as long as the connection lives, so that small answers do without.
  static ssize_t read_length(nghttp2_session*, uint8_t, int32_t id, int32_t, int32_t, uint32_t,
                             void* user) {
    constexpr ssize_t kSmallFrame = 16 << 10, kLargeFrame = 64 << 10;
    const Stream* const stream = stream_of(self(user), id);
    const bool large =
        stream != nullptr && !stream->out.empty() && stream->out.back().size() >= 4 * kLargeFrame;
    return large ? kLargeFrame : kSmallFrame;
  }

  // An answer may end while the request is still arriving: then the client need not go on.
  static int on_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
    const nghttp2_frame_hd& head = frame->hd;
    if ((head.type != NGHTTP2_HEADERS && head.type != NGHTTP2_DATA) || !ends_stream(head)) return 0;
    const Stream* const stream = stream_of(self(user), head.stream_id);
    if (stream != nullptr && stream->incomplete) {
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, head.stream_id, NGHTTP2_NO_ERROR);
    }
    return 0;
  }
};

Http2Session::Http2Session(const Http2Services& services) : services_(services) {}

std::unique_ptr<Http2Session> Http2Session::create(const Http2Services& services) {
  std::unique_ptr<Http2Session> session(new Http2Session(services));
  return session->start() ? std::move(session) : nullptr;
}

Http2Session::~Http2Session() {
  cancel();
  nghttp2_session_del(session_);
}

bool Http2Session::start() {
  nghttp2_session_callbacks* made = nullptr;
  nghttp2_option* made_option = nullptr;
  if (nghttp2_session_callbacks_new(&made) != 0) return false;
  const std::unique_ptr<nghttp2_session_callbacks, Deleted<nghttp2_session_callbacks_del>>
      callbacks(made);
  if (nghttp2_option_new(&made_option) != 0) return false;
  const std::unique_ptr<nghttp2_option, Deleted<nghttp2_option_del>> option(made_option);
  nghttp2_session_callbacks_set_on_begin_headers_callback(made, Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(made, Callbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(made, Callbacks::on_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made, Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(made, Callbacks::on_close);
  nghttp2_session_callbacks_set_on_frame_send_callback(made, Callbacks::on_sent);
  nghttp2_session_callbacks_set_data_source_read_length_callback(made, Callbacks::read_length);
  nghttp2_option_set_no_closed_streams(made_option, 1);
  nghttp2_option_set_stream_reset_rate_limit(made_option, kControlBurst, kControlRate);
  if (nghttp2_session_server_new2(&session_, made, this, made_option) != 0) return false;
  control_tokens_ = kControlBurst;
  control_since_ = active_at_ = steady_milliseconds();
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
       static_cast<uint32_t>(services_.limits.max_streams)},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, kMaxFrame},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,
       static_cast<uint32_t>(services_.limits.max_metadata_bytes)}};
  return nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings)) == 0 &&
         nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kConnectionWindow) ==
             0;
}

void Http2Session::receive(std::string_view bytes, std::vector<RequestPtr>& ready) {
  if (over_) return;
  ready_ = &ready;
  const ssize_t taken = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  ready_ = nullptr;
  if (taken >= 0) return;
  over_ = true;
  if (taken == NGHTTP2_ERR_FLOODED || taken == NGHTTP2_ERR_NOMEM) cancel();
}

void Http2Session::produce(std::string& out) {
  while (out.size() < kProducedAtOnce) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) over_ = true;
    if (size <= 0) return;
    out.append(view_of(data, static_cast<size_t>(size)));
  }
}

Session::End Http2Session::end() const {
  if (over_) return greeted_ ? End::kLinger : End::kClose;
  const bool goes_on =
      nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0;
  return goes_on ? End::kOpen : End::kLinger;
}

// First the client is told to call no more; then, once what it had called before it knew has
// arrived, which call was the last that is answered.
void Http2Session::drain() {
  ++drains_;
  if (drains_ == 1) {
    nghttp2_submit_shutdown_notice(session_);
    for (auto& [id, stream] : streams_) {
      if (stream->answered) continue;
      if (stream->each_message && !stream->running) {
        send_status(*stream, unavailable("the server stops"));
      }
      if (!stream->streaming) continue;
      std::vector<std::string> answers;
      stream->streaming->drain(answers);
      for (std::string& answer : answers) send_message(*stream, std::move(answer), false);
      send_status(*stream, unavailable("the server stops"));
    }
  } else if (drains_ == 2) {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
  }
}

void Http2Session::cancel() {
  for (auto& [id, stream] : streams_) {
    if (stream->call) stream->call->cancelled = true;
    if (stream->http) stream->http->cancelled = true;
  }
}

int64_t Http2Session::deadline() const {
  if (!greeted_) return active_at_ + services_.timeouts.head;
  int64_t deadline = kNever;
  if (incomplete_ > 0) {
    const auto earned = static_cast<int64_t>(incomplete_bytes_ / kSlowestRequestRate) * 1000;
    deadline = incomplete_since_ + services_.timeouts.idle + earned;
  }
  if (unsent_ > 0) deadline = std::min(deadline, unsent_since_ + services_.timeouts.idle);
  if (streams_.empty() && services_.limits.max_idle_ms < INT32_MAX) {
    deadline = std::min(deadline, active_at_ + services_.limits.max_idle_ms);
  }
  return deadline;
}

void Http2Session::on_control_frame() {
  if (control_tokens_-- > 0) return;
  const int64_t now = steady_milliseconds();
  control_tokens_ = std::min(kControlBurst, (now - control_since_) * kControlRate / 1000);
  control_since_ = now;
  if (control_tokens_-- > 0) return;
  nghttp2_session_terminate_session(session_, NGHTTP2_ENHANCE_YOUR_CALM);
}

void Http2Session::on_header(Stream& stream, std::string_view name, std::string_view value) {
  // As HPACK counts (RFC 7541, 4.1).
  stream.header_bytes += static_cast<int64_t>(name.size() + value.size()) + 32;
  if (stream.header_bytes > services_.limits.max_metadata_bytes) return;
  const std::pair<std::string_view, std::string*> wanted[] = {
      {":method", &stream.method},
      {":path", &stream.path},
      {"content-type", &stream.content_type},
      {"grpc-timeout", &stream.timeout},
      {"traceparent", &stream.traceparent},
      {"authorization", &stream.authorization},
      {"grpc-encoding", &stream.encoding},
      {"grpc-accept-encoding", &stream.accept_encoding}};
  for (const auto& [header, target] : wanted) {
    if (name == header) *target = value;
  }
  if (services_.http && !name.starts_with(':')) stream.fields.emplace_back(name, value);
}

void Http2Session::on_headers(Stream& stream) {
  stream.headers_end = true;
  if (stream.content_type.starts_with("application/grpc")) return begin_grpc(stream);
  if (services_.http) return begin_http(stream);
  refuse_http(stream, 415);
}

void Http2Session::begin_grpc(Stream& stream) {
  const GrpcLimits& limits = services_.limits;
  if (stream.method != "POST") return refuse_http(stream, 405);
  if (stream.header_bytes > limits.max_metadata_bytes) {
    return send_status(
        stream, resource_exhausted("received metadata of ", stream.header_bytes, " bytes, at most ",
                                   limits.max_metadata_bytes, " are accepted"));
  }
  const GrpcMethod* const method = services_.methods.find(stream.path);
  if (method == nullptr) {
    return send_status(stream, unimplemented("Method not found: ", stream.path));
  }
  if (services_.tokens != nullptr && !method->open &&
      !services_.tokens->admit(stream.authorization)) {
    const Status why = lacks_token(stream.authorization);
    if (method->refused) method->refused({}, why);
    return send_status(stream, why);
  }
  const auto encoding =
      stream.encoding.empty() ? GrpcEncoding::kIdentity : grpc_encoding(stream.encoding);
  if (!encoding) {
    return send_status(stream,
                       unimplemented("Compression algorithm '", stream.encoding,
                                     "' is not supported; expected one of ", kGrpcEncodings));
  }
  if (method->stream) {
    stream.streaming = method->stream();
    end_incomplete(stream);
  } else {
    stream.call = std::make_shared<GrpcCall>(stream.id, *method, limits);
    stream.call->encoding = *encoding;
    stream.call->traceparent = std::move(stream.traceparent);
    if (accepts_encoding(stream.accept_encoding, limits.compression)) {
      stream.call->answer_encoding = limits.compression;
    }
    const auto timeout = parse_grpc_timeout(stream.timeout);
    if (timeout && *timeout < kLongestTimeout) {
      stream.call->run_limits.deadline =
          std::chrono::steady_clock::now() + std::chrono::microseconds(*timeout);
    }
    stream.each_message = method->each_message;
    if (!stream.each_message) return;
    stream.encoded = stream.call->answer_encoding;
    end_incomplete(stream);
  }
}

void Http2Session::on_data(Stream& stream, std::string_view bytes) {
  incomplete_bytes_ += bytes.size();
  if (stream.answered) return;
  if (stream.http) {
    if (!stream.http->request.admitted) return;
    std::string& body = stream.http->body;
    if (body.size() + bytes.size() > services_.http_limits.body_bytes) {
      return refuse_http(stream, 413);
    }
    if (!append_bytes(body, bytes)) refuse_http(stream, 429);
    return;
  }
  receive_messages(stream, bytes);
}

void Http2Session::receive_messages(Stream& stream, std::string_view bytes) {
  while (!bytes.empty() && !stream.answered) {
    if (const Status status = stream.reader.read(bytes); !status.ok()) {
      return send_status(stream, status);
    }
    if (stream.reader.complete()) take_message(stream);
  }
}

void Http2Session::take_message(Stream& stream) {
  bool compressed = false;
  std::string message = stream.reader.take(compressed);
  if (stream.each_message) {
    waiting_messages_ += waiting_bytes(message);
    stream.waiting.emplace_back(std::move(message), compressed);
    return run_next(stream, *ready_);
  }
  if (stream.call) {
    if (stream.has_message) {
      return send_status(stream, internal("a unary call has more than one message"));
    }
    stream.has_message = true;
    stream.call->message = std::move(message);
    stream.call->compressed = compressed;
    return;
  }
  if (compressed) {
    return send_status(stream, unimplemented("messages of this method are not compressed"));
  }
  std::vector<std::string> answers;
  const Status status = stream.streaming->receive(message, answers);
  for (std::string& answer : answers) send_message(stream, std::move(answer), false);
  if (!status.ok()) send_status(stream, status);
}

// The next call of a stream whose messages are calls: as the first was meant to be.
void Http2Session::run_next(Stream& stream, std::vector<RequestPtr>& ready) {
  if (stream.running || stream.waiting.empty()) return;
  const auto call = std::make_shared<GrpcCall>(stream.id, stream.call->method, services_.limits);
  call->encoding = stream.call->encoding;
  call->answer_encoding = stream.encoded;
  call->traceparent = stream.call->traceparent;
  call->run_limits.deadline = stream.call->run_limits.deadline;
  call->message = std::move(stream.waiting.front().first);
  call->compressed = stream.waiting.front().second;
  waiting_messages_ -= waiting_bytes(call->message);
  stream.waiting.pop_front();
  call->set_kind();
  stream.call = call;
  stream.running = true;
  ready.push_back(call);
}

void Http2Session::on_end(Stream& stream) {
  end_incomplete(stream);
  stream.incomplete = false;
  if (stream.answered) return;
  if (stream.http) return complete(stream);
  if (!stream.reader.empty()) {
    return send_status(stream, internal("the stream ends within a message"));
  }
  if (stream.each_message) {
    if (!stream.running) send_status(stream, absl::OkStatus());
    return;
  }
  if (stream.streaming) {
    if (stream.streaming->over_with_input()) send_status(stream, absl::OkStatus());
    return;
  }
  if (!stream.has_message) {
    return send_status(stream, internal("a unary call ends without a message"));
  }
  complete(stream);
}

void Http2Session::complete(Stream& stream) {
  if (stream.call) {
    stream.call->set_kind();
    ready_->push_back(stream.call);
    return;
  }
  stream.http->choose_gate();
  ready_->push_back(stream.http);
}

void Http2Session::on_close(int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  Stream& stream = *found->second;
  for (const auto& [message, compressed] : stream.waiting) {
    waiting_messages_ -= waiting_bytes(message);
  }
  if (stream.call) stream.call->cancelled = true;
  if (stream.http) stream.http->cancelled = true;
  end_incomplete(stream);
  end_unsent(stream);
  streams_.erase(found);
  active_at_ = steady_milliseconds();
}

void Http2Session::end_incomplete(Stream& stream) {
  if (stream.counted_incomplete) --incomplete_;
  stream.counted_incomplete = false;
}

void Http2Session::end_unsent(Stream& stream) {
  if (stream.unsent) --unsent_;
  stream.unsent = false;
}

}  // namespace tenon::serving
