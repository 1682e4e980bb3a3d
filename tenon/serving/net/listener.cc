#include "tenon/serving/net/listener.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tenon::serving {
namespace {

Descriptor listen_on(const sockaddr* address, socklen_t size, int family) {
  Descriptor fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.get() < 0) return fd;
  const int on = 1;
  const int off = 0;
  if (family != AF_UNIX) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
  }
  if (::bind(fd.get(), address, size) != 0 || ::listen(fd.get(), SOMAXCONN) != 0) {
    const int error = errno;
    fd.reset();
    errno = error;
  }
  return fd;
}

// A socket file that a dead server has left behind stands in the way of bind().
void remove_dead_socket(const sockaddr_un& address) {
  struct stat found;
  if (::lstat(address.sun_path, &found) != 0 || !S_ISSOCK(found.st_mode)) return;
  const Descriptor probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno == ECONNREFUSED) {
    ::unlink(address.sun_path);
  }
}

}  // namespace

void Descriptor::reset() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
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

StatusOr<Descriptor> listen_on_path(const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return unavailable("cannot listen on ", path, ": the path has ", path.size(),
                       " bytes, that of a socket at most ", sizeof(address.sun_path) - 1);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  remove_dead_socket(address);
  Descriptor fd = listen_on(reinterpret_cast<const sockaddr*>(&address), sizeof(address), AF_UNIX);
  if (fd.get() < 0) return unavailable("cannot listen on ", path, ": ", std::strerror(errno));
  return fd;
}

int bound_port(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                   : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

}  // namespace tenon::serving
