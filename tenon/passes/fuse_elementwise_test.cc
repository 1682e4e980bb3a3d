// Outside truth: the same ops without the pass, bit for bit.
#include "tenon/passes/pass_test.h"

namespace tenon {
namespace {

class FuseElementwise : public PassTest {};

TEST_F(FuseElementwise, EveryOpGivesItsBitsInAChain) {
  for (const char* op :
       {"Neg",  "Abs",      "Square",   "Sqrt",    "Rsqrt", "Reciprocal", "Exp",
        "Log",  "Log1p",    "Tanh",     "Sigmoid", "Relu",  "Relu6",      "Elu",
        "Selu", "Softplus", "Softsign", "Erf",     "Floor", "Ceil",       "Sign"}) {
    SCOPED_TRACE(op);
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.neg(b.op(op, {b.neg(in[0])}))};
    };
    for (uint32_t seed : {1, 2, 3}) {
      const Outcome made = expect_same(build, std::vector<Tensor>{hostile_numbers({3, 29}, seed)});
      EXPECT_EQ(made.count("_FusedElementwise"), 1);
    }
  }
  for (const char* op : {"Add", "AddV2", "Sub", "Mul", "RealDiv", "DivNoNan", "Maximum", "Minimum",
                         "SquaredDifference", "TanhGrad", "SigmoidGrad", "SqrtGrad", "RsqrtGrad",
                         "ReluGrad", "Relu6Grad", "EluGrad"}) {
    SCOPED_TRACE(op);
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.neg(b.op(op, {b.op("Abs", {in[0]}), b.neg(in[0])}))};
    };
    expect_same(build, std::vector<Tensor>{hostile_numbers({3, 29}, 4)});
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

}  // namespace
}  // namespace tenon
