// HTTP and HTTPS requests, streamed. Certificates are verified against the system's.
//
// Thread-safe: each call makes its own connection.
#pragma once

#include <atomic>
#include <functional>
#include <map>

#include "tenon/base/function_ref.h"
#include "tenon/net/stream.h"

namespace tenon::net {

struct Url {
  std::string scheme;  // "http", "https" or "file"
  std::string host;    // in lower case, with ":port" when one is given
  std::string path;    // with the query, starting with '/'

  std::string_view host_name() const;  // without the port
  int port() const;                    // the scheme's own when none is given
};
// Users and passwords in a URL, fragments, and whatever no host name holds are refused.
StatusOr<Url> parse_url(std::string_view url);

// One scheme, host and port: what may see the same credentials.
bool is_same_origin(const Url& a, const Url& b);

// "localhost", 127.0.0.0/8 or [::1], exactly; `host` may have a port.
bool is_loopback(std::string_view host);

// Whether what `from` answers may lead to `to`: never from TLS to plain HTTP, never from another
// machine to this one, never to another scheme than http and https. With `plain_on_loopback_only`
// plain HTTP leads to loopback addresses only. FAILED_PRECONDITION says what is wrong.
Status check_named_url(const Url& from, const Url& to, bool plain_on_loopback_only);

// `location` as an answer of `base` names it: absolute, or relative to the host.
std::string resolve_location(const Url& base, std::string_view location);

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::map<std::string, std::string> headers;
  std::string content_type;
  std::string body;                   // when `body_source` is null
  ByteSource* body_source = nullptr;  // streamed, `body_size` bytes
  uint64_t body_size = 0;
  ByteSink* sink = nullptr;  // takes the body of a 2xx answer instead of `body`
  // GET and HEAD, under the rules of check_named_url(); Authorization is dropped where the origin
  // changes.
  bool follow_redirects = true;
  // Plain HTTP is spoken to loopback addresses only, redirects included.
  bool plain_on_loopback_only = false;
  // An exchange in which less than 1 KB moves within so many seconds is given up.
  int timeout = 60;
  std::function<void(uint64_t)> moved;  // told of every piece of a body that went up or came down
  // CANCELLED soon after it has become true, whatever the exchange waits for but a host's address.
  // May be null; outlives the call.
  const std::atomic<bool>* cancelled = nullptr;
};

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // lower-case names; repeated ones joined by ", "
  std::string body;                            // at most 16 MB
};

// One exchange. CANCELLED as the request says, UNAVAILABLE when no whole answer came,
// DEADLINE_EXCEEDED when it stalled, FAILED_PRECONDITION when the server's certificate is not
// trusted or a redirect may not be followed; an HTTP error status is an answer.
StatusOr<HttpResponse> send_http(const HttpRequest& request);

// Waits before the n-th retry (1, 2, ...) of what was UNAVAILABLE: 0.1 s, doubled each time, at
// most 2 s.
void pause_before_retry(int retry);

// GET of http:, https: and file: URLs into `sink`, continued with Range after a broken connection,
// at most `limit` bytes. NOT_FOUND for 404 and 410, UNAVAILABLE or DEADLINE_EXCEEDED for failures
// of the transfer, CANCELLED as HttpRequest says.
Status download(const std::string& url, ByteSink& sink, uint64_t limit,
                const std::atomic<bool>* cancelled = nullptr);

}  // namespace tenon::net
