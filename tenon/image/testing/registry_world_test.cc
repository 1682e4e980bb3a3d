#include "tenon/image/testing/registry_world.h"

#include <httplib.h>

namespace tenon::image {
namespace {

void give_token(httplib::Response& out) {
  out.set_content(cat("{\"token\":\"", kToken, "\"}"), "application/json");
}

}  // namespace

WatchedServer::WatchedServer(
    bool tls, const std::string& folder,
    std::function<void(const httplib::Request&, httplib::Response&)> answer)
    : scheme_(tls ? "https" : "http"), answer_(std::move(answer)) {
  if (tls) {
    server_ = std::make_unique<httplib::SSLServer>(join_path(folder, "tls.crt").c_str(),
                                                   join_path(folder, "tls.key").c_str());
  } else {
    server_ = std::make_unique<httplib::Server>();
  }
  const auto handle = [this](const httplib::Request& in, httplib::Response& out) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++requests;
    const std::string sent = cat(in.get_header_value("Authorization"), in.body);
    saw_secret |=
        sent.find(kPasswordBase64) != std::string::npos || sent.find(kToken) != std::string::npos;
    answer_(in, out);
  };
  server_->Get("/.*", handle);
  server_->Post("/.*", handle);
  server_->Put("/.*", handle);
  server_->Patch("/.*", handle);
  port_ = server_->bind_to_any_port("127.0.0.1");
  thread_ = std::thread([this] { server_->listen_after_bind(); });
  while (!server_->is_running()) std::this_thread::yield();
}

WatchedServer::~WatchedServer() {
  server_->stop();
  thread_.join();
}

RegistryWorld::RegistryWorld(const std::string& folder, bool tls)
    : lie([](RegistryWorld&, const httplib::Request&, httplib::Response&) { return false; }),
      registry(tls, folder,
               [this](const httplib::Request& in, httplib::Response& out) { answer(in, out); }),
      other_plain(false, folder,
                  [](const httplib::Request&, httplib::Response& out) { give_token(out); }),
      other_tls(true, folder,
                [](const httplib::Request&, httplib::Response& out) { give_token(out); }) {}

std::string RegistryWorld::challenge() const {
  return cat("Bearer realm=\"", registry.url(), "/token\",service=\"s\"");
}

void RegistryWorld::answer(const httplib::Request& in, httplib::Response& out) {
  if (lie(*this, in, out)) return;
  if (in.path == "/token") return give_token(out);
  if (in.get_header_value("Authorization") != cat("Bearer ", kToken)) {
    (void)image::challenge(out, challenge());
    return;
  }
  const std::string name = in.path.substr(in.path.rfind('/') + 1);
  if (in.path.find("/uploads/") != std::string::npos) {
    out.set_header("Location", "/v2/r/blobs/uploads/1");
    if (in.method == "PUT") blobs[in.get_param_value("digest")] = "";
    out.status = in.method == "PUT" ? 201 : 202;
    return;
  }
  if (in.method == "PUT") {
    out.status = 201;
    return;
  }
  const auto& table = in.path.find("/blobs/") != std::string::npos ? blobs : manifests;
  const auto found = table.find(name);
  if (found == table.end() || is_referrers(in)) {
    out.status = 404;
    return;
  }
  out.set_content(found->second, std::string(kManifestType));
}

bool is_blob(const httplib::Request& in) {
  return in.method == "GET" && in.path.find("/blobs/sha256:") != std::string::npos;
}

bool is_manifest(const httplib::Request& in, std::string_view name) {
  return in.method == "GET" && in.path.find("/manifests/") != std::string::npos &&
         in.path.ends_with(name);
}

bool is_referrers(const httplib::Request& in) {
  return in.path.find("/referrers/") != std::string::npos;
}

bool is_start(const httplib::Request& in) {
  return in.method == "POST" && in.path.ends_with("/uploads/");
}

bool redirect(httplib::Response& out, const std::string& to, int status) {
  out.status = status;
  out.set_header("Location", to);
  return true;
}

bool challenge(httplib::Response& out, const std::string& text) {
  out.status = 401;
  out.set_header("WWW-Authenticate", text);
  return true;
}

bool say(httplib::Response& out, const std::string& body, std::string_view type) {
  out.set_content(body, std::string(type));
  return true;
}

}  // namespace tenon::image
