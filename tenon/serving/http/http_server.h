// HttpServer: HTTP/1.1 and HTTP/2 on one port: an event loop whose sessions are AnyHttpSessions.
//
// One worker is kept for requests that are not posted (health, status, metrics): posted ones wait
// when all others answer some. Clients that stall are cut off (HttpTimeouts).
#pragma once

#include <memory>

#include "tenon/base/status.h"
#include "tenon/observe/metrics.h"
#include "tenon/serving/http/http_session.h"
#include "tenon/serving/net/connection.h"
#include "tenon/serving/net/tls.h"

namespace tenon::serving {

struct HttpServerOptions {
  int port = 0;     // 0: the system chooses
  int threads = 4;  // at least 2
  size_t max_connections = 65'536;
  std::shared_ptr<const TlsContext> tls;  // null: plain text
  HttpAdmission admission;
  HttpLimits limits;
  HttpTimeouts timeouts;
  ConnectionTimeouts connection_timeouts;
  MetricRegistry* metrics = nullptr;  // where the loop's figures are shown; null: nowhere
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
