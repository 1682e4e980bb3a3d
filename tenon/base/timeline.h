// Timeline: what this process does when, thread by thread, while somebody records it (a profiler).
//
// Recording costs about a microsecond a span; without it a span costs one relaxed load.
// Thread-safe; one recording at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"

namespace tenon {

struct TimelineSpan {
  int name;          // index into RecordedTimeline::names
  int64_t start_ns;  // from the start of the recording
  int64_t ns;
};

struct RecordedTimeline {
  struct Thread {
    int64_t id;  // the system's
    std::string name;
    std::vector<TimelineSpan> spans;  // in the order in which they ended
  };
  int64_t start_unix_ns = 0;
  int64_t ns = 0;
  std::vector<std::string> names;
  std::vector<Thread> threads;
  uint64_t left_out = 0;  // spans beyond the limit
};

class Timeline {
 public:
  using Clock = std::chrono::steady_clock;

  // Keeps at most `most_spans` of them, and names of at most `most_name_bytes`. ALREADY_EXISTS when
  // somebody else records.
  static Status start(size_t most_spans = 1'000'000, size_t most_name_bytes = 16 << 20);
  static RecordedTimeline stop();

  static bool is_on() { return on_.load(std::memory_order_relaxed); }
  // A span of the calling thread that has ended.
  static void add(std::string_view name, Clock::time_point start, Clock::time_point end);

 private:
  static std::atomic<bool> on_;
};

// The span from here to the end of the scope, named "`kind` `what`". Both outlive it.
class TimelineScope {
 public:
  explicit TimelineScope(std::string_view kind, std::string_view what = {});
  ~TimelineScope();
  TimelineScope(const TimelineScope&) = delete;
  TimelineScope& operator=(const TimelineScope&) = delete;

 private:
  const std::string_view kind_, what_;
  const bool on_;
  const Timeline::Clock::time_point start_;
};

}  // namespace tenon
