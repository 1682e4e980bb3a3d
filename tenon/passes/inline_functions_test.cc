// Outside truth: arithmetic; a call must give what its body gives.
#include <cmath>

#include "tenon/graph/function_library.h"
#include "tenon/graph/gradient.h"
#include "tenon/passes/pass.h"
#include "tenon/passes/pass_test.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

class InlineFunctions : public PassTest {
 protected:
  static Endpoint call(GraphBuilder& b, std::string name, Endpoint x) {
    return b.op("PartitionedCall", {x},
                {{"Tout", std::vector<DType>{DType::kFloat}},
                 {"f", FunctionAttr{std::move(name), nullptr}}});
  }
  void add(const std::string& name, FunctionRef<Endpoint(GraphBuilder&, Endpoint)> body) {
    Graph graph(library_);
    GraphBuilder b(graph);
    const Endpoint x = b.arg("x", DType::kFloat, {-1});
    graph.results = {body(b, x)};
    graph.result_names = {"y"};
    ASSERT_TRUE(b.status().ok()) << b.status();
    library_->add(name, std::move(graph));
  }
  // level0 calls level1 twice, and so on; the last adds 1.
  void add_levels(int count) {
    for (int i = count - 1; i >= 0; --i) {
      add(cat("level", i), [&](GraphBuilder& b, Endpoint x) {
        if (i == count - 1) return b.add(x, b.scalar(1.0f));
        const std::string next = cat("level", i + 1);
        return call(b, next, call(b, next, x));
      });
    }
  }
  static int64_t alive(const Graph& graph) {
    int64_t count = 0;
    for (NodeId id = 0; id < graph.size(); ++id) count += graph.alive(id);
    return count;
  }

  std::shared_ptr<FunctionLibrary> library_ = std::make_shared<FunctionLibrary>();
};

TEST_F(InlineFunctions, FewCallsAreInlinedWhole) {
  add_levels(4);
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{call(b, "level0", in[0])};
  };
  const std::vector<Tensor> x{Tensor::vector<float>({0, 5})};
  const Outcome made = expect_same(build, x, Known::kAllButRows, 0, library_);
  EXPECT_EQ(made.count("PartitionedCall"), 0);
  EXPECT_EQ(made.results[0].data<float>()[1], 13.0f);
}

// Sixteen levels that call twice are 65,536 bodies: some thousand nodes, then calls.
TEST_F(InlineFunctions, WhatWouldGrowWithoutBoundStaysCalls) {
  add_levels(16);
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{call(b, "level0", in[0])};
  };
  const std::vector<Tensor> x{Tensor::vector<float>({0})};
  auto graph = make_graph(build, x, Known::kAll, library_);
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_TRUE(inline_functions(*graph, {}).ok());
  EXPECT_LT(alive(*graph), 10000);
  graph = make_graph(build, x, Known::kAll, library_);
  const Outcome made = run_graph(*std::move(graph), x, true);
  ASSERT_TRUE(made.status.ok()) << made.status;
  EXPECT_EQ(*made.results[0].data<float>(), 32768.0f);
}

// Each level calls the next two: planned once each, not once for each way to get there.
TEST_F(InlineFunctions, CalledFunctionsArePlannedOnce) {
  constexpr int kLevels = 60;
  for (int i = kLevels - 1; i >= 0; --i) {
    add(cat("step", i), [&](GraphBuilder& b, Endpoint x) {
      if (i >= kLevels - 2) return b.add(x, b.scalar(1.0f));
      const Endpoint never = b.op("Less", {b.sum(x, std::array<int64_t, 1>{0}), b.scalar(-1.0f)});
      return b.op("StatelessIf", {never, x},
                  {{"Tout", std::vector<DType>{DType::kFloat}},
                   {"then_branch", FunctionAttr{cat("step", i + 1), nullptr}},
                   {"else_branch", FunctionAttr{cat("step", i + 2), nullptr}}});
    });
  }
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{call(b, "step0", in[0])};
  };
  const std::vector<Tensor> x{Tensor::vector<float>({0})};
  const Outcome made = expect_same(build, x, Known::kAll, 0, library_);
  ASSERT_TRUE(made.status.ok()) << made.status;
  EXPECT_EQ(*made.results[0].data<float>(), 1.0f);
}

TEST_F(InlineFunctions, AFunctionThatCallsItselfIsRefused) {
  add("itself", [](GraphBuilder& b, Endpoint x) { return call(b, "itself", x); });
  add("ping", [](GraphBuilder& b, Endpoint x) { return call(b, "pong", x); });
  add("pong", [](GraphBuilder& b, Endpoint x) { return call(b, "ping", x); });
  for (const char* name : {"itself", "ping"}) {
    const Build build = [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{call(b, name, in[0])};
    };
    auto graph = make_graph(build, std::vector<Tensor>{numbers({2}, 1)}, Known::kAll, library_);
    ASSERT_TRUE(graph.ok()) << graph.status();
    const Outcome made = run_graph(*std::move(graph), std::vector<Tensor>{numbers({2}, 1)}, true);
    EXPECT_EQ(made.status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(message_of(made.status).find("calls itself"), std::string_view::npos) << made.status;
  }
}

// One that calls itself in a branch ends when the branch is not taken, or 100 deep.
TEST_F(InlineFunctions, ABranchMayCallItsFunction) {
  add("down", [](GraphBuilder& b, Endpoint x) {
    const Endpoint again = b.op("Greater", {b.sum(x, std::array<int64_t, 1>{0}), b.scalar(0.0f)});
    return b.op("StatelessIf", {again, b.sub(x, b.scalar(1.0f))},
                {{"Tout", std::vector<DType>{DType::kFloat}},
                 {"then_branch", FunctionAttr{"down", nullptr}},
                 {"else_branch", FunctionAttr{"same", nullptr}}});
  });
  add("same", [](GraphBuilder& b, Endpoint x) { return b.op("Identity", {x}); });
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{call(b, "down", in[0])};
  };
  for (float start : {0.0f, 20.0f, 1e6f}) {
    const Outcome made = expect_same(build, std::vector<Tensor>{Tensor::vector<float>({start})},
                                     Known::kAll, 0, library_);
    EXPECT_EQ(made.status.ok(), start < 1e6f) << made.status;
    if (made.status.ok()) {
      EXPECT_EQ(*made.results[0].data<float>(), -1.0f);
    }
  }
}

// d/dx of 2^11 calls of x * 1.001: what is left as a call is differentiated as one.
TEST_F(InlineFunctions, CallsThatAreLeftHaveGradients) {
  constexpr int kLevels = 12;
  for (int i = kLevels - 1; i >= 0; --i) {
    add(cat("scale", i), [&](GraphBuilder& b, Endpoint x) {
      if (i == kLevels - 1) return b.mul(x, b.scalar(1.001f));
      const std::string next = cat("scale", i + 1);
      return call(b, next, call(b, next, x));
    });
  }
  const std::vector<Tensor> x{Tensor::vector<float>({3, -2})};
  auto graph = make_graph(
      [](GraphBuilder& b, const Endpoints& in) { return Endpoints{call(b, "scale0", in[0])}; }, x,
      Known::kAll, library_);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const Endpoint arg{graph->args[0], 0};
  auto dx = gradients(*graph, graph->results, {}, {&arg, 1});
  ASSERT_TRUE(dx.ok()) << dx.status();
  graph->results = *dx;
  const Outcome made = run_graph(*std::move(graph), x, true);
  ASSERT_TRUE(made.status.ok()) << made.status;
  const double expected = std::pow(1.001f, 2048);
  EXPECT_NEAR(made.results[0].data<float>()[1], expected, 1e-3 * expected);
}

// 1,000 nodes that wait for a call which waits for 1,000: 2,000 edges, not a million.
TEST_F(InlineFunctions, ManyThatWaitForManyStayFewEdges) {
  add("busy", [](GraphBuilder& b, Endpoint x) {
    for (int i = 0; i < 1000; ++i) b.graph().control_results.push_back(b.neg(x).node);
    return b.neg(x);
  });
  const std::vector<Tensor> x{numbers({2}, 1)};
  auto graph = make_graph(
      [](GraphBuilder& b, const Endpoints& in) {
        std::vector<NodeId> before;
        for (int i = 0; i < 1000; ++i) before.push_back(b.neg(in[0]).node);
        const Endpoint y = call(b, "busy", in[0]);
        b.graph().node(y.node).control_inputs = before;
        Endpoint sum = y;
        for (int i = 0; i < 1000; ++i) {
          sum = b.add(sum, in[0]);
          b.graph().node(sum.node).control_inputs = {y.node};
        }
        return Endpoints{sum};
      },
      x, Known::kAll, library_);
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_TRUE(inline_functions(*graph, {}).ok());
  size_t edges = 0;
  for (NodeId id = 0; id < graph->size(); ++id) edges += graph->node(id).control_inputs.size();
  EXPECT_LT(edges, 10000u);
}

}  // namespace
}  // namespace tenon
