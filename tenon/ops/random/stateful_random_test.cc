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

// The second and third results of an op of seeds 3 and 5, as TensorFlow 2.21's function gives them.
void expect_draws(std::string_view op, std::vector<Tensor> inputs, AttrMap attrs,
                  const std::vector<std::vector<double>>& wanted) {
  Graph graph;
  GraphBuilder b(graph);
  std::vector<Endpoint> ends;
  for (Tensor& input : inputs) ends.push_back(b.constant(std::move(input)));
  attrs.set("seed", int64_t{3});
  attrs.set("seed2", int64_t{5});
  graph.results = {b.cast(b.op(op, std::move(ends), std::move(attrs)), DType::kDouble)};
  graph.result_names = {"y"};
  const auto made = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(made.ok()) << op << ": " << made.status();
  for (const std::vector<double>& want : wanted) {
    std::vector<Tensor> results;
    ASSERT_TRUE((*made)->run({}, results).ok());
    ASSERT_EQ(static_cast<size_t>(results[0].num_elements()), want.size()) << op;
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(results[0].data<double>()[i], want[i], 1e-6 * std::max(1.0, std::abs(want[i])))
          << op << " " << i;
    }
  }
}

TEST(StatefulRandom, DrawsGoOnWhereThoseOfTensorFlowDo) {
  uniform(0);  // registers the ops
  const Tensor three = Tensor::vector<int32_t>({3});
  expect_draws("RandomUniform", {three}, {{"dtype", DType::kDouble}},
               {{0.18135357618810266, 0.03615273833684651, 0.42212371861711406},
                {0.5213161392554346, 0.9181351451292703, 0.08599565835131284},
                {0.9022852112104767, 0.9214601262507793, 0.5671898228039971}});
  expect_draws("TruncatedNormal", {three}, {{"dtype", DType::kFloat}},
               {{-1.1347393989562988, 0.7460805773735046, -1.9681302309036255},
                {1.056746244430542, 1.0920664072036743, -1.3633280992507935},
                {0.979083240032196, 0.1444869041442871, 1.667353868484497}});
  expect_draws("Multinomial",
               {Tensor::from<float>({1, 5}, std::vector<float>{.1f, .2f, .3f, .4f, .5f}),
                Tensor::scalar<int32_t>(3)},
               {}, {{1, 0, 2}, {4, 4, 0}, {2, 3, 3}});
  expect_draws("RandomPoissonV2", {three, Tensor::vector<float>({3, 70})},
               {{"dtype", DType::kFloat}},
               {{0, 84, 5, 75, 0, 60}, {5, 78, 3, 75, 3, 88}, {4, 71, 6, 75, 2, 68}});
  expect_draws("RandomGamma", {three, Tensor::vector<float>({0.5f, 3})}, {},
               {{0.7825867533683777, 4.640787601470947, 0.4133295714855194, 2.4143106937408447,
                 0.9013304114341736, 5.474733352661133},
                {0.5319055318832397, 2.9213545322418213, 0.037128839641809464, 1.9811973571777344,
                 0.03285355493426323, 5.0762786865234375}});
  expect_draws("RandomShuffle", {Tensor::vector<int32_t>({0, 1, 2, 3, 4, 5, 6, 7})}, {},
               {{3, 0, 2, 5, 4, 7, 1, 6}, {2, 1, 5, 4, 7, 3, 0, 6}, {7, 0, 3, 2, 4, 5, 1, 6}});
}

TEST(StatefulRandom, WithSeedsEveryModelDrawsTheSame) {
  const auto one = uniform(7), other = uniform(7);
  const auto first = draw(*one);
  EXPECT_EQ(first, draw(*other));
  EXPECT_NE(first, draw(*one));
}

}  // namespace
}  // namespace tenon
