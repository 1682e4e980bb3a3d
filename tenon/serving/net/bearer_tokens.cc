#include "tenon/serving/net/bearer_tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <mutex>

#include "tenon/base/files.h"
#include "tenon/base/log.h"

namespace tenon::serving {
namespace {

constexpr uint64_t kMostTokenBytes = 1 << 20;  // of the file

std::string_view without_space(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// What stands behind "Bearer ", whatever the case of that; empty for other schemes.
std::string_view token_of(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() < kScheme.size()) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? c + 32 : c) != kScheme[i]) return {};
  }
  return without_space(authorization.substr(kScheme.size()));
}

}  // namespace

BearerTokens::Digest BearerTokens::digest_of(std::string_view token) {
  Digest digest;
  ::SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data());
  return digest;
}

StatusOr<std::vector<BearerTokens::Digest>> BearerTokens::parse(std::string_view text) {
  std::vector<Digest> digests;
  size_t line = 0;
  for (const std::string_view piece : split(text, '\n')) {
    ++line;
    const std::string_view token = without_space(piece);
    if (token.empty()) continue;
    if (!is_visible(token)) {
      return invalid_argument("line ", line, " is no token; expected visible ASCII characters, ",
                              "one token a line");
    }
    digests.push_back(digest_of(token));
  }
  if (digests.empty()) return invalid_argument("it holds no token; expected one a line");
  return digests;
}

StatusOr<std::unique_ptr<BearerTokens>> BearerTokens::read(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(std::string text, read_file(path, kMostTokenBytes));
  StatusOr<std::vector<Digest>> digests = parse(text);
  if (!digests.ok()) return with_context(digests.status(), path);
  std::unique_ptr<BearerTokens> tokens(new BearerTokens(path));
  tokens->text_ = std::move(text);
  tokens->digests_ = *std::move(digests);
  return tokens;
}

void BearerTokens::follow() {
  StatusOr<std::string> text = read_file(path_, kMostTokenBytes);
  if (text.ok() && *text == text_) return;
  StatusOr<std::vector<Digest>> digests =
      text.ok() ? parse(*text) : StatusOr<std::vector<Digest>>(text.status());
  const std::string error(message_of(digests.status()));
  if (!error.empty() && error != said_) {
    log_error("tokens not read again from ", path_, ": ", error);
  }
  said_ = error;
  if (!digests.ok()) return;
  text_ = *std::move(text);
  log_info(digests->size(), " tokens read again from ", path_);
  const std::unique_lock lock(mutex_);
  digests_ = *std::move(digests);
}

bool BearerTokens::admit(std::string_view authorization) const {
  const std::string_view token = token_of(authorization);
  if (token.empty()) return false;
  const Digest digest = digest_of(token);
  const std::shared_lock lock(mutex_);
  unsigned found = 0;
  for (const Digest& known : digests_) {
    found |= static_cast<unsigned>(CRYPTO_memcmp(known.data(), digest.data(), known.size()) == 0);
  }
  return found != 0;
}

Status lacks_token(std::string_view authorization) {
  return make_status(
      absl::StatusCode::kUnauthenticated,
      token_of(authorization).empty()
          ? "the request brings no token; expected the header 'authorization: Bearer TOKEN'"
          : "the token of the request is none of this server's");
}

std::string_view bearer_challenge(std::string_view authorization) {
  return token_of(authorization).empty() ? "Bearer" : "Bearer error=\"invalid_token\"";
}

}  // namespace tenon::serving
