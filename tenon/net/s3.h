// Objects in stores that speak S3's interface: Amazon S3, Google Cloud Storage (its XML API, with
// HMAC keys) and stores of one's own (MinIO, Ceph). Path-style requests, signed by version 4.
//
// What a store answers is untrusted: keys and sizes are checked by who uses them.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>

#include "tenon/net/aws_signature.h"
#include "tenon/net/http.h"
#include "tenon/net/stream.h"

namespace tenon::net {

// Where objects are and who asks. By the names that Amazon's own tools read.
struct S3Options {
  std::string endpoint;  // "https://host[:port]"; empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, or
                         // the service's own
  // getenv: AWS_REGION, AWS_DEFAULT_REGION; AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
  // AWS_SESSION_TOKEN; else AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN (IRSA), by
  // AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL or Amazon's for the region; else nobody's: objects that
  // everybody may read.
  std::function<const char*(const char*)> environment;
  // Ends what is under way, as HttpRequest::cancelled; may be null, outlives the client.
  const std::atomic<bool>* cancelled = nullptr;
};

// "s3://bucket/a/b" or "gs://bucket/a/b".
struct S3Place {
  bool is_google = false;
  std::string bucket;
  std::string key;  // "a/b", without '/' at its ends; may be empty
};
bool is_s3_uri(std::string_view uri);
// INVALID_ARGUMENT for a malformed one.
StatusOr<S3Place> parse_s3_uri(std::string_view uri);

struct S3Object {
  std::string key;
  uint64_t size = 0;
  std::string etag;  // changes with the content
};

struct S3Listing {
  std::vector<S3Object> objects;
  std::vector<std::string> folders;  // keys up to the next '/', where it was asked for
};

// Thread-safe.
class S3Client {
 public:
  explicit S3Client(S3Options options) : options_(std::move(options)) {}

  // All below `place`, or, with `one_level`, its children. RESOURCE_EXHAUSTED beyond 100,000
  // objects; NOT_FOUND, PERMISSION_DENIED and UNAVAILABLE as the store says.
  StatusOr<S3Listing> list(const S3Place& place, bool one_level);

  // The object's bytes into `sink`, continued where a connection broke. DATA_LOSS when these are
  // not `object.size` many, or the object has changed meanwhile.
  Status get(const S3Place& bucket, const S3Object& object, ByteSink& sink);

 private:
  struct Exchange;
  StatusOr<std::string> ask(Exchange& exchange);
  StatusOr<HttpResponse> send(const Exchange& exchange, const std::string& region);
  std::string region_of(const S3Place& place);
  std::string region_of_environment() const;
  StatusOr<AwsCredentials> credentials();
  std::string variable(const char* name) const;

  const S3Options options_;
  std::mutex mutex_;                // guards what follows
  AwsCredentials of_web_identity_;  // and until when
  int64_t renewed_at_ = 0;
  std::map<std::string, std::string> regions_;  // of buckets that are not in the environment's
};

// For tests: the listing in a ListObjectsV2 answer; `token` is set where there is more.
S3Listing parse_s3_listing(std::string_view xml, std::string& token);

}  // namespace tenon::net
