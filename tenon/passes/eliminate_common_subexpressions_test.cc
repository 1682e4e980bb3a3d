// Outside truth: the same ops without the pass, bit for bit.
#include <cmath>

#include "tenon/passes/pass_test.h"

namespace tenon {
namespace {

class CommonSubexpressions : public PassTest {};

TEST_F(CommonSubexpressions, EqualNodesBecomeOne) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const auto branch = [&] {
      return b.op("Cumsum", {b.mul(in[0], b.constant(numbers({3}, 1))), b.scalar<int32_t>(1)});
    };
    return Endpoints{branch(), branch(), b.add(branch(), branch())};
  };
  const Outcome made = expect_same(build, std::vector<Tensor>{numbers({4, 3}, 2)});
  EXPECT_EQ(made.count("Cumsum"), 1);
}

TEST_F(CommonSubexpressions, ConstantsOfOtherBitsStayApart) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    Endpoints results;
    for (float value : {0.0f, -0.0f, NAN, -NAN, 1.0f, 0.0f}) {
      results.push_back(b.div(in[0], b.scalar(value)));
    }
    // Same bytes, another shape or dtype.
    results.push_back(b.mul(in[0], b.constant(numbers({1, 3}, 1))));
    results.push_back(b.mul(in[0], b.constant(numbers({3, 1}, 1))));
    results.push_back(b.op("Cast", {b.scalar<int32_t>(1)}, {{"DstT", DType::kFloat}}));
    results.push_back(b.op("Bitcast", {b.scalar<int32_t>(1)}, {{"type", DType::kFloat}}));
    return results;
  };
  expect_same(build, std::vector<Tensor>{hostile_numbers({3, 3}, 2)});
}

TEST_F(CommonSubexpressions, AttributesAndEffectsTellNodesApart) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint axis = b.scalar<int32_t>(1);
    return Endpoints{b.op("Cumsum", {in[0], axis}, {{"exclusive", true}}),
                     b.op("Cumsum", {in[0], axis}, {{"reverse", true}}),
                     b.op("Cumsum", {in[0], axis}, {{"exclusive", false}})};
  };
  const Outcome made = expect_same(build, std::vector<Tensor>{numbers({4, 3}, 2)});
  EXPECT_EQ(made.count("Cumsum"), 3);
  // Two draws are two draws.
  const Build random = [](GraphBuilder& b, const Endpoints&) {
    const auto draw = [&] {
      return b.op("RandomUniform", {b.integers({4})}, {{"dtype", DType::kFloat}});
    };
    return Endpoints{draw(), draw()};
  };
  auto graph = make_graph(random, {}, Known::kAll);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(run_graph(*std::move(graph), {}, true).count("RandomUniform"), 2);
}

TEST_F(CommonSubexpressions, NodesThatWaitForOthersStayApart) {
  for (bool holds : {true, false}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const NodeId check = b.node("Assert", {b.scalar<bool>(holds), in[0]});
      const Endpoint free = b.neg(in[0]);
      const auto waits = b.graph().add("Neg", "waits", {in[0]}, {{"T", DType::kFloat}}, {check});
      EXPECT_TRUE(waits.ok()) << waits.status();
      return Endpoints{free, {*waits, 0}};
    };
    const Outcome made = expect_same(build, std::vector<Tensor>{numbers({2, 3}, 1)});
    EXPECT_EQ(made.status.ok(), holds);
  }
}

}  // namespace
}  // namespace tenon
