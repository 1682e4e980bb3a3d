#include "tenon/lite/writer/unroll.h"

#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/lite/lite_test.h"
#include "tenon/runtime/executable.h"

namespace tenon::lite {
namespace {

// Three times: takes the last row of a list and adds it to twice the sum.
std::shared_ptr<FunctionLibrary> loop_functions() {
  auto library = std::make_shared<FunctionLibrary>();
  for (const char* name : {"more", "step"}) {
    Graph graph(library);
    GraphBuilder b(graph);
    const Endpoint count = b.arg("count", DType::kInt32, PartialShape(Shape()));
    const Endpoint list = b.arg("list", DType::kVariant, PartialShape(Shape()));
    const Endpoint sum = b.arg("sum", DType::kFloat, PartialShape{2});
    if (std::string_view(name) == "more") {
      graph.results = {b.op("Less", {count, b.scalar<int32_t>(3)})};
    } else {
      const auto popped =
          b.ops("TensorListPopBack", {list, b.integers({2})}, {{"element_dtype", DType::kFloat}});
      const Endpoint twice = b.mul(sum, b.scalar<float>(2));
      graph.results = {b.add(count, b.scalar<int32_t>(1)), popped.at(0),
                       b.add(twice, popped.at(1))};
    }
    EXPECT_TRUE(b.status().ok()) << b.status();
    for (size_t i = 0; i < graph.results.size(); ++i) graph.result_names.push_back(cat("r", i));
    library->add(name, std::move(graph));
  }
  return library;
}

TEST(UnrollLoops, StepsAndListsBecomePlainNodes) {
  register_lite();
  Graph graph(loop_functions());
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{3, 2});
  const Endpoint list =
      b.op("TensorListFromTensor", {x, b.integers({2})}, {{"element_dtype", DType::kFloat}});
  const auto loop = b.ops(
      "StatelessWhile", {b.scalar<int32_t>(0), list, b.constant(Tensor::vector<float>({0, 0}))},
      {{"cond", FunctionAttr{"more", nullptr}}, {"body", FunctionAttr{"step", nullptr}}});
  ASSERT_TRUE(b.status().ok()) << b.status();
  graph.results = {loop.at(2)};
  graph.result_names = {"y"};
  const Status status = unroll_loops(graph, {});
  ASSERT_TRUE(status.ok()) << status;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (!graph.alive(id)) continue;
    const std::string& op = graph.node(id).op->name();
    EXPECT_EQ(op.find("While"), std::string::npos) << op;
    EXPECT_EQ(op.find("TensorList"), std::string::npos) << op;
  }
  const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(executable.ok()) << executable.status();
  const Tensor rows[] = {Tensor::from<float>(Shape{3, 2}, std::vector<float>{1, 2, 3, 4, 5, 6})};
  std::vector<Tensor> results;
  ASSERT_TRUE((*executable)->run(rows, results).ok());
  // (5, 6) first, then twice that and (3, 4), then twice that and (1, 2).
  EXPECT_EQ(results.at(0).data<float>()[0], 27);
  EXPECT_EQ(results.at(0).data<float>()[1], 34);
}

// As often as there are rows: the same, and every sum goes into a list.
std::shared_ptr<FunctionLibrary> collecting_functions() {
  auto library = std::make_shared<FunctionLibrary>();
  for (const char* name : {"more", "step"}) {
    Graph graph(library);
    GraphBuilder b(graph);
    const Endpoint count = b.arg("count", DType::kInt32, PartialShape(Shape()));
    const Endpoint limit = b.arg("limit", DType::kInt32, PartialShape(Shape()));
    const Endpoint list = b.arg("list", DType::kVariant, PartialShape(Shape()));
    const Endpoint sum = b.arg("sum", DType::kFloat, PartialShape{-1});
    const Endpoint sums = b.arg("sums", DType::kVariant, PartialShape(Shape()));
    if (std::string_view(name) == "more") {
      graph.results = {b.op("Less", {count, limit})};
    } else {
      const auto popped =
          b.ops("TensorListPopBack", {list, b.integers({-1})}, {{"element_dtype", DType::kFloat}});
      const Endpoint next = b.add(b.mul(sum, b.scalar<float>(2)), popped.at(1));
      graph.results = {b.add(count, b.scalar<int32_t>(1)), limit, popped.at(0), next,
                       b.op("TensorListPushBack", {sums, next})};
    }
    EXPECT_TRUE(b.status().ok()) << b.status();
    for (size_t i = 0; i < graph.results.size(); ++i) graph.result_names.push_back(cat("r", i));
    library->add(name, std::move(graph));
  }
  return library;
}

TEST(UnrollLoops, ALoopOfUnknownLengthStaysOnTensors) {
  register_lite();
  Graph graph(collecting_functions());
  GraphBuilder b(graph);
  const Endpoint x = b.arg("x", DType::kFloat, PartialShape{-1, -1});
  const auto dimension = [&](int64_t axis) {
    return b.op("StridedSlice",
                {b.shape_of(x), b.integers({axis}), b.integers({axis + 1}), b.integers({1})},
                {{"shrink_axis_mask", int64_t{1}}});
  };
  const Endpoint list = b.op("TensorListFromTensor", {x, b.integers({-1})});
  const int64_t vector[] = {1};
  const Endpoint zeros = b.op("Fill", {b.reshape(dimension(1), vector), b.scalar<float>(0)});
  const Endpoint sums = b.op("EmptyTensorList", {b.integers({-1}), b.scalar<int32_t>(-1)},
                             {{"element_dtype", DType::kFloat}});
  const auto loop =
      b.ops("StatelessWhile", {b.scalar<int32_t>(0), dimension(0), list, zeros, sums},
            {{"cond", FunctionAttr{"more", nullptr}}, {"body", FunctionAttr{"step", nullptr}}});
  ASSERT_TRUE(b.status().ok()) << b.status();
  graph.results = {
      b.op("TensorListStack", {loop.at(4), b.integers({-1})}, {{"element_dtype", DType::kFloat}})};
  graph.result_names = {"y"};
  ASSERT_TRUE(b.status().ok()) << b.status();
  const Status status = unroll_loops(graph, {});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(to_string(graph).find("TensorList"), std::string::npos) << to_string(graph);
  const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(executable.ok()) << executable.status();
  for (const int64_t rows : {1, 3}) {
    const std::vector<float> values = {1, 2, 3, 4, 5, 6};
    const std::span<const float> given = std::span(values).last(static_cast<size_t>(2 * rows));
    const Tensor args[] = {Tensor::from<float>(Shape{rows, 2}, given)};
    std::vector<Tensor> results;
    ASSERT_TRUE((*executable)->run(args, results).ok());
    ASSERT_EQ(results.at(0).shape(), Shape({rows, 2}));
    EXPECT_EQ(results[0].data<float>()[2 * rows - 2], rows == 1 ? 5 : 27);
    EXPECT_EQ(results[0].data<float>()[2 * rows - 1], rows == 1 ? 6 : 34);
  }
}

}  // namespace
}  // namespace tenon::lite
