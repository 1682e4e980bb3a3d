// For tests: a client that sends what it is told to, byte for byte, to a server on this machine.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace tenon::serving {

class HttpClient {
 public:
  explicit HttpClient(int port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval patience = {10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~HttpClient() { ::close(fd_); }

  bool connected() const { return connected_; }
  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      text.remove_prefix(static_cast<size_t>(sent));
    }
  }
  // Until `count` answers have come (each ends with `end`), or the server closes.
  std::string receive(int count = 1, std::string_view end = "<end>") {
    std::string text;
    char piece[4096];
    for (;;) {
      int ends = 0;
      for (size_t at = 0; (at = text.find(end, at)) != std::string::npos; at += end.size()) {
        ++ends;
      }
      if (ends >= count) return text;
      const ssize_t got = ::recv(fd_, piece, sizeof(piece), 0);
      if (got <= 0) return text;
      text.append(piece, static_cast<size_t>(got));
    }
  }
  // What has come, once something has; nothing when the server closes.
  std::string receive_some() {
    std::string text(64 << 10, '\0');
    const ssize_t got = ::recv(fd_, text.data(), text.size(), 0);
    text.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
    return text;
  }
  std::string receive_all() { return receive(1 << 30); }

 private:
  int fd_;
  bool connected_ = false;
};

}  // namespace tenon::serving
