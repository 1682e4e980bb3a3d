// AnyHttpSession: HTTP/1.1 or HTTP/2 without TLS, whichever the client speaks; it is known by the
// preface that a client of HTTP/2 sends first (RFC 9113, 3.4: prior knowledge).
#pragma once

#include "tenon/serving/grpc/http2_session.h"

namespace tenon::serving {

class AnyHttpSession final : public Session {
 public:
  // `services` outlives it; its handler answers under both versions.
  explicit AnyHttpSession(const Http2Services& services);

  void receive(std::string_view bytes, std::vector<RequestPtr>& ready) override;
  void answered(ServerRequest& request, std::vector<RequestPtr>& ready) override {
    session_->answered(request, ready);
  }
  void produce(std::string& out) override {
    if (session_) session_->produce(out);
  }
  bool reads() const override { return !session_ || session_->reads(); }
  End end() const override;
  void drain() override;
  void cancel() override {
    if (session_) session_->cancel();
  }
  int64_t deadline() const override { return session_ ? session_->deadline() : deadline_; }

 private:
  const Http2Services& services_;
  std::string begun_;  // what may become a preface
  std::unique_ptr<Session> session_;
  bool draining_ = false;
  bool over_ = false;
  int64_t deadline_;
};

}  // namespace tenon::serving
