#include "tenon/serving/memory/memory_keeper.h"

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

#include "tenon/base/log.h"
#include "tenon/core/host_memory.h"

namespace tenon::serving {
namespace {

size_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

MemoryOptions with_defaults(MemoryOptions options) {
  if (!options.used) options.used = allocated_bytes;
  return options;
}

}  // namespace

MemoryKeeper::MemoryKeeper(MemoryOptions options)
    : options_(with_defaults(std::move(options))),
      evictions_(options_.metrics->counter("/tensorflow/serving/memory_evictions", {"what"})),
      refusals_(options_.metrics->counter("/tensorflow/serving/memory_refusals", {"what"})),
      used_(options_.metrics->gauge("/tensorflow/serving/memory_used_bytes").cell({})) {
  options_.metrics->gauge("/tensorflow/serving/memory_limit_bytes")
      .cell({})
      .set(static_cast<int64_t>(options_.limit));
  for (const char* what : {"arenas", "plan", "version"}) evictions_.cell({what});
  for (const char* what : {"load", "run"}) refusals_.cell({what});
}

void MemoryKeeper::add(std::weak_ptr<Evictable> evictable) {
  const std::lock_guard lock(mutex_);
  std::erase_if(evictables_, [](const auto& each) { return each.expired(); });
  evictables_.push_back(std::move(evictable));
}

void MemoryKeeper::set_unload_version(UnloadVersion unload) {
  const std::lock_guard lock(mutex_);
  unload_version_ = std::move(unload);
}

// Under the lock: the longest unused one that has such a part gives it back.
bool MemoryKeeper::evict_part(Evictable::Part part) {
  constexpr std::string_view kNames[] = {"arenas", "plan"};
  std::vector<std::pair<int64_t, std::shared_ptr<Evictable>>> all;
  for (const auto& weak : evictables_) {
    if (auto each = weak.lock()) all.emplace_back(each->last_used(), std::move(each));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [last_used, each] : all) {
    if (!each->evict(part)) continue;
    evictions_.cell({kNames[static_cast<size_t>(part)]}).add();
    ++given_back_;
    return true;
  }
  return false;
}

// Under the lock.
MemoryKeeper::Step MemoryKeeper::evict(size_t bytes, For whom) {
  for (const auto part : {Evictable::Part::kArenas, Evictable::Part::kPlan}) {
    do {
      if (fits(bytes)) return Step::kFits;
    } while (evict_part(part));
  }
  if (whom == For::kRun || !unload_version_) return Step::kNothingLeft;
  if (!leaving_.expired()) return Step::kWait;
  const auto leaving = unload_version_();
  if (!leaving) return Step::kNothingLeft;
  leaving_ = *leaving;
  evictions_.cell({"version"}).add();
  return Step::kWait;
}

bool MemoryKeeper::make_room(size_t bytes, For whom) {
  constexpr auto kPatience = std::chrono::seconds(5);
  const int64_t before = given_back_;
  if (bytes > options_.limit) return false;
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    {
      const std::lock_guard lock(mutex_);
      const Step step = evict(bytes, whom);
      if (step == Step::kNothingLeft && whom == For::kRun) wanted_ = std::max(wanted_, bytes);
      if (step != Step::kWait) {
        // glibc keeps what was freed; a run does not wait until it has given that back.
        if (whom != For::kRun && given_back_ != before) malloc_trim(0);
        return step == Step::kFits;
      }
    }
    if (whom != For::kLoad || std::chrono::steady_clock::now() > end) return fits(bytes);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

void MemoryKeeper::upkeep() {
  size_t lacking = take_refused_host_memory();
  // What is larger than all that may be had is no reason to give anything back.
  if (lacking > options_.limit) lacking = 0;
  {
    const std::lock_guard lock(mutex_);
    lacking = std::max(lacking, std::exchange(wanted_, 0));
  }
  make_room(lacking, For::kUpkeep);
  used_.set(static_cast<int64_t>(used()));
}

void MemoryKeeper::count_refusal(std::string_view what) { refusals_.cell({what}).add(); }

}  // namespace tenon::serving
