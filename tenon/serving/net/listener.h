// Descriptor: a file descriptor that is closed with its owner; and the sockets that a server
// listens on.
#pragma once

#include <string>
#include <utility>

#include "tenon/base/status.h"

namespace tenon::serving {

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
  void reset();

 private:
  int fd_ = -1;
};

// [::]:port, or 0.0.0.0:port where there is no IPv6; port 0: the system chooses. UNAVAILABLE names
// a port that cannot be had.
StatusOr<Descriptor> listen_on_port(int port);

// A socket of the file system; a socket that nobody listens on is replaced. UNAVAILABLE names a
// path that cannot be had.
StatusOr<Descriptor> listen_on_path(const std::string& path);

// The port that a socket of listen_on_port has.
int bound_port(int fd);

}  // namespace tenon::serving
