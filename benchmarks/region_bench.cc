// What a parallel region costs beside its work: with one caller and several at a time, workers
// awake and asleep, and how much time regions of a given work take on a team, against one thread.
//
//   region_bench [THREADS]      THREADS of a team (all processors); callers lead teams of their own

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "tenon/base/parallel.h"
#include "tenon/base/strings.h"
#include "tenon/base/thread_pool.h"

namespace tenon {
namespace {

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Work that no cache decides: so many dependent multiplications.
float compute(int64_t steps) {
  float x = 2.0f;
  for (int64_t i = 0; i < steps; ++i) x = x * 0.999f + 0.001f;
  asm volatile("" ::"x"(x));
  return x;
}

// Median time of a region of `ranges` parts, each of `steps`, after a pause of `pause` each.
double region_us(int team, int64_t ranges, int64_t steps, std::chrono::microseconds pause,
                 int regions) {
  set_team_size(team);
  std::vector<double> times;
  std::vector<float> sinks(static_cast<size_t>(ranges) * 16);
  for (int i = 0; i < regions; ++i) {
    if (pause.count() > 0) std::this_thread::sleep_for(pause);
    const auto start = Clock::now();
    parallel_workers(ranges, 1, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) sinks[static_cast<size_t>(r) * 16] += compute(steps);
    });
    times.push_back(microseconds_since(start));
  }
  set_team_size(1);
  return median(times);
}

void empty_regions(int team) {
  for (int callers : {1, 2, 4, 8}) {
    std::vector<std::thread> threads;
    std::vector<double> found(static_cast<size_t>(callers));
    for (int caller = 0; caller < callers; ++caller) {
      threads.emplace_back([&, caller] {
        found[static_cast<size_t>(caller)] = region_us(team, team, 0, {}, 20000);
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::printf("{\"figure\": \"empty region, team of %d, %d callers, median us\", \"us\": %.2f}\n",
                team, callers, median(found));
  }
}

void regions_of_work(int team) {
  constexpr int64_t kSteps = 1000;  // of one part: some 3 us
  for (int64_t parts : {1, 2, 4, 16, 64}) {
    const int64_t steps = kSteps * parts / team;
    const double alone = region_us(1, team, steps, {}, 2000);
    const double awake = region_us(team, team, steps, {}, 2000);
    const double asleep = region_us(team, team, steps, std::chrono::microseconds(500), 300);
    std::printf(
        "{\"figure\": \"region of %.0f us of work, team of %d, median us\", \"one thread\": %.1f, "
        "\"workers awake\": %.1f, \"asleep\": %.1f}\n",
        alone, team, alone, awake, asleep);
  }
}

}  // namespace
}  // namespace tenon

int main(int argc, char** argv) {
  int64_t threads = 0;
  if (argc > 1 && !tenon::parse_number(argv[1], threads)) return 2;
  tenon::ThreadPool::configure(static_cast<int>(threads));
  const int team = tenon::ThreadPool::configured_threads();
  tenon::empty_regions(team);
  tenon::regions_of_work(team);
}
