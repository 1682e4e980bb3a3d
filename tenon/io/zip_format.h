// Constants of the zip layout that reader and writer share (APPNOTE.TXT 6.3.10).
#pragma once

#include <cstdint>

namespace tenon::zip_format {

inline constexpr uint32_t kLocalHeader = 0x04034b50;
inline constexpr uint32_t kCentralHeader = 0x02014b50;
inline constexpr uint32_t kEndOfDirectory = 0x06054b50;
inline constexpr uint32_t kZip64End = 0x06064b50;
inline constexpr uint32_t kZip64Locator = 0x07064b50;
inline constexpr uint64_t kLocalHeaderSize = 30;
inline constexpr uint64_t kCentralHeaderSize = 46;
inline constexpr uint64_t kEndSize = 22;
inline constexpr uint64_t kZip64LocatorSize = 20;
inline constexpr uint64_t kZip64EndSize = 56;
inline constexpr uint16_t kZip64Extra = 1;
inline constexpr uint16_t kStored = 0;
inline constexpr uint16_t kDeflated = 8;
inline constexpr uint16_t kEncrypted = 1;  // general purpose flag

}  // namespace tenon::zip_format
