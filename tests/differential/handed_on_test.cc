// A branch may return its argument: that value must last as long as the If's result, whatever is
// computed from it afterwards.
#include <gtest/gtest.h>

#include <cmath>

#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/runtime/executable.h"

namespace tenon::differential {
namespace {

// y = If(condition, tanh(x)) with branches that return their argument; z = -tanh(x), which may be
// written over tanh(x), and is a result, so that its memory is the caller's.
StatusOr<Graph> handed_on() {
  Graph graph(std::make_shared<FunctionLibrary>());
  Graph branch(graph.library());
  GraphBuilder inside(branch);
  branch.results = {inside.arg("a", DType::kFloat, PartialShape())};
  branch.result_names = {"b"};
  TENON_RETURN_IF_ERROR(inside.status());
  graph.library()->add("same", std::move(branch));
  GraphBuilder build(graph);
  const Endpoint x = build.arg("x", DType::kFloat, {2});
  const Endpoint condition = build.arg("condition", DType::kBool, PartialShape(Shape()));
  const Endpoint tanh = build.op("Tanh", {x});
  const std::vector<DType> types = {DType::kFloat};
  const Endpoint y = build.op("StatelessIf", {condition, tanh},
                              {{"then_branch", FunctionAttr{"same", nullptr}},
                               {"else_branch", FunctionAttr{"same", nullptr}},
                               {"Tin", types},
                               {"Tout", types}});
  graph.results = {build.neg(tanh), y};
  graph.result_names = {"z", "y"};
  TENON_RETURN_IF_ERROR(build.status());
  return graph;
}

TEST(HandedOnTest, NothingIsWrittenOverAValueThatABranchReturns) {
  for (bool optimize : {true, false}) {
    auto graph = handed_on();
    ASSERT_TRUE(graph.ok()) << graph.status();
    ExecutableOptions options;
    options.optimize = optimize;
    const auto executable =
        Executable::create(*std::move(graph), std::make_shared<ModelState>(), options);
    ASSERT_TRUE(executable.ok()) << executable.status();
    const Tensor args[] = {Tensor::vector<float>({0.5f, -2.0f}), Tensor::scalar<bool>(true)};
    std::vector<Tensor> results;
    const Status status = (*executable)->run(args, results);
    ASSERT_TRUE(status.ok()) << status;
    for (int64_t i = 0; i < 2; ++i) {
      const float want = std::tanh(args[0].data<float>()[i]);
      EXPECT_NEAR(results[0].data<float>()[i], -want, 1e-6f);
      EXPECT_NEAR(results[1].data<float>()[i], want, 1e-6f);
    }
  }
}

// a + a + a of a value that dies there: a sum in place would read what it has written.
TEST(HandedOnTest, ASumIsNotWrittenOverATermThatItReadsAgain) {
  Graph graph;
  GraphBuilder build(graph);
  const Endpoint tanh = build.op("Tanh", {build.arg("x", DType::kFloat, {2})});
  graph.results = {build.op("AddN", {tanh, tanh, build.neg(build.op("Abs", {tanh})), tanh})};
  graph.result_names = {"sum"};
  ASSERT_TRUE(build.status().ok()) << build.status();
  const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
  ASSERT_TRUE(executable.ok()) << executable.status();
  const Tensor args[] = {Tensor::vector<float>({0.5f, -2.0f})};
  std::vector<Tensor> results;
  const Status status = (*executable)->run(args, results);
  ASSERT_TRUE(status.ok()) << status;
  for (int64_t i = 0; i < 2; ++i) {
    const float a = std::tanh(args[0].data<float>()[i]);
    EXPECT_NEAR(results[0].data<float>()[i], 3 * a - std::abs(a), 1e-5f);
  }
}

}  // namespace
}  // namespace tenon::differential
