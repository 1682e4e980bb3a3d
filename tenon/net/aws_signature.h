// AWS Signature Version 4 (Amazon's "Authenticating Requests: Using the Authorization Header"), for
// requests without a body to services that speak S3's interface.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace tenon::net {

struct AwsCredentials {
  std::string access_key, secret_key;
  std::string session_token;  // of temporary ones; empty: none
};

// What is signed.
struct AwsRequest {
  std::string method = "GET";
  std::string host;                            // with ":port" where it is sent so
  std::string path;                            // encoded, as it is sent
  std::map<std::string, std::string> query;    // not encoded
  std::map<std::string, std::string> headers;  // more that are signed; names in lower case
};

// Percent-encodes all but RFC 3986's unreserved characters, and '/' where `keep_slash`.
std::string aws_encoded(std::string_view text, bool keep_slash);

// "a=1&b=%20", sorted, as it is sent and signed.
std::string aws_query(const std::map<std::string, std::string>& query);

// The headers to send beside `request.headers`: authorization, x-amz-date, x-amz-content-sha256
// and, for temporary credentials, x-amz-security-token. `unix_seconds` is now.
std::map<std::string, std::string> aws_signed_headers(const AwsRequest& request,
                                                      const AwsCredentials& credentials,
                                                      std::string_view region,
                                                      int64_t unix_seconds);

}  // namespace tenon::net
