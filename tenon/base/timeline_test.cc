#include "tenon/base/timeline.h"

#include <gtest/gtest.h>

#include <thread>

namespace tenon {
namespace {

void do_spans(std::string_view kind) {
  const TimelineScope outer(kind, "outer");
  const TimelineScope inner(kind);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(Timeline, HasTheSpansOfEachThreadInTheirOrder) {
  do_spans("before");
  ASSERT_TRUE(Timeline::start().ok());
  EXPECT_TRUE(absl::IsAlreadyExists(Timeline::start()));
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([] {
      for (int j = 0; j < 50; ++j) do_spans("job");
    });
  }
  for (std::thread& thread : threads) thread.join();
  const RecordedTimeline timeline = Timeline::stop();
  do_spans("after");
  EXPECT_EQ(timeline.names, (std::vector<std::string>{"job", "job outer"}));
  EXPECT_EQ(timeline.left_out, 0U);
  ASSERT_EQ(timeline.threads.size(), 4U);
  for (const RecordedTimeline::Thread& thread : timeline.threads) {
    ASSERT_EQ(thread.spans.size(), 100U);
    for (size_t i = 0; i < thread.spans.size(); i += 2) {
      const TimelineSpan &inner = thread.spans[i], &outer = thread.spans[i + 1];
      EXPECT_EQ(timeline.names[static_cast<size_t>(inner.name)], "job");
      EXPECT_LE(outer.start_ns, inner.start_ns);
      EXPECT_GE(outer.start_ns + outer.ns, inner.start_ns + inner.ns);
      EXPECT_GE(inner.ns, 1'000'000);
      EXPECT_LE(outer.start_ns + outer.ns, timeline.ns);
      if (i > 0) {
        EXPECT_GE(outer.start_ns, thread.spans[i - 1].start_ns + thread.spans[i - 1].ns);
      }
    }
  }
}

TEST(Timeline, IsBounded) {
  ASSERT_TRUE(Timeline::start(3, 10).ok());
  for (const std::string_view name : {"abcd", "efgh", "ijkl", "abcd", "efgh", "abcd"}) {
    const TimelineScope scope(name);
  }
  const RecordedTimeline timeline = Timeline::stop();
  EXPECT_EQ(timeline.names, (std::vector<std::string>{"abcd", "efgh"}));  // 10 bytes hold no third
  ASSERT_EQ(timeline.threads.size(), 1U);
  EXPECT_EQ(timeline.threads[0].spans.size(), 3U);
  EXPECT_EQ(timeline.left_out, 3U);
  ASSERT_TRUE(Timeline::start().ok());
  EXPECT_TRUE(Timeline::stop().threads.empty());
}

}  // namespace
}  // namespace tenon
