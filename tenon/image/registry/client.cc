#include "tenon/image/registry/client.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tenon/image/archive/sha256.h"
#include "tenon/image/trust/json.h"

namespace tenon::image {

using Json = nlohmann::ordered_json;

namespace {

constexpr int kMostTries = 6;
constexpr std::string_view kAccept =
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json";

bool is_loopback(std::string_view host) {
  if (host.starts_with("[::1]")) return true;
  host = host.substr(0, host.find(':'));
  return host == "localhost" || host.starts_with("127.");
}

// The value of key="..." in a WWW-Authenticate header.
std::string challenge_field(std::string_view challenge, std::string_view key) {
  const std::string prefix = cat(key, "=\"");
  const size_t at = challenge.find(prefix);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = challenge.substr(at + prefix.size());
  return std::string(rest.substr(0, rest.find('"')));
}

std::string url_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    constexpr std::string_view kSafe = "-._~/:,";
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       kSafe.find(c) != std::string_view::npos;
    constexpr char kHex[] = "0123456789ABCDEF";
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 15];
    }
  }
  return out;
}

class CountedSink final : public ByteSink {
 public:
  CountedSink(ByteSink& next, uint64_t limit) : next_(next), limit_(limit) {}
  Status write(std::string_view bytes) override {
    count_ += bytes.size();
    if (count_ > limit_)
      return data_loss("the registry sends more than the ", limit_, " bytes due");
    return next_.write(bytes);
  }
  uint64_t count() const { return count_; }

 private:
  ByteSink& next_;
  uint64_t limit_;
  uint64_t count_ = 0;
};

}  // namespace

Status registry_error(std::string_view what, const HttpResponse& response) {
  std::string message;
  const Json json = Json::parse(response.body, nullptr, false);
  for (const Json& error : json_child(json, "errors")) {
    message += cat(message.empty() ? "" : "; ", json_text(error, "code"), " ",
                   json_text(error, "message"));
  }
  const std::string text =
      cat(what, ": HTTP ", response.status, message.empty() ? "" : " ", message);
  if (response.status == 401 || response.status == 403) return permission_denied(text);
  if (response.status == 404) return not_found(text);
  return response.status >= 500 || response.status == 429 ? unavailable(text)
                                                          : failed_precondition(text);
}

RegistryClient::RegistryClient(RegistryReference reference, RegistryOptions options)
    : reference_(std::move(reference)), options_(std::move(options)) {
  const bool plain = is_loopback(reference_.host) && !options_.force_tls;
  base_ = cat(plain ? "http" : "https", "://", reference_.host);
}

StatusOr<std::string> RegistryClient::stored_credentials() const {
  std::string path = options_.docker_config;
  if (path.empty()) {
    const char* folder = std::getenv("DOCKER_CONFIG");
    const char* home = std::getenv("HOME");
    path = folder != nullptr ? join_path(folder, "config.json")
                             : join_path(home == nullptr ? "/" : home, ".docker/config.json");
  }
  if (!path_exists(path)) return std::string();
  TENON_ASSIGN_OR_RETURN(const std::string text, read_file(path, 4 << 20));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return invalid_argument(path, " is not a JSON object");
  const Json& auths = json_child(json, "auths");
  for (const std::string& key : {reference_.host, cat("https://", reference_.host),
                                 cat("https://", reference_.host, "/v1/")}) {
    const std::string auth = json_text(json_child(auths, key.c_str()), "auth");
    if (!auth.empty()) return auth;
  }
  if (!json_text(json, "credsStore").empty() || json_child(json, "credHelpers").size() > 0) {
    return unimplemented(path, " leaves the credentials of ", reference_.host,
                         " to a helper program; write them under auths");
  }
  return std::string();
}

Status RegistryClient::authenticate(const std::string& challenge, std::string_view actions) {
  TENON_ASSIGN_OR_RETURN(const std::string stored, stored_credentials());
  if (to_lower(challenge).starts_with("basic")) {
    if (stored.empty()) {
      return permission_denied(reference_.host,
                               " asks for a user and password, and docker's config.json has none");
    }
    authorization_ = cat("Basic ", stored);
    return {};
  }
  const std::string realm = challenge_field(challenge, "realm");
  if (!to_lower(challenge).starts_with("bearer") || realm.empty()) {
    return unimplemented(reference_.host,
                         " asks for an unknown kind of authentication: ", challenge);
  }
  std::string scope = challenge_field(challenge, "scope");
  if (scope.empty()) scope = cat("repository:", reference_.repository, ":", actions);
  HttpRequest request;
  request.url = cat(realm, realm.find('?') == std::string::npos ? "?" : "&",
                    "service=", url_encoded(challenge_field(challenge, "service")),
                    "&scope=", url_encoded(scope));
  if (!stored.empty()) request.headers["Authorization"] = cat("Basic ", stored);
  TENON_ASSIGN_OR_RETURN(const HttpResponse response, send_http(request));
  if (response.status != 200) return registry_error("getting a token", response);
  const Json json = Json::parse(response.body, nullptr, false);
  std::string token = json_text(json, "token");
  if (token.empty()) token = json_text(json, "access_token");
  if (token.empty()) return permission_denied(realm, " gave no token");
  authorization_ = cat("Bearer ", token);
  return {};
}

StatusOr<HttpResponse> RegistryClient::send(HttpRequest request, std::string_view path,
                                            std::string_view actions) {
  const bool absolute = path.find("://") != std::string_view::npos;
  request.url =
      absolute
          ? std::string(path)
          : cat(base_, path.starts_with('/') ? "" : cat("/v2/", reference_.repository, "/"), path);
  bool challenged = false;
  Status last;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    if (!last.ok()) pause_before_retry(attempt);
    // Credentials go to the registry itself only, not to a storage that it points to.
    const bool own_host = std::string_view(request.url).starts_with(base_ + "/");
    if (!authorization_.empty() && own_host) request.headers["Authorization"] = authorization_;
    const auto response = send_http(request);
    if (!response.ok()) {
      last = response.status();
      // A streamed answer has begun to be written: only its caller knows how to go on.
      if (last.code() != absl::StatusCode::kUnavailable || request.sink != nullptr) return last;
      continue;
    }
    if (response->status == 401 && !challenged && own_host) {
      challenged = true;
      const auto challenge = response->headers.find("www-authenticate");
      if (challenge == response->headers.end()) return *response;
      TENON_RETURN_IF_ERROR(authenticate(challenge->second, actions));
      continue;
    }
    return *response;
  }
  return last;
}

StatusOr<bool> RegistryClient::has_blob(const std::string& digest) {
  HttpRequest request;
  request.method = "HEAD";
  TENON_ASSIGN_OR_RETURN(const HttpResponse response,
                         send(request, cat("blobs/", digest), "pull,push"));
  if (response.status == 200) return true;
  if (response.status == 404) return false;
  return registry_error(cat("asking for blob ", digest), response);
}

StatusOr<std::string> RegistryClient::start_upload(const Descriptor& blob, bool& mounted) {
  HttpRequest request;
  request.method = "POST";
  std::string path = "blobs/uploads/";
  if (!options_.mount_from.empty()) {
    path += cat("?mount=", blob.digest, "&from=", url_encoded(options_.mount_from));
  }
  TENON_ASSIGN_OR_RETURN(const HttpResponse response, send(request, path, "pull,push"));
  mounted = response.status == 201;
  if (mounted) return std::string();
  const auto location = response.headers.find("location");
  if (response.status != 202 || location == response.headers.end()) {
    return registry_error(cat("starting the upload of ", blob.digest), response);
  }
  TENON_ASSIGN_OR_RETURN(const Url base, parse_url(cat(base_, "/")));
  return resolve_location(base, location->second);
}

StatusOr<uint64_t> RegistryClient::upload_offset(const std::string& location) {
  TENON_ASSIGN_OR_RETURN(const HttpResponse response, send(HttpRequest(), location, "pull,push"));
  if (response.status != 204) return registry_error("asking where an upload stands", response);
  const auto range = response.headers.find("range");
  if (range == response.headers.end()) return uint64_t{0};
  const size_t dash = range->second.find('-');
  int64_t last = 0;
  if (dash == std::string::npos || !parse_number(range->second.substr(dash + 1), last) ||
      last < 0) {
    return data_loss("the registry answers with the range '", range->second, "'");
  }
  return last == 0 ? uint64_t{0} : static_cast<uint64_t>(last) + 1;
}

StatusOr<uint64_t> RegistryClient::resume_upload(const Descriptor& blob, std::string& location) {
  const StatusOr<uint64_t> offset = upload_offset(location);
  if (offset.ok() || offset.status().code() != absl::StatusCode::kNotFound) return offset;
  bool mounted = false;
  TENON_ASSIGN_OR_RETURN(location, start_upload(blob, mounted));
  return mounted ? blob.size : uint64_t{0};
}

Status RegistryClient::upload(
    const Descriptor& blob, TransferReport& report,
    const std::function<StatusOr<std::unique_ptr<ByteSource>>(uint64_t offset)>& open) {
  bool mounted = false;
  TENON_ASSIGN_OR_RETURN(std::string location, start_upload(blob, mounted));
  if (mounted) {
    ++report.blobs_mounted;
    return {};
  }
  TENON_ASSIGN_OR_RETURN(const Url base, parse_url(cat(base_, "/")));
  TENON_ASSIGN_OR_RETURN(auto source, open(0));
  uint64_t offset = 0;
  int failures = 0;
  while (offset < blob.size) {
    HttpRequest request;
    request.method = "PATCH";
    request.content_type = "application/octet-stream";
    request.body.resize(
        static_cast<size_t>(std::min<uint64_t>(options_.chunk_bytes, blob.size - offset)));
    TENON_ASSIGN_OR_RETURN(const bool found, read_exactly(*source, request.body, blob.digest));
    if (!found) return data_loss("blob ", blob.digest, " is shorter than its descriptor says");
    request.headers["Content-Range"] = cat(offset, "-", offset + request.body.size() - 1);
    const uint64_t size = request.body.size();
    const auto response = send(std::move(request), location, "pull,push");
    if (response.ok() && response->status == 202) {
      if (const auto next = response->headers.find("location"); next != response->headers.end()) {
        location = resolve_location(base, next->second);
      }
      offset += size;
      report.bytes += size;
      failures = 0;
      continue;
    }
    const Status failure =
        response.ok() ? registry_error(cat("sending ", blob.digest), *response) : response.status();
    // 416: the registry stands elsewhere. 404: it has lost the upload, as a restarted one may.
    const bool may_pass = failure.code() == absl::StatusCode::kUnavailable ||
                          (response.ok() && (response->status == 416 || response->status == 404));
    if (!may_pass || ++failures == kMostTries) return failure;
    TENON_ASSIGN_OR_RETURN(offset, resume_upload(blob, location));
    TENON_ASSIGN_OR_RETURN(source, open(offset));
    ++report.resumed;
  }
  if (location.empty()) {
    ++report.blobs_mounted;
    return {};
  }
  HttpRequest finish;
  finish.method = "PUT";
  finish.headers["Content-Length"] = "0";
  const std::string mark = location.find('?') == std::string::npos ? "?" : "&";
  TENON_ASSIGN_OR_RETURN(
      const HttpResponse response,
      send(finish, cat(location, mark, "digest=", url_encoded(blob.digest)), "pull,push"));
  if (response.status != 201) return registry_error(cat("finishing ", blob.digest), response);
  ++report.blobs_sent;
  return {};
}

Status RegistryClient::fetch_blob(const Descriptor& blob, ByteSink& sink) {
  CountedSink counted(sink, blob.size);
  Status last;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    if (attempt > 0) pause_before_retry(attempt);
    HttpRequest request;
    request.sink = &counted;
    const uint64_t offset = counted.count();
    if (offset > 0) request.headers["Range"] = cat("bytes=", offset, "-");
    const auto response = send(std::move(request), cat("blobs/", blob.digest), "pull");
    if (response.ok()) {
      if (response->status != (offset > 0 ? 206 : 200)) {
        return registry_error(cat("getting ", blob.digest), *response);
      }
      if (counted.count() == blob.size) return {};
      last = data_loss("blob ", blob.digest, " ends after ", counted.count(), " of ", blob.size,
                       " bytes");
      continue;
    }
    last = response.status();
    if (last.code() != absl::StatusCode::kUnavailable) return last;
  }
  return last;
}

Status RegistryClient::put_manifest(const std::string& tag_or_digest, std::string_view media_type,
                                    std::string_view text, bool* has_subject_support) {
  HttpRequest request;
  request.method = "PUT";
  request.content_type = media_type;
  request.body = text;
  TENON_ASSIGN_OR_RETURN(const HttpResponse response,
                         send(request, cat("manifests/", tag_or_digest), "pull,push"));
  if (response.status != 201) return registry_error(cat("putting ", tag_or_digest), response);
  if (has_subject_support != nullptr) {
    *has_subject_support = response.headers.contains("oci-subject");
  }
  const auto digest = response.headers.find("docker-content-digest");
  const std::string ours = cat("sha256:", sha256_hex(text));
  if (digest != response.headers.end() && digest->second != ours) {
    return data_loss("the registry stored ", tag_or_digest, " as ", digest->second, ", not ", ours);
  }
  return {};
}

StatusOr<RegistryClient::FetchedManifest> RegistryClient::get_manifest(
    const std::string& tag_or_digest) {
  HttpRequest request;
  request.headers["Accept"] = kAccept;
  TENON_ASSIGN_OR_RETURN(HttpResponse response,
                         send(request, cat("manifests/", tag_or_digest), "pull"));
  if (response.status != 200) {
    return registry_error(
        cat("getting ", reference_.host, "/", reference_.repository, " ", tag_or_digest), response);
  }
  FetchedManifest manifest;
  manifest.media_type = response.headers["content-type"];
  manifest.text = std::move(response.body);
  manifest.digest = cat("sha256:", sha256_hex(manifest.text));
  if (tag_or_digest.starts_with("sha256:") && manifest.digest != tag_or_digest) {
    return data_loss("the registry answers ", tag_or_digest, " with ", manifest.digest);
  }
  return manifest;
}

StatusOr<Index> RegistryClient::referrers(const std::string& digest) {
  TENON_ASSIGN_OR_RETURN(const HttpResponse response,
                         send(HttpRequest(), cat("referrers/", digest), "pull"));
  if (response.status == 200) return parse_index(response.body, "the referrers");
  const auto fallback = get_manifest(cat("sha256-", digest.substr(7)));
  if (fallback.ok()) return parse_index(fallback->text, "the referrers");
  if (fallback.status().code() == absl::StatusCode::kNotFound) return Index();
  return fallback.status();
}

}  // namespace tenon::image
