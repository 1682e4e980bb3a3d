// BearerTokens: who may ask: the tokens of a file, one a line, of which a request has to bring one
// (RFC 6750: "Authorization: Bearer TOKEN"). Several stand in it while they are being exchanged.
// Thread-safe.
#pragma once

#include <array>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace tenon::serving {

class BearerTokens {
 public:
  // White space around a token, and empty lines, are ignored. INVALID_ARGUMENT for a file that
  // holds no token, or one that no header could bring; errors name file and line, no token.
  static StatusOr<std::unique_ptr<BearerTokens>> read(const std::string& path);

  // Does this value of the header `authorization` bring one of them? How long that takes says
  // nothing about them.
  bool admit(std::string_view authorization) const;

  // Looks at the file again. What is wrong with a new text is logged, once, and changes nothing.
  void follow();

 private:
  using Digest = std::array<unsigned char, 32>;  // SHA-256
  explicit BearerTokens(std::string path) : path_(std::move(path)) {}
  static StatusOr<std::vector<Digest>> parse(std::string_view text);
  static Digest digest_of(std::string_view token);

  const std::string path_;
  // Of follow() alone.
  std::string text_;  // that is in force
  std::string said_;  // the last error
  mutable std::shared_mutex mutex_;
  std::vector<Digest> digests_;  // guarded by mutex_
};

// UNAUTHENTICATED: what a request is told that brings no token of theirs.
Status lacks_token(std::string_view authorization);
// The header WWW-Authenticate that goes with it over HTTP.
std::string_view bearer_challenge(std::string_view authorization);

}  // namespace tenon::serving
