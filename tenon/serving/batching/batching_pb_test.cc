// Outside truth: TensorFlow Serving's batching guide, batching_session_test.cc and
// shared_batch_scheduler_test.cc: what is merged, cut, filled up and refused, and the texts.
#include <gtest/gtest.h>

#include "tenon/base/wait_notice.h"
#include "tenon/serving/batching/batch_tensors.h"
#include "tenon/serving/batching/batching_servable.h"

namespace tenon::serving {
namespace {

// y = 2 x + 1 and z = -x, row by row; remembers the rows of each run.
class LinearServable final : public Servable {
 public:
  LinearServable() {
    Signature& signature = signatures_.emplace_back();
    signature.name = "serving_default";
    signature.inputs = {{"x", DType::kFloat, {}}};
    signature.outputs = {{"y", DType::kFloat, {}}, {"z", DType::kFloat, {}}};
  }
  const std::vector<Signature>& signatures() const override { return signatures_; }
  std::string signature_def_map() const override { return ""; }
  StatusOr<std::vector<Tensor>> run(const Signature&, std::span<const Tensor> inputs,
                                    std::span<const int> outputs, const RunLimits&) const override {
    {
      std::unique_lock lock(mutex_);
      rows_.push_back(inputs[0].dim(0));
      changed_.notify_all();
      changed_.wait(lock, [&] { return !held_; });
    }
    std::vector<Tensor> results;
    for (const int output : outputs) {
      Tensor result(DType::kFloat, inputs[0].shape());
      for (int64_t i = 0; i < result.num_elements(); ++i) {
        const float x = inputs[0].data<float>()[i];
        result.mutable_data<float>()[i] = output == 0 ? 2 * x + 1 : -x;
      }
      results.push_back(std::move(result));
    }
    return results;
  }
  // Runs wait while it is held.
  void hold(bool on) {
    std::lock_guard lock(mutex_);
    held_ = on;
    changed_.notify_all();
  }
  void wait_for_runs(size_t count) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return rows_.size() >= count; });
  }
  std::vector<int64_t> rows() const {
    std::lock_guard lock(mutex_);
    return rows_;
  }

 private:
  std::vector<Signature> signatures_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::vector<int64_t> rows_;
  bool held_ = false;
};

Tensor column(int64_t rows, int64_t width, float first) {
  Tensor tensor(DType::kFloat, Shape({rows, width}));
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    tensor.mutable_data<float>()[i] = first + static_cast<float>(i);
  }
  return tensor;
}

class BatchingTest : public testing::Test {
 protected:
  void TearDown() override {
    linear_->hold(false);
    for (std::thread& thread : threads_) thread.join();
  }
  void start(int threads = 1) {
    scheduler_ = *BatchScheduler::create(threads);
    parameters_.max_execution_batch_size =
        parameters_.split_large ? parameters_.max_execution_batch_size : parameters_.max_batch_size;
    batched_ = batching_servable(linear_, scheduler_, parameters_, metrics_);
  }
  StatusOr<std::vector<Tensor>> run(const Tensor& x, const RunLimits& limits = {},
                                    std::vector<int> outputs = {0, 1}) const {
    return batched_->run(batched_->signatures()[0], {&x, 1}, outputs, limits);
  }
  // Is the answer to `x` its own?
  void expect_answered(const Tensor& x, const RunLimits& limits = {}) const {
    const auto results = run(x, limits);
    ASSERT_TRUE(results.ok()) << results.status();
    ASSERT_EQ((*results)[0].dim(0), x.dim(0));
    for (int64_t i = 0; i < x.dim(0); ++i) {
      const int64_t own = i * x.dim(1);
      const int64_t wide = i * (*results)[0].dim(1);
      EXPECT_EQ((*results)[0].data<float>()[wide], 2 * x.data<float>()[own] + 1);
      EXPECT_EQ((*results)[1].data<float>()[wide], -x.data<float>()[own]);
    }
  }
  void ask_beside(const Tensor& x) {
    threads_.emplace_back([this, x] { expect_answered(x); });
  }

  std::shared_ptr<LinearServable> linear_ = std::make_shared<LinearServable>();
  BatchingParameters parameters_;
  MetricRegistry metrics_;
  std::shared_ptr<BatchScheduler> scheduler_;
  std::shared_ptr<const Servable> batched_;
  std::vector<std::thread> threads_;
};

TEST_F(BatchingTest, RowsThatFillABatchTravelTogether) {
  parameters_.max_batch_size = 3;
  parameters_.timeout_microseconds = int64_t{3600} * 1'000'000;
  start();
  ask_beside(column(2, 2, 1));
  ask_beside(column(1, 2, 9));
  linear_->wait_for_runs(1);
  EXPECT_EQ(linear_->rows(), (std::vector<int64_t>{3}));
}

TEST_F(BatchingTest, ABatchThatStaysOpenIsRunAfterTheTimeout) {
  parameters_.max_batch_size = 3;
  parameters_.timeout_microseconds = 1000;
  start();
  expect_answered(column(2, 1, 1));
  EXPECT_EQ(linear_->rows(), (std::vector<int64_t>{2}));
  auto& latency = metrics_.histogram("/tensorflow/serving/batching_session/queuing_latency",
                                     {"thread_pool_name"}, exponential_limits(100, 1.2, 52));
  EXPECT_GE(latency.cell({"batch_threads"}).sum(), 1000);
}

TEST_F(BatchingTest, AFullQueueIsUnavailableAndALargeRequestWrong) {
  parameters_.max_batch_size = 2;
  parameters_.max_enqueued_batches = 1;
  start();
  linear_->hold(true);
  ask_beside(column(1, 1, 1));
  linear_->wait_for_runs(1);
  // Rows that nobody waits for any more fill the queue like others.
  const RunLimits past{.deadline = std::chrono::steady_clock::now()};
  EXPECT_EQ(run(column(2, 1, 5), past).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(run(column(2, 1, 7)).status(),
            unavailable("The batch scheduling queue to which this task was submitted is full; "
                        "currently 1 batches enqueued and max_enqueued_batches is 1"));
  EXPECT_EQ(run(column(3, 1, 0)).status(),
            invalid_argument("Task size 3 is larger than maximum input batch size 2"));
}

TEST_F(BatchingTest, LargeRequestsAreCutWhereThatIsAskedFor) {
  parameters_.max_batch_size = 10;
  parameters_.split_large = true;
  parameters_.max_execution_batch_size = 4;
  start(2);
  expect_answered(column(10, 3, 1));
  std::vector<int64_t> rows = linear_->rows();
  std::sort(rows.begin(), rows.end());
  EXPECT_EQ(rows, (std::vector<int64_t>{2, 4, 4}));
  EXPECT_EQ(run(column(11, 1, 0)).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(BatchingTest, BatchesAreFilledUpToAnAllowedSize) {
  parameters_.max_batch_size = 8;
  parameters_.allowed_sizes = {2, 4, 8};
  start();
  expect_answered(column(3, 2, 1));
  expect_answered(column(8, 2, 1));
  EXPECT_EQ(linear_->rows(), (std::vector<int64_t>{4, 8}));
  auto& padding = metrics_.histogram("/tensorflow/serving/batching_session/padding_size",
                                     {"execution_batch_size"}, exponential_limits(1, 2, 14));
  EXPECT_EQ(padding.cell({"4"}).sum(), 1);
  EXPECT_EQ(padding.cell({"8"}).sum(), 0);
}

TEST_F(BatchingTest, OtherShapesNeedPadding) {
  for (const bool pad : {false, true}) {
    parameters_.max_batch_size = 2;
    parameters_.timeout_microseconds = int64_t{3600} * 1'000'000;
    parameters_.pad_variable_length = pad;
    start();
    Status first;
    std::thread other([&] { first = run(column(1, 1, 1)).status(); });
    const Status second = run(column(1, 3, 1)).status();
    other.join();
    EXPECT_EQ(first, second);
    EXPECT_EQ(second.ok(), pad) << second;
    if (pad) continue;
    EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(
        message_of(second).starts_with("Tensors with name 'x' from different tasks have "
                                       "different shapes and padding is turned off."));
  }
}

TEST_F(BatchingTest, WhatIsNoBatchRunsAloneOrIsWrong) {
  parameters_.timeout_microseconds = int64_t{3600} * 1'000'000;
  start();
  EXPECT_TRUE(run(column(2, 1, 1), {}, {1}).ok());  // not all of the signature's outputs
  EXPECT_EQ(run(Tensor::scalar(1.0F)).status(),
            invalid_argument("Batching Run() input tensors must have at least one dimension"));
  EXPECT_EQ(linear_->rows(), (std::vector<int64_t>{2}));
}

TEST_F(BatchingTest, NobodyWaitsBeyondTheDeadline) {
  parameters_.timeout_microseconds = int64_t{3600} * 1'000'000;
  start();
  const auto soon = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
  EXPECT_EQ(run(column(1, 1, 1), {.deadline = soon}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  std::atomic<bool> cancelled{true};
  EXPECT_EQ(run(column(1, 1, 1), {.cancelled = &cancelled}).status().code(),
            absl::StatusCode::kCancelled);
}

// So that a server lets others work meanwhile.
TEST_F(BatchingTest, WhoWaitsForABatchSaysSo) {
  start();
  int told = 0;
  const auto count = [&] { ++told; };
  const WaitNotice notice(count);
  EXPECT_TRUE(run(column(1, 2, 0)).ok());
  EXPECT_EQ(told, 1);
}

TEST_F(BatchingTest, EveryRequestGetsItsOwnRows) {
  parameters_.max_batch_size = 16;
  parameters_.max_enqueued_batches = 1000;
  parameters_.timeout_microseconds = 50;
  parameters_.allowed_sizes = {4, 16};
  start(3);
  for (int t = 0; t < 4; ++t) {
    threads_.emplace_back([this, t] {
      for (int i = 0; i < 200; ++i) {
        expect_answered(column(1 + (i * 7 + t) % 16, 3, static_cast<float>(t * 1000 + i)));
      }
    });
  }
}

TEST(BatchTensorsTest, RowsAreJoinedAndGrown) {
  const std::vector<std::string> ab = {"a", "b"}, c = {"c"};
  const Tensor parts[] = {Tensor::strings(Shape({2, 1}), ab), Tensor::strings(Shape({1, 1}), c)};
  const auto joined = concatenate_rows(parts);
  ASSERT_TRUE(joined.ok());
  EXPECT_EQ(join(joined->span<std::string_view>(), ""), "abc");
  const Tensor other[] = {parts[0], column(1, 1, 0)};
  EXPECT_EQ(concatenate_rows(other).status().code(), absl::StatusCode::kInvalidArgument);
  // TensorFlow Serving's own example: the first element fills, at the end of each dimension.
  const auto grown = pad_rows(column(2, 2, 1).reshaped(Shape({1, 2, 2})), Shape({9, 2, 3}));
  ASSERT_TRUE(grown.ok());
  EXPECT_EQ(grown->shape(), Shape({1, 2, 3}));
  EXPECT_EQ(join(grown->span<float>(), " "), "1 2 1 3 4 1");
  const auto texts = pad_rows(parts[0], Shape({2, 2}));
  ASSERT_TRUE(texts.ok());
  EXPECT_EQ(join(texts->span<std::string_view>(), ""), "aaba");
  EXPECT_FALSE(pad_rows(column(0, 2, 0), Shape({0, 3})).ok());
}

TEST(BatchingParametersTest, AreThoseOfTensorFlowServing) {
  const auto parsed = parse_batching_parameters(
      "max_batch_size { value: 32 } batch_timeout_micros { value: 500 } allowed_batch_sizes: 8 "
      "allowed_batch_sizes: 32 num_batch_threads { value: 3 } thread_pool_name { value: \"pool\" }",
      "f");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->max_execution_batch_size, 32);
  EXPECT_EQ(parsed->num_threads, 3);
  EXPECT_EQ(parsed->allowed_size(9), 32);
  EXPECT_EQ(parse_batching_parameters("", "f")->max_batch_size, 1000);
  EXPECT_EQ(message_of(parse_batching_parameters(
                           "max_batch_size { value: 32 } allowed_batch_sizes: 8", "f")
                           .status()),
            "f: Last entry in allowed_batch_sizes must match max_batch_size; last entry was 8; "
            "expected 32");
  for (const char* wrong :
       {"max_batch_size { value: 0 }", "batch_timeout_micros { value: -1 }",
        "max_enqueued_batches { value: -1 }", "num_batch_threads { value: 0 }",
        "allowed_batch_sizes: 1000 allowed_batch_sizes: 1000", "allowed_batch_sizes: -1",
        "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 2000 }",
        "no { message"}) {
    EXPECT_EQ(parse_batching_parameters(wrong, "f").status().code(),
              absl::StatusCode::kInvalidArgument)
        << wrong;
  }
}

}  // namespace
}  // namespace tenon::serving
