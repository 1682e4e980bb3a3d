#include "tenon/net/http.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <httplib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "tenon/net/process.h"

namespace tenon::net {
namespace {

constexpr size_t kBodyLimit = 16 << 20;
constexpr int kMostRedirects = 6;
constexpr int kMostAttempts = 4;
constexpr uint64_t kLeastMoved = 1024;  // within an exchange's timeout
constexpr size_t kPiece = 64 << 10;

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
  if (is_loopback(host)) return true;
  const char* value = std::getenv("no_proxy");
  if (value == nullptr) return false;
  for (std::string_view suffix : split(value, ',')) {
    if (!trim(suffix).empty() && host.ends_with(trim(suffix))) return true;
  }
  return false;
}

void set_proxy(httplib::Client& client, const Url& url) {
  if (proxy_bypassed(url.host_name())) return;
  std::string text = proxy_for(url.scheme);
  const size_t at = text.rfind('@'), start = text.find("://");
  std::string user;
  if (at != std::string::npos && start != std::string::npos && start + 3 <= at) {
    user = text.substr(start + 3, at - start - 3);
    text.erase(start + 3, at - start - 2);
  }
  const auto proxy = parse_url(text);
  if (!proxy.ok()) return;
  const bool has_port = proxy->host_name().size() != proxy->host.size();
  client.set_proxy(std::string(proxy->host_name()), has_port ? proxy->port() : 3128);
  if (user.empty()) return;
  const size_t colon = user.find(':');
  client.set_proxy_basic_auth(user.substr(0, colon),
                              colon == std::string::npos ? "" : user.substr(colon + 1));
}

bool is_cancelled(const std::atomic<bool>* cancelled) { return cancelled != nullptr && *cancelled; }

// Ends a client's exchange when it stalls or is cancelled: by shutting down its socket, through a
// descriptor of its own, so that it never meets one that has been closed and opened again. Whatever
// the client waits for then, a connection and a TLS handshake among it, is over.
class Watchdog {
 public:
  Watchdog(httplib::Client& client, int seconds, const std::atomic<bool>* cancelled)
      : seconds_(seconds), cancelled_(cancelled) {
    client.set_socket_options([this](int socket) { follow(socket); });
    thread_ = std::thread([this] { watch(); });
  }
  ~Watchdog() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
    if (socket_ >= 0) ::close(socket_);
  }
  void count(uint64_t bytes) { moved_.fetch_add(bytes, std::memory_order_relaxed); }
  bool fired() const { return fired_.load(); }

 private:
  // The client tries the addresses of a host one after the other, each by a new socket.
  void follow(int socket) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (socket_ >= 0) ::close(socket_);
    socket_ = ::fcntl(socket, F_DUPFD_CLOEXEC, 0);
  }

  void watch() {
    using Clock = std::chrono::steady_clock;
    const auto period = std::chrono::seconds(seconds_);
    constexpr std::chrono::milliseconds kLook(50);  // at who may cancel it
    uint64_t before = 0;
    Clock::time_point due = Clock::now() + period;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      const bool often = cancelled_ != nullptr || fired_;
      const auto wake = often ? std::min(due, Clock::now() + kLook) : due;
      if (changed_.wait_until(lock, wake, [this] { return done_; })) return;
      if (Clock::now() >= due) {
        const uint64_t now = moved_.load(std::memory_order_relaxed);
        if (now - before < kLeastMoved) fired_.store(true);
        before = now;
        due += period;
      }
      const bool over = fired_ || is_cancelled(cancelled_);
      if (over && socket_ >= 0) ::shutdown(socket_, SHUT_RDWR);
    }
  }

  const int seconds_;
  const std::atomic<bool>* const cancelled_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int socket_ = -1;  // guarded by mutex_, as what follows
  bool done_ = false;
  std::atomic<uint64_t> moved_ = 0;
  std::atomic<bool> fired_ = false;
  std::thread thread_;
};

// The body goes up in pieces, so that its progress is seen.
void set_body(const HttpRequest& request, Watchdog& watchdog, Status& failure,
              httplib::Request& out) {
  if (request.body_source == nullptr && request.body.size() <= kPiece) {
    out.body = request.body;
    return;
  }
  const uint64_t size = request.body_source != nullptr ? request.body_size : request.body.size();
  out.content_length_ = static_cast<size_t>(size);
  out.headers.emplace("Content-Length", cat(size));
  out.content_provider_ = [&](size_t offset, size_t length, httplib::DataSink& sink) {
    size_t count = std::min(length, kPiece);
    std::string window;
    if (request.body_source != nullptr) {
      window.resize(count);
      const auto got = request.body_source->read(window);
      if (!got.ok() || *got == 0) {
        failure = got.ok() ? data_loss("a request's body ended early") : got.status();
        return false;
      }
      count = *got;
    }
    const char* data =
        request.body_source != nullptr ? window.data() : request.body.data() + offset;
    if (!sink.write(data, count)) return false;
    watchdog.count(count);
    if (request.moved) request.moved(count);
    return true;
  };
}

StatusOr<HttpResponse> exchange(const HttpRequest& request, const Url& url,
                                const std::map<std::string, std::string>& headers) {
  httplib::Client client(cat(url.scheme, "://", url.host));
  if (!client.is_valid()) return invalid_argument("'", request.url, "' is not a usable URL");
  client.set_connection_timeout(15);
  // The watchdog decides; these are for what it did not come to.
  client.set_read_timeout(request.timeout + 5);
  client.set_write_timeout(request.timeout + 5);
  client.set_decompress(false);
  set_proxy(client, url);

  httplib::Request out;
  out.method = request.method;
  out.path = url.path;
  for (const auto& [name, value] : headers) out.headers.emplace(name, value);
  if (!request.content_type.empty()) out.headers.emplace("Content-Type", request.content_type);
  Status failure;
  Watchdog watchdog(client, request.timeout, request.cancelled);
  set_body(request, watchdog, failure, out);

  HttpResponse response;
  out.response_handler = [&](const httplib::Response& head) {
    response.status = head.status;
    return true;
  };
  out.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    watchdog.count(size);
    if (request.sink != nullptr && response.status >= 200 && response.status < 300) {
      failure = request.sink->write(std::string_view(data, size));
      if (request.moved) request.moved(size);
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
    if (is_cancelled(request.cancelled)) return cancelled(shown, ": it is not wanted any more");
    if (error == httplib::Error::SSLServerVerification) {
      return failed_precondition(shown, ": the certificate of ", url.host,
                                 " is not trusted; SSL_CERT_FILE names other authorities");
    }
    if (watchdog.fired()) {
      return deadline_exceeded(shown, ": less than 1 KB came in ", request.timeout, " s");
    }
    return unavailable(shown, ": no answer (", httplib::to_string(error), ")");
  }
  response.status = in.status;
  for (const auto& [name, value] : in.headers) {
    std::string& field = response.headers[to_lower(name)];
    field += cat(field.empty() ? "" : ", ", value);
  }
  return response;
}

Status download_file(const std::string& path, ByteSink& sink, uint64_t limit) {
  TENON_ASSIGN_OR_RETURN(const auto file, RandomAccessFile::open(path));
  FileSource source(*file);
  return with_context(copy_stream(source, sink, limit).status(), path);
}

// Counts what has arrived, so that a broken transfer goes on where it stopped.
class ArrivalSink final : public ByteSink {
 public:
  ArrivalSink(ByteSink& next, uint64_t limit) : next_(next), limit_(limit) {}
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

std::string_view Url::host_name() const {
  const std::string_view text = host;
  const size_t colon = text.rfind(':');
  const bool port = colon != text.npos && text.find(']', colon) == text.npos;
  return port ? text.substr(0, colon) : text;
}

int Url::port() const {
  const size_t name = host_name().size();
  int64_t value = scheme == "https" ? 443 : 80;
  if (name < host.size()) (void)parse_number(std::string_view(host).substr(name + 1), value);
  return static_cast<int>(value);
}

StatusOr<Url> parse_url(std::string_view url) {
  // What stands behind '?' and before '@' may be secret.
  const auto bad = [&](std::string_view why) {
    return invalid_argument("'", url.substr(0, url.find_first_of("?#@\r\n")), "' ", why);
  };
  const size_t colon = url.find("://");
  if (colon == std::string_view::npos) return bad("is not a URL");
  Url result;
  result.scheme = to_lower(url.substr(0, colon));
  if (result.scheme != "http" && result.scheme != "https" && result.scheme != "file") {
    return bad("is not an http, https or file URL");
  }
  const std::string_view rest = url.substr(colon + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  result.host = to_lower(rest.substr(0, slash));
  result.path = slash == rest.size() ? "/" : std::string(rest.substr(slash));
  if (std::any_of(result.path.begin(), result.path.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; })) {
    return bad("has white space or control characters in its path");
  }
  if (result.scheme == "file")
    return result.host.empty() ? StatusOr<Url>(result) : bad("has a host");
  if (result.path.find('#') != std::string::npos) return bad("has a fragment");
  const std::string_view name = result.host_name();
  const bool bracketed = name.starts_with('[') && name.ends_with(']');
  const bool plain = !name.empty() && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' ||
           (bracketed && (c == ':' || c == '[' || c == ']'));
  });
  if (!plain) return bad(result.host.empty() ? "has no host" : "has a malformed host");
  int64_t port = 1;
  if (name.size() < result.host.size() &&
      (!parse_number(std::string_view(result.host).substr(name.size() + 1), port) || port < 1 ||
       port > 65535)) {
    return bad("has a malformed port");
  }
  return result;
}

bool is_same_origin(const Url& a, const Url& b) {
  return a.scheme == b.scheme && a.host_name() == b.host_name() && a.port() == b.port();
}

bool is_loopback(std::string_view host) {
  const Url url{"http", to_lower(host), "/"};
  const std::string name(url.host_name());
  if (name == "localhost" || name == "[::1]") return true;
  in_addr address;
  // A name such as 127.example.org is no address.
  return ::inet_pton(AF_INET, name.c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

Status check_named_url(const Url& from, const Url& to, bool plain_on_loopback_only) {
  const std::string shown = cat(to.scheme, "://", to.host);
  if (to.scheme != "http" && to.scheme != "https") {
    return failed_precondition(from.host, " names '", shown, "', which is no web address");
  }
  if (from.scheme == "https" && to.scheme == "http") {
    return failed_precondition(from.host, ", which speaks TLS, names the plain ", shown);
  }
  if (!is_loopback(from.host) && is_loopback(to.host)) {
    return failed_precondition(from.host, " names ", shown, ", an address of this machine");
  }
  if (plain_on_loopback_only && to.scheme == "http" && !is_loopback(to.host)) {
    return failed_precondition(from.host, " names ", shown,
                               "; plain HTTP is spoken on loopback addresses only");
  }
  return {};
}

std::string resolve_location(const Url& base, std::string_view location) {
  const size_t colon = location.find("://");
  if (colon != std::string_view::npos && location.find_first_of("/?#") == colon + 1) {
    return std::string(location);
  }
  if (location.starts_with("//")) return cat(base.scheme, ":", location);
  if (location.starts_with('/')) return cat(base.scheme, "://", base.host, location);
  const std::string_view path = std::string_view(base.path).substr(0, base.path.find('?'));
  return cat(base.scheme, "://", base.host, path.substr(0, path.rfind('/') + 1), location);
}

StatusOr<HttpResponse> send_http(const HttpRequest& request) {
  std::map<std::string, std::string> headers = request.headers;
  headers.emplace("User-Agent", "tenon");
  TENON_ASSIGN_OR_RETURN(Url url, parse_url(request.url));
  if (request.plain_on_loopback_only) {
    TENON_RETURN_IF_ERROR(check_named_url(url, url, true));
  }
  for (int hop = 0; hop < kMostRedirects; ++hop) {
    if (is_cancelled(request.cancelled)) {
      return cancelled(url.host, " is not asked: it is not wanted any more");
    }
    TENON_ASSIGN_OR_RETURN(HttpResponse response, exchange(request, url, headers));
    const bool redirect = response.status >= 301 && response.status <= 308 &&
                          response.headers.contains("location") && response.status != 304;
    const bool repeatable = request.method == "GET" || request.method == "HEAD";
    if (!redirect || !repeatable || !request.follow_redirects) return response;
    TENON_ASSIGN_OR_RETURN(Url next,
                           parse_url(resolve_location(url, response.headers["location"])));
    TENON_RETURN_IF_ERROR(check_named_url(url, next, request.plain_on_loopback_only));
    if (!is_same_origin(url, next)) headers.erase("Authorization");
    url = std::move(next);
  }
  return unavailable(request.url.substr(0, request.url.find('?')), " redirects more than ",
                     kMostRedirects, " times");
}

void pause_before_retry(int retry) {
  const int64_t milliseconds = std::min<int64_t>(100LL << std::clamp(retry - 1, 0, 10), 2000);
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

Status download(const std::string& url, ByteSink& sink, uint64_t limit,
                const std::atomic<bool>* cancelled) {
  TENON_ASSIGN_OR_RETURN(const Url parsed, parse_url(url));
  if (parsed.scheme == "file") return download_file(parsed.path, sink, limit);
  ArrivalSink counted(sink, limit);
  const std::string shown = url.substr(0, url.find('?'));  // a query may be secret
  Status last;
  for (int attempt = 0; attempt < kMostAttempts; ++attempt) {
    if (attempt > 0) pause_before_retry(attempt);
    HttpRequest request;
    request.url = url;
    request.sink = &counted;
    request.cancelled = cancelled;
    const uint64_t offset = counted.count();
    if (offset > 0) request.headers["Range"] = cat("bytes=", offset, "-");
    const auto response = send_http(request);
    if (!response.ok()) {
      last = response.status();
      const bool may_pass = last.code() == absl::StatusCode::kUnavailable ||
                            last.code() == absl::StatusCode::kDeadlineExceeded;
      if (!may_pass) return with_context(last, shown);
      continue;
    }
    if (response->status == 404 || response->status == 410) {
      return not_found(shown, " is not there (HTTP ", response->status, ")");
    }
    if (offset > 0 ? response->status == 206 : response->status == 200) return {};
    last = unavailable(shown, " answers HTTP ", response->status);
    if (response->status < 500 && response->status != 429) return last;
  }
  return last;
}

}  // namespace tenon::net
