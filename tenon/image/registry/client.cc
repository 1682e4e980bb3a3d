#include "tenon/image/registry/client.h"

#include <algorithm>
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
  base_ = {plain ? "http" : "https", reference_.api_host(), "/"};
}

void RegistryClient::report_moved(uint64_t bytes) {
  progress_.done += bytes;
  if (options_.progress) options_.progress(progress_);
}

bool RegistryClient::is_token_server(const Url& realm) const {
  if (realm.host_name() == base_.host_name()) return true;
  if (realm.scheme != "https") return false;
  if (reference_.host == "docker.io" && realm.host == "auth.docker.io") return true;
  return std::any_of(options_.token_servers.begin(), options_.token_servers.end(),
                     [&](const std::string& host) { return to_lower(host) == realm.host; });
}

StatusOr<std::string> RegistryClient::named_url(std::string_view location) const {
  std::string absolute = resolve_location(base_, location);
  TENON_ASSIGN_OR_RETURN(const Url url, parse_url(absolute));
  TENON_RETURN_IF_ERROR(check_named_url(base_, url, true));
  return absolute;
}

Status RegistryClient::authenticate(const std::string& challenge, std::string_view actions) {
  if (!credentials_.has_value()) {
    TENON_ASSIGN_OR_RETURN(credentials_, find_credentials(reference_, options_.docker_config));
  }
  const auto challenges = parse_challenges(challenge);
  const auto find = [&](std::string_view scheme) {
    return std::find_if(challenges.begin(), challenges.end(),
                        [&](const Challenge& one) { return one.scheme == scheme; });
  };
  if (const auto bearer = find("bearer"); bearer != challenges.end()) {
    if (!credentials_->registry_token.empty()) {
      authorization_ = cat("Bearer ", credentials_->registry_token);
      return {};
    }
    return fetch_token(*bearer, *credentials_, actions);
  }
  if (find("basic") == challenges.end()) {
    return unimplemented(reference_.host,
                         " asks for an unknown kind of authentication: ", challenge.substr(0, 200));
  }
  if (credentials_->user.empty()) {
    return permission_denied(reference_.host, " asks for a user and password, and ",
                             join(credential_files(options_.docker_config), ", "), " has none");
  }
  authorization_ = cat("Basic ", credentials_->basic());
  return {};
}

Status RegistryClient::fetch_token(const Challenge& challenge, const Credentials& credentials,
                                   std::string_view actions) {
  const auto parameter = [&](const char* name) {
    const auto found = challenge.parameters.find(name);
    return found == challenge.parameters.end() ? std::string() : found->second;
  };
  const std::string named = parameter("realm");
  const auto parsed = parse_url(named);
  if (!parsed.ok()) return with_context(parsed.status(), cat(base_.host, "'s token server"));
  const Url& realm = *parsed;
  TENON_RETURN_IF_ERROR(check_named_url(base_, realm, true));
  const bool secret = !credentials.identity_token.empty() || !credentials.user.empty();
  if (secret && !is_token_server(realm)) {
    return permission_denied(reference_.host, " wants its user and password sent to ", realm.host,
                             "; --token_server ", realm.host, " allows that");
  }
  std::string query =
      cat("service=", url_encoded(parameter("service")),
          "&scope=", url_encoded(cat("repository:", reference_.repository, ":", actions)));
  if (!options_.mount_from.empty()) {
    query += cat("&scope=", url_encoded(cat("repository:", options_.mount_from, ":pull")));
  }
  HttpRequest request;
  request.plain_on_loopback_only = true;
  request.timeout = options_.timeout;
  if (!credentials.identity_token.empty()) {
    request.method = "POST";
    request.url = named;
    request.content_type = "application/x-www-form-urlencoded";
    request.body = cat("grant_type=refresh_token&client_id=tenon&", query,
                       "&refresh_token=", url_encoded(credentials.identity_token));
  } else {
    request.url = cat(named, realm.path.find('?') == std::string::npos ? "?" : "&", query);
    if (secret) request.headers["Authorization"] = cat("Basic ", credentials.basic());
  }
  TENON_ASSIGN_OR_RETURN(const HttpResponse response, send_http(request));
  if (response.status != 200) {
    return registry_error(cat("getting a token of ", realm.host), response);
  }
  TENON_ASSIGN_OR_RETURN(const std::string token, parse_token_answer(response.body, realm.host));
  authorization_ = cat("Bearer ", token);
  return {};
}

StatusOr<HttpResponse> RegistryClient::send(HttpRequest request, std::string_view path,
                                            std::string_view actions) {
  const bool absolute = path.starts_with("http://") || path.starts_with("https://");
  request.url =
      absolute ? std::string(path)
               : cat(base_.scheme, "://", base_.host, "/v2/", reference_.repository, "/", path);
  request.plain_on_loopback_only = true;
  request.timeout = options_.timeout;
  TENON_ASSIGN_OR_RETURN(const Url url, parse_url(request.url));
  // Credentials go to the registry itself only, not to a storage that it points to.
  const bool own_host = is_same_origin(url, base_);
  bool challenged = false;
  Status last;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    if (!last.ok()) pause_before_retry(attempt);
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
  return named_url(location->second);
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
  TENON_ASSIGN_OR_RETURN(auto source, open(0));
  uint64_t offset = 0, furthest = 0;
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
    request.moved = [this](uint64_t bytes) { report_moved(bytes); };
    const auto response = send(std::move(request), location, "pull,push");
    if (response.ok() && response->status == 202) {
      if (const auto next = response->headers.find("location"); next != response->headers.end()) {
        TENON_ASSIGN_OR_RETURN(location, named_url(next->second));
      }
      offset += size;
      report.bytes += size;
      // A registry that takes the same bytes again and again gets nowhere.
      if (offset > furthest) failures = 0;
      furthest = std::max(furthest, offset);
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
    request.moved = [this](uint64_t bytes) { report_moved(bytes); };
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
    const bool stalled =
        last.code() == absl::StatusCode::kDeadlineExceeded && counted.count() > offset;
    if (last.code() != absl::StatusCode::kUnavailable && !stalled) return last;
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
  const std::string_view type = response.headers["content-type"];
  manifest.media_type = trim(type.substr(0, type.find(';')));
  manifest.text = std::move(response.body);
  manifest.digest = cat("sha256:", sha256_hex(manifest.text));
  const auto claimed = response.headers.find("docker-content-digest");
  if (claimed != response.headers.end() && claimed->second.starts_with("sha256:") &&
      claimed->second != manifest.digest) {
    return data_loss("the registry says that ", tag_or_digest, " is ", claimed->second,
                     " and sends ", manifest.digest);
  }
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
