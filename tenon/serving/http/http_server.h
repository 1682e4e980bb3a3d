// HttpServer: HTTP/1.1 on one port, made for the serving path.
//
// `threads` workers share one epoll set; a connection belongs to the worker that its event woke,
// which reads, calls the handler and writes, until the connection has to wait. So a request changes
// threads never, and a slow one holds up nothing but its worker. One worker is kept for requests
// that are not posted (health, status, metrics): posted ones wait for a turn when all others answer
// some. Keep-alive, pipelining, chunked
// and gzip request bodies, "Expect: 100-continue"; clients that stall are cut off (HttpTimeouts).
#pragma once

#include <memory>

#include "tenon/base/status.h"
#include "tenon/serving/http/http_connection.h"

namespace tenon::serving {

struct HttpServerOptions {
  int port = 0;     // 0: the system chooses
  int threads = 4;  // at least 2
  size_t max_connections = 8192;
  HttpLimits limits;
  HttpTimeouts timeouts;
};

class HttpServer {
 public:
  // Binds [::]:port (0.0.0.0:port where there is no IPv6) and starts serving. UNAVAILABLE names a
  // port that cannot be had.
  static StatusOr<std::unique_ptr<HttpServer>> start(const HttpServerOptions& options,
                                                     HttpHandler handler);
  ~HttpServer();  // stop(0)

  int port() const;

  // Takes no more connections, answers the requests that have begun, then closes; what is left
  // after `drain_milliseconds` is cut off, and handlers see their requests cancelled. Returns when
  // all is closed.
  void stop(int64_t drain_milliseconds);

 private:
  struct Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serving
