#include "tenon/serving/grpc/grpc_wire.h"

#include <cstring>

#include "tenon/base/out_of_memory.h"
#include "tenon/base/percent.h"
#include "tenon/io/gzip.h"

namespace tenon::serving {
namespace {

constexpr size_t kInflatedAlways = 100 << 20;  // as of a REST body
constexpr size_t kMostInflation = 100;         // times the message, beyond that
constexpr size_t kReserved = 16 << 20;         // of memory, on the word of a prefix

constexpr std::string_view kEncodingNames[] = {"identity", "deflate", "gzip"};

struct TimeUnit {
  char name;
  int64_t nanoseconds;
};
constexpr TimeUnit kTimeUnits[] = {
    {'H', 3'600'000'000'000}, {'M', 60'000'000'000}, {'S', 1'000'000'000},
    {'m', 1'000'000},         {'u', 1'000},          {'n', 1}};

}  // namespace

std::string_view name_of(GrpcEncoding encoding) {
  return kEncodingNames[static_cast<size_t>(encoding)];
}

std::optional<GrpcEncoding> grpc_encoding(std::string_view name) {
  for (const GrpcEncoding encoding :
       {GrpcEncoding::kIdentity, GrpcEncoding::kDeflate, GrpcEncoding::kGzip}) {
    if (name == name_of(encoding)) return encoding;
  }
  return std::nullopt;
}

bool accepts_encoding(std::string_view list, GrpcEncoding encoding) {
  for (std::string_view piece : split(list, ',')) {
    while (piece.starts_with(' ')) piece.remove_prefix(1);
    while (piece.ends_with(' ')) piece.remove_suffix(1);
    if (piece == name_of(encoding)) return true;
  }
  return encoding == GrpcEncoding::kIdentity;
}

std::optional<int64_t> parse_grpc_timeout(std::string_view text) {
  if (text.size() < 2 || text.size() > 9) return std::nullopt;
  int64_t count = 0;
  for (const char c : text.substr(0, text.size() - 1)) {
    if (c < '0' || c > '9') return std::nullopt;
    count = count * 10 + (c - '0');
  }
  for (const TimeUnit& unit : kTimeUnits) {
    if (unit.name != text.back()) continue;
    // At most 99,999,999 hours: as nanoseconds no 64 bits hold them.
    return unit.nanoseconds >= 1000 ? count * (unit.nanoseconds / 1000) : count / 1000;
  }
  return std::nullopt;
}

std::string percent_encode(std::string_view text) {
  return percent_encoded(text, [](char c) { return c >= 0x20 && c <= 0x7E && c != '%'; });
}

std::string grpc_prefix(size_t message_bytes, bool compressed) {
  std::string prefix(5, compressed ? '\1' : '\0');
  for (size_t i = 0; i < 4; ++i) {
    prefix[4 - i] = static_cast<char>(message_bytes >> (8 * i) & 0xFF);
  }
  return prefix;
}

Status GrpcMessageReader::read(std::string_view& bytes) {
  if (prefix_size_ < kPrefix) {
    const size_t taken = std::min(bytes.size(), kPrefix - prefix_size_);
    std::memcpy(prefix_ + prefix_size_, bytes.data(), taken);
    prefix_size_ += taken;
    bytes.remove_prefix(taken);
    if (prefix_size_ < kPrefix) return absl::OkStatus();
    if (static_cast<unsigned char>(prefix_[0]) > 1) {
      return internal("a gRPC message begins with the byte ",
                      static_cast<unsigned char>(prefix_[0]), ", expected 0 or 1");
    }
    length_ = 0;
    for (size_t i = 1; i < kPrefix; ++i) {
      length_ = length_ << 8 | static_cast<unsigned char>(prefix_[i]);
    }
    if (length_ > most_) {
      return resource_exhausted("Received message larger than max (", length_, " vs. ", most_, ")");
    }
  }
  return or_out_of_memory([&] {
    const size_t taken = std::min(bytes.size(), length_ - message_.size());
    message_.reserve(std::min(length_, kReserved));
    message_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    return absl::OkStatus();
  });
}

std::string GrpcMessageReader::take(bool& compressed) {
  compressed = prefix_[0] != 0;
  prefix_size_ = 0;
  return std::exchange(message_, {});
}

StatusOr<std::string> grpc_decompress(std::string_view message, GrpcEncoding encoding,
                                      size_t most_bytes) {
  if (encoding == GrpcEncoding::kIdentity) {
    return internal("a gRPC message is said to be compressed, but grpc-encoding is identity");
  }
  const size_t most =
      std::min(most_bytes, std::max(kInflatedAlways, message.size() * kMostInflation));
  StatusOr<std::string> plain = inflate(
      message, encoding == GrpcEncoding::kGzip ? DeflateFormat::kGzip : DeflateFormat::kZlib, most,
      "a compressed gRPC message");
  if (plain.ok() || absl::IsResourceExhausted(plain.status())) return plain;
  return internal(message_of(plain.status()));
}

std::string grpc_compress(std::string_view message, GrpcEncoding encoding) {
  return deflate(message,
                 encoding == GrpcEncoding::kGzip ? DeflateFormat::kGzip : DeflateFormat::kZlib, 1);
}

}  // namespace tenon::serving
