#include "tenon/dist/cluster/socket.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace tenon::dist {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

// `host` null: any address of this machine.
StatusOr<AddressList> resolve(const char* host, const std::string& port) {
  addrinfo wanted = {};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV | (host ? 0 : AI_PASSIVE);
  addrinfo* found = nullptr;
  const int code = ::getaddrinfo(host, port.c_str(), &wanted, &found);
  if (code != 0) return unavailable("the name '", host ? host : "", "': ", ::gai_strerror(code));
  return AddressList(found, &::freeaddrinfo);
}

std::pair<std::string, std::string> host_and_port(const std::string& address) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  return {std::move(host), colon == std::string::npos ? "" : address.substr(colon + 1)};
}

// Small messages leave at once, and a machine that has vanished is noticed within some 15 seconds
// even where nothing is sent.
void prepare_socket(int fd) {
  const auto set = [&](int level, int option, int value) {
    ::setsockopt(fd, level, option, &value, sizeof(value));
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 3);
  set(IPPROTO_TCP, TCP_KEEPCNT, 3);
}

// 0, or errno.
int listen_on(const addrinfo& at, Socket& made) {
  Socket socket(::socket(at.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!socket.open()) return errno;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(socket.fd(), at.ai_addr, at.ai_addrlen) != 0) return errno;
  if (::listen(socket.fd(), 128) != 0) return errno;
  made = std::move(socket);
  return 0;
}

// False at the deadline.
bool wait_until_ready(const Socket& socket, short events, Deadline deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd entry = {socket.fd(), events, 0};
    const auto most = std::chrono::milliseconds(60'000);
    const int ready = ::poll(&entry, 1, static_cast<int>(std::min(left, most).count()));
    if (ready > 0) return true;
  }
}

Status gone(int error) {
  return unavailable("the connection has ended", error == 0 ? "" : cat(": ", ::strerror(error)));
}

// A port that nobody listens at may be given to the connection itself, which then meets itself.
bool has_met_itself(const Socket& socket) {
  sockaddr_storage own = {}, other = {};
  socklen_t own_size = sizeof(own), other_size = sizeof(other);
  return ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&own), &own_size) == 0 &&
         ::getpeername(socket.fd(), reinterpret_cast<sockaddr*>(&other), &other_size) == 0 &&
         own_size == other_size && std::memcmp(&own, &other, own_size) == 0;
}

bool is_transient(int error) { return error == EAGAIN || error == EINTR; }

}  // namespace

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

StatusOr<Socket> listen_at(const std::string& address) {
  const auto [host, port] = host_and_port(address);
  Socket made;
  int error = EADDRNOTAVAIL;
  if (const auto own = resolve(host.c_str(), port); own.ok()) {
    for (const addrinfo* at = own->get(); at && error != 0; at = at->ai_next) {
      error = listen_on(*at, made);
    }
  }
  if (error == EADDRNOTAVAIL) {
    TENON_ASSIGN_OR_RETURN(const AddressList any, resolve(nullptr, port));
    for (const addrinfo* at = any.get(); at && error != 0; at = at->ai_next) {
      error = listen_on(*at, made);
    }
  }
  if (error == EADDRINUSE) {
    return already_exists("another process of this machine listens at ", address,
                          ": are there two workers with this index?");
  }
  if (error != 0) return errno_status(error, "listening at", address);
  return made;
}

StatusOr<Socket> accept_one(const Socket& listener, Deadline deadline) {
  while (wait_until_ready(listener, POLLIN, deadline)) {
    Socket socket(::accept4(listener.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.open()) {
      prepare_socket(socket.fd());
      return socket;
    }
    const int error = errno;
    const bool passes = is_transient(error) || error == ECONNABORTED || error == EPROTO;
    if (!passes) return errno_status(error, "accepting", "a connection");
  }
  return Socket();
}

StatusOr<Socket> connect_to(const std::string& address, Deadline deadline) {
  const auto [host, port] = host_and_port(address);
  TENON_ASSIGN_OR_RETURN(const AddressList list, resolve(host.c_str(), port));
  int error = ECONNREFUSED;
  for (const addrinfo* at = list.get(); at; at = at->ai_next) {
    Socket socket(::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket.open()) return errno_status(errno, "connecting to", address);
    error = ::connect(socket.fd(), at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof(error);
      const bool ready = wait_until_ready(socket, POLLOUT, deadline);
      error = ETIMEDOUT;
      if (ready) ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0 && has_met_itself(socket)) error = ECONNREFUSED;
    if (error != 0) continue;
    prepare_socket(socket.fd());
    return socket;
  }
  return unavailable(address, ": ", ::strerror(error));
}

Status send_all(const Socket& socket, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (!is_transient(errno)) {
      return gone(errno);
    } else if (!wait_until_ready(socket, POLLOUT, deadline)) {
      return deadline_exceeded("the other side takes nothing");
    }
  }
  return absl::OkStatus();
}

Status receive_all(const Socket& socket, std::span<char> bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t got = ::recv(socket.fd(), bytes.data(), bytes.size(), 0);
    if (got > 0) {
      bytes = bytes.subspan(static_cast<size_t>(got));
    } else if (got == 0 || !is_transient(errno)) {
      return gone(got == 0 ? 0 : errno);
    } else if (!wait_until_ready(socket, POLLIN, deadline)) {
      return deadline_exceeded("the other side says nothing");
    }
  }
  return absl::OkStatus();
}

std::string address_of_peer(const Socket& socket) {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getpeername(socket.fd(), address, &size) != 0 ||
      ::getnameinfo(address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "an unknown address";
  }
  return cat(host, ":", port);
}

bool is_gone(const Socket& socket) {
  char byte;
  const ssize_t got = ::recv(socket.fd(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got == 0 || (got < 0 && !is_transient(errno));
}

}  // namespace tenon::dist
