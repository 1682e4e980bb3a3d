// HTTP/1.1 messages (RFC 9112): the parser of request heads and chunked bodies, and the writer of
// responses. No input or output happens here. Input is untrusted: what is ambiguous is refused.
#pragma once

#include <atomic>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::serving {

struct HttpHeader {
  std::string_view name;
  std::string_view value;
};

// The headers of one message.
class HttpHeaders {
 public:
  void add(std::string_view name, std::string_view value) { headers_.push_back({name, value}); }
  void clear() { headers_.clear(); }
  size_t size() const { return headers_.size(); }
  std::span<const HttpHeader> all() const { return headers_; }

  // The first of that name, whatever its case; empty when there is none.
  std::string_view get(std::string_view name) const;
  int64_t count(std::string_view name) const;  // of that name
  // Does the comma-separated list of that header hold `token`, whatever its case?
  bool has_token(std::string_view name, std::string_view token) const;
  // Does Accept-Encoding take gzip (RFC 9110, 12.5.3)?
  bool accepts_gzip() const;

 private:
  std::vector<HttpHeader> headers_;
};

// Views into the connection's buffers, valid during the handler's call.
struct HttpRequest {
  std::string_view method;
  std::string_view target;  // path with query, as sent; of an absolute URL without scheme and host
  HttpHeaders headers;
  std::string_view body;
  const std::atomic<bool>* cancelled = nullptr;  // becomes true when the server waits no longer
  bool admitted = true;  // false: to be answered with 401; its body is left out
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;  // beyond type, length and connection
  std::string body;
  bool is_1_0 = false;  // of a request of HTTP/1.0: to be told when the connection is kept
};

// Called on a worker thread of the server, from several at once.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

// May the client ask that? Called once the head of the request has come; empty: everybody may.
using HttpAdmission = std::function<bool(const HttpRequest&)>;

struct HttpLimits {
  size_t head_bytes = 32 << 10;
  size_t headers = 100;
  uint64_t body_bytes = uint64_t{1} << 30;
  uint64_t inflated_bytes = 100 << 20;  // of a gzip body: TensorFlow Serving's limit
  // Texts of so many bytes and more are answered in gzip where the client takes it; 0: none are.
  uint64_t deflated_from = 0;
};

// How the body of a request ends, and what the head says about the connection.
struct HttpFraming {
  uint64_t content_length = 0;
  bool chunked = false;
  bool keep_alive = true;
  bool expects_continue = false;
  bool is_1_0 = false;
};

// Parses the request head `head` (all up to and including the empty line) into `request`, whose
// views point into it. Returns 0, or the status to refuse the request with (400, 413, 417, 501,
// 505).
int parse_http_head(std::string_view head, const HttpLimits& limits, HttpRequest& request,
                    HttpFraming& framing);

// Undoes the chunked coding piece by piece.
class ChunkDecoder {
 public:
  explicit ChunkDecoder(const HttpLimits& limits) : limits_(&limits) {}

  // Takes what it can from `input` (its size is reduced by what was taken) and appends the content
  // to `body`. Returns 0, or the status to refuse the request with.
  int decode(std::string_view& input, std::string& body);
  bool done() const { return state_ == State::kDone; }

 private:
  enum class State { kSize, kData, kDataEnd, kTrailer, kDone };
  int decode_size(std::string_view line, size_t body_bytes);
  const HttpLimits* limits_;
  State state_ = State::kSize;
  uint64_t left_ = 0;         // of the current chunk
  size_t trailer_bytes_ = 0;  // so far
};

// "Not Found" for 404.
std::string_view http_reason(int status);

// Status line and headers, with the empty line after them.
std::string http_response_head(const HttpResponse& response, bool keep_alive);

// The page that libevent answers with where TensorFlow Serving has no handler.
HttpResponse http_error_page(int status);

}  // namespace tenon::serving
