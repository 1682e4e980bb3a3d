#include "tenon/io/crc32c.h"

#include <array>

#include "tenon/io/bytes.h"

#ifdef __SSE4_2__
#include <nmmintrin.h>
#endif

namespace tenon {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0);
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

}  // namespace

uint32_t crc32c_portable(uint32_t crc, std::string_view bytes) {
  crc = ~crc;
  for (const char byte : bytes) {
    crc = kCrcTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff] ^ (crc >> 8);
  }
  return ~crc;
}

#ifdef __SSE4_2__
uint32_t crc32c_extend(uint32_t crc, std::string_view bytes) {
  const char* data = bytes.data();
  size_t left = bytes.size();
  uint64_t wide = ~crc;
  for (; left >= 8; left -= 8, data += 8) wide = _mm_crc32_u64(wide, load_le<uint64_t>(data));
  uint32_t narrow = static_cast<uint32_t>(wide);
  for (; left > 0; --left, ++data) narrow = _mm_crc32_u8(narrow, static_cast<uint8_t>(*data));
  return ~narrow;
}
#else
uint32_t crc32c_extend(uint32_t crc, std::string_view bytes) { return crc32c_portable(crc, bytes); }
#endif

}  // namespace tenon
