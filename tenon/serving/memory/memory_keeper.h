// MemoryKeeper: --memory_limit. What can be made again is given back when the program has more than
// its limit, the cheapest to make first: idle arenas, Plans with their Bindings, and at last
// versions that somebody has to name to reach; of each kind the longest unused first.
//
// Two counts bound memory: a block of 1 MiB or more that would exceed the limit is refused where it
// is asked for (core/host_memory.h), whatever asks; and all that malloc has given is looked at
// here, before and after loads and some times a second.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "tenon/observe/metrics.h"

namespace tenon::serving {

// Something whose memory can be given back. Thread-safe.
class Evictable {
 public:
  enum class Part { kArenas, kPlan };
  virtual ~Evictable() = default;
  // When it was used last, in steady_microseconds().
  virtual int64_t last_used() const = 0;
  // False where it is in use, or has nothing of that kind.
  virtual bool evict(Part part) = 0;
};

struct MemoryOptions {
  size_t limit = 0;
  std::function<size_t()> used = {};  // empty: what malloc has given
  MetricRegistry* metrics = &MetricRegistry::global();
};

// Thread-safe.
class MemoryKeeper {
 public:
  // Who asks for room: versions go for loads and in upkeep, which nobody waits for.
  enum class For { kRun, kLoad, kUpkeep };

  explicit MemoryKeeper(MemoryOptions options);

  void add(std::weak_ptr<Evictable> evictable);

  // Begins to unload a version and returns what lives as long as its memory; nothing where none can
  // go.
  using UnloadVersion = std::function<std::optional<std::weak_ptr<const void>>()>;
  // Empty: none goes. When it returns the function before is not called any more.
  void set_unload_version(UnloadVersion unload);

  // Gives memory back until `bytes` more fit, and says whether they do. For loads it waits until a
  // version that leaves has gone, some seconds at most.
  bool make_room(size_t bytes, For whom);

  // Some times a second: gives back what is beyond the limit, makes room for what was refused.
  void upkeep();

  // RESOURCE_EXHAUSTED is about to be answered to "load" or "run".
  void count_refusal(std::string_view what);

  size_t limit() const { return options_.limit; }
  size_t used() const { return options_.used(); }

 private:
  enum class Step { kFits, kWait, kNothingLeft };
  Step evict(size_t bytes, For whom);
  bool evict_part(Evictable::Part part);
  bool fits(size_t bytes) const { return used() + bytes <= options_.limit; }

  const MemoryOptions options_;
  MetricFamily<Counter>& evictions_;
  MetricFamily<Counter>& refusals_;
  Gauge& used_;
  std::atomic<int64_t> given_back_{0};  // parts so far
  std::mutex mutex_;                    // guards what follows
  std::vector<std::weak_ptr<Evictable>> evictables_;
  UnloadVersion unload_version_;
  size_t wanted_ = 0;                  // by a run that found no room
  std::weak_ptr<const void> leaving_;  // the version that was told to go last
};

}  // namespace tenon::serving
