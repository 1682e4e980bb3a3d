#include "tenon/io/wire.h"

#include "tenon/io/bytes.h"

namespace tenon {

bool read_varint(std::string_view& bytes, uint64_t& value) {
  value = 0;
  for (size_t i = 0; i < 10 && i < bytes.size(); ++i) {
    const auto byte = static_cast<uint8_t>(bytes[i]);
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

bool WireReader::next(WireField& field) {
  if (rest_.empty() || malformed_) return false;
  malformed_ = true;  // until the field has been read whole
  uint64_t tag = 0;
  if (!read_varint(rest_, tag) || tag >> 32 != 0 || tag >> 3 == 0) return false;
  field.number = static_cast<uint32_t>(tag >> 3);
  field.type = static_cast<WireType>(tag & 7);
  uint64_t length = 0;
  switch (field.type) {
    case WireType::kVarint:
      if (!read_varint(rest_, field.value)) return false;
      break;
    case WireType::kFixed64:
      if (rest_.size() < 8) return false;
      field.value = load_le<uint64_t>(rest_.data());
      rest_.remove_prefix(8);
      break;
    case WireType::kFixed32:
      if (rest_.size() < 4) return false;
      field.value = load_le<uint32_t>(rest_.data());
      rest_.remove_prefix(4);
      break;
    case WireType::kBytes:
      if (!read_varint(rest_, length) || length > rest_.size()) return false;
      field.bytes = rest_.substr(0, length);
      rest_.remove_prefix(length);
      break;
    default:
      return false;
  }
  malformed_ = false;
  return true;
}

void append_varint_field(std::string& out, uint32_t number, uint64_t value) {
  if (value == 0) return;
  append_varint(out, number << 3);
  append_varint(out, value);
}

void append_fixed32_field(std::string& out, uint32_t number, uint32_t value) {
  if (value == 0) return;
  append_varint(out, (number << 3) | 5);
  append_le(out, value);
}

void append_bytes_field(std::string& out, uint32_t number, std::string_view bytes) {
  append_varint(out, (number << 3) | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

}  // namespace tenon
