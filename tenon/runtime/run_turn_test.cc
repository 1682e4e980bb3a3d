#include "tenon/runtime/run_turn.h"

#include <gtest/gtest.h>

#include <thread>

#include "tenon/base/thread_pool.h"

namespace tenon {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// The gates are as wide as this when a run first comes to them: before any test of the program,
// some of which ask for so many threads.
const bool kConfigured = [] {
  ThreadPool::configure(3);
  return true;
}();

RunLimits within(milliseconds time) { return {Clock::now() + time, nullptr}; }

// Holds a turn on a thread of its own until it is destroyed.
class Holder {
 public:
  explicit Holder(RunForm form) {
    thread_ = std::thread([this, form] {
      const StatusOr<RunTurn> turn = RunTurn::take(form, {});
      threads_ = RunTurn::threads();
      while (!release_) std::this_thread::sleep_for(milliseconds(1));
    });
    while (threads_ == 0) std::this_thread::yield();
  }
  ~Holder() {
    release_ = true;
    thread_.join();
  }
  int threads() const { return threads_; }

 private:
  std::atomic<int> threads_{0};
  std::atomic<bool> release_{false};
  std::thread thread_;
};

TEST(RunTurn, ShortRunsPassLongOnes) {
  ASSERT_TRUE(kConfigured);
  const int long_runs = std::max(2, ThreadPool::configured_threads() / 2);
  std::vector<std::unique_ptr<Holder>> holders;
  for (int i = 0; i < long_runs; ++i) holders.push_back(std::make_unique<Holder>(RunForm::kLong));
  EXPECT_EQ(RunTurn::take(RunForm::kLong, within(milliseconds(20))).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  const StatusOr<RunTurn> turn = RunTurn::take(RunForm::kShort, within(milliseconds(2000)));
  EXPECT_TRUE(turn.ok()) << turn.status();
  EXPECT_EQ(RunTurn::threads(), 1);
}

TEST(RunTurn, AsManyShortRunsAsThreads) {
  std::vector<std::unique_ptr<Holder>> holders;
  for (int i = 0; i < ThreadPool::configured_threads(); ++i) {
    holders.push_back(std::make_unique<Holder>(RunForm::kShort));
  }
  std::atomic<bool> cancelled{true};
  EXPECT_EQ(RunTurn::take(RunForm::kShort, {Clock::time_point::max(), &cancelled}).status().code(),
            absl::StatusCode::kCancelled);
  holders.pop_back();
  EXPECT_TRUE(RunTurn::take(RunForm::kShort, within(milliseconds(2000))).ok());
}

TEST(RunTurn, LongRunsShareOutTheThreads) {
  const int threads = ThreadPool::configured_threads();
  EXPECT_EQ(Holder(RunForm::kLong).threads(), threads);
  const Holder short_run(RunForm::kShort), first(RunForm::kLong), second(RunForm::kLong);
  EXPECT_EQ(short_run.threads(), 1);
  EXPECT_EQ(first.threads(), std::max(1, threads - 1));
  EXPECT_EQ(second.threads(), std::max(1, (threads - 1) / 2));
}

TEST(RunTurn, AThreadThatHasOneRunsWithinIt) {
  std::vector<std::unique_ptr<Holder>> holders;
  const StatusOr<RunTurn> turn = RunTurn::take(RunForm::kLong, {});
  ASSERT_TRUE(turn.ok());
  {
    const StatusOr<RunTurn> inner = RunTurn::take(RunForm::kShort, within(milliseconds(0)));
    EXPECT_TRUE(inner.ok());
    EXPECT_EQ(RunTurn::threads(), ThreadPool::configured_threads());
  }
  EXPECT_EQ(RunTurn::threads(), ThreadPool::configured_threads());
}

}  // namespace
}  // namespace tenon
