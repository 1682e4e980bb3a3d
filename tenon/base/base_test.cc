#include <atomic>
#include <vector>

#include "tenon/base/log.h"
#include "tenon/base/ref.h"
#include "tenon/base/status.h"

namespace tenon {
namespace {

TEST(Status, CarriesCodeAndJoinedMessage) {
  const Status status = invalid_argument("rank ", 3, ", expected ", 2);
  EXPECT_EQ(code_name(status.code()), "INVALID_ARGUMENT");
  EXPECT_EQ(message_of(with_context(status, "node 'x'")), "node 'x': rank 3, expected 2");
}

TEST(Strings, SplitKeepsEmptyPieces) {
  EXPECT_EQ(split("a,,b", ','), (std::vector<std::string_view>{"a", "", "b"}));
  EXPECT_EQ(split("", ',').size(), 1u);
}

TEST(Strings, NumbersAreParsedWhole) {
  int64_t value = 0;
  EXPECT_TRUE(parse_number("-12", value));
  EXPECT_EQ(value, -12);
  EXPECT_FALSE(parse_number("12x", value));
  EXPECT_FALSE(parse_number("99999999999999999999", value));
}

TEST(JsonEscape, ReplacesInvalidUtf8AndEscapesControls) {
  EXPECT_EQ(json_escape("a\"\n\x01"), "a\\\"\\n\\u0001");
  EXPECT_EQ(json_escape("\xff"
                        "\xc3\xa9"),
            "\xEF\xBF\xBD\xc3\xa9");
}

struct Counted : RefCounted {
  explicit Counted(int* alive) : alive(alive) { ++*alive; }
  ~Counted() override { --*alive; }
  int* alive;
};

TEST(Ref, DestroysWithTheLastReference) {
  int alive = 0;
  Ref<Counted> a = make_ref<Counted>(&alive);
  Ref<Counted> b = a;
  EXPECT_FALSE(a->unique());
  a = Ref<Counted>();
  EXPECT_TRUE(b->unique());
  EXPECT_EQ(alive, 1);
  b = Ref<Counted>();
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace tenon
