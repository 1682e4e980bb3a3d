// HTTP and HTTPS requests, streamed. Certificates are verified against the system's.
//
// Thread-safe: each call makes its own connection.
#pragma once

#include <map>

#include "tenon/base/function_ref.h"
#include "tenon/image/archive/stream.h"

namespace tenon::image {

struct Url {
  std::string scheme;  // "http", "https" or "file"
  std::string host;    // with ":port" when one is given
  std::string path;    // with the query, starting with '/'
};
StatusOr<Url> parse_url(std::string_view url);

// `location` as a redirect answered by `base` names it: absolute, or relative to the host.
std::string resolve_location(const Url& base, std::string_view location);

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::map<std::string, std::string> headers;
  std::string content_type;
  std::string body;                   // when `body_source` is null
  ByteSource* body_source = nullptr;  // streamed, `body_size` bytes
  uint64_t body_size = 0;
  ByteSink* sink = nullptr;      // takes the body of a 2xx answer instead of `body`
  bool follow_redirects = true;  // GET and HEAD; Authorization is dropped on another host
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;                            // at most 16 MB
};

// One exchange. UNAVAILABLE when no whole answer came, FAILED_PRECONDITION when the server's
// certificate is not trusted; an HTTP error status is an answer.
StatusOr<HttpResponse> send_http(const HttpRequest& request);

// Waits before the n-th retry (1, 2, ...) of what was UNAVAILABLE: 0.1 s, doubled each time, at
// most 2 s.
void pause_before_retry(int retry);

// GET of http:, https: and file: URLs into `sink`, continued with Range after a broken connection,
// at most `limit` bytes. NOT_FOUND for 404 and 410, UNAVAILABLE for other failures.
Status download(const std::string& url, ByteSink& sink, uint64_t limit);

}  // namespace tenon::image
