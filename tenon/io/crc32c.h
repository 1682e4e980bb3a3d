// CRC-32C (Castagnoli, RFC 3720), the checksum of TFRecord files and of tensor bundles.
#pragma once

#include <cstdint>
#include <string_view>

namespace tenon {

// The checksum of what gave `crc` followed by `bytes`; `crc` is 0 at the start.
uint32_t crc32c_extend(uint32_t crc, std::string_view bytes);

inline uint32_t crc32c(std::string_view bytes) { return crc32c_extend(0, bytes); }

// Stored checksums are masked, so that a checksum over bytes that hold checksums stays sound.
// Source: leveldb util/crc32c.h.
constexpr uint32_t mask_crc(uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8u; }
constexpr uint32_t unmask_crc(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

// The version for processors without a CRC instruction, here for its test.
uint32_t crc32c_portable(uint32_t crc, std::string_view bytes);

}  // namespace tenon
