// Outside truth: y = 2 x + 1 for each row, whoever travels with it; who may be merged is said by
// the model.
#include "tenon/serving/batching/merging_servable.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include "tenon/base/wait_notice.h"

namespace tenon::serving {
namespace {

// y = 2 x + 1, row by row; remembers the rows of each run. A negative x is an error.
class LineServable final : public Servable {
 public:
  explicit LineServable(bool independent) : independent_(independent) {
    Signature& signature = signatures_.emplace_back();
    signature.name = "serving_default";
    signature.inputs = {{"x", DType::kFloat, PartialShape({-1, -1})}};
    signature.outputs = {{"y", DType::kFloat, {}}};
  }
  const std::vector<Signature>& signatures() const override { return signatures_; }
  std::string signature_def_map() const override { return ""; }
  bool merges_rows(const Signature&) const override { return independent_; }
  StatusOr<std::vector<Tensor>> run(const Signature&, std::span<const Tensor> inputs,
                                    std::span<const int>, const RunLimits&) const override {
    {
      const std::lock_guard lock(mutex_);
      rows_.push_back(inputs[0].dim(0));
      changed_.notify_all();
    }
    about_to_wait();
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !held_; });
    }
    std::this_thread::sleep_for(inputs[0].dim(0) * each_row_);
    Tensor y(DType::kFloat, inputs[0].shape());
    for (int64_t i = 0; i < y.num_elements(); ++i) {
      const float x = inputs[0].data<float>()[i];
      if (x < 0) return invalid_argument("x is negative");
      y.mutable_data<float>()[i] = 2 * x + 1;
    }
    return std::vector<Tensor>{y};
  }
  // Runs wait while it is held.
  void hold(bool on) {
    std::lock_guard lock(mutex_);
    held_ = on;
    changed_.notify_all();
  }
  void take_for_each_row(std::chrono::milliseconds time) { each_row_ = time; }
  void wait_for_runs(size_t count) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return rows_.size() >= count; });
  }
  std::vector<int64_t> rows() const {
    std::lock_guard lock(mutex_);
    return rows_;
  }

 private:
  const bool independent_;
  std::chrono::milliseconds each_row_{0};
  std::vector<Signature> signatures_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::vector<int64_t> rows_;
  bool held_ = false;
};

class MergingServableTest : public testing::Test {
 protected:
  void serve(bool independent = true) {
    line_ = std::make_shared<LineServable>(independent);
    MergingOptions options;
    options.least_microseconds = least_;
    options.most_microseconds = int64_t{1} << 40;
    options.merged = &merged_;
    servable_ = merging_servable(line_, options);
  }
  StatusOr<std::vector<Tensor>> ask(const Shape& shape, float x, const RunLimits& limits = {}) {
    Tensor input(DType::kFloat, shape);
    std::fill_n(input.mutable_data<float>(), input.num_elements(), x);
    const int output = 0;
    return servable_->run(servable_->signatures()[0], std::span(&input, 1), std::span(&output, 1),
                          limits);
  }
  // Asks on a thread of its own, and waits until the request waits for a place, or runs.
  void ask_beside(const Shape& shape, float x, absl::StatusCode want = absl::StatusCode::kOk,
                  const RunLimits& limits = {}) {
    std::promise<void> arrived;
    const std::future<void> here = arrived.get_future();
    threads_.emplace_back([this, shape, x, want, limits, arrived = std::move(arrived)]() mutable {
      const auto tell = [&] { arrived.set_value(); };
      const WaitNotice notice(tell);
      const auto results = ask(shape, x, limits);
      EXPECT_EQ(results.status().code(), want) << results.status();
      if (!results.ok()) return;
      EXPECT_EQ((*results)[0].shape(), shape);
      for (int64_t i = 0; i < (*results)[0].num_elements(); ++i) {
        EXPECT_EQ((*results)[0].data<float>()[i], 2 * x + 1);
      }
    });
    here.wait();
  }
  // One request runs, and holds the only place.
  void begin(float x = 100) {
    line_->hold(true);
    const size_t before = line_->rows().size();
    ask_beside(Shape({1, 2}), x);
    line_->wait_for_runs(before + 1);
  }
  void end() {
    line_->hold(false);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  int64_t least_ = 0;
  Counter merged_;
  std::shared_ptr<LineServable> line_;
  std::shared_ptr<const Servable> servable_;
  std::vector<std::thread> threads_;
};

TEST_F(MergingServableTest, WhatWaitsIsRunTogetherInPowersOfTwo) {
  serve();
  ASSERT_TRUE(ask(Shape({1, 2}), 1).ok());
  begin();
  for (int i = 0; i < 7; ++i) ask_beside(Shape({1, 2}), static_cast<float>(i));
  end();
  EXPECT_EQ(line_->rows(), (std::vector<int64_t>{1, 1, 4, 2, 1}));
  EXPECT_EQ(merged_.value(), 6);
}

TEST_F(MergingServableTest, OnlyEqualShapesTravelTogetherAndNobodyIsPassedByThem) {
  serve();
  begin();
  ask_beside(Shape({3, 2}), 1);
  ask_beside(Shape({1, 2}), 2);
  ask_beside(Shape({3, 2}), 3);
  ask_beside(Shape({3, 4}), 4);
  ask_beside(Shape({1, 2}), 5);
  ask_beside(Shape({2}), 6);  // of a shape that the proof says nothing of: it does not wait
  ask_beside(Shape({0, 2}), 7);
  end();
  EXPECT_EQ(line_->rows(), (std::vector<int64_t>{1, 2, 0, 6, 2, 3}));
}

TEST_F(MergingServableTest, AnotherRequestsErrorIsNobodyElses) {
  serve();
  begin();
  ask_beside(Shape({1, 2}), 1);
  ask_beside(Shape({1, 2}), -1, absl::StatusCode::kInvalidArgument);
  ask_beside(Shape({1, 2}), 3);
  ask_beside(Shape({1, 2}), 4);
  end();
  EXPECT_EQ(line_->rows(), (std::vector<int64_t>{1, 4, 1, 1, 1, 1}));
  EXPECT_EQ(merged_.value(), 0);
}

TEST_F(MergingServableTest, WhoCannotWaitLongerLeaves) {
  serve();
  std::atomic<bool> gone{false};
  begin();
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(40);
  ask_beside(Shape({1, 2}), 1, absl::StatusCode::kDeadlineExceeded, {.deadline = soon});
  ask_beside(Shape({1, 2}), 2, absl::StatusCode::kCancelled, {.cancelled = &gone});
  gone = true;
  while (threads_.size() > 1) {
    threads_.back().join();
    threads_.pop_back();
  }
  ask_beside(Shape({1, 2}), 3);
  end();
  EXPECT_EQ(line_->rows(), (std::vector<int64_t>{1, 1}));
}

TEST_F(MergingServableTest, RunsThatAreOverInNoTimeDoNotWait) {
  least_ = int64_t{1} << 40;
  serve();
  ASSERT_TRUE(ask(Shape({1, 2}), 1).ok());
  begin();
  for (int i = 0; i < 3; ++i) ask_beside(Shape({1, 2}), static_cast<float>(i));
  line_->wait_for_runs(5);
  end();
  EXPECT_EQ(line_->rows(), (std::vector<int64_t>{1, 1, 1, 1, 1}));
}

// Once it is known: a run of several that takes as long as they do one by one is not made.
TEST_F(MergingServableTest, WhatDoesNotPayIsNotDone) {
  serve();
  line_->take_for_each_row(std::chrono::milliseconds(2));
  ASSERT_TRUE(ask(Shape({1, 2}), 1).ok());
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      for (int i = 0; i < 30; ++i) EXPECT_TRUE(ask(Shape({1, 2}), 1).ok());
    });
  }
  for (std::thread& client : clients) client.join();
  const std::vector<int64_t> rows = line_->rows();
  EXPECT_LE(std::count_if(rows.begin(), rows.end(), [](int64_t each) { return each > 1; }), 20);
}

TEST_F(MergingServableTest, ModelsThatMixRowsAreLeftAsTheyAre) {
  serve(false);
  EXPECT_EQ(servable_, line_);
}

// Many at once, each with its own answer.
TEST_F(MergingServableTest, EveryoneGetsOnesOwnRows) {
  serve();
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) {
    clients.emplace_back([&, client] {
      for (int i = 0; i < 200; ++i) {
        const auto x = static_cast<float>(client * 1000 + i);
        const auto results = ask(Shape({1 + client % 2, 2}), x);
        ASSERT_TRUE(results.ok()) << results.status();
        EXPECT_EQ((*results)[0].data<float>()[0], 2 * x + 1);
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

}  // namespace
}  // namespace tenon::serving
