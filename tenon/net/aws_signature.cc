#include "tenon/net/aws_signature.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <ctime>

#include "tenon/base/hex.h"
#include "tenon/base/percent.h"
#include "tenon/base/strings.h"

namespace tenon::net {
namespace {

// Of no bytes at all.
constexpr std::string_view kEmptySha256 =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string sha256(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  return {reinterpret_cast<char*>(digest), size};
}

std::string hmac(std::string_view key, std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest, &size);
  return {reinterpret_cast<char*>(digest), size};
}

std::string time_text(int64_t unix_seconds) {
  const std::time_t seconds = unix_seconds;
  std::tm parts = {};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof(text), "%Y%m%dT%H%M%SZ", &parts)};
}

}  // namespace

std::string aws_encoded(std::string_view text, bool keep_slash) {
  return percent_encoded(text, [keep_slash](char c) {
    return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_' || c == '~' ||
           (c == '/' && keep_slash);
  });
}

std::string aws_query(const std::map<std::string, std::string>& query) {
  std::string text;
  for (const auto& [name, value] : query) {
    text += cat(text.empty() ? "" : "&", aws_encoded(name, false), "=", aws_encoded(value, false));
  }
  return text;
}

std::map<std::string, std::string> aws_signed_headers(const AwsRequest& request,
                                                      const AwsCredentials& credentials,
                                                      std::string_view region,
                                                      int64_t unix_seconds) {
  const std::string time = time_text(unix_seconds);
  std::map<std::string, std::string> added = {{"x-amz-date", time},
                                              {"x-amz-content-sha256", std::string(kEmptySha256)}};
  if (!credentials.session_token.empty()) {
    added["x-amz-security-token"] = credentials.session_token;
  }
  std::map<std::string, std::string> covered = request.headers;
  covered.insert(added.begin(), added.end());
  covered["host"] = request.host;
  std::string header_lines, names;
  for (const auto& [name, value] : covered) {
    header_lines += cat(name, ":", trim(value), "\n");
    names += cat(names.empty() ? "" : ";", name);
  }
  const std::string canonical =
      cat(request.method, "\n", request.path, "\n", aws_query(request.query), "\n", header_lines,
          "\n", names, "\n", kEmptySha256);
  const std::string day = time.substr(0, 8);
  const std::string scope = cat(day, "/", region, "/s3/aws4_request");
  const std::string to_sign =
      cat("AWS4-HMAC-SHA256\n", time, "\n", scope, "\n", hex_of(sha256(canonical)));
  std::string key = hmac(cat("AWS4", credentials.secret_key), day);
  for (const std::string_view part :
       {region, std::string_view("s3"), std::string_view("aws4_request")}) {
    key = hmac(key, part);
  }
  added["authorization"] = cat("AWS4-HMAC-SHA256 Credential=", credentials.access_key, "/", scope,
                               ",SignedHeaders=", names, ",Signature=", hex_of(hmac(key, to_sign)));
  return added;
}

}  // namespace tenon::net
