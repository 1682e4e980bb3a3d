#include "tenon/base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tenon/base/float_mode.h"
#include "tenon/base/parallel.h"

namespace tenon {
namespace {

// Each range once, no number twice at a time, all numbers below `threads`.
void expect_each_range_once(ThreadPool& pool, int64_t ranges, int threads) {
  std::vector<int> done(static_cast<size_t>(ranges));
  std::vector<std::atomic<int>> inside(static_cast<size_t>(threads));
  std::atomic<int> wrong{0};
  pool.run(ranges, threads, [&](int worker, int64_t range) {
    if (worker < 0 || worker >= threads) {
      ++wrong;
      return;
    }
    wrong += ++inside[static_cast<size_t>(worker)] != 1;
    ++done[static_cast<size_t>(range)];  // plain: seen by the leader when run() returns
    --inside[static_cast<size_t>(worker)];
  });
  EXPECT_EQ(wrong, 0);
  for (int times : done) EXPECT_EQ(times, 1);
}

TEST(ThreadPool, RunsEachRangeOnceForAnyTeam) {
  for (int workers : {0, 1, 2, 7, 31}) {
    ThreadPool pool(workers);
    for (int threads : {1, 2, 3, 8, 32}) {
      for (int64_t ranges : {0, 1, 2, 5, 8, 33, 1000}) {
        expect_each_range_once(pool, ranges, threads);
      }
    }
  }
}

// Callers beside each other, each with regions of its own, more of both than there are workers.
TEST(ThreadPool, ServesManyCallersAtOnce) {
  ThreadPool pool(5);
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  constexpr int kCallers = 12, kRegions = 300, kRanges = 9;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < kRegions; ++i) {
        int64_t parts[kRanges] = {};
        pool.run(kRanges, 2 + caller % 5, [&](int, int64_t range) { parts[range] = range + 1; });
        for (int64_t part : parts) sum += part;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, int64_t{kCallers} * kRegions * kRanges * (kRanges + 1) / 2);
}

// Workers that sleep are woken, and take part at once: two ranges that wait for each other end.
TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 3; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<int> arrived{0};
    pool.run(4, 4, [&](int, int64_t) {
      ++arrived;
      while (arrived < 4) std::this_thread::yield();
    });
    EXPECT_EQ(arrived, 4);
  }
}

// A leader whose only helper is held up by another region does all by itself.
TEST(ThreadPool, WaitsForNoThreadToArrive) {
  ThreadPool pool(1);
  std::atomic<bool> held{false}, release{false};
  std::thread other([&] {
    pool.run(2, 2, [&](int worker, int64_t) {
      if (worker == 1) held = true;
      while (!(worker == 1 ? release : held)) std::this_thread::yield();
    });
  });
  while (!held) std::this_thread::yield();
  int done = 0;
  pool.run(64, 2, [&](int worker, int64_t) { done += worker == 0; });
  EXPECT_EQ(done, 64);
  release = true;
  other.join();
}

TEST(ThreadPool, CanBeMadeAndEndedAtAnyMoment) {
  for (int i = 0; i < 50; ++i) {
    ThreadPool pool(4);
    if (i % 2 == 0) expect_each_range_once(pool, 8, 5);
    if (i % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(70));
  }
}

// Of parallel_for and parallel_workers: all elements once, ranges no finer than asked for.
TEST(Parallel, SplitsEveryElementOnceForAnyTeam) {
  for (int team = 1; team <= 32; ++team) {
    for (int present : {1, 2, team}) {
      set_team_size(team, present);
      for (int64_t count : {0, 1, 2, 7, 31, 32, 33, 1000}) {
        for (int64_t grain : {0, 1, 3, 64, 5000}) {
          std::vector<std::atomic<int>> done(static_cast<size_t>(count));
          std::atomic<int> ranges{0}, wrong{0};
          parallel_for(count, grain, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) ++done[static_cast<size_t>(i)];
            wrong += begin >= end || end > count;
            ++ranges;
          });
          EXPECT_LE(ranges, count / std::max<int64_t>(grain, 1) + 1);
          ranges = 0;
          parallel_workers(count, grain, [&](int64_t worker, int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) ++done[static_cast<size_t>(i)];
            wrong += worker < 0 || worker >= team;
            ++ranges;
          });
          EXPECT_LE(ranges, 4 * team);
          EXPECT_EQ(wrong, 0);
          for (const auto& times : done) ASSERT_EQ(times, 2) << team << " " << count;
        }
      }
    }
  }
  set_team_size(1);
}

// Subnormal results become 0 for all workers or for none, as the leader has it, whatever the last
// region's leader had. volatile: nobody computes them beforehand.
TEST(Parallel, WorkersComputeInTheLeadersMode) {
  const volatile float small = 1e-30f, smaller = 1e-10f;
  const auto zeros = [&] {
    std::atomic<int> found{0};
    std::atomic<int> arrived{0};
    parallel_for(4, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) found += small * smaller == 0.0f;
      ++arrived;
      // Gives others the time to come.
      for (int turn = 0; turn < 1000 && arrived < 4; ++turn) std::this_thread::yield();
    });
    return found.load();
  };
  set_team_size(4);
  for (int round = 0; round < 20; ++round) {
    EXPECT_EQ(zeros(), 0);
    const FlushSubnormals flush;
    EXPECT_EQ(zeros(), 4);
  }
  set_team_size(1);
  EXPECT_NE(small * smaller, 0.0f);
}

TEST(Parallel, ALoopWithinARegionRunsOnTheCallingThread) {
  set_team_size(2);
  std::atomic<int64_t> elements{0}, elsewhere{0};
  parallel_for(8, 1, [&](int64_t begin, int64_t end) {
    const std::thread::id here = std::this_thread::get_id();
    for (int64_t i = begin; i < end; ++i) {
      parallel_for(100, 1, [&](int64_t first, int64_t last) {
        elements += last - first;
        elsewhere += std::this_thread::get_id() != here;
      });
    }
  });
  set_team_size(1);
  EXPECT_EQ(elements, 800);
  EXPECT_EQ(elsewhere, 0);
}

TEST(ParallelDeathTest, WorkersLayNothingOutThemselves) {
  const auto nested = [] {
    set_team_size(2);
    parallel_for(
        2, 1, [](int64_t, int64_t) { parallel_workers(2, 1, [](int64_t, int64_t, int64_t) {}); });
  };
  EXPECT_DEATH(nested(), "in_region");
  const auto asks = [] { parallel_for(2, 1, [](int64_t, int64_t) { team_size(); }); };
  EXPECT_DEATH(asks(), "in_region");
}

}  // namespace
}  // namespace tenon
