#include "tenon/serving/net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

namespace tenon::serving {
namespace {

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using SslPointer = std::unique_ptr<SSL, Freed<SSL_free>>;
using ContextPointer = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using BioPointer = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using CertificatePointer = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPointer = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

std::string last_error() {
  const unsigned long error = ERR_peek_last_error();
  const char* reason = ERR_reason_error_string(error);
  ERR_clear_error();
  return reason != nullptr ? reason : "no reason given";
}

class OpenSslLayer final : public TlsLayer {
 public:
  OpenSslLayer(SslPointer ssl, BIO* in, BIO* out) : ssl_(std::move(ssl)), in_(in), out_(out) {}

  bool receive(std::string_view cipher, std::string& plain) override {
    ERR_clear_error();
    while (!cipher.empty()) {
      const int taken =
          BIO_write(in_, cipher.data(), static_cast<int>(std::min<size_t>(cipher.size(), 1 << 20)));
      if (taken <= 0) return false;
      cipher.remove_prefix(static_cast<size_t>(taken));
      if (!advance(plain)) return false;
    }
    return true;
  }

  void send(std::string_view plain) override {
    if (!SSL_is_init_finished(ssl_.get())) {
      waiting_.append(plain);
      return;
    }
    ERR_clear_error();
    while (!plain.empty()) {
      const int taken = SSL_write(ssl_.get(), plain.data(),
                                  static_cast<int>(std::min<size_t>(plain.size(), 1 << 20)));
      if (taken <= 0) return;  // out of memory: the client sees the record cut off
      plain.remove_prefix(static_cast<size_t>(taken));
    }
  }

  void end() override {
    if (SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
  }

  bool ended() const override {
    return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

  void produce(std::string& out) override {
    const size_t size = BIO_ctrl_pending(out_);
    if (size == 0) return;
    out.resize(size);
    BIO_read(out_, out.data(), static_cast<int>(size));
  }

 private:
  bool advance(std::string& plain) {
    if (!SSL_is_init_finished(ssl_.get())) {
      const int done = SSL_do_handshake(ssl_.get());
      if (done <= 0) return SSL_get_error(ssl_.get(), done) == SSL_ERROR_WANT_READ;
      send(std::exchange(waiting_, {}));
    }
    constexpr size_t kRecord = 16 << 10;
    for (;;) {
      const size_t before = plain.size();
      plain.resize(before + kRecord);
      const int got = SSL_read(ssl_.get(), plain.data() + before, kRecord);
      plain.resize(before + static_cast<size_t>(std::max(got, 0)));
      if (got > 0) continue;
      const int error = SSL_get_error(ssl_.get(), got);
      return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_ZERO_RETURN;
    }
  }

  const SslPointer ssl_;
  BIO* const in_;   // owned by ssl_
  BIO* const out_;  // owned by ssl_
  std::string waiting_;
};

class OpenSslContext final : public TlsContext {
 public:
  explicit OpenSslContext(std::vector<std::string> protocols) : protocols_(std::move(protocols)) {}

  Status set_up(const TlsOptions& options) {
    context_.reset(SSL_CTX_new(TLS_server_method()));
    if (!context_) return resource_exhausted("no TLS context: ", last_error());
    SSL_CTX* const context = context_.get();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, this);
    TENON_RETURN_IF_ERROR(use_certificate(options));
    return options.verify_client ? verify_clients(options) : absl::OkStatus();
  }

  std::unique_ptr<TlsLayer> accept() const override {
    SslPointer ssl(SSL_new(context_.get()));
    BioPointer in(BIO_new(BIO_s_mem())), out(BIO_new(BIO_s_mem()));
    if (!ssl || !in || !out) return nullptr;
    BIO_set_mem_eof_return(in.get(), -1);
    BIO* const in_bio = in.release();
    BIO* const out_bio = out.release();
    SSL_set_bio(ssl.get(), in_bio, out_bio);
    SSL_set_accept_state(ssl.get());
    return std::make_unique<OpenSslLayer>(std::move(ssl), in_bio, out_bio);
  }

 private:
  static int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                             const unsigned char* offered, unsigned offered_size, void* self) {
    const auto& protocols = static_cast<const OpenSslContext*>(self)->protocols_;
    for (const std::string& wanted : protocols) {
      for (unsigned at = 0; at < offered_size;) {
        const unsigned size = offered[at++];
        if (size > offered_size - at) break;
        if (std::string_view(reinterpret_cast<const char*>(offered + at), size) == wanted) {
          *chosen = offered + at;
          *chosen_size = static_cast<unsigned char>(size);
          return SSL_TLSEXT_ERR_OK;
        }
        at += size;
      }
    }
    return protocols.empty() ? SSL_TLSEXT_ERR_NOACK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  Status use_certificate(const TlsOptions& options) {
    SSL_CTX* const context = context_.get();
    const BioPointer certificates(
        BIO_new_mem_buf(options.certificate.data(), static_cast<int>(options.certificate.size())));
    const CertificatePointer own(PEM_read_bio_X509_AUX(certificates.get(), nullptr, nullptr, {}));
    if (!own || SSL_CTX_use_certificate(context, own.get()) != 1) {
      return invalid_argument("the server's certificate is no PEM certificate: ", last_error());
    }
    while (X509* next = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr)) {
      if (SSL_CTX_add0_chain_cert(context, next) != 1) X509_free(next);
    }
    ERR_clear_error();
    const BioPointer key_text(
        BIO_new_mem_buf(options.key.data(), static_cast<int>(options.key.size())));
    const KeyPointer key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_password, nullptr));
    if (!key) return invalid_argument("the server's key is no PEM key: ", last_error());
    if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
      return invalid_argument("the server's key is not that of its certificate: ", last_error());
    }
    return absl::OkStatus();
  }

  // A key that is locked by a password is refused, not asked for at the terminal.
  static int no_password(char*, int, int, void*) { return -1; }

  Status verify_clients(const TlsOptions& options) {
    SSL_CTX* const context = context_.get();
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    if (options.client_ca.empty()) {
      SSL_CTX_set_default_verify_paths(context);
      return absl::OkStatus();
    }
    const BioPointer text(
        BIO_new_mem_buf(options.client_ca.data(), static_cast<int>(options.client_ca.size())));
    int count = 0;
    while (X509* next = PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)) {
      const CertificatePointer authority(next);
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), next);
      SSL_CTX_add_client_CA(context, next);
      ++count;
    }
    if (count == 0) {
      return invalid_argument("the authorities of clients hold no PEM certificate: ", last_error());
    }
    ERR_clear_error();
    return absl::OkStatus();
  }

  const std::vector<std::string> protocols_;
  ContextPointer context_;
};

}  // namespace

StatusOr<std::unique_ptr<TlsContext>> make_tls_context(const TlsOptions& options) {
  auto context = std::make_unique<OpenSslContext>(options.protocols);
  TENON_RETURN_IF_ERROR(context->set_up(options));
  return context;
}

}  // namespace tenon::serving
