// Any bytes from an HTTP client that then falls silent: every request in them is answered or
// refused.

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "tenon/serving/http/http_connection.h"

namespace {

tenon::serving::HttpResponse echo(const tenon::serving::HttpRequest& request) {
  tenon::serving::HttpResponse response;
  response.body = std::string(request.body.substr(0, 100));
  return response;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return 0;
  const ssize_t sent = ::send(ends[0], data, size, MSG_NOSIGNAL);
  ::shutdown(ends[0], SHUT_WR);
  {
    const tenon::serving::HttpHandler handler = echo;
    const tenon::serving::HttpLimits limits = {.body_bytes = 1 << 20, .inflated_bytes = 1 << 20};
    const tenon::serving::HttpTimeouts timeouts;
    const std::atomic<bool> no{false};
    tenon::serving::HttpTurns turns(1);
    tenon::serving::HttpConnection connection(0, ends[1], handler, limits, timeouts, no, no, turns);
    char answer[4096];
    while (connection.drive() != tenon::serving::HttpConnection::Wants::kClose) {
      // It waits for the client to take its answers: there must be some.
      ssize_t taken = ::recv(ends[0], answer, sizeof(answer), 0);
      if (taken <= 0 && sent >= 0) std::abort();
      while (taken > 0) taken = ::recv(ends[0], answer, sizeof(answer), 0);
    }
  }
  ::close(ends[0]);
  return 0;
}
