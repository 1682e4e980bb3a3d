#include "tenon/net/s3.h"

#include <charconv>
#include <ctime>

namespace tenon::net {
namespace {

constexpr int kListTimeout = 15;  // seconds without progress
constexpr int kGetTimeout = 60;
constexpr int kMostTries = 4;
constexpr size_t kMostObjects = 100'000;
constexpr int64_t kIdentitySeconds = 1800;  // half of what Amazon's tokens live for by default

// The text between <name> and </name>, from `at` on, which is moved behind it.
bool take_element(std::string_view xml, std::string_view name, size_t& at, std::string_view& text) {
  const std::string open = cat("<", name, ">"), close = cat("</", name, ">");
  const size_t start = xml.find(open, at);
  if (start == std::string_view::npos) return false;
  const size_t end = xml.find(close, start);
  if (end == std::string_view::npos) return false;
  text = xml.substr(start + open.size(), end - start - open.size());
  at = end + close.size();
  return true;
}

// "#228;" or "#xe4;" at the start of `text`, in UTF-8; its length, or 0 where there is none.
size_t character_reference(std::string_view text, std::string& out) {
  const size_t end = text.find(';');
  if (!text.starts_with("#") || end > 8) return 0;
  const bool hex = text.substr(1).starts_with("x");
  const std::string_view digits = text.substr(hex ? 2 : 1, end - (hex ? 2 : 1));
  uint32_t code = 0;
  const auto [last, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  if (error != std::errc() || last != digits.data() + digits.size() || code == 0 || surrogate ||
      code > 0x10ffff) {
    return 0;
  }
  const int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
  constexpr unsigned kLead[] = {0, 0xc0, 0xe0, 0xf0};
  out += static_cast<char>(kLead[more] | (code >> (6 * more)));
  for (int i = more - 1; i >= 0; --i) out += static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3f));
  return end + 1;
}

std::string unescaped(std::string_view text) {
  constexpr std::pair<std::string_view, char> kNamed[] = {
      {"amp;", '&'}, {"lt;", '<'}, {"gt;", '>'}, {"quot;", '"'}, {"apos;", '\''}};
  std::string out;
  while (!text.empty()) {
    const char c = text.front();
    text.remove_prefix(1);
    if (c != '&') {
      out += c;
      continue;
    }
    char found = '&';
    for (const auto& [name, character] : kNamed) {
      if (!text.starts_with(name)) continue;
      found = character;
      text.remove_prefix(name.size());
      break;
    }
    const size_t end = found == '&' ? character_reference(text, out) : 0;
    if (end > 0) {
      text.remove_prefix(end);
      continue;
    }
    out += found;
  }
  return out;
}

std::string element(std::string_view xml, std::string_view name) {
  size_t at = 0;
  std::string_view text;
  return take_element(xml, name, at, text) ? unescaped(text) : "";
}

Status error_of(const HttpResponse& response, std::string_view what) {
  const std::string message =
      cat(what, ": HTTP ", response.status, " ", element(response.body, "Code"), " ",
          element(response.body, "Message"));
  if (response.status == 404) return not_found(message);
  if (response.status == 401 || response.status == 403) {
    return permission_denied(message);
  }
  if (response.status == 429 || response.status >= 500) return unavailable(message);
  return failed_precondition(message);
}

bool may_pass(const Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

// Amazon's domain for a service and a region.
std::string amazon_url(std::string_view service, std::string_view region) {
  const bool china = region.starts_with("cn-");
  return cat("https://", service, ".", region, ".amazonaws.com", china ? ".cn" : "");
}

// The region that a refusal says the bucket is in; empty where it says none.
std::string region_told(HttpResponse& response) {
  if (response.status != 301 && response.status != 307 && response.status != 400) return "";
  std::string region = response.headers["x-amz-bucket-region"];
  if (region.empty()) region = element(response.body, "Region");
  const bool plain = std::all_of(region.begin(), region.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
  return plain && region.size() < 64 ? region : "";
}

// Fails where more comes than was announced.
class CountedSink final : public ByteSink {
 public:
  CountedSink(ByteSink& next, uint64_t size) : next_(next), size_(size) {}
  Status write(std::string_view bytes) override {
    count_ += bytes.size();
    if (count_ > size_) return data_loss("more than the ", size_, " bytes that were listed");
    return next_.write(bytes);
  }
  uint64_t count() const { return count_; }

 private:
  ByteSink& next_;
  const uint64_t size_;
  uint64_t count_ = 0;
};

}  // namespace

struct S3Client::Exchange {
  explicit Exchange(const S3Place& where) : place(where) {}

  const S3Place& place;
  std::string key;                           // empty: of the bucket
  std::map<std::string, std::string> query;  // not encoded
  std::map<std::string, std::string> headers;
  int timeout = kListTimeout;
  ByteSink* sink = nullptr;
  int status = 0;  // of the answer
};

bool is_s3_uri(std::string_view uri) {
  return uri.starts_with("s3://") || uri.starts_with("gs://");
}

StatusOr<S3Place> parse_s3_uri(std::string_view uri) {
  S3Place place;
  place.is_google = uri.starts_with("gs://");
  const std::string_view rest = is_s3_uri(uri) ? uri.substr(5) : std::string_view();
  const size_t slash = std::min(rest.find('/'), rest.size());
  place.bucket = rest.substr(0, slash);
  std::string_view key = rest.substr(slash);
  while (key.starts_with('/')) key.remove_prefix(1);
  while (key.ends_with('/')) key.remove_suffix(1);
  place.key = key;
  const bool plain = std::all_of(place.bucket.begin(), place.bucket.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           (c >= 'A' && c <= 'Z');
  });
  if (place.bucket.empty() || !plain || place.bucket == "." || place.bucket == "..") {
    return invalid_argument("'", uri, "' names no bucket; expected s3://bucket/folder or gs://");
  }
  return place;
}

S3Listing parse_s3_listing(std::string_view xml, std::string& token) {
  S3Listing listing;
  std::string_view text;
  for (size_t at = 0; take_element(xml, "Contents", at, text);) {
    int64_t size = 0;
    if (!parse_number(element(text, "Size"), size) || size < 0) continue;
    listing.objects.push_back(
        {element(text, "Key"), static_cast<uint64_t>(size), element(text, "ETag")});
  }
  for (size_t at = 0; take_element(xml, "CommonPrefixes", at, text);) {
    listing.folders.push_back(element(text, "Prefix"));
  }
  token = element(xml, "IsTruncated") == "true" ? element(xml, "NextContinuationToken") : "";
  return listing;
}

std::string S3Client::variable(const char* name) const {
  const char* value = options_.environment ? options_.environment(name) : nullptr;
  return value == nullptr ? "" : value;
}

// IRSA: the pod's token for temporary credentials, renewed half an hour before they end.
StatusOr<AwsCredentials> S3Client::credentials() {
  AwsCredentials fixed = {variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"),
                          variable("AWS_SESSION_TOKEN")};
  const std::string file = variable("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (!fixed.access_key.empty() || file.empty()) return fixed;
  const std::lock_guard lock(mutex_);
  const int64_t now = std::time(nullptr);
  if (!of_web_identity_.access_key.empty() && now < renewed_at_ + kIdentitySeconds) {
    return of_web_identity_;
  }
  TENON_ASSIGN_OR_RETURN(const std::string token, read_file(file, 1 << 20));
  std::string endpoint = variable("AWS_ENDPOINT_URL_STS");
  if (endpoint.empty()) endpoint = variable("AWS_ENDPOINT_URL");
  if (endpoint.empty()) {
    const std::string region = region_of_environment();
    endpoint = region.empty() ? "https://sts.amazonaws.com" : amazon_url("sts", region);
  }
  while (endpoint.ends_with('/')) endpoint.pop_back();
  const std::string session = variable("AWS_ROLE_SESSION_NAME");
  HttpRequest request;
  request.method = "POST";
  request.url = cat(endpoint, "/");
  request.content_type = "application/x-www-form-urlencoded";
  request.body = aws_query({{"Action", "AssumeRoleWithWebIdentity"},
                            {"Version", "2011-06-15"},
                            {"RoleArn", variable("AWS_ROLE_ARN")},
                            {"RoleSessionName", session.empty() ? "tenon" : session},
                            {"WebIdentityToken", std::string(trim(token))}});
  request.timeout = kListTimeout;
  request.cancelled = options_.cancelled;
  TENON_ASSIGN_OR_RETURN(const HttpResponse response, send_http(request));
  if (response.status != 200) return error_of(response, "AssumeRoleWithWebIdentity");
  of_web_identity_ = {element(response.body, "AccessKeyId"),
                      element(response.body, "SecretAccessKey"),
                      element(response.body, "SessionToken")};
  if (of_web_identity_.access_key.empty()) {
    return unavailable("AssumeRoleWithWebIdentity answers without credentials");
  }
  renewed_at_ = now;
  return of_web_identity_;
}

std::string S3Client::region_of_environment() const {
  const std::string region = variable("AWS_REGION");
  return region.empty() ? variable("AWS_DEFAULT_REGION") : region;
}

// That of the bucket where a store has told it, else the environment's.
std::string S3Client::region_of(const S3Place& place) {
  {
    const std::lock_guard lock(mutex_);
    const auto told = regions_.find(place.bucket);
    if (told != regions_.end()) return told->second;
  }
  const std::string region = region_of_environment();
  if (!region.empty()) return region;
  return place.is_google ? "auto" : "us-east-1";
}

// One GET, signed for `region`.
StatusOr<HttpResponse> S3Client::send(const Exchange& exchange, const std::string& region) {
  std::string endpoint = options_.endpoint;
  for (const char* name : {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}) {
    if (endpoint.empty()) endpoint = variable(name);
  }
  if (endpoint.empty()) {
    endpoint =
        exchange.place.is_google ? "https://storage.googleapis.com" : amazon_url("s3", region);
  }
  while (endpoint.ends_with('/')) endpoint.pop_back();
  TENON_ASSIGN_OR_RETURN(const Url url, parse_url(endpoint));
  TENON_ASSIGN_OR_RETURN(const AwsCredentials credentials, this->credentials());

  AwsRequest signed_part;
  signed_part.host = url.host;
  signed_part.path = cat(url.path == "/" ? "" : url.path, "/", exchange.place.bucket,
                         exchange.key.empty() ? "" : "/", aws_encoded(exchange.key, true));
  signed_part.query = exchange.query;
  HttpRequest request;
  const std::string query = aws_query(exchange.query);
  request.url = cat(url.scheme, "://", url.host, signed_part.path, query.empty() ? "" : "?", query);
  request.headers = exchange.headers;
  request.headers["Host"] = url.host;
  if (!credentials.access_key.empty()) {
    request.headers.merge(aws_signed_headers(signed_part, credentials, region, std::time(nullptr)));
  }
  request.follow_redirects = false;  // a signature is for one host
  request.timeout = exchange.timeout;
  request.cancelled = options_.cancelled;
  request.sink = exchange.sink;
  return send_http(request);
}

// An error where the answer is none of 2xx. A bucket that is in another region is asked there: the
// store's word decides for which region a request is signed, never to which host it goes beyond
// Amazon's own.
StatusOr<std::string> S3Client::ask(Exchange& exchange) {
  const std::string region = region_of(exchange.place);
  TENON_ASSIGN_OR_RETURN(HttpResponse response, send(exchange, region));
  const std::string told = region_told(response);
  if (!told.empty() && told != region) {
    {
      const std::lock_guard lock(mutex_);
      regions_[exchange.place.bucket] = told;
    }
    TENON_ASSIGN_OR_RETURN(response, send(exchange, told));
  }
  exchange.status = response.status;
  if (response.status >= 200 && response.status < 300) return std::move(response.body);
  return error_of(response, cat(exchange.place.is_google ? "gs://" : "s3://", exchange.place.bucket,
                                "/", exchange.key));
}

StatusOr<S3Listing> S3Client::list(const S3Place& place, bool one_level) {
  Exchange exchange(place);
  exchange.query = {{"list-type", "2"}, {"prefix", place.key.empty() ? "" : cat(place.key, "/")}};
  if (one_level) exchange.query["delimiter"] = "/";
  S3Listing all;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const std::string xml, ask(exchange));
    std::string token;
    S3Listing page = parse_s3_listing(xml, token);
    std::move(page.objects.begin(), page.objects.end(), std::back_inserter(all.objects));
    std::move(page.folders.begin(), page.folders.end(), std::back_inserter(all.folders));
    if (token.empty()) return all;
    if (all.objects.size() + all.folders.size() > kMostObjects ||
        page.objects.size() + page.folders.size() == 0) {
      return resource_exhausted("more than ", kMostObjects, " objects in ", place.bucket, "/",
                                place.key);
    }
    exchange.query["continuation-token"] = token;
  }
}

Status S3Client::get(const S3Place& bucket, const S3Object& object, ByteSink& sink) {
  CountedSink counted(sink, object.size);
  Status last;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    if (attempt > 0) pause_before_retry(attempt);
    Exchange exchange(bucket);
    exchange.key = object.key;
    exchange.timeout = kGetTimeout;
    exchange.sink = &counted;
    if (!object.etag.empty()) exchange.headers["If-Match"] = object.etag;
    const uint64_t offset = counted.count();
    if (offset > 0) exchange.headers["Range"] = cat("bytes=", offset, "-");
    last = ask(exchange).status();
    if (last.ok() && counted.count() == object.size) return last;
    if (last.ok())
      last = unavailable(object.key, " came with ", counted.count(), " of ", object.size, " bytes");
    if (exchange.status == 412) return data_loss(object.key, " has changed since it was listed");
    if (offset > 0 && exchange.status == 200) return data_loss(object.key, ": Range is ignored");
    if (!may_pass(last) || counted.count() == object.size) break;
  }
  return last;
}

}  // namespace tenon::net
