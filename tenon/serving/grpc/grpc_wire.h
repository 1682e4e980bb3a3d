// What gRPC puts into HTTP/2 (doc/PROTOCOL-HTTP2.md of gRPC): message framing, compression, time
// outs and status texts. Untrusted bytes; no state but a reader's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tenon/base/status.h"

namespace tenon::serving {

enum class GrpcEncoding : uint8_t { kIdentity, kDeflate, kGzip };

// What grpc-accept-encoding says of this server.
inline constexpr std::string_view kGrpcEncodings = "identity, deflate, gzip";

std::string_view name_of(GrpcEncoding encoding);
std::optional<GrpcEncoding> grpc_encoding(std::string_view name);
// Does the list of a grpc-accept-encoding header hold it?
bool accepts_encoding(std::string_view list, GrpcEncoding encoding);

// Microseconds of a grpc-timeout header ("100m"); null for anything else.
std::optional<int64_t> parse_grpc_timeout(std::string_view text);

// A grpc-message header: bytes that are no printable ASCII, and '%', as %XX.
std::string percent_encode(std::string_view text);

// The five bytes that stand before a message.
std::string grpc_prefix(size_t message_bytes, bool compressed);

// Puts the messages of a stream together, piece by piece.
class GrpcMessageReader {
 public:
  // A longer message is RESOURCE_EXHAUSTED.
  explicit GrpcMessageReader(size_t most_bytes) : most_(most_bytes) {}

  // Takes bytes off the front of `bytes`, up to the end of a message. INTERNAL for a prefix that is
  // none.
  Status read(std::string_view& bytes);
  // Is there a message? take() gives it away and begins the next.
  bool complete() const { return prefix_size_ == kPrefix && message_.size() == length_; }
  std::string take(bool& compressed);
  // Is nothing of a message there?
  bool empty() const { return prefix_size_ == 0; }

 private:
  static constexpr size_t kPrefix = 5;
  const size_t most_;
  char prefix_[kPrefix] = {};
  size_t prefix_size_ = 0;
  size_t length_ = 0;  // of the message, once the prefix is there
  std::string message_;
};

// Undoes the compression of a message; the result has at most `most_bytes`, nor is it longer than
// kMostInflation allows (a message of few bytes could else ask for gigabytes).
StatusOr<std::string> grpc_decompress(std::string_view message, GrpcEncoding encoding,
                                      size_t most_bytes);
std::string grpc_compress(std::string_view message, GrpcEncoding encoding);

}  // namespace tenon::serving
