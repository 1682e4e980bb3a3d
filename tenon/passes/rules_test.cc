// Each rule, with and without it: the same results for several shapes, whatever is known of them.
#include <cmath>

#include "tenon/passes/pass_test.h"
#include "tenon/passes/rewrite.h"

namespace tenon {
namespace {

struct RuleCase {
  std::string_view rule;
  std::vector<Shape> shapes;  // of the first argument
  Build build;
  double tolerance = 0;
};

const AttrMap kUnit{{"strides", std::vector<int64_t>{1, 1, 1, 1}},
                    {"padding", std::string("VALID")}};

Endpoint biased(GraphBuilder& b, Endpoint x, int64_t from = 5, int64_t to = 8) {
  return b.op("BiasAdd",
              {b.matmul(x, b.constant(numbers({from, to}, 1))), b.constant(numbers({to}, 2))});
}
Endpoint image_product(GraphBuilder& b, Endpoint x) {
  return b.op("Conv2D", {x, b.constant(numbers({2, 2, 3, 4}, 1))}, kUnit);
}
Endpoint half(GraphBuilder& b, Endpoint x) { return b.mul(b.scalar(0.5f), x); }
Endpoint erf_part(GraphBuilder& b, Endpoint scaled) {
  return b.add(b.scalar(1.0f), b.op("Erf", {scaled}));
}
Endpoint tanh_part(GraphBuilder& b, Endpoint x) {
  const Endpoint cubed = b.mul(b.scalar(0.044715f), b.op("Pow", {x, b.scalar(3.0f)}));
  const Endpoint scaled = b.mul(b.scalar(0.7978845608028654f), b.add(x, cubed));
  return b.add(b.scalar(1.0f), b.op("Tanh", {scaled}));
}

const std::vector<Shape> kRows{{1, 5}, {3, 5}, {32, 5}};
const std::vector<Shape> kImages{{1, 4, 5, 3}, {3, 6, 4, 3}};
constexpr double kRuleRounding = 1e-5;

std::vector<RuleCase> rule_cases() {
  using B = GraphBuilder;
  using In = const Endpoints&;
  return {
      {"one", kRows, [](B& b, In in) { return Endpoints{b.mul(b.scalar(1.0f), in[0])}; }},
      {"minus zero", kRows, [](B& b, In in) { return Endpoints{b.sub(in[0], b.scalar(0.0f))}; }},
      {"division by constant", kRows,
       [](B& b, In in) { return Endpoints{b.div(in[0], b.scalar(3.0f))}; }, 1e-6},
      {"identity", kRows,
       [](B& b, In in) {
         const auto both = b.ops("IdentityN", {b.neg(in[0]), b.op("Identity", {in[0]})});
         return Endpoints{b.sub(both[0], both[1])};
       }},
      {"cast to same", kRows,
       [](B& b, In in) {
         return Endpoints{b.neg(b.op("Cast", {in[0]}, {{"DstT", DType::kFloat}}))};
       }},
      {"relu gradient of pooling",
       {{1, 4, 6, 2}, {3, 2, 4, 2}},
       [](B& b, In in) {
         const AttrMap window{{"ksize", std::vector<int64_t>{1, 2, 2, 1}},
                              {"strides", std::vector<int64_t>{1, 2, 2, 1}},
                              {"padding", std::string("VALID")}};
         const Endpoint y = b.op("Relu", {in[0]}), maxima = b.op("MaxPool", {y}, window);
         const Endpoint spread = b.op("MaxPoolGrad", {y, maxima, b.op("Cos", {maxima})}, window);
         return Endpoints{b.op("ReluGrad", {spread, y})};
       }},
      {"convolution of padded", kImages,
       [](B& b, In in) {
         const Tensor by =
             Tensor::from<int32_t>({4, 2}, std::vector<int32_t>{0, 0, 1, 2, 0, 1, 0, 0});
         return Endpoints{image_product(b, b.op("Pad", {in[0], b.constant(by)}))};
       },
       kRuleRounding},
      {"transpose of transpose",
       {{1, 2, 3}, {4, 3, 2}},
       [](B& b, In in) {
         const Endpoint once = b.op("Transpose", {in[0], b.integers({1, 2, 0})});
         return Endpoints{b.op("Transpose", {once, b.integers({1, 2, 0})}),
                          b.neg(b.op("Transpose", {once, b.integers({2, 0, 1})}))};
       }},
      {"reshape of reshape",
       {{2, 6}, {4, 3}},
       [](B& b, In in) {
         return Endpoints{b.reshape(b.reshape(in[0], b.integers({-1})), b.integers({-1, 2}))};
       }},
      {"reshape of rows",
       {{1, 2, 3}, {5, 2, 3}},
       [](B& b, In in) {
         const Endpoint zero = b.integers({0}), first = b.integers({1});
         const Endpoint rows = b.op("StridedSlice", {b.shape_of(in[0]), zero, first, first},
                                    {{"shrink_axis_mask", int64_t{1}}});
         const Endpoint shape = b.op("Pack", {rows, b.scalar<int32_t>(-1)});
         return Endpoints{b.reshape(in[0], shape)};
       }},
      {"reshape to same", kRows,
       [](B& b, In in) { return Endpoints{b.neg(b.reshape(in[0], b.shape_of(in[0])))}; }},
      {"batch norm", kImages,
       [](B& b, In in) {
         Tensor variance = numbers({3}, 4);
         for (float& x : std::span(variance.mutable_data<float>(), 3)) x = std::abs(x) + 0.5f;
         return Endpoints{b.op("FusedBatchNormV3",
                               {in[0], b.constant(numbers({3}, 1)), b.constant(numbers({3}, 2)),
                                b.constant(numbers({3}, 3)), b.constant(variance)},
                               {{"is_training", false}})};
       },
       kRuleRounding},
      {"scale in weights", kImages,
       [](B& b, In in) {
         return Endpoints{b.mul(image_product(b, in[0]), b.constant(numbers({4}, 3)))};
       },
       kRuleRounding},
      {"scale in weights and bias", kRows,
       [](B& b, In in) { return Endpoints{b.mul(b.constant(numbers({8}, 3)), biased(b, in[0]))}; },
       kRuleRounding},
      {"gradient of what was not spread", kRows,
       [](B& b, In in) {
         const Endpoint x = b.neg(in[0]), g = b.op("Tanh", {in[0]}), own = b.shape_of(x);
         const auto axes = b.ops("BroadcastGradientArgs", {own, b.shape_of(g)});
         if (axes.empty()) return Endpoints{};
         const Endpoint sum = b.op("Sum", {g, axes[0]}, {{"keep_dims", false}});
         return Endpoints{b.reshape(sum, own), x};
       }},
      {"bias", kImages,
       [](B& b, In in) {
         return Endpoints{b.add(b.constant(numbers({1, 1, 1, 4}, 3)), image_product(b, in[0]))};
       },
       kRuleRounding},
      {"residual", kRows,
       [](B& b, In in) {
         const Endpoint x = biased(b, in[0]);
         return Endpoints{b.add(b.op("Cos", {x}), biased(b, x, 8, 8))};
       },
       kRuleRounding},
      {"activation", kRows,
       [](B& b, In in) {
         return Endpoints{b.op("Elu", {biased(b, in[0])}),
                          b.op("LeakyRelu", {biased(b, b.neg(in[0]))}, {{"alpha", 0.3f}})};
       },
       kRuleRounding},
      {"swish", kRows,
       [](B& b, In in) {
         const Endpoint y = biased(b, in[0]);
         return Endpoints{b.mul(b.op("Sigmoid", {y}), y)};
       },
       kRuleRounding},
      {"gelu", kRows,
       [](B& b, In in) {
         const Endpoint y = biased(b, in[0]);
         return Endpoints{b.mul(half(b, y), erf_part(b, b.div(y, b.scalar(1.4142135623730951f))))};
       },
       kRuleRounding},
      {"gelu, halved last", kRows,
       [](B& b, In in) {
         const Endpoint y = biased(b, in[0]);
         return Endpoints{b.mul(half(b, erf_part(b, b.mul(y, b.scalar(0.7071067811865476f)))), y)};
       },
       kRuleRounding},
      {"gelu by erfc", kRows,
       [](B& b, In in) {
         const Endpoint y = biased(b, in[0]);
         const Endpoint scaled = b.mul(b.neg(y), b.scalar(0.7071067811865476f));
         return Endpoints{b.mul(half(b, y), b.op("Erfc", {scaled}))};
       },
       kRuleRounding},
      {"gelu by tanh", kRows,
       [](B& b, In in) {
         const Endpoint y = biased(b, in[0]);
         return Endpoints{b.mul(half(b, y), tanh_part(b, y))};
       },
       kRuleRounding},
      {"gelu by tanh, halved last", kRows,
       [](B& b, In in) {
         const Endpoint y = biased(b, in[0]);
         return Endpoints{b.mul(y, half(b, tanh_part(b, y)))};
       },
       kRuleRounding},
  };
}

class Rules : public PassTest {
 protected:
  // What `build` gives after all passes but for `without`; the rules that were applied.
  static Outcome run(const Build& build, std::span<const Tensor> args, Known known,
                     std::string_view without, std::vector<Rewrite>& rewrites) {
    StatusOr<Graph> graph = make_graph(build, args, known);
    Outcome failed;
    failed.status = graph.status();
    if (!graph.ok()) return failed;
    PassContext context;
    context.without_rule = without;
    context.rewrites = &rewrites;
    failed.status = run_passes(*graph, context, true);
    return failed.status.ok() ? run_graph(*std::move(graph), args, false) : failed;
  }
};

void expect_close(const Tensor& found, const Tensor& expected, double tolerance) {
  ASSERT_EQ(to_string(found.shape()), to_string(expected.shape()));
  for (int64_t i = 0; i < found.num_elements(); ++i) {
    const double a = found.data<float>()[i], b = expected.data<float>()[i];
    ASSERT_NEAR(a, b, tolerance * std::max(1.0, std::abs(b))) << "element " << i;
  }
}

TEST_F(Rules, KeepWhatTheyStandFor) {
  std::set<std::string_view> tested;
  for (const RuleCase& each : rule_cases()) {
    SCOPED_TRACE(each.rule);
    tested.insert(each.rule);
    bool was_applied = false;
    for (const Shape& shape : each.shapes) {
      for (Known known : kEveryKnown) {
        const std::vector<Tensor> args{numbers(shape, 7)};
        std::vector<Rewrite> with_it, without_it;
        const Outcome with = run(each.build, args, known, "", with_it);
        const Outcome without = run(each.build, args, known, each.rule, without_it);
        ASSERT_TRUE(with.status.ok() && without.status.ok()) << with.status << without.status;
        for (size_t i = 0; i < with.results.size(); ++i) {
          expect_close(with.results[i], without.results[i], each.tolerance);
        }
        for (const Rewrite& rewrite : with_it) was_applied |= rewrite.rule == each.rule;
        for (const Rewrite& rewrite : without_it) EXPECT_NE(rewrite.rule, each.rule);
      }
    }
    EXPECT_TRUE(was_applied);
  }
  for (const RuleTable* table : {&kIdentityRules, &kBatchNormRules, &kFusionRules}) {
    for (const Rule& rule : table->rules) EXPECT_TRUE(tested.contains(rule.name)) << rule.name;
  }
}

// One more reader of a part, another constant, a part that somebody waits for: no gelu.
TEST_F(Rules, AGeluWhosePartsAreReadOrThatIsNoneStays) {
  for (int variant = 0; variant < 4; ++variant) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint y = biased(b, in[0]);
      const float root = variant == 1 ? 0.7f : 0.70710678f;
      const Endpoint part = erf_part(b, b.mul(y, b.scalar(root)));
      const Endpoint other = variant == 2 ? b.neg(y) : y;
      Endpoints out{b.mul(half(b, other), part)};
      if (variant == 3) out.push_back(b.op("Floor", {part}));
      return out;
    };
    const std::vector<Tensor> args{numbers({3, 5}, 7)};
    std::vector<Rewrite> rewrites;
    const Outcome made = run(build, args, Known::kAll, "", rewrites);
    ASSERT_TRUE(made.status.ok()) << made.status;
    int gelus = 0;
    for (const Rewrite& rewrite : rewrites) gelus += rewrite.rule == "gelu";
    EXPECT_EQ(gelus, variant == 0 ? 1 : 0) << variant;
    expect_same(build, args, kRuleRounding);
  }
}

// 4 rows of x and one of r: what is broadcast stays an addition.
TEST_F(Rules, ABroadcastResidualStays) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.add(biased(b, in[0]), in[1])};
  };
  for (const Shape& r : {Shape{1, 8}, Shape{8}, Shape{}, Shape{4, 1}, Shape{4, 8}}) {
    const std::vector<Tensor> args{numbers({4, 5}, 3), numbers(r, 4)};
    std::vector<Rewrite> rewrites;
    ASSERT_TRUE(run(build, args, Known::kAll, "", rewrites).status.ok());
    int residuals = 0;
    for (const Rewrite& rewrite : rewrites) residuals += rewrite.rule == "residual";
    const bool same = r == Shape{4, 8};
    EXPECT_EQ(residuals, same ? 1 : 0);
    expect_same(build, args, kRuleRounding);
  }
}

constexpr Rule kPingPong[] = {
    {"ping", "Neg(x)", [](Match& m) { return std::vector{m.builder().op("Cos", {m["x"]})}; }},
    {"pong", "Cos(x)", [](Match& m) { return std::vector{m.builder().op("Neg", {m["x"]})}; }},
};

TEST_F(Rules, ThatFeedEachOtherEndWithASentence) {
  const std::vector<Tensor> args{numbers({2}, 1)};
  auto graph =
      make_graph([](GraphBuilder& b, const Endpoints& in) { return Endpoints{b.neg(in[0])}; }, args,
                 Known::kAll);
  ASSERT_TRUE(graph.ok());
  const Status status = rewrite(*graph, {}, {.name = "ping-pong", .rules = kPingPong});
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_NE(message_of(status).find("feed each other; the last was"), std::string_view::npos);
}

TEST_F(Rules, PatternsThatAreWrongSaySo) {
  for (const char* text :
       {"", "x", "Mul(x", "Mul(x,y)", "Mul(x, )", "Nobody(x)", "Mul(x, y) ", "3"}) {
    EXPECT_FALSE(Pattern::parse(text).ok()) << text;
  }
}

}  // namespace
}  // namespace tenon
