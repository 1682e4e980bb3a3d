#include "tenon/base/wire.h"

#include <gtest/gtest.h>

#include <vector>

namespace tenon {
namespace {

using namespace std::string_view_literals;

std::vector<uint32_t> numbers_of(std::string_view message, bool& malformed) {
  WireReader reader(message);
  WireField field;
  std::vector<uint32_t> numbers;
  while (reader.next(field)) numbers.push_back(field.number);
  malformed = reader.malformed();
  return numbers;
}

// The bytes are those of protobuf's documentation of its encoding: field 1 = 150, field 2 =
// "testing", and fixed fields.
TEST(WireReader, GoesThroughTheFieldsOfAMessage) {
  const std::string_view message =
      "\x08\x96\x01\x12\x07testing\x1d\x01\x00\x00\x00\x21\x02\0\0\0\0\0\0\0"sv;
  WireReader reader(message);
  WireField field;
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.is_varint(1) && field.value == 150);
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.is_bytes(2) && field.bytes == "testing");
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.is_fixed32(3) && field.value == 1);
  ASSERT_TRUE(reader.next(field));
  EXPECT_TRUE(field.number == 4 && field.type == WireType::kFixed64 && field.value == 2);
  EXPECT_FALSE(reader.next(field));
  EXPECT_FALSE(reader.malformed());
}

TEST(WireReader, RefusesWhatIsNoMessage) {
  const std::string_view refused[] = {
      "\x08"sv,                                              // no value
      "\x08\x80"sv,                                          // a varint that is cut off
      "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"sv,  // one of eleven bytes
      "\x00\x01"sv,                                          // field 0
      "\x12\x05test"sv,                                      // longer than the message
      "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv,      // 2^64 - 1 bytes
      "\x1d\x01\x00\x00"sv,                                  // a fixed32 of three bytes
      "\x21\x01\x00\x00\x00\x00\x00\x00"sv,                  // a fixed64 of seven
      "\x0b\x0c"sv,                                          // a group
      "\x0e"sv,
      "\x0f"sv,                      // wire types that there are not
      "\xf8\xff\xff\xff\x7f\x01"sv,  // a field number beyond 2^29
  };
  for (const std::string_view message : refused) {
    bool malformed = false;
    EXPECT_TRUE(numbers_of(message, malformed).empty());
    EXPECT_TRUE(malformed);
  }
}

TEST(MessageField, IsMergedWhereItComesTwice) {
  MessageField field;
  EXPECT_FALSE(field.present());
  field.add("");
  EXPECT_TRUE(field.present());
  EXPECT_EQ(field.bytes(), "");
  field.add("ab");
  field.add("cd");
  const MessageField moved = std::move(field);
  EXPECT_EQ(moved.bytes(), "abcd");
}

TEST(MapEntry, PartsMayBeMissing) {
  MapEntry whole, empty, broken;
  EXPECT_TRUE(parse_map_entry("\x0a\x01k\x12\x01v"sv, whole));
  EXPECT_EQ(whole.key, "k");
  EXPECT_EQ(whole.text, "v");
  EXPECT_EQ(whole.message.bytes(), "v");
  EXPECT_TRUE(parse_map_entry("", empty));
  EXPECT_EQ(empty.key, "");
  EXPECT_FALSE(empty.message.present());
  EXPECT_FALSE(parse_map_entry("\x0a\x02k"sv, broken));
}

TEST(WireWriter, LengthsAreAsShortAsTheyCanBe) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{127}, size_t{128}, size_t{16384}}) {
    const std::string content(size, 'x');
    std::string in_place = "before", whole = "before";
    append_message(in_place, 3, [&] { in_place += content; });
    append_bytes_field(whole, 3, content);
    EXPECT_EQ(in_place, whole);
  }
  std::string out;
  append_varint_field(out, 1, 0);
  append_string_field(out, 2, "");
  EXPECT_EQ(out, "");
  append_varint_field(out, 1, static_cast<uint64_t>(-1));
  EXPECT_EQ(out, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"sv);
}

TEST(WireLists, ArePackedOrNot) {
  std::vector<uint64_t> values;
  const auto take = [&](uint64_t value) { values.push_back(value); };
  WireField field;
  field.type = WireType::kVarint;
  field.value = 7;
  EXPECT_TRUE(for_each_varint(field, take));
  field.type = WireType::kBytes;
  field.bytes = "\x01\x96\x01"sv;
  EXPECT_TRUE(for_each_varint(field, take));
  EXPECT_EQ(values, (std::vector<uint64_t>{7, 1, 150}));
  field.bytes = "\x01\x96"sv;
  EXPECT_FALSE(for_each_varint(field, take));
  field.type = WireType::kFixed32;
  EXPECT_FALSE(for_each_varint(field, take));
}

}  // namespace
}  // namespace tenon
