// Outside truth: the same ops without the pass, whose values are TensorFlow's by the reference
// cases.
#include <cmath>

#include "tenon/passes/pass_test.h"

namespace tenon {
namespace {

class FuseBiasActivation : public PassTest {};

Endpoint dense(GraphBuilder& b, Endpoint x, int64_t from, int64_t to, uint32_t seed) {
  const Endpoint product = b.matmul(x, b.constant(numbers({from, to}, seed)));
  return b.op("BiasAdd", {product, b.constant(numbers({to}, seed + 1))});
}

Endpoint conv(GraphBuilder& b, Endpoint x, int64_t from, int64_t to, uint32_t seed,
              std::string padding = "SAME") {
  const Endpoint y =
      b.op("Conv2D", {x, b.constant(numbers({3, 3, from, to}, seed))},
           {{"strides", std::vector<int64_t>{1, 1, 1, 1}}, {"padding", std::move(padding)}});
  return b.op("BiasAdd", {y, b.constant(numbers({to}, seed + 1))});
}

// `Dense(x) + r` of a model with two inputs: 4 rows of x and one of r is legal broadcasting.
TEST_F(FuseBiasActivation, AResidualOfAnotherBatchIsBroadcast) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.op("Relu", {b.add(dense(b, in[0], 5, 8, 1), in[1])})};
  };
  for (const Shape& r : {Shape{1, 8}, Shape{4, 8}, Shape{8}, Shape{}, Shape{4, 1}, Shape{1, 1},
                         Shape{2, 4, 8}, Shape{3, 8}}) {
    SCOPED_TRACE(to_string(r));
    expect_same(build, std::vector<Tensor>{numbers({4, 5}, 3), numbers(r, 4)}, 1e-6);
    expect_same(build, std::vector<Tensor>{numbers({1, 5}, 3), numbers(r, 4)}, 1e-6);
  }
}

TEST_F(FuseBiasActivation, AResidualOfTheSameRowsIsFused) {
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint x = dense(b, in[0], 6, 6, 1);
    return Endpoints{b.op("Relu", {b.add(dense(b, x, 6, 6, 5), x)})};
  };
  for (int64_t rows : {1, 2, 7, 32, 0}) {
    const Outcome made = expect_same(build, std::vector<Tensor>{numbers({rows, 6}, 3)}, 1e-6);
    EXPECT_EQ(made.count("_FusedMatMul"), 2);
    EXPECT_EQ(made.count("AddV2") + made.count("Relu"), 0);
  }
}

// The projection block of a ResNet: both products take their bias, one the other and the relu.
TEST_F(FuseBiasActivation, BothSidesOfASumAreFused) {
  const Build products = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.op("Relu", {b.add(dense(b, in[0], 6, 4, 1), dense(b, in[0], 6, 4, 5))})};
  };
  Outcome made = expect_same(products, std::vector<Tensor>{numbers({3, 6}, 3)}, 1e-6);
  EXPECT_EQ(made.count("_FusedMatMul"), 2);
  EXPECT_EQ(made.count("MatMul") + made.count("BiasAdd") + made.count("AddV2"), 0);
  const Build convolutions = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.op("Relu", {b.add(conv(b, in[0], 3, 4, 1), conv(b, in[0], 3, 4, 5))})};
  };
  made = expect_same(convolutions, std::vector<Tensor>{numbers({2, 5, 6, 3}, 3)}, 1e-6);
  EXPECT_EQ(made.count("_FusedConv2D"), 2);
  EXPECT_EQ(made.count("Conv2D") + made.count("BiasAdd") + made.count("AddV2"), 0);
}

// As Keras 3 exports a batch normalisation: its constants have the activations' rank.
Endpoint normalized(GraphBuilder& b, const char* op, Endpoint x, const Shape& filter) {
  const int64_t channels = op == std::string("Conv2D") ? filter[3] : filter[2] * filter[3];
  const Endpoint y =
      b.op(op, {x, b.constant(numbers(filter, 5))},
           {{"strides", std::vector<int64_t>{1, 1, 1, 1}}, {"padding", std::string("SAME")}});
  const Endpoint scaled = b.mul(y, b.constant(numbers({1, 1, 1, channels}, 6)));
  return b.add(scaled, b.constant(numbers({1, 1, 1, channels}, 7)));
}

TEST_F(FuseBiasActivation, SwishAndBiasesOfFullRankAreFused) {
  const std::vector<Tensor> args{numbers({2, 6, 5, 3}, 3)};
  for (const char* op : {"Conv2D", "DepthwiseConv2dNative"}) {
    for (const Shape& filter : {Shape{3, 3, 3, 1}, Shape{3, 3, 3, 2}, Shape{5, 5, 3, 4}}) {
      const Build build = [&](GraphBuilder& b, const Endpoints& in) {
        const Endpoint y = normalized(b, op, in[0], filter);
        return Endpoints{b.mul(y, b.op("Sigmoid", {y}))};
      };
      for (Known known : {Known::kAll, Known::kRank}) {
        const Outcome made = expect_same(build, args, known, 1e-5);
        EXPECT_EQ(made.count("_FusedConv2D") + made.count("_FusedDepthwiseConv2dNative"), 1);
        EXPECT_EQ(made.count("Mul") + made.count("AddV2") + made.count("Sigmoid"), 0);
      }
    }
  }
}

// The value before the swish, or the gate, has another reader.
TEST_F(FuseBiasActivation, ASwishWhosePartsAreReadStays) {
  const std::vector<Tensor> args{numbers({2, 6, 5, 3}, 3)};
  for (bool gate : {false, true}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint y = conv(b, in[0], 3, 4, 1);
      const Endpoint s = b.op("Sigmoid", {y});
      return Endpoints{b.mul(y, s), b.op("Relu", {gate ? s : y})};
    };
    const Outcome made = expect_same(build, args, 1e-5);
    EXPECT_EQ(made.count("_FusedConv2D"), 1);
  }
}

// Where nothing of an image is known but its channels, SAME convolutions of stride 1 keep its size.
TEST_F(FuseBiasActivation, ResidualsOfUnknownSizeAreFusedWhereTheySurelyFit) {
  const std::vector<Tensor> args{numbers({2, 5, 7, 4}, 3)};
  for (const char* padding : {"SAME", "VALID"}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const Endpoint x = conv(b, in[0], 4, 4, 1);
      const Endpoint y = conv(b, conv(b, x, 4, 4, 5, padding), 4, 4, 9, padding);
      const bool same = std::string(padding) == "SAME";
      // Cut to what is left.
      const Endpoint shortcut =
          same ? x : b.op("Slice", {x, b.integers({0, 2, 2, 0}), b.integers({-1, 1, 3, -1})});
      return Endpoints{b.op("Relu", {b.add(y, shortcut)})};
    };
    const Outcome made = expect_same(build, args, Known::kRank, 1e-6);
    EXPECT_EQ(made.count("AddV2"), std::string(padding) == "SAME" ? 0 : 1);
    expect_same(build, args, 1e-6);
  }
}

TEST_F(FuseBiasActivation, ActivationsGiveTheirBitsForHostileNumbers) {
  for (const char* activation : {"Relu", "Relu6", "Elu", "Tanh", "Sigmoid", "LeakyRelu"}) {
    SCOPED_TRACE(activation);
    // A product by the identity is exact, so that the activation sees what it is given.
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const std::vector<float> one{1};
      const Endpoint weights = b.constant(Tensor::from<float>({1, 1}, one));
      const Endpoint bias = b.constant(Tensor::vector<float>({0.5f}));
      const Endpoint sum = b.add(b.matmul(in[0], weights), bias);
      return Endpoints{b.op(activation, {sum}), b.op(activation, {in[0]})};
    };
    for (uint32_t seed : {1, 2, 3}) {
      expect_same(build, std::vector<Tensor>{hostile_numbers({24, 1}, seed)}, 1e-6);
    }
  }
}

TEST_F(FuseBiasActivation, WhatOthersReadOrWaitForStays) {
  const Build read_twice = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint sum = dense(b, in[0], 5, 5, 1);
    return Endpoints{b.op("Relu", {sum}), b.neg(sum)};
  };
  expect_same(read_twice, std::vector<Tensor>{numbers({3, 5}, 3)}, 1e-6);
  const Build doubled = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint sum = dense(b, in[0], 5, 5, 1);
    return Endpoints{b.op("Relu", {b.add(sum, sum)})};
  };
  expect_same(doubled, std::vector<Tensor>{numbers({3, 5}, 3)}, 1e-6);
}

// An activation that waits for an assertion still fails with it.
TEST_F(FuseBiasActivation, WhatANodeWaitsForIsKept) {
  for (bool holds : {true, false}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      const NodeId check = b.node("Assert", {b.scalar<bool>(holds), in[0]});
      const Endpoint sum = dense(b, in[0], 5, 5, 1);
      const auto relu = b.graph().add("Relu", "relu", {sum}, {{"T", DType::kFloat}}, {check});
      EXPECT_TRUE(relu.ok()) << relu.status();
      return Endpoints{{*relu, 0}};
    };
    const Outcome made = expect_same(build, std::vector<Tensor>{numbers({3, 5}, 3)}, 1e-6);
    EXPECT_EQ(made.status.ok(), holds) << made.status;
  }
}

// Of making the graph, or of its run.
absl::StatusCode code_of(StatusOr<Graph> graph, std::span<const Tensor> args) {
  return graph.ok() ? run_graph(*std::move(graph), args, true).status.code()
                    : graph.status().code();
}

// A file may hold the fused ops themselves.
TEST_F(FuseBiasActivation, TheFusedOpsCheckWhatTheyAreGiven) {
  const Build product = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.op(
        "_FusedMatMul", {in[0], in[1], in[2], in[3]},
        {{"num_args", int64_t{2}}, {"fused_ops", std::vector<std::string>{"BiasAdd", "Add"}}})};
  };
  const Tensor a = numbers({4, 5}, 1), w = numbers({5, 6}, 2);
  for (Known known : {Known::kRank, Known::kNothing}) {
    const auto code = [&](const Shape& bias, const Shape& residual) {
      const std::vector<Tensor> args{a, w, numbers(bias, 3), numbers(residual, 4)};
      return code_of(make_graph(product, args, known), args);
    };
    EXPECT_EQ(code({6}, {4, 6}), absl::StatusCode::kOk);
    EXPECT_EQ(code({6}, {1, 6}), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(code({6}, {6}), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(code({1}, {4, 6}), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(code({1, 6}, {4, 6}), absl::StatusCode::kInvalidArgument);
  }
  const Build convolution = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.op("_FusedConv2D", {in[0], in[1], in[2]},
                          {{"num_args", int64_t{1}},
                           {"strides", std::vector<int64_t>{1, 1, 1, 1}},
                           {"padding", std::string("SAME")},
                           {"fused_ops", std::vector<std::string>{"Add"}}})};
  };
  const auto code = [&](const Tensor& residual) {
    const std::vector<Tensor> args{numbers({2, 4, 4, 3}, 1), numbers({3, 3, 3, 2}, 2), residual};
    return code_of(make_graph(convolution, args, Known::kNothing), args);
  };
  EXPECT_EQ(code(numbers({2, 4, 4, 2}, 3)), absl::StatusCode::kOk);
  EXPECT_EQ(code(numbers({1, 4, 4, 2}, 3)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(numbers({2, 4, 4, 1}, 3)), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon
