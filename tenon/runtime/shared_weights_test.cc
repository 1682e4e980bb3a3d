// What the signatures of a model have in common they hold once.
#include <gtest/gtest.h>

#include "tenon/graph/builder.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

constexpr int64_t kSide = 160;

// x * weights (+ 1), the weights a tensor of their own each time.
StatusOr<std::shared_ptr<Executable>> product(std::shared_ptr<ModelState> state, bool plus_one,
                                              float last_weight) {
  Tensor weights(DType::kFloat, Shape{kSide, kSide});
  std::fill_n(weights.mutable_data<float>(), kSide * kSide, 0.5f);
  weights.mutable_data<float>()[kSide * kSide - 1] = last_weight;
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape({-1, kSide}));
  Endpoint y = b.matmul(x, b.constant(std::move(weights)));
  if (plus_one) y = b.add(y, b.scalar(1.0f));
  graph.results = {y};
  graph.result_names = {"y"};
  TENON_RETURN_IF_ERROR(b.status());
  // On the host: a device holds copies of constants beside what is packed.
  ExecutableOptions options;
  TENON_ASSIGN_OR_RETURN(options.device, DeviceRegistry::global().find("CPU:0"));
  return Executable::create(std::move(graph), std::move(state), std::move(options));
}

TEST(SharedWeights, EqualConstantsArePackedOnceForAllSignatures) {
  if (!OpRegistry::global().find("MatMul")) {
    ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
  }
  const auto state = std::make_shared<ModelState>();
  Tensor ones(DType::kFloat, Shape{2, kSide});
  std::fill_n(ones.mutable_data<float>(), 2 * kSide, 1.0f);
  const float kLast[] = {0.5f, 0.5f, 2.0f};
  std::vector<std::shared_ptr<Executable>> made;
  for (int i = 0; i < 3; ++i) {
    auto executable = product(state, i == 1, kLast[i]);
    ASSERT_TRUE(executable.ok()) << executable.status();
    std::vector<Tensor> results;
    ASSERT_TRUE((*executable)->run({&ones, 1}, results).ok());
    const float* const y = results[0].data<float>();
    const float other = i == 1 ? 81.0f : 80.0f;
    EXPECT_EQ(y[0], other);
    EXPECT_EQ(y[2 * kSide - 1], other + kLast[i] - 0.5f);
    EXPECT_EQ(state->packed_weights().size(), i < 2 ? 1u : 2u);
    made.push_back(*std::move(executable));
  }
  // What nobody uses is let go when another is packed.
  made.clear();
  auto executable = product(state, false, 3.0f);
  ASSERT_TRUE(executable.ok()) << executable.status();
  std::vector<Tensor> results;
  ASSERT_TRUE((*executable)->run({&ones, 1}, results).ok());
  EXPECT_EQ(state->packed_weights().size(), 1u);
}

}  // namespace
}  // namespace tenon
