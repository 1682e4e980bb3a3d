#include "tenon/base/timeline.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "tenon/base/strings.h"

namespace tenon {
namespace {

constexpr size_t kMostNameBytes = 256;  // of one name: a request's comes from a client

struct Recording {
  std::mutex mutex;  // guards what follows
  bool running = false;
  Timeline::Clock::time_point start;
  size_t spans_left = 0, name_bytes_left = 0;
  std::map<std::string, int, std::less<>> names;
  std::map<int64_t, RecordedTimeline::Thread> threads;
  RecordedTimeline timeline;

  // Its index; -1 where there is no room for it.
  int index_of(std::string_view name) {
    name = name.substr(0, kMostNameBytes);
    if (const auto found = names.find(name); found != names.end()) return found->second;
    if (name.size() > name_bytes_left) return -1;
    name_bytes_left -= name.size();
    timeline.names.emplace_back(name);
    return names.emplace(name, static_cast<int>(names.size())).first->second;
  }

  RecordedTimeline::Thread& this_thread() {
    thread_local const int64_t id = ::gettid();
    RecordedTimeline::Thread& thread = threads[id];
    if (thread.spans.empty()) {
      char name[64] = {};
      ::pthread_getname_np(::pthread_self(), name, sizeof(name));
      thread.id = id;
      thread.name = name;
    }
    return thread;
  }
};

Recording& recording() {
  static Recording* const the_one = new Recording;  // spans may end while the process does
  return *the_one;
}

int64_t nanoseconds(Timeline::Clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

}  // namespace

std::atomic<bool> Timeline::on_{false};

Status Timeline::start(size_t most_spans, size_t most_name_bytes) {
  Recording& now = recording();
  const std::lock_guard lock(now.mutex);
  if (now.running) return already_exists("another profiling session is active");
  now.running = true;
  now.spans_left = most_spans;
  now.name_bytes_left = most_name_bytes;
  now.start = Clock::now();
  const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
  now.timeline.start_unix_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count();
  on_ = true;
  return absl::OkStatus();
}

RecordedTimeline Timeline::stop() {
  on_ = false;
  Recording& now = recording();
  const std::lock_guard lock(now.mutex);
  RecordedTimeline result = std::exchange(now.timeline, {});
  result.ns = nanoseconds(Clock::now() - now.start);
  for (auto& [id, thread] : now.threads) result.threads.push_back(std::move(thread));
  now.threads.clear();
  now.names.clear();
  now.running = false;
  return result;
}

void Timeline::add(std::string_view name, Clock::time_point start, Clock::time_point end) {
  Recording& now = recording();
  const std::lock_guard lock(now.mutex);
  // It may have begun before the recording did, or end after it.
  if (!now.running || end <= now.start) return;
  start = std::max(start, now.start);
  const int index = now.spans_left == 0 ? -1 : now.index_of(name);
  if (index < 0) {
    ++now.timeline.left_out;
    return;
  }
  --now.spans_left;
  now.this_thread().spans.push_back(
      {index, nanoseconds(start - now.start), nanoseconds(end - start)});
}

TimelineScope::TimelineScope(std::string_view kind, std::string_view what)
    : kind_(kind),
      what_(what),
      on_(Timeline::is_on()),
      start_(on_ ? Timeline::Clock::now() : Timeline::Clock::time_point()) {}

TimelineScope::~TimelineScope() {
  if (!on_ || !Timeline::is_on()) return;
  Timeline::add(what_.empty() ? std::string(kind_) : cat(kind_, " ", what_), start_,
                Timeline::Clock::now());
}

}  // namespace tenon
