// Outside truth: program order, as tf.function keeps it (tensorflow/python/framework/
// auto_control_deps.py): what a later node reads is what an earlier one wrote.
#include "tenon/graph/effects.h"
#include "tenon/graph/function_library.h"
#include "tenon/passes/pass.h"
#include "tenon/passes/pass_test.h"
#include "tenon/runtime/model_state.h"

namespace tenon {
namespace {

Endpoint handle_of(GraphBuilder& b, const std::string& name, const std::string& container = "") {
  return b.op("VarHandleOp", {},
              {{"dtype", DType::kFloat},
               {"shape", PartialShape(Shape{})},
               {"container", container},
               {"shared_name", name}});
}
Endpoint read(GraphBuilder& b, Endpoint handle) {
  return b.op("ReadVariableOp", {handle}, {{"dtype", DType::kFloat}});
}

class Variables : public PassTest {
 protected:
  void SetUp() override { reset(); }
  void reset() {
    state_ = std::make_shared<ModelState>();
    ASSERT_TRUE(state_->set_variable("w", Tensor::scalar(1.0f)).ok());
    ASSERT_TRUE(state_->set_variable("v", Tensor::scalar(100.0f)).ok());
  }
  // Functions that take one value and give it back, and add 5 to w, by a handle of their own.
  void add_writers() {
    const auto add = [&](const std::string& name, FunctionRef<void(GraphBuilder&)> body) {
      Graph graph(library_);
      GraphBuilder b(graph);
      const Endpoint x = b.arg("x", DType::kFloat, Shape{});
      body(b);
      graph.results = {b.op("Identity", {x})};
      graph.result_names = {"y"};
      ASSERT_TRUE(b.status().ok()) << b.status();
      library_->add(name, std::move(graph));
    };
    add("nothing", [](GraphBuilder&) {});
    add("write", [](GraphBuilder& b) {
      b.graph().control_results = {
          b.node("AssignAddVariableOp", {handle_of(b, "w"), b.scalar(5.0f)})};
    });
    add("write_deep", [&](GraphBuilder& b) {
      const Endpoint y = branch(b, "write", b.scalar(1.0f));
      b.graph().control_results = {y.node};
    });
  }
  static Endpoint branch(GraphBuilder& b, const std::string& name, Endpoint x) {
    return b.op("If", {b.op("Greater", {x, b.scalar(0.0f)}), x},
                {{"Tout", std::vector<DType>{DType::kFloat}},
                 {"then_branch", FunctionAttr{name, nullptr}},
                 {"else_branch", FunctionAttr{"nothing", nullptr}}});
  }

  std::shared_ptr<ModelState> state_;
  std::shared_ptr<FunctionLibrary> library_ = std::make_shared<FunctionLibrary>();
};

// w is read, written in a branch, and read, twice: TensorFlow gives 1, 6, 6, 11.
TEST_F(Variables, ABranchThatWritesByItsOwnHandleKeepsItsPlace) {
  add_writers();
  for (const char* writer : {"write", "write_deep"}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      Endpoints results;
      for (int i = 0; i < 2; ++i) {
        results.push_back(b.add(read(b, handle_of(b, "w")), b.scalar(0.0f)));
        b.graph().control_results.push_back(branch(b, writer, in[0]).node);
        results.push_back(b.add(read(b, handle_of(b, "w")), b.scalar(0.0f)));
      }
      return results;
    };
    for (bool optimize : {false, true}) {
      reset();
      const std::vector<Tensor> args{Tensor::scalar(1.0f)};
      auto graph = make_graph(build, args, Known::kAll, library_);
      ASSERT_TRUE(graph.ok()) << graph.status();
      const Outcome made = run_graph(*std::move(graph), args, optimize, state_);
      ASSERT_TRUE(made.status.ok()) << made.status;
      std::vector<float> found;
      for (const Tensor& result : made.results) found.push_back(*result.data<float>());
      EXPECT_EQ(found, (std::vector<float>{1, 6, 6, 11})) << writer << optimize;
    }
  }
}

TEST_F(Variables, WhatFunctionsWriteIsFoundAtAnyDepth) {
  add_writers();
  const auto written = [&](const std::string& branch_name) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.add(branch(b, branch_name, in[0]), read(b, handle_of(b, "v")))};
    };
    auto graph =
        make_graph(build, std::vector<Tensor>{Tensor::scalar(1.0f)}, Known::kAll, library_);
    WrittenResources found;
    EXPECT_TRUE(graph.ok() && collect_written(*graph, found).ok());
    return found;
  };
  EXPECT_TRUE(written("write").contains("w"));
  EXPECT_TRUE(written("write_deep").contains("w"));
  EXPECT_FALSE(written("write_deep").contains("v"));
  EXPECT_FALSE(written("nothing").contains("w"));
}

// A handle that a branch chose may be that of any variable.
TEST_F(Variables, AComputedHandleMayBeAnyVariable) {
  const auto give = [&](const std::string& name) {
    Graph graph(library_);
    GraphBuilder b(graph);
    b.arg("x", DType::kFloat, Shape{});
    graph.results = {handle_of(b, name)};
    graph.result_names = {"handle"};
    library_->add(cat("give_", name), std::move(graph));
  };
  give("w");
  give("v");
  const Build build = [&](GraphBuilder& b, const Endpoints& in) {
    const Endpoint chosen = b.op("If", {b.op("Greater", {in[0], b.scalar(0.0f)}), in[0]},
                                 {{"Tout", std::vector<DType>{DType::kResource}},
                                  {"then_branch", FunctionAttr{"give_w", nullptr}},
                                  {"else_branch", FunctionAttr{"give_v", nullptr}}});
    const Endpoint before = b.add(read(b, handle_of(b, "w")), b.scalar(0.0f));
    b.graph().control_results = {b.node("AssignAddVariableOp", {chosen, b.scalar(5.0f)})};
    return Endpoints{before, b.add(read(b, handle_of(b, "w")), b.scalar(0.0f)),
                     b.add(read(b, handle_of(b, "v")), b.scalar(0.0f))};
  };
  const std::vector<Tensor> args{Tensor::scalar(1.0f)};
  auto graph = make_graph(build, args, Known::kAll, library_);
  ASSERT_TRUE(graph.ok()) << graph.status();
  WrittenResources written;
  ASSERT_TRUE(collect_written(*graph, written).ok());
  EXPECT_TRUE(written.contains("w") && written.contains("v"));
  const Outcome made = run_graph(*std::move(graph), args, true, state_);
  ASSERT_TRUE(made.status.ok()) << made.status;
  EXPECT_EQ(*made.results[0].data<float>(), 1.0f);
  EXPECT_EQ(*made.results[1].data<float>(), 6.0f);
  EXPECT_EQ(*made.results[2].data<float>(), 100.0f);
}

TEST_F(Variables, FrozenReadsAreTheirVariableOfTheSameContainerAndDtype) {
  state_->freeze("w");
  const Build build = [](GraphBuilder& b, const Endpoints&) {
    // Whoever waits for a read of what never changes waits for what that waited for.
    const Endpoint value = read(b, handle_of(b, "w"));
    const NodeId check = b.node("Assert", {b.scalar<bool>(true), b.scalar(1.0f)});
    b.graph().node(value.node).control_inputs = {check};
    const Endpoint y = b.mul(value, b.scalar(2.0f));
    const Endpoint waits = b.neg(b.scalar(3.0f));
    b.graph().node(waits.node).control_inputs = {value.node};
    return Endpoints{y, waits};
  };
  auto graph = make_graph(build, {}, Known::kAll);
  ASSERT_TRUE(graph.ok()) << graph.status();
  Outcome made = run_graph(*std::move(graph), {}, true, state_);
  ASSERT_TRUE(made.status.ok()) << made.status;
  EXPECT_EQ(made.count("ReadVariableOp"), 0);
  EXPECT_EQ(made.count("Assert"), 1);
  EXPECT_EQ(*made.results[0].data<float>(), 2.0f);

  // Another container's w has no value.
  graph = make_graph(
      [](GraphBuilder& b, const Endpoints&) {
        return Endpoints{b.neg(read(b, handle_of(b, "w", "elsewhere")))};
      },
      {}, Known::kAll);
  ASSERT_TRUE(graph.ok()) << graph.status();
  made = run_graph(*std::move(graph), {}, true, state_);
  EXPECT_FALSE(made.status.ok());
}

// A write after n reads waits for each of them once, whatever it waits for already.
TEST_F(Variables, AWriteWaitsForTheReadsBeforeIt) {
  Graph graph;
  GraphBuilder b(graph);
  const Endpoint w = handle_of(b, "w");
  std::vector<NodeId> reads;
  for (int i = 0; i < 100; ++i) reads.push_back(read(b, w).node);
  const NodeId write = b.node("AssignVariableOp", {w, b.scalar(2.0f)});
  graph.node(write).control_inputs = {reads[3], reads[7]};
  ASSERT_TRUE(order_effects(graph, {}).ok());
  std::vector<NodeId> waits = graph.node(write).control_inputs;
  std::sort(waits.begin(), waits.end());
  EXPECT_EQ(waits, reads);
}

}  // namespace
}  // namespace tenon
