// Outside truth: the same ops without the pass.
#include <cmath>

#include "tenon/passes/pass_test.h"

namespace tenon {
namespace {

class FoldBatchNorm : public PassTest {};

constexpr double kRounding = 1e-5;  // (w x) s and (w s) x round differently

Endpoint product_of(GraphBuilder& b, Endpoint x, const Tensor& weights) {
  return b.matmul(x, b.constant(weights));
}

TEST_F(FoldBatchNorm, AScaleOfAsManyOrFewerDimensionsGoesIntoTheWeights) {
  for (const Shape& scale : {Shape{6}, Shape{1, 6}}) {
    for (bool with_bias : {false, true}) {
      for (bool first : {false, true}) {
        const Build build = [&](GraphBuilder& b, const Endpoints& in) {
          Endpoint y = product_of(b, in[0], numbers({5, 6}, 1));
          if (with_bias) y = b.op("BiasAdd", {y, b.constant(numbers({6}, 2))});
          const Endpoint s = b.constant(numbers(scale, 3));
          return Endpoints{first ? b.mul(s, y) : b.mul(y, s)};
        };
        for (int64_t rows : {1, 4, 0}) {
          const Outcome made =
              expect_same(build, std::vector<Tensor>{numbers({rows, 5}, 4)}, kRounding);
          EXPECT_EQ(made.count("Mul"), 0);
        }
      }
    }
  }
}

// The result has the rank of the scale.
TEST_F(FoldBatchNorm, AScaleOfMoreDimensionsStays) {
  for (const Shape& scale : {Shape{1, 1, 6}, Shape{1, 1, 1, 6}, Shape{3, 1, 6}}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{
          b.mul(product_of(b, in[0], numbers({5, 6}, 1)), b.constant(numbers(scale, 3)))};
    };
    expect_same(build, std::vector<Tensor>{numbers({2, 5}, 4)}, kRounding);
  }
}

TEST_F(FoldBatchNorm, ScalesThatAreNoRowOfChannelsStay) {
  for (const Shape& scale : {Shape{}, Shape{1}, Shape{6, 1}, Shape{6, 6}}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{
          b.mul(product_of(b, in[0], numbers({5, 6}, 1)), b.constant(numbers(scale, 3)))};
    };
    expect_same(build, std::vector<Tensor>{numbers({6, 5}, 4)}, kRounding);
  }
}

// 0 times a weight that has become infinite would be no number.
TEST_F(FoldBatchNorm, WeightsThatWouldOverflowAreLeftAlone) {
  for (float scale : {1e30f, INFINITY, -INFINITY, NAN, 0.0f, -0.0f}) {
    for (float weight : {1e20f, INFINITY, NAN, 1e-40f}) {
      SCOPED_TRACE(cat(weight, " times ", scale));
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        Tensor weights = numbers({2, 3}, 1), scales = numbers({3}, 2);
        weights.mutable_data<float>()[1] = weight;
        scales.mutable_data<float>()[1] = scale;
        return Endpoints{b.mul(product_of(b, in[0], weights), b.constant(scales))};
      };
      const std::vector<float> x{0, 0, 1, -1, 0.5f, 1e-30f, 1e-30f, 0};
      expect_same(build, std::vector<Tensor>{Tensor::from<float>({4, 2}, x)}, kRounding);
    }
  }
}

TEST_F(FoldBatchNorm, ConvolutionsWithTheirBatchNormalisationBecomeOne) {
  for (bool hostile : {false, true}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint y =
          b.op("Conv2D", {in[0], b.constant(numbers({3, 3, 2, 4}, 1))},
               {{"strides", std::vector<int64_t>{1, 2, 1, 1}}, {"padding", std::string("SAME")}});
      Tensor variance(DType::kFloat, Shape{4});
      for (int i = 0; i < 4; ++i) variance.mutable_data<float>()[i] = 0.5f + 0.25f * i;
      // Of a channel that is never alive, and what no variance can be.
      if (hostile) variance.mutable_data<float>()[1] = -0.25f;
      if (hostile) variance.mutable_data<float>()[2] = INFINITY;
      return Endpoints{
          b.op("Relu", {b.op("FusedBatchNormV3",
                             {y, b.constant(numbers({4}, 2)), b.constant(numbers({4}, 3)),
                              b.constant(numbers({4}, 4)), b.constant(variance)},
                             {{"is_training", false}, {"epsilon", 0.001f}})})};
    };
    for (int64_t rows : {1, 3}) {
      const Outcome made =
          expect_same(build, std::vector<Tensor>{numbers({rows, 5, 4, 2}, 5)}, kRounding);
      if (!hostile) {
        EXPECT_EQ(made.count("FusedBatchNormV3"), 0);
      }
    }
  }
}

// A batch of another number of channels fails, and does not broadcast.
TEST_F(FoldBatchNorm, ABatchNormalisationStillChecksItsChannels) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint row = b.constant(Tensor::vector<float>({1, 2, 3}));
    return Endpoints{
        b.op("FusedBatchNormV3", {in[0], row, row, row, row}, {{"is_training", false}})};
  };
  for (Known known : {Known::kRank, Known::kNothing}) {
    EXPECT_TRUE(expect_same(build, std::vector<Tensor>{numbers({2, 4, 4, 3}, 1)}, known, kRounding)
                    .status.ok());
    EXPECT_FALSE(
        expect_same(build, std::vector<Tensor>{numbers({2, 4, 4, 1}, 1)}, known).status.ok());
  }
}

TEST_F(FoldBatchNorm, AProductThatOthersReadKeepsItsWeights) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint y = product_of(b, in[0], numbers({5, 6}, 1));
    return Endpoints{b.mul(y, b.constant(numbers({6}, 2))), b.neg(y)};
  };
  expect_same(build, std::vector<Tensor>{numbers({3, 5}, 4)}, kRounding);
}

}  // namespace
}  // namespace tenon
