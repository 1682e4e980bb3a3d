#include "tenon/serving/http/http_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <unordered_map>

#include "tenon/base/thread.h"

namespace tenon::serving {
namespace {

constexpr uint64_t kListener = 0;
constexpr uint64_t kStop = 1;
constexpr uint64_t kFirstConnection = 2;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { reset(); }
  int get() const { return fd_; }
  void reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

Descriptor listen_on(const sockaddr* address, socklen_t size, int family) {
  Descriptor fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fd;
  const int on = 1;
  const int off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) return {};
  return fd;
}

StatusOr<Descriptor> listen_on_port(int port) {
  if (port < 0 || port > 65535) {
    return invalid_argument("port ", port, " is not a TCP port; expected 0 to 65535");
  }
  sockaddr_in6 six = {};
  six.sin6_family = AF_INET6;
  six.sin6_addr = in6addr_any;
  six.sin6_port = htons(static_cast<uint16_t>(port));
  Descriptor fd = listen_on(reinterpret_cast<const sockaddr*>(&six), sizeof(six), AF_INET6);
  if (fd.get() >= 0) return fd;
  if (errno != EADDRINUSE && errno != EACCES) {
    sockaddr_in four = {};
    four.sin_family = AF_INET;
    four.sin_port = htons(static_cast<uint16_t>(port));
    fd = listen_on(reinterpret_cast<const sockaddr*>(&four), sizeof(four), AF_INET);
    if (fd.get() >= 0) return fd;
  }
  return unavailable("cannot listen on port ", port, ": ", std::strerror(errno));
}

int bound_port(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace

struct HttpServer::Impl {
  Impl(const HttpServerOptions& server_options, HttpHandler request_handler)
      : options(server_options),
        threads(std::max(server_options.threads, 2)),
        handler(std::move(request_handler)),
        turns(threads - 1) {}

  Status start();
  void work();
  void watch(int operation, int fd, uint32_t events, uint64_t id);
  void accept_all();
  void add(int fd);
  void drive(uint64_t id);
  void drive_once(uint64_t id);
  void remove(uint64_t id);
  void sweep();
  void stop(int64_t drain_milliseconds);

  const HttpServerOptions options;
  const int threads;
  const HttpHandler handler;
  HttpTurns turns;
  int port = 0;
  Descriptor listener;
  Descriptor epoll;
  Descriptor stop_event;
  Descriptor spare;  // given up to be able to accept, and close, when no descriptor is left
  std::vector<std::thread> workers;
  std::thread sweeper;
  std::atomic<bool> draining{false};
  std::atomic<bool> cut_off{false};

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::unordered_map<uint64_t, std::shared_ptr<HttpConnection>> connections;
  uint64_t next_id = kFirstConnection;
  bool stopped = false;
};

Status HttpServer::Impl::start() {
  TENON_ASSIGN_OR_RETURN(listener, listen_on_port(options.port));
  port = bound_port(listener.get());
  epoll = Descriptor(::epoll_create1(EPOLL_CLOEXEC));
  stop_event = Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  spare = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (epoll.get() < 0 || stop_event.get() < 0) {
    return resource_exhausted("no file descriptor left for the HTTP server");
  }
  watch(EPOLL_CTL_ADD, listener.get(), EPOLLIN | EPOLLONESHOT, kListener);
  watch(EPOLL_CTL_ADD, stop_event.get(), EPOLLIN, kStop);
  for (int i = 0; i < threads; ++i) {
    TENON_ASSIGN_OR_RETURN(workers.emplace_back(), start_thread([this] { work(); }));
  }
  TENON_ASSIGN_OR_RETURN(sweeper, start_thread([this] { sweep(); }));
  return absl::OkStatus();
}

void HttpServer::Impl::watch(int operation, int fd, uint32_t events, uint64_t id) {
  epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  // Fails only for a socket that is gone, whose connection the next event or sweep ends.
  ::epoll_ctl(epoll.get(), operation, fd, &event);
}

void HttpServer::Impl::work() {
  for (;;) {
    epoll_event event;
    const int count = ::epoll_wait(epoll.get(), &event, 1, -1);
    if (count < 0 && errno != EINTR) return;
    if (count <= 0) continue;
    if (event.data.u64 == kStop) return;
    if (event.data.u64 == kListener) {
      accept_all();
    } else {
      drive(event.data.u64);
    }
  }
}

void HttpServer::Impl::accept_all() {
  while (!draining) {
    const int fd = ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      add(fd);
      continue;
    }
    if (errno == EMFILE || errno == ENFILE) {
      spare.reset();
      const int refused = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (refused >= 0) ::close(refused);
      spare = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (refused >= 0) continue;
    }
    if (errno != EINTR && errno != ECONNABORTED) break;
  }
  if (!draining) watch(EPOLL_CTL_MOD, listener.get(), EPOLLIN | EPOLLONESHOT, kListener);
}

void HttpServer::Impl::add(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  uint64_t id;
  {
    std::lock_guard lock(mutex);
    id = next_id++;
    auto connection = std::make_shared<HttpConnection>(id, fd, handler, options.limits,
                                                       options.timeouts, draining, cut_off, turns);
    if (connections.size() >= options.max_connections) return;
    connections.emplace(id, std::move(connection));
  }
  watch(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, id);
}

// Then those whose turn has come meanwhile.
void HttpServer::Impl::drive(uint64_t id) {
  drive_once(id);
  while (const std::optional<uint64_t> next = turns.next()) drive_once(*next);
}

void HttpServer::Impl::drive_once(uint64_t id) {
  std::shared_ptr<HttpConnection> connection;
  {
    std::lock_guard lock(mutex);
    const auto found = connections.find(id);
    if (found == connections.end()) return;
    connection = found->second;
  }
  switch (connection->drive()) {
    case HttpConnection::Wants::kRead:
      return watch(EPOLL_CTL_MOD, connection->fd(), EPOLLIN | EPOLLRDHUP | EPOLLONESHOT, id);
    case HttpConnection::Wants::kWrite:
      return watch(EPOLL_CTL_MOD, connection->fd(), EPOLLOUT | EPOLLONESHOT, id);
    case HttpConnection::Wants::kTurn:
      return;
    case HttpConnection::Wants::kClose:
      return remove(id);
  }
}

void HttpServer::Impl::remove(uint64_t id) {
  std::lock_guard lock(mutex);
  connections.erase(id);
  changed.notify_all();
}

// Shuts down the sockets of clients that have stalled (of idle ones too, while draining). The event
// that this makes lets a worker end the connection.
void HttpServer::Impl::sweep() {
  constexpr auto kPeriod = std::chrono::milliseconds(250);
  std::unique_lock lock(mutex);
  while (!stopped) {
    const int64_t now = steady_milliseconds();
    for (const auto& [id, connection] : connections) {
      if (connection->deadline() < now || (draining && connection->idle())) {
        ::shutdown(connection->fd(), SHUT_RDWR);
      }
    }
    changed.wait_for(lock, kPeriod, [&] { return stopped; });
  }
}

void HttpServer::Impl::stop(int64_t drain_milliseconds) {
  draining = true;
  watch(EPOLL_CTL_DEL, listener.get(), 0, kListener);
  {
    std::unique_lock lock(mutex);
    if (stopped) return;
    for (const auto& [id, connection] : connections) {
      if (connection->idle()) ::shutdown(connection->fd(), SHUT_RDWR);
    }
    changed.wait_for(lock, std::chrono::milliseconds(drain_milliseconds),
                     [&] { return connections.empty(); });
    for (const auto& [id, connection] : connections) ::shutdown(connection->fd(), SHUT_RDWR);
    cut_off = true;
    stopped = true;
  }
  changed.notify_all();
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_event.get(), &one, sizeof(one));
  for (std::thread& worker : workers) worker.join();
  if (sweeper.joinable()) sweeper.join();
  connections.clear();
  listener.reset();
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() { stop(0); }

int HttpServer::port() const { return impl_->port; }

void HttpServer::stop(int64_t drain_milliseconds) { impl_->stop(drain_milliseconds); }

StatusOr<std::unique_ptr<HttpServer>> HttpServer::start(const HttpServerOptions& options,
                                                        HttpHandler handler) {
  std::unique_ptr<HttpServer> server(
      new HttpServer(std::make_unique<Impl>(options, std::move(handler))));
  TENON_RETURN_IF_ERROR(server->impl_->start());
  return server;
}

}  // namespace tenon::serving
