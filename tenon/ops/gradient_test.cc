// Every gradient against central differences of the op itself. An op with a gradient that is
// neither here nor in kElsewhere fails the test, so a new op brings its row.
#include "tenon/graph/gradient.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tenon/ops/gradient_rows_test.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon::gradient_rows {
namespace {

// f(complex(a, b)).
auto of_complex(std::function<Endpoint(GraphBuilder&, Endpoint)> f) {
  return [f](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{f(b, b.op("Complex", {in[0], in[1]}, {{"Tout", DType::kComplex128}}))};
  };
}
Endpoint real(GraphBuilder& b, Endpoint c) { return b.op("Real", {c}, {{"Tout", DType::kDouble}}); }
Endpoint imag(GraphBuilder& b, Endpoint c) { return b.op("Imag", {c}, {{"Tout", DType::kDouble}}); }

std::vector<Row> unary_rows() {
  std::vector<Row> rows;
  const Shape shape{2, 3};
  for (const char* op :
       {"Abs",      "Asinh",   "Atan",  "Cos",       "Cosh",       "Elu",      "Erf",
        "Erfc",     "Exp",     "Expm1", "LeakyRelu", "LogSoftmax", "Neg",      "Relu",
        "Selu",     "Sigmoid", "Sign",  "Sin",       "Sinh",       "Softmax",  "Softplus",
        "Softsign", "Square",  "Tan",   "Tanh",      "Identity",   "Snapshot", "GuaranteeConst",
        "L2Loss"}) {
    rows.push_back({op, {x(shape)}});
  }
  for (const char* op : {"Acos", "Asin", "Atanh", "Erfinv"})
    rows.push_back({op, {x(shape, -0.8, 0.8)}});
  for (const char* op :
       {"Log", "Digamma", "Lgamma", "Rsqrt", "Sqrt", "Reciprocal", "Inv", "Log1p"}) {
    rows.push_back({op, {x(shape, 0.5, 2.5)}});
  }
  rows.push_back({"Acosh", {x(shape, 1.5, 3)}});
  rows.push_back({"Ndtri", {x(shape, 0.2, 0.8)}});
  rows.push_back({"Relu6", {x(shape, 1, 8)}});
  for (const char* op : {"CheckNumerics", "CheckNumericsV2"}) {
    rows.push_back({op, {x(shape)}, {{"message", std::string("")}}});
  }
  return rows;
}

std::vector<Row> binary_rows() {
  std::vector<Row> rows;
  for (const char* op :
       {"Add", "AddV2", "Atan2", "Div", "DivNoNan", "Maximum", "Minimum", "Mul", "MulNoNan",
        "RealDiv", "SquaredDifference", "Sub", "Xdivy", "Xlogy", "Xlog1py", "Pow"}) {
    rows.push_back({op, {x({2, 3}, 0.5, 1.5), x({3}, 1.6, 2.5)}});
  }
  rows.push_back({"FloorMod", {x({2, 3}, 4.1, 4.9), x({3}, 1.6, 1.9)}});
  // Gradient ops: (y or x, dy).
  for (const char* op :
       {"EluGrad", "InvGrad", "LeakyReluGrad", "ReciprocalGrad", "Relu6Grad", "ReluGrad",
        "RsqrtGrad", "SeluGrad", "SigmoidGrad", "SoftplusGrad", "SqrtGrad", "TanhGrad"}) {
    rows.push_back({op, {x({4}, 0.3, 0.9), x({4}, 0.2, 0.8)}});
  }
  const Tensor chosen = Tensor::vector<bool>({true, false, true});
  rows.push_back({"Select", {chosen, x({3}), x({3})}});
  rows.push_back({"SelectV2", {chosen, x({2, 3}), x({3})}});
  rows.push_back({"ClipByValue", {x({6}), x({}, -0.5, -0.4), x({}, 0.4, 0.5)}});
  return rows;
}

std::vector<Row> array_rows() {
  const Attrs paddings{{"mode", std::string("REFLECT")}};
  return {
      {"AddN", {x({2, 3}), x({2, 3}), x({2, 3})}},
      {"BroadcastTo", {x({1, 3}), ints({2, 3})}},
      {"Cast", {x({3})}, {{"DstT", DType::kDouble}}, nullptr, DType::kFloat},
      {"Concat", {scalar(1), x({2, 1}), x({2, 3})}},
      {"ConcatV2", {x({2, 1}), x({2, 3}), scalar(1)}},
      {"ConjugateTranspose", {x({2, 3}), ints({1, 0})}},
      {"EnsureShape", {x({2})}, {{"shape", PartialShape{2}}}},
      {"ExpandDims", {x({2}), scalar(0)}},
      {"Fill", {ints({2, 3}), x({})}},
      {"Gather", {x({4, 2}), ints({3, 0, 3})}},
      {"GatherNd", {x({3, 2}), Tensor::from<int32_t>({2, 1}, std::vector<int32_t>{2, 2})}},
      {"GatherV2", {x({2, 4}), ints({3, 0, 3}), scalar(1)}},
      {"IdentityN", {x({2}), x({3})}},
      {"MirrorPad", {x({4}), Tensor::from<int32_t>({1, 2}, std::vector<int32_t>{2, 1})}, paddings},
      {"MirrorPadGrad",
       {x({7}), Tensor::from<int32_t>({1, 2}, std::vector<int32_t>{2, 1})},
       paddings},
      {"Pack", {x({2}), x({2})}, {{"axis", int64_t{1}}}},
      {"Pad", {x({2}), Tensor::from<int32_t>({1, 2}, std::vector<int32_t>{1, 2})}},
      {"PadV2", {x({2}), Tensor::from<int32_t>({1, 2}, std::vector<int32_t>{1, 2}), x({})}},
      {"PlaceholderWithDefault", {x({2})}, {{"shape", PartialShape{2}}}},
      {"Reshape", {x({2, 3}), ints({3, 2})}},
      {"ReverseV2", {x({2, 3}), ints({1})}},
      {"ScatterNd",
       {Tensor::from<int32_t>({3, 1}, std::vector<int32_t>{1, 3, 1}), x({3}), ints({5})}},
      {"Slice", {x({3, 4}), ints({1, 0}), ints({2, 3})}},
      {"Split", {scalar(1), x({2, 4})}, {{"num_split", int64_t{2}}}},
      {"SplitV", {x({5}), ints({2, 3}), scalar(0)}, {{"num_split", int64_t{2}}}},
      {"Squeeze", {x({2, 1})}},
      {"StridedSlice", {x({4, 5}), ints({0, 1}), ints({4, 5}), ints({2, 2})}},
      {"StridedSliceGrad", {ints({5}), ints({0}), ints({5}), ints({2}), x({3})}},
      {"Tile", {x({2, 2}), ints({2, 3})}},
      {"Transpose", {x({2, 3}), ints({1, 0})}},
      {"Unpack", {x({2, 3})}, {{"num", int64_t{3}}, {"axis", int64_t{1}}}},
      {"UnsortedSegmentMax", {x({4}), ints({1, 0, 1, 0}), scalar(2)}},
      {"UnsortedSegmentMin", {x({4}), ints({1, 0, 1, 0}), scalar(2)}},
      {"UnsortedSegmentProd", {x({4}, 0.5, 1.5), ints({1, 0, 1, 0}), scalar(2)}},
      {"UnsortedSegmentSum", {x({4}), ints({1, 0, 1, 0}), scalar(2)}},
      {"Real", {x({2}), x({2})}, {}, of_complex([](GraphBuilder& b, Endpoint c) {
         return real(b, b.mul(c, c));
       })},
      {"Imag", {x({2}), x({2})}, {}, of_complex([](GraphBuilder& b, Endpoint c) {
         return imag(b, b.mul(c, c));
       })},
      {"Conj", {x({2}), x({2})}, {}, of_complex([](GraphBuilder& b, Endpoint c) {
         return real(b, b.mul(b.mul(c, c), b.op("Conj", {c})));
       })},
      {"Complex", {x({2}), x({2})}, {}, of_complex([](GraphBuilder& b, Endpoint c) {
         return imag(b, b.mul(c, b.mul(c, c)));
       })},
  };
}

std::vector<Row> reduce_rows() {
  std::vector<Row> rows;
  for (const char* op : {"EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"}) {
    rows.push_back({op, {x({2, 3}, 0.5, 1.5), ints({1})}});
  }
  for (const char* op : {"Cumprod", "Cumsum"})
    rows.push_back({op, {x({2, 3}, 0.5, 1.5), scalar(1)}});
  return rows;
}

std::vector<Row> linalg_rows() {
  return {
      {"MatMul", {x({2, 3}), x({4, 3})}, {{"transpose_b", true}}},
      {"BatchMatMul", {x({2, 2, 3}), x({2, 3, 2})}},
      {"BatchMatMulV2", {x({2, 2, 3}), x({1, 2, 3})}, {{"adj_y", true}}},
      {"BatchMatMulV3", {x({2, 3, 2}), x({3, 2})}, {{"adj_x", true}, {"Tout", DType::kDouble}}},
  };
}

std::vector<Row> nn_rows() {
  const Attrs window{{"ksize", Ints{1, 2, 2, 1}},
                     {"strides", Ints{1, 2, 2, 1}},
                     {"padding", std::string("VALID")}};
  const Attrs convolution{{"strides", Ints{1, 1, 1, 1}}, {"padding", std::string("SAME")}};
  const auto f32 = DType::kFloat;
  const Range image = x({1, 4, 4, 2}), filter = x({3, 3, 2, 2});
  std::vector<Row> rows = {
      {"AvgPool", {image}, window, nullptr, f32},
      {"AvgPoolGrad", {ints({1, 4, 4, 2}), x({1, 2, 2, 2})}, window, nullptr, f32},
      {"MaxPool", {image}, window, nullptr, f32},
      {"BiasAdd", {x({2, 3}), x({3})}},
      {"BiasAddV1", {x({2, 3}), x({3})}},
      {"BiasAddGrad", {x({2, 3})}},
      {"Conv2D", {image, filter}, convolution, nullptr, f32},
      {"Conv2DBackpropInput", {ints({1, 4, 4, 2}), filter, image}, convolution, nullptr, f32},
      {"Conv2DBackpropFilter", {image, ints({3, 3, 2, 2}), image}, convolution, nullptr, f32},
      {"DepthwiseConv2dNative", {image, filter}, convolution, nullptr, f32},
      {"DepthwiseConv2dNativeBackpropInput",
       {ints({1, 4, 4, 2}), filter, x({1, 4, 4, 4})},
       convolution,
       nullptr,
       f32},
      {"DepthwiseConv2dNativeBackpropFilter",
       {image, ints({3, 3, 2, 2}), x({1, 4, 4, 4})},
       convolution,
       nullptr,
       f32},
      // The op takes labels for a distribution: the softmax of the second argument.
      {"SoftmaxCrossEntropyWithLogits",
       {x({2, 3}), x({2, 3})},
       {},
       [](GraphBuilder& b, const Endpoints& in) {
         return Endpoints{b.op("SoftmaxCrossEntropyWithLogits", {in[0], b.op("Softmax", {in[1]})})};
       }},
      {"SparseSoftmaxCrossEntropyWithLogits",
       {x({2, 3}), ints({2, 0})},
       {},
       first("SparseSoftmaxCrossEntropyWithLogits")},
  };
  for (const char* version : {"", "V2", "V3"}) {
    const std::string forward = cat("FusedBatchNorm", version);
    const Tensor none(f32, Shape{0});
    const std::vector<Input> inputs = {x({2, 2, 2, 2}), x({2}, 0.5, 1.5), x({2}), none, none};
    rows.push_back({forward, inputs, {}, first(forward, {{"is_training", true}}), f32});
    const std::vector<Input> inference = {x({2, 2, 2, 2}), x({2}, 0.5, 1.5), x({2}),
                                          Tensor::vector<float>({0.1f, -0.2f}),
                                          Tensor::vector<float>({0.8f, 1.2f})};
    rows.push_back({forward, inference, {}, first(forward, {{"is_training", false}}), f32});
  }
  return rows;
}

// Gradients whose test stands elsewhere, or that are none.
const std::set<std::string, std::less<>> kElsewhere = {
    // control/control_gradient_test.cc and TensorFlow's cases
    // (saved_model/reference_cases_test.cc).
    "If",
    "StatelessIf",
    "Case",
    "StatelessCase",
    "While",
    "StatelessWhile",
    "PartitionedCall",
    "StatefulPartitionedCall",
    // variant_values_test.cc.
    "OptionalFromValue",
    "OptionalGetValue",
    // A variable's gradient is that of its value: tests/interop/training_step.py, and below.
    "ReadVariableOp",
    "ResourceGather",
    "ResourceGatherNd",
    // Below: a sample is no smooth function of its parameters.
    "StatelessParameterizedTruncatedNormal",
    "RandomGamma",
    "StatelessRandomGammaV2",
    "StatelessRandomGammaV3",
    // An error instead of a gradient: TensorFlow's, and those that Tenon lacks.
    "PreventGradient",
    "SparseMatrixSparseMatMul",
    "CudnnRNN",
    "CudnnRNNV2",
    "CudnnRNNV3",
    "TensorMapErase",
    "TensorMapInsert",
    "TensorMapLookup",
    // TensorFlow's mixes up the gates: ops/testdata/rare_values.jsonl has its gradient op.
    "BlockLSTMV2",
    // Rounding has no slope: TensorFlow's cases.
    "QuantizeAndDequantize",
    "QuantizeAndDequantizeV2",
    "QuantizeAndDequantizeV3",
    "QuantizeAndDequantizeV4",
    "FakeQuantWithMinMaxArgs",
    "FakeQuantWithMinMaxVars",
    "FakeQuantWithMinMaxVarsPerChannel",
    "FusedBatchNormGrad",
    "FusedBatchNormGradV2",
    "FusedBatchNormGradV3",
};

std::vector<Row> all_rows() {
  std::vector<Row> rows;
  for (auto make :
       {unary_rows, binary_rows, array_rows, reduce_rows, linalg_rows, nn_rows, movement_rows,
        segment_rows, matrix_rows, decomposition_rows, fourier_rows, image_rows, volume_rows,
        second_pooling_rows, sparse_rows, special_rows, integral_rows, older_rows}) {
    for (Row& row : make()) rows.push_back(std::move(row));
  }
  return rows;
}

void register_all_once() {
  if (!OpRegistry::global().find("While")) {
    ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
  }
}

double made_up(int64_t index, double low, double high) {
  const double noise = std::sin(static_cast<double>(index + 1) * 12.9898) * 43758.5453;
  return low + (high - low) * (noise - std::floor(noise));
}

Tensor made_up_tensor(DType dtype, const Shape& shape, double low, double high, int64_t seed) {
  Tensor tensor(dtype, shape);
  visit<TypeList<float, double>>(dtype, [&]<class T>() {
    for (int64_t i = 0; i < tensor.num_elements(); ++i) {
      tensor.mutable_data<T>()[i] = static_cast<T>(made_up(seed + i, low, high));
    }
  });
  return tensor;
}

double number_at(const Tensor& tensor, int64_t index) {
  return tensor.dtype() == DType::kDouble ? tensor.data<double>()[index]
                                          : static_cast<double>(tensor.data<float>()[index]);
}

// loss = sum(w * output) over all outputs, then its gradient with respect to each argument.
class Differentiated {
 public:
  explicit Differentiated(const Row& row) : row_(row) {}

  Status make() {
    Graph graph;
    GraphBuilder b(graph);
    Endpoints inputs, xs;
    int64_t seed = 0;
    for (const Input& input : row_.inputs) {
      if (const auto* constant = std::get_if<Tensor>(&input)) {
        inputs.push_back(b.constant(*constant));
        continue;
      }
      const auto& range = std::get<Range>(input);
      args.push_back(made_up_tensor(row_.dtype, range.shape, range.low, range.high, seed += 100));
      inputs.push_back(b.arg("", row_.dtype, range.shape));
      xs.push_back(inputs.back());
    }
    const Endpoints ys = row_.body ? row_.body(b, inputs) : b.ops(row_.op, inputs, row_.attrs);
    TENON_RETURN_IF_ERROR(b.status());
    Endpoint loss;
    for (Endpoint y : ys) {
      const ValueInfo value = graph.value(y);
      const Tensor w = made_up_tensor(value.dtype, value.shape.to_shape(), 0.5, 1.5, seed += 100);
      const Endpoint flat = b.reshape(b.mul(y, b.constant(w)), std::array<int64_t, 1>{-1});
      const Endpoint part = b.sum(flat, std::array<int64_t, 1>{0});
      loss = loss ? b.add(loss, part) : part;
    }
    TENON_ASSIGN_OR_RETURN(const Endpoints dx, gradients(graph, std::array{loss}, {}, xs));
    graph.results = {loss};
    for (size_t i = 0; i < dx.size(); ++i) {
      graph.results.push_back(dx[i] ? dx[i] : b.zeros_like(xs[i]));
    }
    TENON_RETURN_IF_ERROR(b.status());
    TENON_ASSIGN_OR_RETURN(executable_,
                           Executable::create(std::move(graph), std::make_shared<ModelState>()));
    return absl::OkStatus();
  }

  Status run(std::vector<Tensor>& results) { return executable_->run(args, results); }

  std::vector<Tensor> args;

 private:
  const Row& row_;
  std::shared_ptr<Executable> executable_;
};

class OpGradient : public testing::TestWithParam<Row> {
 protected:
  static void SetUpTestSuite() { register_all_once(); }
};

TEST_P(OpGradient, IsTheSlopeOfTheOp) {
  const Row& row = GetParam();
  Differentiated made(row);
  ASSERT_EQ(made.make(), absl::OkStatus());
  std::vector<Tensor> found, there;
  ASSERT_EQ(made.run(found), absl::OkStatus());
  for (Tensor& result : found) result = result.clone();
  const double step = row.dtype == DType::kDouble ? 1e-6 : 1e-2;
  const double tolerance = row.dtype == DType::kDouble ? 1e-6 : 2e-2;
  for (size_t i = 0; i < made.args.size(); ++i) {
    for (int64_t e = 0; e < made.args[i].num_elements(); ++e) {
      const Tensor before = made.args[i];
      double side[2];
      for (int s = 0; s < 2; ++s) {
        made.args[i] = before.clone();
        const double moved = number_at(before, e) + (s == 0 ? -step : step);
        if (row.dtype == DType::kDouble) {
          made.args[i].mutable_data<double>()[e] = moved;
        } else {
          made.args[i].mutable_data<float>()[e] = static_cast<float>(moved);
        }
        ASSERT_EQ(made.run(there), absl::OkStatus());
        side[s] = number_at(there[0], 0);
      }
      made.args[i] = before;
      const double slope = (side[1] - side[0]) / (2 * step);
      EXPECT_NEAR(number_at(found[1 + i], e), slope, tolerance * (1 + std::abs(slope)))
          << "argument " << i << " element " << e;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, OpGradient, testing::ValuesIn(all_rows()),
                         [](const auto& info) { return cat(info.param.op, "_", info.index); });

TEST(OpGradients, AllHaveATest) {
  register_all_once();
  std::set<std::string, std::less<>> tested = kElsewhere;
  for (const Row& row : all_rows()) tested.insert(row.op);
  for (const OpDef* op : OpRegistry::global().all()) {
    // TensorLists: control/control_gradient_test.cc and TensorFlow's cases. Fused ops are made
    // after gradients.
    if (!op->decl().gradient.function || op->name().starts_with("TensorList") ||
        op->name().starts_with('_')) {
      continue;
    }
    EXPECT_TRUE(tested.contains(op->name())) << op->name() << " has a gradient and no test of it";
  }
}

// TensorFlow 2.21's, of StatelessRandomGammaV2 with seed [3, 4].
TEST(OpGradients, OfGammaSamplesIsTensorFlows) {
  register_all_once();
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint alpha = b.constant(Tensor::vector<double>({0.5, 2, 7.5}));
  const Endpoint seed = b.constant(ints({3, 4})), shape = b.constant(ints({2, 3}));
  const Endpoint y = b.op("StatelessRandomGammaV2", {shape, seed, alpha});
  const Endpoint dy =
      b.constant(Tensor::from<double>({2, 3}, std::vector<double>{1, 2, 3, 4, 5, 6}));
  const auto dx = gradients(graph, std::array{y}, std::array{dy}, std::array{alpha});
  ASSERT_TRUE(dx.ok()) << dx.status();
  graph.results = {(*dx)[0]};
  const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(executable.ok()) << executable.status();
  std::vector<Tensor> found;
  ASSERT_EQ((*executable)->run({}, found), absl::OkStatus());
  const double wanted[] = {3.9667160141409576, 4.8387154575579, 11.311932707857157};
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(found[0].data<double>()[i], wanted[i], 1e-9) << i;
}

// TensorFlow 2.21's, of parameters that are broadcast, with seed [3, 4].
TEST(OpGradients, OfTruncatedNormalSamplesIsTensorFlows) {
  register_all_once();
  Graph graph;
  GraphBuilder b(graph);
  const std::vector<Endpoint> parameters = {
      b.constant(Tensor::vector<double>({0.5, -0.25})), b.scalar(1.5),
      b.constant(Tensor::vector<double>({-1, -2})),
      b.constant(Tensor::from<double>({1, 1}, std::vector<double>{1.25}))};
  std::vector<Endpoint> inputs = {b.constant(ints({3, 1, 2})), b.constant(ints({3, 4}))};
  inputs.insert(inputs.end(), parameters.begin(), parameters.end());
  const Endpoint y = b.op("StatelessParameterizedTruncatedNormal", inputs);
  const Endpoint dy =
      b.constant(Tensor::from<double>({3, 1, 2}, std::vector<double>{1, 2, 3, 4, 5, 6}));
  const auto dx = gradients(graph, std::array{y}, std::array{dy}, parameters);
  ASSERT_TRUE(dx.ok()) << dx.status();
  graph.results = *dx;
  const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(executable.ok()) << executable.status();
  std::vector<Tensor> found;
  ASSERT_EQ((*executable)->run({}, found), absl::OkStatus());
  const std::vector<std::vector<double>> wanted = {
      {9, 12}, {4.056355765988938}, {0.7098518235772522, 2.984415931804575}, {12.174652829277493}};
  for (size_t i = 0; i < wanted.size(); ++i) {
    ASSERT_EQ(found[i].num_elements(), static_cast<int64_t>(wanted[i].size())) << i;
    for (size_t j = 0; j < wanted[i].size(); ++j) {
      EXPECT_NEAR(found[i].data<double>()[j], wanted[i][j], 1e-9) << i << " " << j;
    }
  }
}

// The gradient with respect to a variable that rows are gathered from is dense.
TEST(OpGradients, OfGatheringFromAVariableIsItsSlope) {
  register_all_once();
  constexpr double kStep = 1e-6;
  Graph graph;
  GraphBuilder b(graph);
  const PartialShape shape{4, 2};
  const Endpoint table =
      b.op("VarHandleOp", {},
           {{"dtype", DType::kDouble}, {"shape", shape}, {"shared_name", std::string("table")}});
  const Endpoint rows =
      b.op("ResourceGather", {table, b.constant(ints({3, 1, 3}))}, {{"dtype", DType::kDouble}});
  const Endpoint loss = b.sum(b.mul(rows, rows), std::array<int64_t, 2>{0, 1});
  const auto dx = gradients(graph, std::array{loss}, {}, std::array{table});
  ASSERT_TRUE(dx.ok()) << dx.status();
  graph.results = {loss, (*dx)[0]};
  const auto state = std::make_shared<ModelState>();
  const Tensor value = made_up_tensor(DType::kDouble, {4, 2}, -1, 1, 0);
  ASSERT_EQ(state->set_variable("table", value.clone()), absl::OkStatus());
  const auto executable = Executable::create(std::move(graph), state);
  ASSERT_TRUE(executable.ok()) << executable.status();
  std::vector<Tensor> found, there;
  ASSERT_EQ((*executable)->run({}, found), absl::OkStatus());
  for (int64_t e = 0; e < value.num_elements(); ++e) {
    double side[2];
    for (int s = 0; s < 2; ++s) {
      Tensor moved = value.clone();
      moved.mutable_data<double>()[e] += s == 0 ? -kStep : kStep;
      ASSERT_EQ(state->set_variable("table", moved), absl::OkStatus());
      ASSERT_EQ((*executable)->run({}, there), absl::OkStatus());
      side[s] = there[0].data<double>()[0];
    }
    EXPECT_NEAR(found[1].data<double>()[e], (side[1] - side[0]) / (2 * kStep), 1e-6) << e;
  }
}

// Files may say so.
TEST(OpGradients, OfACustomGradientWhoseFunctionIsNotThereIsAnError) {
  register_all_once();
  for (int64_t results : {int64_t{1}, int64_t{2}, int64_t{-1}, INT64_MAX}) {
    Graph graph;
    GraphBuilder b(graph);
    const Endpoint x = b.arg("x", DType::kDouble, PartialShape{2});
    const Endpoint y = b.op("IdentityN", {x},
                            {{"T", std::vector<DType>{DType::kDouble}},
                             {"_gradient_function", FunctionAttr{"nowhere", nullptr}},
                             {"_gradient_results", results},
                             {"_gradient_sources", int64_t{0}},
                             {"_gradient_of", std::vector<int64_t>{0}}});
    const Endpoint loss = b.sum(y, std::array<int64_t, 1>{0});
    ASSERT_EQ(b.status(), absl::OkStatus());
    EXPECT_FALSE(gradients(graph, std::array{loss}, {}, std::array{x}).ok()) << results;
  }
}

}  // namespace
}  // namespace tenon::gradient_rows
