#include "tenon/serving/http/http_server.h"

#include "tenon/serving/http/any_http_session.h"
#include "tenon/serving/net/event_loop.h"

namespace tenon::serving {

struct HttpServer::Impl {
  Http2Services services;  // without gRPC methods
  int port = 0;
  std::unique_ptr<EventLoop> loop;  // the last: its sessions look at what stands above
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() = default;

int HttpServer::port() const { return impl_->port; }

void HttpServer::stop(int64_t drain_milliseconds) { impl_->loop->stop(drain_milliseconds); }

StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(const HttpServerOptions& options,
                                                        HttpHandler handler) {
  auto impl = std::make_unique<Impl>();
  impl->services.http = std::move(handler);
  impl->services.http_admission = options.admission;
  impl->services.http_limits = options.limits;
  impl->services.timeouts = options.timeouts;
  TENON_ASSIGN_OR_RETURN(Descriptor socket, listen_on_port(options.port));
  impl->port = bound_port(socket.get());
  EventLoopOptions loop;
  loop.gates = {{.most_running = std::max(options.threads, 2) - 1}};
  loop.max_connections = options.max_connections;
  loop.timeouts = options.connection_timeouts;
  loop.metrics = options.metrics;
  loop.entrypoint = "REST";
  std::vector<Endpoint> endpoints(1);
  endpoints[0].socket = std::move(socket);
  endpoints[0].tls = options.tls;
  endpoints[0].session = [&services = impl->services] {
    return std::make_unique<AnyHttpSession>(services);
  };
  TENON_ASSIGN_OR_RETURN(impl->loop, EventLoop::start(loop, std::move(endpoints)));
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

}  // namespace tenon::serving
