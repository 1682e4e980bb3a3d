#include "tenon/base/wire.h"

#include <bit>
#include <cstring>

namespace tenon {
namespace {

static_assert(std::endian::native == std::endian::little, "fixed fields are copied as they lie");

template <class T>
T load_fixed(const char* data) {
  T value;
  std::memcpy(&value, data, sizeof(T));
  return value;
}

}  // namespace

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

void MessageField::add(std::string_view bytes) {
  if (!present_) {
    first_ = bytes;
  } else {
    if (merged_.empty()) merged_ = first_;
    merged_ += bytes;
  }
  present_ = true;
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
      field.value = load_fixed<uint64_t>(rest_.data());
      rest_.remove_prefix(8);
      break;
    case WireType::kFixed32:
      if (rest_.size() < 4) return false;
      field.value = load_fixed<uint32_t>(rest_.data());
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

bool parse_map_entry(std::string_view bytes, MapEntry& entry) {
  WireReader reader(bytes);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) entry.key = field.bytes;
    if (field.is_varint(1)) entry.number = field.value;
    if (!field.is_bytes(2)) continue;
    entry.text = field.bytes;
    entry.message.add(field.bytes);
  }
  return !reader.malformed();
}

void append_varint_field(std::string& out, uint32_t number, uint64_t value) {
  if (value == 0) return;
  append_varint(out, number << 3);
  append_varint(out, value);
}

void append_fixed32_field(std::string& out, uint32_t number, uint32_t value) {
  if (value == 0) return;
  append_varint(out, (number << 3) | 5);
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_bytes_field(std::string& out, uint32_t number, std::string_view bytes) {
  append_varint(out, (number << 3) | 2);
  append_varint(out, bytes.size());
  out += bytes;
}

void append_string_field(std::string& out, uint32_t number, std::string_view text) {
  if (!text.empty()) append_bytes_field(out, number, text);
}

void insert_length(std::string& out, size_t start) {
  std::string length;
  append_varint(length, out.size() - start);
  out.insert(start, length);
}

}  // namespace tenon
