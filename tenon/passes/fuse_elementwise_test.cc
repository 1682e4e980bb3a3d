// Outside truth: the same ops without the pass, bit for bit.
#include <random>

#include "tenon/passes/pass_test.h"

namespace tenon {
namespace {

class FuseElementwise : public PassTest {};

// As for a device that wants them all.
class FuseMixedElementwise : public PassTest {
  const EveryFusion every_;
};

TEST_F(FuseElementwise, EveryOpGivesItsBitsInAChain) {
  for (const char* op :
       {"Neg",   "Abs",   "Square", "Sqrt",     "Rsqrt",    "Reciprocal", "Inv",
        "Exp",   "Expm1", "Log",    "Log1p",    "Tanh",     "Sigmoid",    "Relu",
        "Relu6", "Elu",   "Selu",   "Softplus", "Softsign", "Erf",        "Erfc",
        "Sin",   "Cos",   "Floor",  "Ceil",     "Round",    "Rint",       "Sign"}) {
    SCOPED_TRACE(op);
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.neg(b.op(op, {b.neg(in[0])}))};
    };
    for (uint32_t seed : {1, 2, 3}) {
      const Outcome made = expect_same(build, std::vector<Tensor>{hostile_numbers({3, 29}, seed)});
      EXPECT_EQ(made.count("_FusedElementwise"), 1);
    }
  }
  for (const char* op : {"Add",
                         "AddV2",
                         "Sub",
                         "Mul",
                         "Div",
                         "RealDiv",
                         "DivNoNan",
                         "MulNoNan",
                         "Maximum",
                         "Minimum",
                         "SquaredDifference",
                         "Pow",
                         "TanhGrad",
                         "SigmoidGrad",
                         "SqrtGrad",
                         "RsqrtGrad",
                         "ReciprocalGrad",
                         "ReluGrad",
                         "Relu6Grad",
                         "EluGrad",
                         "SeluGrad",
                         "SoftplusGrad",
                         "SoftsignGrad"}) {
    SCOPED_TRACE(op);
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.neg(b.op(op, {b.op("Abs", {in[0]}), b.neg(in[0])}))};
    };
    const Outcome made = expect_same(build, std::vector<Tensor>{hostile_numbers({3, 29}, 4)});
    EXPECT_EQ(made.count("_FusedElementwise"), 1);
  }
}

// Two inputs whose shapes are equally unknown: any of them may be broadcast.
TEST_F(FuseElementwise, PartnersOfUnknownShapeAreBroadcast) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint sum = b.add(b.op("Tanh", {in[0]}), b.neg(in[1]));
    return Endpoints{b.op("Relu", {b.mul(sum, b.op("Sigmoid", {in[1]}))})};
  };
  const Shape shapes[] = {{4, 3}, {1, 3}, {4, 1}, {1, 1}, {3}, {1}, {}, {2, 4, 3}, {0, 3}, {2, 3}};
  for (const Shape& a : shapes) {
    for (const Shape& c : shapes) {
      SCOPED_TRACE(cat(a, " with ", c));
      const std::vector<Tensor> args{numbers(a, 1), numbers(c, 2)};
      for (Known known : kEveryKnown) {
        if (known != Known::kAll && known != Known::kAllButRows) {
          expect_same(build, args, known);
        } else if (make_graph(build, args, known).ok()) {
          expect_same(build, args, known);
        }
      }
    }
  }
}

TEST_F(FuseElementwise, SizesThatAreSurelyTheSameAreFused) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint a = b.op("Tanh", {in[0]});
    const Endpoint row = b.constant(numbers({3}, 5));
    return Endpoints{b.op("Relu", {b.add(b.mul(a, row), b.op("Sigmoid", {in[0]}))})};
  };
  for (const Shape& shape : {Shape{4, 3}, Shape{2, 5, 3}, Shape{1, 3}, Shape{0, 3}}) {
    const Outcome made = expect_same(build, std::vector<Tensor>{numbers(shape, 1)});
    EXPECT_EQ(made.count("_FusedElementwise"), 1);
    EXPECT_EQ(made.count("Tanh") + made.count("AddV2"), 0);
  }
}

TEST_F(FuseElementwise, ValuesThatOthersReadStay) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint inner = b.op("Exp", {b.neg(in[0])});
    const Endpoint y = b.op("Relu", {b.add(inner, in[0])});
    return Endpoints{y, b.sum(inner, std::array<int64_t, 1>{0}), b.mul(y, inner)};
  };
  expect_same(build, std::vector<Tensor>{numbers({4, 3}, 1)});
}

// A long chain, wide sums and a tree: groups are cut where they would be too large.
TEST_F(FuseElementwise, LargeGroupsAreCut) {
  const Build chain = [](GraphBuilder& b, const Endpoints& in) {
    Endpoint y = in[0];
    for (int i = 0; i < 200; ++i) y = i % 2 ? b.op("Tanh", {y}) : b.add(y, in[0]);
    return Endpoints{y};
  };
  expect_same(chain, std::vector<Tensor>{numbers({4, 3}, 1)});
  const Build tree = [](GraphBuilder& b, const Endpoints& in) {
    std::vector<Endpoint> level;
    for (int i = 0; i < 64; ++i) level.push_back(b.mul(in[0], b.scalar(0.1f * i)));
    while (level.size() > 1) {
      std::vector<Endpoint> next;
      for (size_t i = 0; i < level.size(); i += 2) next.push_back(b.add(level[i], level[i + 1]));
      level = next;
    }
    return level;
  };
  expect_same(tree, std::vector<Tensor>{numbers({4, 3}, 1)});
}

constexpr DType kFloats[] = {DType::kFloat, DType::kHalf, DType::kBfloat16};

// In each dtype, between casts from another one and to a third.
TEST_F(FuseMixedElementwise, EveryOpGivesItsBitsInAChainOfAnyDtype) {
  const std::vector<std::pair<std::string, int>> ops = {{"Neg", 1},
                                                        {"Abs", 1},
                                                        {"Square", 1},
                                                        {"Sqrt", 1},
                                                        {"Rsqrt", 1},
                                                        {"Reciprocal", 1},
                                                        {"Exp", 1},
                                                        {"Expm1", 1},
                                                        {"Log", 1},
                                                        {"Log1p", 1},
                                                        {"Tanh", 1},
                                                        {"Sigmoid", 1},
                                                        {"Relu", 1},
                                                        {"Relu6", 1},
                                                        {"Elu", 1},
                                                        {"Selu", 1},
                                                        {"Softplus", 1},
                                                        {"Softsign", 1},
                                                        {"Erf", 1},
                                                        {"Erfc", 1},
                                                        {"Sin", 1},
                                                        {"Cos", 1},
                                                        {"Floor", 1},
                                                        {"Ceil", 1},
                                                        {"Round", 1},
                                                        {"Rint", 1},
                                                        {"Sign", 1},
                                                        {"LeakyRelu", 1},
                                                        {"AddV2", 2},
                                                        {"Sub", 2},
                                                        {"Mul", 2},
                                                        {"RealDiv", 2},
                                                        {"DivNoNan", 2},
                                                        {"MulNoNan", 2},
                                                        {"Maximum", 2},
                                                        {"Minimum", 2},
                                                        {"TanhGrad", 2},
                                                        {"SigmoidGrad", 2},
                                                        {"SqrtGrad", 2},
                                                        {"RsqrtGrad", 2},
                                                        {"ReluGrad", 2},
                                                        {"Relu6Grad", 2},
                                                        {"EluGrad", 2},
                                                        {"SeluGrad", 2},
                                                        {"AddN", 2},
                                                        {"SoftplusGrad", 2},
                                                        {"SoftsignGrad", 2},
                                                        {"SquaredDifference", 2},
                                                        {"Equal", 2},
                                                        {"NotEqual", 2},
                                                        {"Less", 2},
                                                        {"LessEqual", 2},
                                                        {"Greater", 2},
                                                        {"GreaterEqual", 2},
                                                        {"ReciprocalGrad", 2},
                                                        {"ClipByValue", 3}};
  for (size_t i = 0; i < 3 * ops.size(); ++i) {
    const std::string& op = ops[i / 3].first;
    const int operands = ops[i / 3].second;
    const DType dtype = kFloats[i % 3], before = kFloats[(i + i / 3) % 3];
    const DType after = kFloats[(i + i / 9 + 1) % 3];
    SCOPED_TRACE(cat(op, " of ", dtype));
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint x = b.cast(b.cast(in[0], before), dtype);
      Endpoints inputs{x, b.op("Abs", {x}), b.scalar_of(dtype, 1.5)};
      if (operands == 3) inputs[1] = b.scalar_of(dtype, -0.25);
      inputs.resize(static_cast<size_t>(operands));
      const Endpoint y = b.op(op, std::move(inputs));
      if (b.dtype(y) == DType::kBool) return Endpoints{b.op("SelectV2", {y, x, b.neg(x)}), y};
      return Endpoints{b.cast(b.op("Neg", {y}), after)};
    };
    const Outcome made = expect_same(build, std::vector<Tensor>{hostile_numbers({3, 29}, 5)});
    EXPECT_GE(made.count("_FusedMixedElementwise") + made.count("_FusedElementwise"), 1);
    EXPECT_EQ(made.count("Neg") + made.count(op == "Neg" ? "Cast" : op), 0);
  }
}

// Counts, beyond those that float32 holds too, become numbers within the loop that computes with
// them.
TEST_F(FuseMixedElementwise, CastsOfIntegersJoin) {
  const std::vector<int64_t> wide{0, -7, 3, 16777217, 16777219, -33554435, 1234567890123456789, 42};
  const std::vector<int32_t> narrow{0, -7, 3, 16777217, 16777219, -33554435, 2147483647, 42};
  for (const Shape& shape : {Shape{8}, Shape{2, 4}, Shape{8, 1}}) {
    for (const bool is_wide : {true, false}) {
      SCOPED_TRACE(cat(shape, is_wide ? " int64" : " int32"));
      const Tensor counts =
          is_wide ? Tensor::from<int64_t>(shape, wide) : Tensor::from<int32_t>(shape, narrow);
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        const Endpoint x = b.cast(in[0], DType::kFloat);
        return Endpoints{b.op("Sqrt", {b.sub(b.scalar(1.0f), x)}), b.neg(x)};
      };
      const Outcome made = expect_same(build, std::vector<Tensor>{counts});
      EXPECT_EQ(made.count("_FusedMixedElementwise"), 1);
      EXPECT_EQ(made.count("Cast"), 0);
      const Build rounded = [&](GraphBuilder& b, const Endpoints& in) {
        return Endpoints{b.cast(b.neg(b.cast(in[0], DType::kBfloat16)), DType::kFloat)};
      };
      EXPECT_EQ(expect_same(rounded, std::vector<Tensor>{counts}).count("Cast"), 1);
    }
  }
}

// What others read is an output too, where they come later; columns, rows and scalars are spread,
// and a mean between two uses of one value parts the group.
TEST_F(FuseMixedElementwise, NormalisingAndItsNeighboursAreFewLoops) {
  for (DType dtype : {DType::kHalf, DType::kBfloat16}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const std::array<int64_t, 1> last{-1};
      const Endpoint sum = b.add(b.cast(in[0], dtype), b.cast(in[1], dtype));
      const Endpoint x = b.cast(sum, DType::kFloat);
      const Endpoint mean = b.mean(x, last, true);
      const Endpoint off = b.op("SquaredDifference", {x, mean});
      const Endpoint variance = b.mean(off, last, true);
      const Endpoint inverse = b.op("Rsqrt", {b.add(variance, b.scalar(1e-3f))});
      const Endpoint scale = b.mul(inverse, b.constant(numbers({5}, 3)));
      const Endpoint y = b.cast(b.add(b.mul(x, scale), b.mul(b.neg(mean), scale)), dtype);
      const Endpoint kept = b.op("Relu", {y});
      return Endpoints{kept, b.op("ReluGrad", {sum, kept}), b.mul(y, sum), mean};
    };
    for (const Shape& shape : {Shape{4, 3, 5}, Shape{1, 5}, Shape{2, 5}, Shape{0, 5}}) {
      const std::vector<Tensor> args{numbers(shape, 1), numbers(shape, 2)};
      const Outcome made = expect_same(build, args);
      EXPECT_LE(made.count("_FusedMixedElementwise"), 4);
      EXPECT_EQ(made.count("Relu") + made.count("ReluGrad"), 0);
    }
  }
}

// As gradients of products over all rows are: whatever the rows, they have the shape of what they
// were asked to have.
TEST_F(FuseMixedElementwise, WhatIsBroughtToAShapeHasIt) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint flat = b.reshape(in[0], b.integers({-1, 6}));
    const Endpoint back = b.reshape(b.op("Tanh", {flat}), b.shape_of(in[0]));
    const Endpoint spread = b.op("BroadcastTo", {b.scalar(0.5f), b.shape_of(in[0])});
    return Endpoints{b.mul(b.neg(back), b.add(b.op("Relu", {in[0]}), spread))};
  };
  const Outcome made = expect_same(build, std::vector<Tensor>{numbers({5, 2, 3}, 1)});
  EXPECT_EQ(made.count("Mul") + made.count("Neg") + made.count("Relu"), 0);
}

// Element-wise ops of random kinds, dtypes and operands, several of them results.
Endpoints random_values(GraphBuilder& b, const Endpoints& in, uint32_t seed) {
  std::mt19937 dice(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(dice()) % n; };
  std::map<DType, Endpoints> made;
  for (DType dtype : kFloats) {
    for (Endpoint arg : in) made[dtype].push_back(b.cast(arg, dtype));
  }
  constexpr const char* kOne[] = {"Neg", "Tanh", "Square", "Relu", "Sigmoid", "Abs"};
  constexpr const char* kTwo[] = {"AddV2", "Mul", "Sub", "Maximum", "ReluGrad", "TanhGrad"};
  Endpoints results;
  for (int step = 0; step < 30; ++step) {
    const DType dtype = kFloats[below(3)];
    Endpoints& values = made[dtype];
    const auto any = [&] {
      return values[values.size() - 1 - below(std::min<size_t>(values.size(), 6))];
    };
    Endpoint y;
    switch (below(8)) {
      case 0:
        y = b.cast(any(), kFloats[below(3)]);
        break;
      case 1:
        y = b.op("SelectV2", {b.op("Greater", {any(), b.scalar_of(dtype, 0.25)}), any(), any()});
        break;
      case 2:
        y = b.op("AddN", {any(), any(), any()});
        break;
      case 3:
        y = b.mul(b.cast(b.constant(numbers({1, 5}, seed)), dtype), any());
        break;
      case 4:
        y = b.sub(any(), b.op("Max", {any(), b.integers({1})}, {{"keep_dims", true}}));
        break;
      case 5:
        y = b.op("BroadcastTo",
                 {b.op("Min", {any(), b.integers({1})}, {{"keep_dims", true}}), b.shape_of(any())});
        break;
      case 6:
        y = b.op(kOne[below(6)], {any()});
        break;
      default:
        y = b.op(kTwo[below(6)], {any(), any()});
    }
    made[b.dtype(y)].push_back(y);
    if (below(5) == 0) results.push_back(y);
  }
  for (DType dtype : kFloats) results.push_back(made[dtype].back());
  return results;
}

TEST_F(FuseMixedElementwise, RandomGraphsOverDtypesKeepTheirBits) {
  int fused = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return random_values(b, in, seed);
    };
    const Shape shape{static_cast<int64_t>(seed % 4), 5};
    const std::vector<Tensor> args{hostile_numbers(shape, seed), numbers(shape, seed + 1)};
    fused += expect_same(build, args, kEveryKnown[seed % 3]).count("_FusedMixedElementwise");
  }
  EXPECT_GT(fused, 100);
}

}  // namespace
}  // namespace tenon
