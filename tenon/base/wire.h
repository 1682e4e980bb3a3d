// The protocol buffer wire format: how every message of a file is read and written, without
// protobuf, so that the engine lives in one process with a program that links another one.
//
// Readers go through a message once and keep views into it. They take what protobuf takes: fields
// in any order, unknown ones, lists that are packed or not; the last value of a field counts, and
// messages that come twice are merged. Writers append to a string, fields in the order of their
// numbers and maps sorted by key, which is what protobuf's deterministic serialization gives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon {

// Takes a varint off the front of `bytes`; false when it is cut off or longer than 10 bytes.
bool read_varint(std::string_view& bytes, uint64_t& value);
void append_varint(std::string& out, uint64_t value);

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

struct WireField {
  uint32_t number = 0;
  WireType type = WireType::kVarint;
  uint64_t value = 0;      // kVarint, kFixed32, kFixed64
  std::string_view bytes;  // kBytes; a view into the message

  // Whether it is field `n` and of this type. A known number with another type is an unknown field.
  bool is_varint(uint32_t n) const { return number == n && type == WireType::kVarint; }
  bool is_fixed32(uint32_t n) const { return number == n && type == WireType::kFixed32; }
  bool is_bytes(uint32_t n) const { return number == n && type == WireType::kBytes; }
};

// Goes through the fields of one message in order; fields may repeat and come in any order. Group
// fields (deprecated, never used by TensorFlow) count as malformed.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  // False at the end of the message and where it is malformed.
  bool next(WireField& field);
  bool malformed() const { return malformed_; }

 private:
  std::string_view rest_;
  bool malformed_ = false;
};

// A field that holds one message. Where it comes more than once the messages are merged, which is
// what their concatenation is.
class MessageField {
 public:
  void add(std::string_view bytes);
  bool present() const { return present_; }
  // A view into the message, or into this object where pieces were merged; empty when not present.
  std::string_view bytes() const { return merged_.empty() ? first_ : std::string_view(merged_); }

 private:
  std::string_view first_;
  std::string merged_;
  bool present_ = false;
};

// An entry of a map field. Absent parts are empty. Of equal keys the last entry counts.
struct MapEntry {
  std::string_view key;   // of a map from strings
  uint64_t number = 0;    // of a map from integers
  std::string_view text;  // of a map to strings
  MessageField message;   // of a map to messages
};
// False when the entry is malformed.
bool parse_map_entry(std::string_view bytes, MapEntry& entry);

// Calls take(uint64_t) with each value of a field that is a list of varints, packed or not; false
// when it is malformed or of another type.
template <class Take>
bool for_each_varint(const WireField& field, Take take) {
  if (field.type == WireType::kVarint) return take(field.value), true;
  if (field.type != WireType::kBytes) return false;
  std::string_view packed = field.bytes;
  uint64_t value = 0;
  while (!packed.empty()) {
    if (!read_varint(packed, value)) return false;
    take(value);
  }
  return true;
}

// Writers leave out default values as proto3 does, except append_bytes_field and append_message.
void append_varint_field(std::string& out, uint32_t number, uint64_t value);
void append_fixed32_field(std::string& out, uint32_t number, uint32_t value);
void append_bytes_field(std::string& out, uint32_t number, std::string_view bytes);
// Strings of proto3: an empty one is left out.
void append_string_field(std::string& out, uint32_t number, std::string_view text);

// Puts the length of what `out` holds from `start` on in front of it.
void insert_length(std::string& out, size_t start);

// The message field `number`, whose content `fill` appends to `out`.
template <class Fill>
void append_message(std::string& out, uint32_t number, Fill fill) {
  append_varint(out, (number << 3) | 2);
  const size_t start = out.size();
  fill();
  insert_length(out, start);
}

}  // namespace tenon
