#include "tenon/image/net/http.h"

#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "tenon/image/net/process.h"

namespace tenon::image {
namespace {

constexpr size_t kBodyLimit = 16 << 20;
constexpr int kMostRedirects = 6;
constexpr int kMostAttempts = 4;

// apt's proxy where apt is there, else the environment's.
std::string proxy_for(const std::string& scheme) {
  static const std::map<std::string, std::string> apt = [] {
    std::map<std::string, std::string> found;
    const auto result = run_process(
        {"apt-config", "shell", "http", "Acquire::http::Proxy", "https", "Acquire::https::Proxy"});
    if (!result.ok() || result->exit_code != 0) return found;
    for (std::string_view line : split(result->out, '\n')) {
      const size_t equals = line.find('=');
      if (equals == std::string_view::npos) continue;
      std::string value(trim(line.substr(equals + 1)));
      std::erase(value, '\'');
      if (value != "DIRECT") found[std::string(line.substr(0, equals))] = value;
    }
    return found;
  }();
  if (const auto entry = apt.find(scheme); entry != apt.end()) return entry->second;
  const char* value = std::getenv(scheme == "https" ? "https_proxy" : "http_proxy");
  return value == nullptr ? "" : value;
}

bool proxy_bypassed(std::string_view host) {
  host = host.substr(0, host.rfind(':'));
  if (host == "localhost" || host.starts_with("127.") || host == "[::1]") return true;
  const char* value = std::getenv("no_proxy");
  if (value == nullptr) return false;
  for (std::string_view suffix : split(value, ',')) {
    if (!trim(suffix).empty() && host.ends_with(trim(suffix))) return true;
  }
  return false;
}

void set_proxy(httplib::Client& client, const Url& url) {
  if (proxy_bypassed(url.host)) return;
  const auto proxy = parse_url(proxy_for(url.scheme));
  if (!proxy.ok()) return;
  const size_t colon = proxy->host.rfind(':');
  int64_t port = 3128;
  if (colon != std::string::npos) (void)parse_number(proxy->host.substr(colon + 1), port);
  client.set_proxy(proxy->host.substr(0, colon), static_cast<int>(port));
}

StatusOr<HttpResponse> exchange(const HttpRequest& request, const Url& url,
                                const std::map<std::string, std::string>& headers) {
  httplib::Client client(cat(url.scheme, "://", url.host));
  if (!client.is_valid()) return invalid_argument("'", request.url, "' is not a usable URL");
  client.set_connection_timeout(15);
  client.set_read_timeout(60);
  client.set_write_timeout(60);
  client.set_decompress(false);
  set_proxy(client, url);

  httplib::Request out;
  out.method = request.method;
  out.path = url.path;
  for (const auto& [name, value] : headers) out.headers.emplace(name, value);
  if (!request.content_type.empty()) out.headers.emplace("Content-Type", request.content_type);
  Status failure;
  if (request.body_source != nullptr) {
    out.content_length_ = static_cast<size_t>(request.body_size);
    out.content_provider_ = [&](size_t, size_t length, httplib::DataSink& sink) {
      std::string window(std::min<size_t>(length, 256 << 10), '\0');
      const auto got = request.body_source->read(window);
      if (!got.ok() || *got == 0) {
        failure = got.ok() ? data_loss("a request's body ended early") : got.status();
        return false;
      }
      return sink.write(window.data(), *got);
    };
    out.headers.emplace("Content-Length", cat(request.body_size));
  } else {
    out.body = request.body;
  }

  HttpResponse response;
  out.response_handler = [&](const httplib::Response& head) {
    response.status = head.status;
    return true;
  };
  out.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    if (request.sink != nullptr && response.status >= 200 && response.status < 300) {
      failure = request.sink->write(std::string_view(data, size));
      return failure.ok();
    }
    if (response.body.size() + size > kBodyLimit) {
      failure = resource_exhausted(request.url, " answers with more than 16 MB");
      return false;
    }
    response.body.append(data, size);
    return true;
  };
  httplib::Response in;
  httplib::Error error = httplib::Error::Success;
  if (!client.send(out, in, error)) {
    if (!failure.ok()) return failure;
    // A query may hold what is nobody's business (a session, a signature).
    const std::string shown =
        cat(request.method, " ", request.url.substr(0, request.url.find('?')));
    if (error == httplib::Error::SSLServerVerification) {
      return failed_precondition(shown, ": the certificate of ", url.host,
                                 " is not trusted; SSL_CERT_FILE names other authorities");
    }
    return unavailable(shown, ": no answer (", httplib::to_string(error), ")");
  }
  response.status = in.status;
  for (const auto& [name, value] : in.headers) response.headers[to_lower(name)] = value;
  return response;
}

Status download_file(const std::string& path, ByteSink& sink, uint64_t limit) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
  FileSource source(*file);
  return with_context(copy_stream(source, sink, limit).status(), path);
}

// Counts what has arrived, so that a broken transfer goes on where it stopped.
class CountingSink final : public ByteSink {
 public:
  CountingSink(ByteSink& next, uint64_t limit) : next_(next), limit_(limit) {}
  Status write(std::string_view bytes) override {
    count_ += bytes.size();
    if (count_ > limit_) return out_of_range("more than the ", limit_, " bytes expected");
    return next_.write(bytes);
  }
  uint64_t count() const { return count_; }

 private:
  ByteSink& next_;
  uint64_t limit_;
  uint64_t count_ = 0;
};

}  // namespace

StatusOr<Url> parse_url(std::string_view url) {
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return invalid_argument("'", url, "' is not a URL");
  Url result;
  result.scheme = to_lower(url.substr(0, colon));
  if (result.scheme != "http" && result.scheme != "https" && result.scheme != "file") {
    return invalid_argument("'", url, "' is not an http, https or file URL");
  }
  url.remove_prefix(colon + 3);
  const size_t slash = std::min(url.find('/'), url.size());
  result.host = url.substr(0, slash);
  result.path = slash == url.size() ? "/" : std::string(url.substr(slash));
  if (result.path.find_first_of("\r\n ") != std::string::npos) {
    return invalid_argument("'", url, "' has white space in its path");
  }
  if (result.host.empty() != (result.scheme == "file")) {
    return invalid_argument("'", result.scheme, "://", url, "' has no host");
  }
  return result;
}

std::string resolve_location(const Url& base, std::string_view location) {
  if (location.find("://") != std::string_view::npos) return std::string(location);
  if (location.starts_with("//")) return cat(base.scheme, ":", location);
  if (location.starts_with('/')) return cat(base.scheme, "://", base.host, location);
  return cat(base.scheme, "://", base.host, base.path.substr(0, base.path.rfind('/') + 1),
             location);
}

StatusOr<HttpResponse> send_http(const HttpRequest& request) {
  std::map<std::string, std::string> headers = request.headers;
  headers.emplace("User-Agent", "tenon");
  std::string target = request.url;
  for (int hop = 0; hop < kMostRedirects; ++hop) {
    TENON_ASSIGN_OR_RETURN(const Url url, parse_url(target));
    TENON_ASSIGN_OR_RETURN(HttpResponse response, exchange(request, url, headers));
    const bool redirect = response.status >= 301 && response.status <= 308 &&
                          response.headers.contains("location") && response.status != 304;
    const bool repeatable = request.method == "GET" || request.method == "HEAD";
    if (!redirect || !repeatable || !request.follow_redirects) return response;
    target = resolve_location(url, response.headers["location"]);
    TENON_ASSIGN_OR_RETURN(const Url next, parse_url(target));
    if (next.host != url.host) headers.erase("Authorization");
  }
  return unavailable(request.url, " redirects more than ", kMostRedirects, " times");
}

void pause_before_retry(int retry) {
  const int64_t milliseconds = std::min<int64_t>(100LL << std::clamp(retry - 1, 0, 10), 2000);
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

Status download(const std::string& url, ByteSink& sink, uint64_t limit) {
  TENON_ASSIGN_OR_RETURN(const Url parsed, parse_url(url));
  if (parsed.scheme == "file") return download_file(parsed.path, sink, limit);
  CountingSink counted(sink, limit);
  Status last;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    if (attempt > 0) pause_before_retry(attempt);
    HttpRequest request;
    request.url = url;
    request.sink = &counted;
    const uint64_t offset = counted.count();
    if (offset > 0) request.headers["Range"] = cat("bytes=", offset, "-");
    const auto response = send_http(request);
    if (!response.ok()) {
      last = response.status();
      if (last.code() != absl::StatusCode::kUnavailable) return with_context(last, url);
      continue;
    }
    if (response->status == 404 || response->status == 410) {
      return not_found(url, " is not there (HTTP ", response->status, ")");
    }
    if (offset > 0 ? response->status == 206 : response->status == 200) return {};
    last = unavailable(url, " answers HTTP ", response->status);
    if (response->status < 500 && response->status != 429) return last;
  }
  return last;
}

}  // namespace tenon::image
