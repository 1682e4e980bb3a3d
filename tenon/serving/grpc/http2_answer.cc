// How an Http2Session answers.
#include <nghttp2/nghttp2.h>

#include <cstring>

#include "tenon/serving/grpc/http2_stream.h"

namespace tenon::serving {
namespace {

// Long messages travel in a trailer, which has its limits: cut as TensorFlow Serving cuts them.
constexpr size_t kMostStatusBytes = 1024;

// Views into what outlives the call that takes the header; nghttp2 copies.
nghttp2_nv header(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string grpc_status_text(const Status& status) {
  std::string text(message_of(status));
  if (text.size() > kMostStatusBytes) {
    text.resize(kMostStatusBytes);
    text += "...TRUNCATED";
  }
  return percent_encode(text);
}

void add_status(std::vector<nghttp2_nv>& headers, const std::string& code,
                const std::string& text) {
  headers.push_back(header("grpc-status", code));
  if (!text.empty()) headers.push_back(header("grpc-message", text));
}

}  // namespace

void Http2Session::answered(ServerRequest& request, std::vector<RequestPtr>& ready) {
  auto* const call = dynamic_cast<GrpcCall*>(&request);
  auto* const http = call ? nullptr : static_cast<HttpCall*>(&request);
  const auto found = streams_.find(call ? call->stream : http->stream);
  if (found == streams_.end() || found->second->answered) return;  // cancelled meanwhile
  if (call) return answer(*found->second, *call, ready);
  answer(*found->second, http->response);
}

void Http2Session::answer(Stream& stream, GrpcCall& call, std::vector<RequestPtr>& ready) {
  if (call.status.ok()) {
    const bool compressed = call.answer_encoding != GrpcEncoding::kIdentity;
    if (!stream.each_message) stream.encoded = call.answer_encoding;
    send_message(stream, std::move(call.response), compressed);
  }
  if (!stream.each_message || !call.status.ok()) return send_status(stream, call.status);
  stream.running = false;
  if (!stream.waiting.empty()) return run_next(stream, ready);
  if (!stream.incomplete) return send_status(stream, absl::OkStatus());
  if (drains_ > 0) send_status(stream, unavailable("the server stops"));
}

void Http2Session::send_message(Stream& stream, std::string bytes, bool compressed) {
  stream.out.push_back(grpc_prefix(bytes.size(), compressed));
  if (!bytes.empty()) stream.out.push_back(std::move(bytes));
  start_answer(stream);
}

void Http2Session::send_status(Stream& stream, const Status& status) {
  stream.answered = stream.finished = true;
  stream.status = status;
  end_incomplete(stream);
  if (stream.started) {
    if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session_, stream.id);
    return;
  }
  // Without a message the status stands in the headers.
  stream.started = true;
  const std::string code = cat(static_cast<int>(status.code()));
  const std::string text = grpc_status_text(status);
  std::vector<nghttp2_nv> headers = {header(":status", "200"),
                                     header("content-type", "application/grpc"),
                                     header("grpc-accept-encoding", kGrpcEncodings)};
  add_status(headers, code, text);
  nghttp2_submit_response(session_, stream.id, headers.data(), headers.size(), nullptr);
}

void Http2Session::start_answer(Stream& stream) {
  if (!stream.unsent) {
    stream.unsent = true;
    if (unsent_++ == 0) unsent_since_ = steady_milliseconds();
  }
  if (stream.started) {
    if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session_, stream.id);
    return;
  }
  stream.started = true;
  std::vector<nghttp2_nv> headers = {header(":status", "200"),
                                     header("content-type", "application/grpc"),
                                     header("grpc-accept-encoding", kGrpcEncodings)};
  if (stream.encoded != GrpcEncoding::kIdentity) {
    headers.push_back(header("grpc-encoding", name_of(stream.encoded)));
  }
  nghttp2_data_provider provider = {};
  provider.source.ptr = &stream;
  provider.read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t size,
                              uint32_t* flags, nghttp2_data_source* source, void* user) -> ssize_t {
    return static_cast<ssize_t>(static_cast<Http2Session*>(user)->read_answer(
        *static_cast<Stream*>(source->ptr), reinterpret_cast<char*>(buffer), size, flags));
  };
  nghttp2_submit_response(session_, stream.id, headers.data(), headers.size(), &provider);
}

int64_t Http2Session::read_answer(Stream& stream, char* buffer, size_t size, uint32_t* flags) {
  size_t given = 0;
  while (given < size && !stream.out.empty()) {
    const std::string_view front = std::string_view(stream.out.front()).substr(stream.sent);
    const size_t taken = std::min(front.size(), size - given);
    std::memcpy(buffer + given, front.data(), taken);
    given += taken;
    stream.sent += taken;
    if (taken < front.size()) break;
    stream.out.pop_front();
    stream.sent = 0;
  }
  if (unsent_ > 0 && given > 0) unsent_since_ = steady_milliseconds();
  if (!stream.out.empty()) return static_cast<int64_t>(given);
  end_unsent(stream);
  if (!stream.finished) {
    if (given > 0) return static_cast<int64_t>(given);
    stream.deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  if (stream.http) return static_cast<int64_t>(given);
  *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  const std::string code = cat(static_cast<int>(stream.status.code()));
  const std::string text = grpc_status_text(stream.status);
  std::vector<nghttp2_nv> trailers;
  add_status(trailers, code, text);
  nghttp2_submit_trailer(session_, stream.id, trailers.data(), trailers.size());
  return static_cast<int64_t>(given);
}

void Http2Session::begin_http(Stream& stream) {
  stream.http = std::make_shared<HttpCall>(services_.http, services_.http_limits);
  HttpCall& call = *stream.http;
  call.stream = stream.id;
  call.fields = std::move(stream.fields);
  call.fields.emplace_back(std::move(stream.method), std::move(stream.path));
  call.request.method = call.fields.back().first;
  call.request.target = call.fields.back().second;
  for (size_t i = 0; i + 1 < call.fields.size(); ++i) {
    call.request.headers.add(call.fields[i].first, call.fields[i].second);
  }
  if (stream.header_bytes > services_.limits.max_metadata_bytes) return refuse_http(stream, 431);
  call.request.admitted = !services_.http_admission || services_.http_admission(call.request);
}

void Http2Session::refuse_http(Stream& stream, int status) {
  HttpExchange refusal(services_.http, services_.http_limits);
  refusal.refuse(status);
  answer(stream, refusal.response);
}

void Http2Session::answer(Stream& stream, const HttpResponse& response) {
  stream.answered = stream.finished = stream.started = true;
  end_incomplete(stream);
  if (!stream.http) stream.http = std::make_shared<HttpCall>(services_.http, services_.http_limits);
  const std::string status = cat(response.status);
  const std::string length = cat(response.body.size());
  std::vector<std::pair<std::string, std::string>> extra = response.headers;
  std::vector<nghttp2_nv> headers = {header(":status", status)};
  if (!response.content_type.empty()) {
    headers.push_back(header("content-type", response.content_type));
  }
  headers.push_back(header("content-length", length));
  for (auto& [name, value] : extra) {
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    headers.push_back(header(name, value));
  }
  const bool has_body = !response.body.empty() && stream.http->request.method != "HEAD";
  if (!has_body) {
    nghttp2_submit_response(session_, stream.id, headers.data(), headers.size(), nullptr);
    return;
  }
  stream.out.push_back(response.body);
  stream.unsent = true;
  if (unsent_++ == 0) unsent_since_ = steady_milliseconds();
  nghttp2_data_provider provider = {};
  provider.source.ptr = &stream;
  provider.read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t size,
                              uint32_t* flags, nghttp2_data_source* source, void* user) -> ssize_t {
    return static_cast<ssize_t>(static_cast<Http2Session*>(user)->read_answer(
        *static_cast<Stream*>(source->ptr), reinterpret_cast<char*>(buffer), size, flags));
  };
  nghttp2_submit_response(session_, stream.id, headers.data(), headers.size(), &provider);
}

}  // namespace tenon::serving
