// Any bytes from an HTTP client that then falls silent, in pieces whose size the first byte says:
// every request in them is answered or refused, and the pieces change nothing.

#include <cstdlib>

#include "tenon/serving/http/http_session.h"

namespace {

using tenon::serving::HttpHandler;
using tenon::serving::HttpLimits;
using tenon::serving::HttpRequest;
using tenon::serving::HttpResponse;
using tenon::serving::HttpSession;
using tenon::serving::HttpTimeouts;
using tenon::serving::RequestPtr;
using tenon::serving::Session;

HttpResponse echo(const HttpRequest& request) {
  HttpResponse response;
  response.body = std::string(request.body.substr(0, 100));
  return response;
}

std::string answers(std::string_view bytes, size_t piece) {
  const HttpHandler handler = echo;
  const tenon::serving::HttpAdmission everybody;
  const HttpLimits limits = {.body_bytes = 1 << 20, .inflated_bytes = 1 << 20};
  const HttpTimeouts timeouts;
  HttpSession session(handler, everybody, limits, timeouts);
  std::vector<RequestPtr> ready;
  std::string all, out;
  while (!bytes.empty() && session.end() == Session::End::kOpen) {
    if (!session.reads()) std::abort();
    session.receive(bytes.substr(0, piece), ready);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (!ready.empty()) {
      if (ready.size() > 1 || session.reads()) std::abort();
      const RequestPtr request = ready.back();
      ready.clear();
      request->run();
      session.answered(*request, ready);
    }
    out.clear();
    session.produce(out);
    all += out;
  }
  return all;
}

// What comes between: "Expect: 100-continue" is answered only while the body has not come.
std::string without_continue(std::string text) {
  constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
  for (size_t at; (at = text.find(kContinue)) != std::string::npos;) {
    text.erase(at, kContinue.size());
  }
  return text;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::string whole = without_continue(answers(bytes, bytes.size() + 1));
  const std::string pieces = without_continue(answers(bytes, size_t{data[0]} + 1));
  // A head that is too long is refused as soon as that is seen, so that what had come before it is
  // the same.
  if (!whole.starts_with(pieces.substr(0, pieces.rfind("HTTP/1.1 ")))) std::abort();
  return 0;
}
