// TCP connections between workers.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <utility>

#include "tenon/base/status.h"

namespace tenon::dist {

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline after(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

// Owns a descriptor; does not block.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();
  int fd() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// Listens at a worker's own "HOST:PORT": on the address that the name stands for, or, where that is
// none of this machine (a published port, a name that is not known yet), on all of them.
// ALREADY_EXISTS when another process listens there.
StatusOr<Socket> listen_at(const std::string& address);

// Null socket: nobody came before the deadline.
StatusOr<Socket> accept_one(const Socket& listener, Deadline deadline);

// UNAVAILABLE says why there was no connection.
StatusOr<Socket> connect_to(const std::string& address, Deadline deadline);

// UNAVAILABLE when the other side is gone, DEADLINE_EXCEEDED.
Status send_all(const Socket& socket, std::string_view bytes, Deadline deadline);
Status receive_all(const Socket& socket, std::span<char> bytes, Deadline deadline);

// "127.0.0.1:4000": the other side's address.
std::string address_of_peer(const Socket& socket);

// Has the other side gone? For a connection on which nothing is expected.
bool is_gone(const Socket& socket);

}  // namespace tenon::dist
