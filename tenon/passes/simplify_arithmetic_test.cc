// Outside truth: the same ops without the pass, bit for bit.
#include <cmath>

#include "tenon/passes/pass_test.h"

namespace tenon {
namespace {

class SimplifyArithmetic : public PassTest {};

Tensor all(const Shape& shape, float value) {
  Tensor tensor(DType::kFloat, shape);
  std::fill_n(tensor.mutable_data<float>(), tensor.num_elements(), value);
  return tensor;
}

// x * 1, x / 1, x - 0, and their like: of every shape that broadcasts, and hostile values.
TEST_F(SimplifyArithmetic, NeutralOperandsKeepBitsAndShapes) {
  const Shape partners[] = {{}, {1}, {3}, {4, 1}, {1, 3}, {4, 3}, {1, 1, 1}, {2, 1, 3}, {0, 1, 1}};
  for (const char* op : {"Mul", "RealDiv", "Div", "Sub", "AddV2"}) {
    for (float value : {0.0f, -0.0f, 1.0f, -1.0f}) {
      for (const Shape& partner : partners) {
        for (bool first : {false, true}) {
          SCOPED_TRACE(cat(op, " by ", value, partner, first ? " first" : ""));
          const Build build = [&](GraphBuilder& b, const Endpoints& in) {
            const Endpoint constant = b.constant(all(partner, value));
            return Endpoints{first ? b.op(op, {constant, in[0]}) : b.op(op, {in[0], constant})};
          };
          for (Known known : {Known::kAll, Known::kRank}) {
            expect_same(build, std::vector<Tensor>{hostile_numbers({4, 3}, 1)}, known);
            expect_same(build, std::vector<Tensor>{hostile_numbers({1, 3}, 2)}, known);
          }
        }
      }
    }
  }
}

// TensorFlow 2.21 answers 1.3000001 and 19 for x = 26 in a tf.function (1.3 and 20 op by op): its
// optimizer multiplies by float(1) / 20, so resize_with_pad of 26 rows to 20 makes 19 of 26.
TEST_F(SimplifyArithmetic, DivisionByAConstantIsTensorFlows) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint ratio = b.op("RealDiv", {in[0], b.scalar(20.0F)});
    return Endpoints{ratio, b.op("Floor", {b.op("RealDiv", {in[0], ratio})})};
  };
  const Tensor x = Tensor::vector<float>({26, 31, 40, 42});
  StatusOr<Graph> graph = make_graph(build, {{x}}, Known::kAll);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const Outcome made = run_graph(*std::move(graph), {{x}}, true);
  ASSERT_TRUE(made.status.ok()) << made.status;
  const auto ratios = made.results[0].span<float>(), sizes = made.results[1].span<float>();
  EXPECT_EQ(std::vector<float>(ratios.begin(), ratios.end()),
            (std::vector<float>{1.3000001F, 1.5500001F, 2.0F, 2.1000001F}));
  EXPECT_EQ(std::vector<float>(sizes.begin(), sizes.end()), (std::vector<float>{19, 20, 20, 19}));
}

// Where a reciprocal is none, or is subnormal, a quotient stays one.
TEST_F(SimplifyArithmetic, QuotientsWithoutAReciprocalStay) {
  for (float value : {0.0F, -0.0F, 3e38F, 1e-45F, std::numeric_limits<float>::infinity(),
                      std::numeric_limits<float>::quiet_NaN()}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.op("RealDiv", {in[0], b.scalar(value)})};
    };
    expect_same(build, std::vector<Tensor>{hostile_numbers({4, 3}, 1)});
  }
}

// What Keras' swish is exported as: x * sigmoid(x), x and beta, of which one is read.
TEST_F(SimplifyArithmetic, AnIdentityOfSeveralValuesIsNone) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint swish = b.mul(in[0], b.op("Sigmoid", {in[0]}));
    const Endpoint both = b.op("IdentityN", {swish, in[0]});
    return Endpoints{b.op("Tanh", {both}), {both.node, 1}};
  };
  for (Known known : {Known::kAll, Known::kRank}) {
    const Outcome made = expect_same(build, std::vector<Tensor>{hostile_numbers({4, 3}, 1)}, known);
    EXPECT_EQ(made.count("IdentityN"), 0);
  }
}

TEST_F(SimplifyArithmetic, IntegersDivideAsTheyDid) {
  for (const char* op : {"Mul", "Div", "FloorDiv", "Sub"}) {
    for (int32_t value : {0, 1, -1}) {
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        return Endpoints{b.op(op, {in[0], b.scalar<int32_t>(value)})};
      };
      const Tensor x = Tensor::vector<int32_t>(
          {0, 1, -1, std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min() + 1});
      expect_same(build, std::vector<Tensor>{x});
    }
  }
}

TEST_F(SimplifyArithmetic, TransposesInARowAreOne) {
  const std::vector<std::vector<int64_t>> orders{{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                                 {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& inner : orders) {
    for (const auto& outer : orders) {
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        const Endpoint once = b.op("Transpose", {in[0], b.integers(inner)});
        return Endpoints{b.neg(b.op("Transpose", {once, b.integers(outer)}))};
      };
      const Outcome made = expect_same(build, std::vector<Tensor>{numbers({2, 3, 4}, 1)});
      EXPECT_LE(made.count("Transpose"), 1);
    }
  }
}

TEST_F(SimplifyArithmetic, ReshapesInARowAreOne) {
  struct Row {
    std::vector<int64_t> inner, outer;
  };
  const Row rows[] = {
      {{6, 2}, {3, 4}}, {{-1}, {4, 3}}, {{12}, {-1, 4}}, {{2, 6}, {2, -1}}, {{-1, 12}, {3, -1}}};
  for (const Row& row : rows) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint once = b.reshape(in[0], row.inner);
      return Endpoints{b.neg(b.reshape(once, row.outer))};
    };
    // What cannot be is refused where the shapes are known, and when it runs otherwise.
    for (Known known : {Known::kRank, Known::kNothing}) {
      expect_same(build, std::vector<Tensor>{numbers({3, 4}, 1)}, known);
      expect_same(build, std::vector<Tensor>{numbers({0, 4}, 1)}, known);
    }
  }
}

// Keras' Reshape and Flatten: [Shape(x)[0], constants ...].
TEST_F(SimplifyArithmetic, ReshapesThatKeepRowsKeepThem) {
  const std::vector<std::vector<int32_t>> tails{{12}, {-1}, {3, 4}, {2, -1}, {-1, 6}, {5}, {24}};
  for (const auto& tail : tails) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint shape = b.shape_of(in[0]);
      const auto at = [&](int64_t i) { return b.integers({i}); };
      std::vector<Endpoint> dims{
          b.op("StridedSlice", {shape, at(0), at(1), at(1)}, {{"shrink_axis_mask", int64_t{1}}})};
      for (int32_t dim : tail) dims.push_back(b.scalar<int32_t>(dim));
      return Endpoints{b.neg(b.reshape(in[0], b.op("Pack", dims)))};
    };
    for (Known known : {Known::kAllButRows, Known::kRank, Known::kNothing}) {
      for (int64_t rows : {1, 2, 5}) {
        expect_same(build, std::vector<Tensor>{numbers({rows, 2, 6}, 1)}, known);
      }
    }
  }
}

TEST_F(SimplifyArithmetic, TheGradientOfPoolingARelu) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint relu = b.op("Relu", {in[0]});
    for (int64_t stride : {2, 1}) {
      const AttrMap window{{"ksize", std::vector<int64_t>{1, 2, 2, 1}},
                           {"strides", std::vector<int64_t>{1, stride, stride, 1}},
                           {"padding", std::string("SAME")}};
      const Endpoint pooled = b.op("MaxPool", {relu}, window);
      const Endpoint spread = b.op("MaxPoolGrad", {relu, pooled, b.op("Square", {pooled})}, window);
      b.graph().results.push_back(b.op("ReluGrad", {spread, relu}));
    }
    return b.graph().results;
  };
  expect_same(build, std::vector<Tensor>{numbers({2, 5, 6, 3}, 1)});
  // No NaN: which cell of a window with one has the maximum is not said.
  Tensor odd = hostile_numbers({2, 5, 6, 3}, 2);
  for (int64_t i = 0; i < odd.num_elements(); ++i) {
    if (!std::isfinite(odd.data<float>()[i])) odd.mutable_data<float>()[i] = -0.0f;
  }
  expect_same(build, std::vector<Tensor>{odd});
}

// Convolutions of x padded by `paddings`, forward and the filter's gradient, dense and depthwise.
Endpoints padded_convolutions(GraphBuilder& b, Endpoint x, const std::vector<int32_t>& paddings,
                              float value, const std::string& padding, int64_t stride) {
  const Endpoint by =
      b.constant(Tensor::from<int32_t>({static_cast<int64_t>(paddings.size()) / 2, 2}, paddings));
  const Endpoint padded =
      value == 0 ? b.op("Pad", {x, by}) : b.op("PadV2", {x, by, b.scalar(value)});
  AttrMap window{{"strides", std::vector<int64_t>{1, stride, stride, 1}}, {"padding", padding}};
  if (padding == "EXPLICIT") {
    window.set("explicit_paddings", std::vector<int64_t>{0, 0, 1, 0, 0, 2, 0, 0});
  }
  Endpoints results;
  for (const std::string op : {"Conv2D", "DepthwiseConv2dNative"}) {
    const Endpoint filter = b.constant(numbers({3, 3, 2, op == "Conv2D" ? 4 : 1}, 1));
    const Endpoint y = b.op(op, {padded, filter}, window);
    const Endpoint sizes = b.integers({3, 3, 2, op == "Conv2D" ? 4 : 1});
    results.push_back(y);
    results.push_back(
        b.op(cat(op, "BackpropFilter"), {padded, sizes, b.op("Square", {y})}, window));
  }
  return results;
}

TEST_F(SimplifyArithmetic, ConvolutionsPadTheirInputThemselves) {
  for (const std::string padding : {"VALID", "EXPLICIT"}) {
    for (int64_t stride : {1, 2}) {
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        return padded_convolutions(b, in[0], {0, 0, 0, 1, 2, 1, 0, 0}, 0, padding, stride);
      };
      for (int64_t rows : {1, 3}) {
        const Outcome made =
            expect_same(build, std::vector<Tensor>{numbers({rows, 6, 7, 2}, 2)}, 1e-6);
        EXPECT_EQ(made.count("Pad"), 0) << padding;
      }
    }
  }
}

TEST_F(SimplifyArithmetic, PaddingThatNoConvolutionHasStays) {
  const auto pads = [&](const std::vector<int32_t>& paddings, float value,
                        const std::string& padding) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      // Two channels are what the filters want.
      const Endpoint x =
          paddings[7] > 0
              ? b.op("Slice", {in[0], b.integers({0, 0, 0, 0}), b.integers({-1, -1, -1, 1})})
              : in[0];
      return padded_convolutions(b, x, paddings, value, padding, 1);
    };
    const Outcome made = expect_same(build, std::vector<Tensor>{numbers({2, 5, 6, 2}, 3)}, 1e-6);
    return made.count("Pad") + made.count("PadV2");
  };
  EXPECT_EQ(pads({0, 0, 1, 1, 1, 1, 0, 0}, 0, "SAME"), 1);
  EXPECT_EQ(pads({0, 0, 1, 1, 1, 1, 0, 0}, 0.5f, "VALID"), 1);
  EXPECT_EQ(pads({1, 0, 1, 1, 1, 1, 0, 0}, 0, "VALID"), 1);
  EXPECT_EQ(pads({0, 0, 1, 1, 1, 1, 0, 1}, 0, "VALID"), 1);
}

// Nodes that wait for an assertion are not looked past.
TEST_F(SimplifyArithmetic, WhatANodeWaitsForIsKept) {
  for (const char* op : {"Identity", "Neutral", "Reshape"}) {
    for (bool holds : {true, false}) {
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        const NodeId check = b.node("Assert", {b.scalar<bool>(holds), in[0]});
        const std::string name(op);
        StatusOr<NodeId> waiting =
            name == "Identity"
                ? b.graph().add("Identity", "waits", {in[0]}, {{"T", DType::kFloat}}, {check})
            : name == "Neutral" ? b.graph().add("Mul", "waits", {in[0], b.scalar(1.0f)},
                                                {{"T", DType::kFloat}}, {check})
                                : b.graph().add("Reshape", "waits", {in[0], b.integers({-1})},
                                                {{"T", DType::kFloat}}, {check});
        EXPECT_TRUE(waiting.ok()) << waiting.status();
        return Endpoints{b.reshape({*waiting, 0}, b.integers({2, 3}))};
      };
      const Outcome made = expect_same(build, std::vector<Tensor>{numbers({3, 2}, 1)});
      EXPECT_EQ(made.status.ok(), holds) << op << ": " << made.status;
    }
  }
}

}  // namespace
}  // namespace tenon
