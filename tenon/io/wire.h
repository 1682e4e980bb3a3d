// The protocol buffer wire format, for messages that are decoded without protobuf: hot ones, and
// those of parts that must not link it.
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

// Writers leave out default values as proto3 does, except append_bytes_field.
void append_varint_field(std::string& out, uint32_t number, uint64_t value);
void append_fixed32_field(std::string& out, uint32_t number, uint32_t value);
void append_bytes_field(std::string& out, uint32_t number, std::string_view bytes);

}  // namespace tenon
