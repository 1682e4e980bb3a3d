// Constants of the table layout that reader and writer share.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::table_format {

inline constexpr uint64_t kMagic = 0xdb4775248b80fb57u;
inline constexpr size_t kFooterSize = 48;
inline constexpr size_t kHandlesSize = 40;  // two handles, zero-padded
inline constexpr size_t kTrailerSize = 5;   // type byte and masked checksum
inline constexpr char kUncompressed = 0;
inline constexpr char kSnappy = 1;

}  // namespace tenon::table_format
