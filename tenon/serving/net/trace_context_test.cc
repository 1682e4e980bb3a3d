// Outside truth: the examples and rules of W3C Trace Context, section 3.2.
#include "tenon/serving/net/trace_context.h"

#include <gtest/gtest.h>

#include "tenon/base/strings.h"

namespace tenon::serving {
namespace {

constexpr std::string_view kExample = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContextTest, ReadsWhatTheRecommendationAllows) {
  const auto trace = parse_traceparent(kExample);
  ASSERT_TRUE(trace);
  EXPECT_EQ(trace->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(trace->parent_id, "00f067aa0ba902b7");
  std::string later = cat("cc", kExample.substr(2));
  EXPECT_TRUE(parse_traceparent(later));
  EXPECT_TRUE(parse_traceparent(cat(later, "-what-the-future-will-be-like")));
  EXPECT_FALSE(parse_traceparent(cat(later, ".what")));
  EXPECT_FALSE(parse_traceparent(cat(kExample, "-more")));
}

TEST(TraceContextTest, IgnoresWhatIsMalformed) {
  for (const size_t at : {0, 2, 3, 35, 36, 52, 53}) {
    for (const char wrong : {'A', 'x', ' '}) {
      std::string header = cat(kExample);
      header[at] = wrong;
      EXPECT_FALSE(parse_traceparent(header)) << header;
    }
  }
  EXPECT_FALSE(parse_traceparent(""));
  EXPECT_FALSE(parse_traceparent(kExample.substr(0, 54)));
  EXPECT_FALSE(parse_traceparent(cat("ff", kExample.substr(2))));
  EXPECT_FALSE(parse_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01"));
  EXPECT_FALSE(parse_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"));
}

TEST(TraceContextTest, ScopesNest) {
  EXPECT_EQ(trace_suffix(), "");
  {
    const TraceScope outer(kExample);
    const std::string want = " trace_id=4bf92f3577b34da6a3ce929d0e0e4736 span_id=00f067aa0ba902b7";
    EXPECT_EQ(trace_suffix(), want);
    {
      const TraceScope inner("nonsense");
      EXPECT_EQ(trace_suffix(), "");
    }
    EXPECT_EQ(trace_suffix(), want);
  }
  EXPECT_EQ(trace_suffix(), "");
}

}  // namespace
}  // namespace tenon::serving
