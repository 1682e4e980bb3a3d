#include <atomic>
#include <vector>

#include "tenon/base/error_parts.h"
#include "tenon/base/log.h"
#include "tenon/base/nearest.h"
#include "tenon/base/ref.h"
#include "tenon/base/status.h"

namespace tenon {
namespace {

TEST(Status, CarriesCodeAndJoinedMessage) {
  const Status status = invalid_argument("rank ", 3, ", expected ", 2);
  EXPECT_EQ(code_name(status.code()), "INVALID_ARGUMENT");
  EXPECT_EQ(message_of(with_context(status, "node 'x'")), "node 'x': rank 3, expected 2");
}

TEST(Status, GivesItsCauseApartFromTheContexts) {
  Status status = with_context(invalid_argument("a: b"), "node 'x'");
  status.SetPayload("somewhere/else", absl::Cord("kept"));
  status = with_context(with_context(status, "function 'f: g'"), "");
  EXPECT_EQ(message_of(status), ": function 'f: g': node 'x': a: b");
  const ErrorParts parts = parts_of(status);
  EXPECT_EQ(parts.cause, "a: b");
  EXPECT_EQ(parts.contexts, (std::vector<std::string>{"node 'x'", "function 'f: g'", ""}));
  EXPECT_EQ(*status.GetPayload("somewhere/else"), "kept");
  EXPECT_EQ(parts_of(not_found("x: y")).cause, "x: y");
  EXPECT_TRUE(parts_of(not_found("x: y")).contexts.empty());
}

TEST(Strings, NearestIsTheLeastNumberOfEditsAway) {
  const std::string_view names[] = {"serve", "verify", "evaluate", "ops"};
  EXPECT_EQ(nearest("sevre", names), "serve");  // a swap is one edit
  EXPECT_EQ(nearest("evalaute", names), "evaluate");
  EXPECT_EQ(nearest("verfy", names), "verify");
  EXPECT_EQ(nearest("op", names), "ops");
  EXPECT_EQ(nearest("x", names), "");
  EXPECT_EQ(nearest("predict", names), "");
  EXPECT_EQ(nearest(std::string(100000, 'x'), names), "");
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
