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

}  // namespace
}  // namespace tenon::lite
