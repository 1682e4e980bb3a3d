// TLS 1.2 and 1.3 by OpenSSL, apart from sockets: cipher text in, plain text out, and back.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::serving {

struct TlsOptions {
  std::string certificate;     // PEM; the chain, the server's own first
  std::string key;             // PEM
  std::string client_ca;       // PEM; whom client certificates are to be signed by; empty: the
                               // system's authorities
  bool verify_client = false;  // a client shows a certificate, or is not served
  // What ALPN may agree on with clients that use it, the best first ("h2", "http/1.1"); empty:
  // whatever they like.
  std::vector<std::string> protocols;
};

// One connection's. Not thread-safe.
class TlsLayer {
 public:
  virtual ~TlsLayer() = default;

  // Appends to `plain` what the client has said in `cipher`. False when the client is no TLS
  // client, or not one that is served; what is to be sent to it all the same is in produce().
  virtual bool receive(std::string_view cipher, std::string& plain) = 0;
  // Encrypts `plain`. What is given before the handshake is over is sent after it.
  virtual void send(std::string_view plain) = 0;
  // Says that nothing more follows.
  virtual void end() = 0;
  // Has the client said so? Its socket may be open for all that.
  virtual bool ended() const = 0;
  // Puts into `out`, which is empty, what is to be sent; none when there is nothing.
  virtual void produce(std::string& out) = 0;
};

// What connections of one server share. Thread-safe.
class TlsContext {
 public:
  virtual ~TlsContext() = default;
  // Null when there is no memory for it.
  virtual std::unique_ptr<TlsLayer> accept() const = 0;
};

// INVALID_ARGUMENT says which of the parts is no PEM, or does not fit the others.
StatusOr<std::unique_ptr<TlsContext>> make_tls_context(const TlsOptions& options);

}  // namespace tenon::serving
