#include "tenon/base/gate.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace tenon {
namespace {

using Clock = Gate::Clock;
using std::chrono::milliseconds;

void enter(Gate& gate) { ASSERT_TRUE(gate.enter(Clock::time_point::max(), nullptr)); }

TEST(Gate, LetsNoMoreThroughThanItHasPermits) {
  constexpr int kPermits = 3, kCallers = 9, kTimes = 2000;
  Gate gate(kPermits);
  std::atomic<int> inside{0}, most{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < kTimes; ++i) {
        enter(gate);
        const int now = ++inside;
        int seen = most;
        while (now > seen && !most.compare_exchange_weak(seen, now)) {
        }
        if (i % 64 == 0) std::this_thread::yield();
        --inside;
        gate.leave();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_LE(most, kPermits);
  EXPECT_EQ(gate.inside(), 0);
}

TEST(Gate, ServesThoseThatWaitInTheOrderTheyCame) {
  Gate gate(1);
  enter(gate);
  std::vector<int> order;
  std::atomic<int> waiting{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      ++waiting;
      enter(gate);
      order.push_back(caller);
      gate.leave();
    });
    while (waiting <= caller) std::this_thread::yield();
    std::this_thread::sleep_for(milliseconds(20));  // it is in the queue
  }
  gate.leave();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Gate, IsLeftAtTheDeadlineAndWhenCancelled) {
  Gate gate(1);
  enter(gate);
  EXPECT_FALSE(gate.enter(Clock::now() - milliseconds(1), nullptr));
  const auto start = Clock::now();
  EXPECT_FALSE(gate.enter(start + milliseconds(30), nullptr));
  EXPECT_GE(Clock::now() - start, milliseconds(30));
  std::atomic<bool> cancelled{false};
  std::thread canceller([&] {
    std::this_thread::sleep_for(milliseconds(10));
    cancelled = true;
  });
  EXPECT_FALSE(gate.enter(Clock::time_point::max(), &cancelled));
  canceller.join();
  gate.leave();
  enter(gate);
  EXPECT_EQ(gate.inside(), 1);
  gate.leave();
  EXPECT_EQ(gate.inside(), 0);
}

// Those that give up beside those that do not: no permit is lost and none is made.
TEST(Gate, KeepsItsCountWhileSomeGiveUp) {
  Gate gate(2);
  std::atomic<int> inside{0}, wrong{0}, refused{0};
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 500; ++i) {
        const auto deadline = caller % 2 == 0 ? Clock::time_point::max()
                                              : Clock::now() + std::chrono::microseconds(i % 50);
        if (!gate.enter(deadline, nullptr)) {
          ++refused;
          continue;
        }
        wrong += ++inside > 2;
        std::this_thread::sleep_for(std::chrono::microseconds(i % 7 == 0 ? 30 : 0));
        --inside;
        gate.leave();
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(gate.inside(), 0);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(gate.enter(Clock::now(), nullptr));
  EXPECT_FALSE(gate.enter(Clock::now(), nullptr));
}

}  // namespace
}  // namespace tenon
