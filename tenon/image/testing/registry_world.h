// A registry on loopback, by TLS or plain, that a test makes misbehave, and two other hosts that
// remember whether they saw its credentials.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/oci/model.h"

namespace httplib {
class Server;
struct Request;
struct Response;
}  // namespace httplib

namespace tenon::image {

inline constexpr std::string_view kPasswordBase64 = "dTpw";  // u:p
inline constexpr std::string_view kToken = "the-token";

// Serves what `answer` says, by TLS (tls.crt and tls.key of `folder`) or plain, and remembers
// whether anybody sent the password or the token.
class WatchedServer {
 public:
  WatchedServer(bool tls, const std::string& folder,
                std::function<void(const httplib::Request&, httplib::Response&)> answer);
  ~WatchedServer();
  std::string host() const { return cat("127.0.0.1:", port_); }
  std::string url() const { return cat(scheme_, "://", host()); }

  int requests = 0;
  bool saw_secret = false;

 private:
  std::string scheme_;
  std::function<void(const httplib::Request&, httplib::Response&)> answer_;
  std::unique_ptr<httplib::Server> server_;
  std::mutex mutex_;
  std::thread thread_;
  int port_ = 0;
};

// A registry that behaves, around the lie that a test makes it tell.
struct RegistryWorld {
  RegistryWorld(const std::string& folder, bool tls);

  // True: it has answered.
  using Lie = std::function<bool(RegistryWorld&, const httplib::Request&, httplib::Response&)>;
  Lie lie;
  std::map<std::string, std::string> blobs, manifests;  // by digest; manifests by tag too
  std::string layer_digest, config_digest, manifest_digest;
  int count = 0;  // a lie's own

  std::string challenge() const;

  WatchedServer registry, other_plain, other_tls;

 private:
  void answer(const httplib::Request& in, httplib::Response& out);
};

// What a request asks for.
bool is_blob(const httplib::Request& in);
bool is_manifest(const httplib::Request& in, std::string_view name = {});
bool is_referrers(const httplib::Request& in);
bool is_start(const httplib::Request& in);  // of an upload

// Answers; true, for a lie to return.
bool redirect(httplib::Response& out, const std::string& to, int status = 307);
bool challenge(httplib::Response& out, const std::string& text);
bool say(httplib::Response& out, const std::string& body, std::string_view type);

}  // namespace tenon::image
