// EventLoop: the sockets of one server and the threads that serve them, whatever is spoken.
//
// The workers share one epoll set. A connection belongs to the worker that its event woke, which
// reads, runs the requests that have arrived whole where they arrived, and sends the answers; while
// a request runs, the connection's next event wakes another worker. So a request changes threads
// only where several arrive at once, and a slow one holds up nothing but its worker. Gates say how
// many requests of a sort run at a time; there are more workers than they let pass, so that what
// takes no time (health, status, pings) never waits for what does. A request that waits for other
// work while it runs (base/wait_notice.h: for its turn among long runs, for its batch) gives its
// place and its worker's to the next meanwhile, so that short ones never wait behind those.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tenon/observe/metrics.h"
#include "tenon/serving/net/connection.h"
#include "tenon/serving/net/request_queue.h"

namespace tenon::serving {

struct EventLoopOptions {
  std::vector<Gate> gates;
  int spare_workers = 1;  // beside one for each request that the gates let pass
  int most_aside = 512;   // requests that wait for other work without holding a place
  size_t max_connections = 65'536;
  ConnectionTimeouts timeouts;
  std::string overload = "too many requests wait already; try again";  // why one is refused
  MetricRegistry* metrics = nullptr;  // where its figures are shown; null: nowhere
  std::string entrypoint;             // their label: "REST", "GRPC"
};

// Makes the session of a new connection. Called by several threads at once.
using SessionFactory = std::function<std::unique_ptr<Session>()>;

struct Endpoint {
  Descriptor socket;  // that is listened on
  SessionFactory session;
  std::shared_ptr<const TlsContext> tls;  // null: plain text
};

class EventLoop {
 public:
  // RESOURCE_EXHAUSTED where the system has no threads or descriptors left.
  static StatusOr<std::unique_ptr<EventLoop>> start(const EventLoopOptions& options,
                                                    std::vector<Endpoint> endpoints);
  ~EventLoop();  // stop(0)

  // Takes no more connections, answers the requests that have begun, then closes; what is left
  // after `drain_milliseconds` is cut off and cancelled. Returns when all is closed.
  void stop(int64_t drain_milliseconds);

 private:
  struct Impl;
  explicit EventLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::serving
