// A warm run allocates nothing: what a step needs was made with its Binding and its Instance.
#include "tests/allocations/allocations.h"

#include <gtest/gtest.h>

#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/keras/layers.h"
#include "tenon/keras/steps.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon::keras {
namespace {

constexpr int64_t kBatch = 64;
constexpr int kWarm = 3;
constexpr int kRuns = 20;

std::unique_ptr<Sequential> mlp() {
  return std::make_unique<Sequential>(
      std::vector<LayerRef>{Input({784}), Dense({.units = 128, .activation = "relu"}),
                            Dense({.units = 10, .activation = "softmax"})});
}

std::unique_ptr<Sequential> cnn() {
  return std::make_unique<Sequential>(std::vector<LayerRef>{
      Input({28, 28, 1}), Conv2D({.filters = 32, .kernel_size = {3, 3}, .activation = "relu"}),
      MaxPooling2D(), Conv2D({.filters = 64, .kernel_size = {3, 3}, .activation = "relu"}),
      MaxPooling2D(), Flatten(), Dropout({.rate = 0.5}),
      Dense({.units = 10, .activation = "softmax"})});
}

Tensor made_up_rows(const Model& model) {
  Shape shape{kBatch};
  const PartialShape& input = model.network().inputs[0].shape();
  for (int axis = 1; axis < input.rank(); ++axis) shape.append(input[axis]);
  Tensor x(DType::kFloat, shape);
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    x.mutable_data<float>()[i] = static_cast<float>(i % 97) / 97.0f;
  }
  return x;
}

template <class Run>
void expect_none(Run run) {
  Status status;
  allocations::start_counting();
  for (int i = 0; i < kRuns && status.ok(); ++i) status = run();
  const int64_t counted = allocations::stop_counting();
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(counted, 0) << allocations::first_stack();
}

void register_ops() {
  static const Status registered = register_all_ops(OpRegistry::global());
  ASSERT_TRUE(registered.ok()) << registered;
}

class Allocations : public testing::TestWithParam<std::unique_ptr<Sequential> (*)()> {
 protected:
  static void SetUpTestSuite() { register_ops(); }
};

TEST_P(Allocations, AWarmInferenceRunMakesNone) {
  const auto model = GetParam()();
  auto graph = model->forward_graph();
  ASSERT_TRUE(graph.ok()) << graph.status();
  auto executable = Executable::create(*std::move(graph), model->state());
  ASSERT_TRUE(executable.ok()) << executable.status();
  const Tensor args[] = {made_up_rows(*model)};
  std::vector<Tensor> results;
  for (int i = 0; i < kWarm; ++i) ASSERT_TRUE((*executable)->run(args, results).ok());
  expect_none([&] { return (*executable)->run(args, results); });
}

TEST_P(Allocations, AWarmTrainingStepMakesNone) {
  const auto model = GetParam()();
  ASSERT_TRUE(
      model->compile({.optimizer = "adam", .loss = "sparse_categorical_crossentropy"}).ok());
  const Tensor x = made_up_rows(*model);
  Tensor y(DType::kInt64, Shape{kBatch});
  for (int64_t i = 0; i < kBatch; ++i) y.mutable_data<int64_t>()[i] = i % 10;
  const Tensor batch[] = {x, y};
  const BatchLayout layout{.inputs = 1, .targets = {1}, .weights = {-1}};
  Steps steps(*model);
  for (int i = 0; i < kWarm; ++i) ASSERT_TRUE(steps.run(StepKind::kTrain, layout, batch).ok());
  expect_none([&] { return steps.run(StepKind::kTrain, layout, batch); });
}

// y = y * 0.5 + 1, n times.
StatusOr<Graph> loop() {
  auto library = std::make_shared<FunctionLibrary>();
  for (const char* name : {"cond", "body"}) {
    Graph function(library);
    GraphBuilder b(function);
    const Endpoint i = b.arg("i", DType::kInt32, {}), n = b.arg("n", DType::kInt32, {});
    const Endpoint y = b.arg("y", DType::kFloat, PartialShape({8}));
    if (name == std::string_view("cond")) {
      function.results = {b.op("Less", {i, n})};
    } else {
      function.results = {b.add(i, b.scalar<int32_t>(1)), n,
                          b.add(b.mul(y, b.scalar(0.5f)), b.scalar(1.0f))};
    }
    for (size_t k = 0; k < function.results.size(); ++k) {
      function.result_names.push_back(cat("r", k));
    }
    TENON_RETURN_IF_ERROR(b.status());
    library->add(name, std::move(function));
  }
  Graph graph(library);
  GraphBuilder b(graph);
  const Endpoint n = b.arg("n", DType::kInt32, {}),
                 y = b.arg("y", DType::kFloat, PartialShape({8}));
  const auto out =
      b.ops("StatelessWhile", {b.scalar<int32_t>(0), n, y},
            {{"cond", FunctionAttr{"cond", nullptr}}, {"body", FunctionAttr{"body", nullptr}}});
  TENON_RETURN_IF_ERROR(b.status());
  graph.results = {out[2]};
  graph.result_names = {"y"};
  return graph;
}

TEST(LoopAllocations, AnIterationMakesNone) {
  register_ops();
  auto graph = loop();
  ASSERT_TRUE(graph.ok()) << graph.status();
  auto executable = Executable::create(*std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(executable.ok()) << executable.status();
  const auto made_in = [&](int32_t iterations) {
    const Tensor args[] = {Tensor::scalar(iterations),
                           Tensor::vector<float>({0, 1, 2, 3, 4, 5, 6, 7})};
    std::vector<Tensor> results;
    EXPECT_TRUE((*executable)->run(args, results).ok());
    allocations::start_counting();
    const Status status = (*executable)->run(args, results);
    const int64_t counted = allocations::stop_counting();
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_NEAR(results[0].data<float>()[7], 2, 1e-3);
    return counted;
  };
  EXPECT_EQ(made_in(1000), made_in(20)) << allocations::first_stack();
}

INSTANTIATE_TEST_SUITE_P(Models, Allocations, testing::Values(&mlp, &cnn));

}  // namespace
}  // namespace tenon::keras
