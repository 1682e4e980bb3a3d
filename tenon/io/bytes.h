// Reading and appending little-endian numbers in byte strings that may be hostile.
#pragma once

#include <bit>
#include <cstring>
#include <type_traits>

#include "tenon/base/status.h"

namespace tenon {

static_assert(std::endian::native == std::endian::little,
              "tensors are stored as they lie in memory");

// The T at `data`, which may be unaligned.
template <class T>
requires std::is_trivially_copyable_v<T> T load_le(const char* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

template <class T>
requires std::is_trivially_copyable_v<T>
void append_le(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

// Walks over bytes. Reading past the end gives zeros and makes ok() false for good, so that a run
// of reads needs one check at its end. Views point into the bytes given.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes, size_t offset = 0) : bytes_(bytes), offset_(offset) {
    if (offset_ > bytes_.size()) fail();
  }

  bool ok() const { return ok_; }
  size_t offset() const { return offset_; }
  size_t remaining() const { return bytes_.size() - offset_; }

  template <class T>
  T read() {
    if (remaining() < sizeof(T)) return fail(), T{};
    const T value = load_le<T>(bytes_.data() + offset_);
    offset_ += sizeof(T);
    return value;
  }

  // A little-endian unsigned number of `width` bytes, 0 to 8.
  uint64_t read_uint(size_t width) {
    if (remaining() < width || width > 8) return fail(), 0;
    uint64_t value = 0;
    std::memcpy(&value, bytes_.data() + offset_, width);
    offset_ += width;
    return value;
  }

  std::string_view read_bytes(uint64_t count) {
    if (remaining() < count) return fail(), std::string_view();
    const std::string_view piece = bytes_.substr(offset_, count);
    offset_ += count;
    return piece;
  }

  void skip(uint64_t count) { read_bytes(count); }

 private:
  void fail() {
    ok_ = false;
    offset_ = bytes_.size();
  }
  std::string_view bytes_;
  size_t offset_;
  bool ok_ = true;
};

}  // namespace tenon
