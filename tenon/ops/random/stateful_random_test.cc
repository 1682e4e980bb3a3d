// Seeds of the random ops that keep a stream: tf.random.set_seed's documentation says what draws
// what.
#include <gtest/gtest.h>

#include "tenon/graph/builder.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

std::shared_ptr<Executable> uniform(int64_t seed) {
  if (!OpRegistry::global().find("While")) {
    EXPECT_TRUE(register_all_ops(OpRegistry::global()).ok());
  }
  Graph graph;
  GraphBuilder b(graph);
  graph.results = {b.op("RandomUniform", {b.integers({8})},
                        {{"dtype", DType::kFloat}, {"seed", seed}, {"seed2", seed}})};
  graph.result_names = {"y"};
  const auto made = Executable::create(std::move(graph), std::make_shared<ModelState>());
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

std::vector<float> draw(Executable& executable) {
  std::vector<Tensor> results;
  EXPECT_TRUE(executable.run({}, results).ok());
  const auto values = results[0].span<float>();
  return {values.begin(), values.end()};
}

TEST(StatefulRandom, WithoutSeedsEveryModelDrawsOtherNumbers) {
  const auto one = uniform(0), other = uniform(0);
  const auto first = draw(*one);
  EXPECT_NE(first, draw(*other));
  EXPECT_NE(first, draw(*one));
}

TEST(StatefulRandom, WithSeedsEveryModelDrawsTheSame) {
  const auto one = uniform(7), other = uniform(7);
  const auto first = draw(*one);
  EXPECT_EQ(first, draw(*other));
  EXPECT_NE(first, draw(*one));
}

}  // namespace
}  // namespace tenon
