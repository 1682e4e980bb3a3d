// Outside truth: the same ops without the pass, bit for bit.
#include "tenon/passes/pass_test.h"

namespace tenon {
namespace {

class FuseBatchNorm : public PassTest {
  const EveryFusion every_;
};

std::vector<Endpoint> normalised(GraphBuilder& b, Endpoint x, Endpoint scale) {
  const int64_t channels = b.shape(scale)[0];
  const Endpoint none = b.constant(Tensor(DType::kFloat, Shape{0}));
  return b.ops("FusedBatchNormV3", {x, scale, b.constant(numbers({channels}, 7)), none, none},
               {{"is_training", true}});
}

Endpoint as(GraphBuilder& b, Endpoint x, DType dtype) { return b.cast(x, dtype); }

std::vector<Endpoint> gradient(GraphBuilder& b, Endpoint dy, Endpoint x, Endpoint scale,
                               const std::vector<Endpoint>& norm) {
  return b.ops("FusedBatchNormGradV3", {dy, x, scale, norm[3], norm[4], norm[5]},
               {{"is_training", true}});
}

TEST_F(FuseBatchNorm, ReluAndItsGradientAreComputedWithIt) {
  for (const DType dtype : {DType::kFloat, DType::kBfloat16, DType::kHalf}) {
    for (const Shape& shape : {Shape{3, 4, 5, 8}, Shape{1, 1, 1, 8}, Shape{2, 7, 3, 8}}) {
      SCOPED_TRACE(cat(dtype, " ", shape));
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        const Endpoint x = as(b, in[0], dtype), dy = b.op("Sin", {x});
        const Endpoint scale = b.constant(numbers({8}, 3));
        const auto norm = normalised(b, x, scale);
        const Endpoint y = b.op("Relu", {norm[0]});
        const auto dx = gradient(b, b.op("ReluGrad", {dy, y}), x, scale, norm);
        return Endpoints{as(b, y, DType::kFloat),     norm[1], norm[2],
                         as(b, dx[0], DType::kFloat), dx[1],   dx[2]};
      };
      const Outcome made = expect_same(build, std::vector<Tensor>{numbers(shape, 1)});
      EXPECT_EQ(made.count("_FusedBatchNormEx"), 1);
      EXPECT_EQ(made.count("_FusedBatchNormGradEx"), 1);
      EXPECT_EQ(made.count("Relu") + made.count("ReluGrad"), 0);
    }
  }
}

// As in a residual network: both operands of the addition may be normalisations.
TEST_F(FuseBatchNorm, AnAdditionBeforeTheReluToo) {
  for (const bool projected : {false, true}) {
    for (const bool first : {false, true}) {
      for (const DType dtype : {DType::kFloat, DType::kBfloat16}) {
        const Build build = [&](GraphBuilder& b, const Endpoints& in) {
          const Endpoint x = as(b, in[0], dtype), other = b.op("Sin", {x});
          const Endpoint scale = b.constant(numbers({6}, 3));
          const auto norm = normalised(b, x, scale);
          const Endpoint side = projected ? normalised(b, other, scale)[0] : other;
          const Endpoint sum = first ? b.add(norm[0], side) : b.add(side, norm[0]);
          const Endpoint y = b.op("Relu", {sum});
          const Endpoint dy = b.op("ReluGrad", {other, y});
          const auto dx = gradient(b, dy, x, scale, norm);
          return Endpoints{as(b, y, DType::kFloat), norm[1], as(b, dx[0], DType::kFloat)};
        };
        const Shape shape{2, 4, 3, 6};
        const Outcome made = expect_same(build, std::vector<Tensor>{numbers(shape, 1)});
        EXPECT_EQ(made.count("_FusedBatchNormEx"), 1);
        EXPECT_EQ(made.count("_FusedBatchNormGradEx"), 0);
      }
    }
  }
}

// The bias of a convolution in half precision, for the normalisation and its gradient; what is
// asked of shapes alone does not matter.
TEST_F(FuseBatchNorm, ABiasBeforeIt) {
  for (const DType dtype : {DType::kFloat, DType::kBfloat16, DType::kHalf}) {
    for (const int64_t channels : {8, 6, 1}) {
      for (const int behind : {0, 1, 2}) {
        SCOPED_TRACE(cat(dtype, " ", channels, " ", behind));
        const Build build = [&](GraphBuilder& b, const Endpoints& in) {
          const Endpoint value = as(b, in[0], dtype), other = b.op("Sin", {value});
          const Endpoint scale = b.constant(numbers({channels}, 3));
          const Endpoint bias = as(b, b.constant(numbers({channels}, 5)), dtype);
          const Endpoint x = b.op("BiasAdd", {value, bias});
          const auto norm = normalised(b, x, scale);
          Endpoint y = behind == 2 ? b.add(norm[0], other) : norm[0];
          if (behind > 0) y = b.op("Relu", {y});
          const Endpoint dy = behind > 0 ? b.op("ReluGrad", {other, y}) : other;
          const auto dx = gradient(b, dy, x, scale, norm);
          return Endpoints{as(b, y, DType::kFloat),
                           norm[1],
                           norm[2],
                           as(b, dx[0], DType::kFloat),
                           dx[1],
                           dx[2],
                           b.op("Size", {x}),
                           b.shape_of(norm[0])};
        };
        const Shape shape{3, 5, 7, channels};
        const Outcome made = expect_same(build, std::vector<Tensor>{numbers(shape, 1)});
        EXPECT_EQ(made.count("_FusedBatchNormEx"), 1);
        EXPECT_EQ(made.count("_FusedBatchNormGradEx"), 1);
        EXPECT_EQ(made.count("BiasAdd") + made.count("Relu"), 0);
      }
    }
  }
}

TEST_F(FuseBatchNorm, ABiasThatOthersReadStays) {
  for (int variant = 0; variant < 3; ++variant) {
    SCOPED_TRACE(variant);
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint scale = b.constant(numbers({4}, 3));
      const Endpoint x = b.op("BiasAdd", {in[0], b.constant(numbers({4}, 5))});
      const auto norm = normalised(b, x, scale);
      if (variant == 0) return Endpoints{norm[0], x};
      if (variant == 1) return Endpoints{norm[0], b.op("Sin", {x})};
      return Endpoints{norm[0], gradient(b, x, x, scale, norm)[0]};
    };
    const Outcome made = expect_same(build, std::vector<Tensor>{numbers({2, 3, 3, 4}, 1)});
    EXPECT_EQ(made.count("_FusedBatchNormEx") + made.count("_FusedBatchNormGradEx"), 0);
  }
}

TEST_F(FuseBatchNorm, WhatOthersNeedStays) {
  for (int variant = 0; variant < 5; ++variant) {
    SCOPED_TRACE(variant);
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const auto norm = normalised(b, in[0], b.constant(numbers({4}, 3)));
      // What is added depends on the statistics; is broadcast.
      const Endpoint statistics = b.mul(in[0], norm[1]);
      const Endpoint side = variant == 1 ? statistics : variant == 2 ? norm[2] : in[0];
      const Endpoint sum = variant == 0 ? norm[0] : b.add(norm[0], side);
      const Endpoint y = b.op("Relu", {sum});
      if (variant == 3) return Endpoints{y, sum};
      if (variant == 4) return Endpoints{y, norm[0]};
      return variant == 0 ? Endpoints{y, norm[0]} : Endpoints{y};
    };
    const Outcome made = expect_same(build, std::vector<Tensor>{numbers({2, 3, 3, 4}, 1)});
    EXPECT_EQ(made.count("_FusedBatchNormEx"), 0);
  }
}

}  // namespace
}  // namespace tenon
