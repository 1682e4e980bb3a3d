#include "tenon/serving/http/any_http_session.h"

namespace tenon::serving {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

AnyHttpSession::AnyHttpSession(const Http2Services& services)
    : services_(services), deadline_(steady_milliseconds() + services.timeouts.idle) {}

void AnyHttpSession::receive(std::string_view bytes, std::vector<RequestPtr>& ready) {
  if (session_) return session_->receive(bytes, ready);
  if (begun_.empty()) deadline_ = steady_milliseconds() + services_.timeouts.head;
  begun_.append(bytes);
  const std::string_view begun = begun_;
  const size_t compared = std::min(begun.size(), kPreface.size());
  const bool is_http2 = begun.substr(0, compared) == kPreface.substr(0, compared);
  if (is_http2 && compared < kPreface.size()) return;
  if (is_http2) {
    session_ = Http2Session::create(services_);
  } else {
    session_ = std::make_unique<HttpSession>(services_.http, services_.http_admission,
                                             services_.http_limits, services_.timeouts);
  }
  over_ = !session_;
  if (session_) session_->receive(begun_, ready);
  if (session_ && draining_) session_->drain();
  std::string().swap(begun_);
}

Session::End AnyHttpSession::end() const {
  if (session_) return session_->end();
  return over_ ? End::kClose : End::kOpen;
}

void AnyHttpSession::drain() {
  if (session_) return session_->drain();
  over_ = std::exchange(draining_, true) && begun_.empty();
}

}  // namespace tenon::serving
