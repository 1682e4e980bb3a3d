// Sizes that a request chooses: what is too large is an error with TensorFlow's code, and the
// process goes on.
#include "tenon/base/out_of_memory.h"

#include <gtest/gtest.h>

#include "tenon/base/parallel.h"
#include "tenon/base/thread_pool.h"
#include "tenon/core/host_memory.h"
#include "tenon/graph/builder.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"
#include "tenon/runtime/memory_plan.h"

namespace tenon {
namespace {

// One node of arguments like `args`, run on them.
Status run_node(std::string_view op, const std::vector<Tensor>& args, AttrMap attrs = {}) {
  if (!OpRegistry::global().find("While")) {
    ThreadPool::configure(3);
    TENON_RETURN_IF_ERROR(register_all_ops(OpRegistry::global()));
  }
  Graph graph;
  GraphBuilder b(graph);
  std::vector<Endpoint> inputs;
  for (const Tensor& arg : args) {
    inputs.push_back(b.arg(cat("x", inputs.size()), arg.dtype(), PartialShape()));
  }
  graph.results = {b.op(op, inputs, std::move(attrs))};
  graph.result_names = {"y"};
  TENON_RETURN_IF_ERROR(b.status());
  TENON_ASSIGN_OR_RETURN(const auto executable,
                         Executable::create(std::move(graph), std::make_shared<ModelState>()));
  std::vector<Tensor> results;
  return executable->run(args, results);
}

Tensor dims(std::initializer_list<int64_t> values) { return Tensor::vector<int64_t>(values); }
Tensor empty(std::initializer_list<int64_t> shape) { return Tensor(DType::kFloat, Shape(shape)); }

constexpr auto kTooLarge = absl::StatusCode::kResourceExhausted;
constexpr auto kWraps = absl::StatusCode::kInvalidArgument;

TEST(OutOfMemory, AResultThatARequestMakesTooLargeIsResourceExhausted) {
  EXPECT_EQ(run_node("Fill", {dims({int64_t{1} << 50}), Tensor::string("a")}).code(), kTooLarge);
  EXPECT_EQ(run_node("Fill", {dims({int64_t{1} << 50}), Tensor::scalar(1.0f)}).code(), kTooLarge);
  EXPECT_EQ(run_node("Fill", {dims({int64_t{1} << 62}), Tensor::scalar(1.0)}).code(), kTooLarge);
  EXPECT_EQ(run_node("MatMul", {empty({1 << 30, 0}), empty({0, 1 << 30})}).code(), kTooLarge);
  EXPECT_EQ(run_node("Range", {Tensor::scalar<int64_t>(0), Tensor::scalar(int64_t{1} << 62),
                               Tensor::scalar<int64_t>(1)})
                .code(),
            kTooLarge);
  EXPECT_TRUE(run_node("Fill", {dims({3}), Tensor::string("a")}).ok());
}

TEST(OutOfMemory, AnElementCountThatWrapsIsInvalid) {
  constexpr int64_t k40 = int64_t{1} << 40, k58 = int64_t{1} << 58, k62 = int64_t{1} << 62;
  EXPECT_EQ(run_node("Fill", {dims({k40, k40}), Tensor::string("a")}).code(), kWraps);
  EXPECT_EQ(run_node("Fill", {dims({k40, k40}), Tensor::scalar(1.0f)}).code(), kWraps);
  EXPECT_EQ(run_node("MatMul", {empty({1099511627779, 0}), empty({0, 2049637741740337836})}).code(),
            kWraps);
  EXPECT_EQ(run_node("AddV2", {empty({k58, 1, 0}), empty({1, k40, 0})}).code(), kWraps);
  EXPECT_EQ(run_node("BroadcastTo", {empty({1, 0}), dims({k40, k40, 0})}).code(), kWraps);
  EXPECT_EQ(run_node("Tile", {Tensor::from<float>({1, 1}, std::vector<float>{1}), dims({k62, k62})})
                .code(),
            kWraps);
}

TEST(OutOfMemory, HugeDimensionsOfNothingTakeNoTime) {
  constexpr int64_t k58 = int64_t{1} << 58;
  EXPECT_TRUE(run_node("Sum", {empty({k58, 0}), Tensor::vector<int32_t>({0, 1})}).ok());
  EXPECT_TRUE(run_node("Neg", {empty({k58, 0})}).ok());
  EXPECT_TRUE(run_node("AddV2", {empty({k58, 0}), empty({1, 0})}).ok());
}

TEST(OutOfMemory, MoreThanTheMachineHasIsNotGranted) {
  const size_t limit = host_memory_limit();
  EXPECT_GT(limit, size_t{1} << 28);
  EXPECT_FALSE(Buffer::host(limit + 1));
  EXPECT_FALSE(Buffer::host(SIZE_MAX));
  // Nothing is touched, so that two of them would be granted by the system.
  const Ref<Buffer> most = Buffer::host(limit / 4 * 3);
  ASSERT_TRUE(most);
  EXPECT_FALSE(Buffer::host(limit / 4 * 3));
  EXPECT_EQ(Tensor::allocate(DType::kUint8, Shape{static_cast<int64_t>(limit / 2)}).status().code(),
            kTooLarge);
  EXPECT_THROW(Tensor(DType::kString, Shape{int64_t{1} << 55}), std::bad_alloc);
}

#ifdef TENON_COUNTS_OPERATOR_NEW
// Each is granted by the system, which would end the process once both are touched.
TEST(OutOfMemory, WhatContainersAskForIsCountedWithTensors) {
  const size_t most = host_memory_limit() / 4 * 3;
  const auto granted = [](size_t bytes) {
    std::string untouched;
    return or_out_of_memory([&]() -> Status {
             untouched.reserve(bytes);
             return absl::OkStatus();
           })
        .code();
  };
  EXPECT_EQ(granted(most), absl::StatusCode::kOk);
  EXPECT_EQ(granted(most), absl::StatusCode::kOk);  // the first was given back
  const Ref<Buffer> tensor = Buffer::host(most);
  ASSERT_TRUE(tensor);
  EXPECT_EQ(granted(most), kTooLarge);
  EXPECT_EQ(granted(host_memory_limit() + 1), kTooLarge);
}
#endif

TEST(OutOfMemory, ArenasOfBlocksWhoseSumWrapsAreNotGranted) {
  constexpr size_t kHuge = size_t{1} << 62;
  std::vector<ArenaBlock> blocks;
  for (int i = 0; i < 4; ++i) blocks.push_back({kHuge, 0, 1, 0});
  EXPECT_FALSE(Buffer::host(plan_memory(blocks)));
}

TEST(OutOfMemory, WhatAWorkerThrowsReachesTheCaller) {
  set_team_size(3);
  const Status status = or_out_of_memory([&]() -> Status {
    parallel_for(1000, 1, [](int64_t begin, int64_t) {
      if (begin > 0) throw std::bad_alloc();
    });
    return absl::OkStatus();
  });
  set_team_size(1);
  EXPECT_EQ(status.code(), kTooLarge);
}

}  // namespace
}  // namespace tenon
