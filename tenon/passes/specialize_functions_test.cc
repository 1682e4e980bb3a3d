// Outside truth: arithmetic; a loop or branch must give what it gives without passes.
#include "tenon/graph/function_library.h"
#include "tenon/passes/pass.h"
#include "tenon/passes/pass_test.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

using Types = std::vector<DType>;
constexpr DType kF = DType::kFloat, kI = DType::kInt32, kR = DType::kResource;

class SpecializeFunctions : public PassTest {
 protected:
  void add(const std::string& name, const Types& args,
           FunctionRef<Endpoints(GraphBuilder&, const Endpoints&)> body) {
    Graph graph(library_);
    GraphBuilder b(graph);
    Endpoints in;
    for (DType type : args) in.push_back(b.arg("x", type, PartialShape()));
    graph.results = body(b, in);
    for (size_t i = 0; i < graph.results.size(); ++i) graph.result_names.push_back(cat("y", i));
    ASSERT_TRUE(b.status().ok()) << b.status();
    library_->add(name, std::move(graph));
  }
  // `types` behind a counter; the body is given and gives what comes behind it.
  void add_loop(int times, const Types& types,
                FunctionRef<Endpoints(GraphBuilder&, const Endpoints&)> body) {
    Types all{kI};
    all.insert(all.end(), types.begin(), types.end());
    add("cond", all, [&](GraphBuilder& b, const Endpoints& in) {
      return Endpoints{b.op("Less", {in[0], b.scalar<int32_t>(times)})};
    });
    add("body", all, [&](GraphBuilder& b, const Endpoints& in) {
      Endpoints out = body(b, {in.begin() + 1, in.end()});
      out.insert(out.begin(), b.add(in[0], b.scalar<int32_t>(1)));
      return out;
    });
  }
  static Endpoints loop(GraphBuilder& b, Endpoints state, const char* op = "StatelessWhile") {
    state.insert(state.begin(), b.scalar<int32_t>(0));
    Endpoints out =
        b.ops(op, state,
              {{"cond", FunctionAttr{"cond", nullptr}}, {"body", FunctionAttr{"body", nullptr}}});
    if (!out.empty()) out.erase(out.begin());
    return out;
  }
  static Endpoint branch(GraphBuilder& b, Endpoint holds, Endpoints in) {
    in.insert(in.begin(), holds);
    return b.op("StatelessIf", in,
                {{"Tout", Types{kF}},
                 {"then_branch", FunctionAttr{"then", nullptr}},
                 {"else_branch", FunctionAttr{"else", nullptr}}});
  }
  static Endpoint positive(GraphBuilder& b, Endpoint x) {
    return b.op("Greater",
                {b.sum(b.reshape(x, b.integers({-1})), std::array<int64_t, 1>{0}), b.scalar(0.0f)});
  }

  struct Planned {
    std::vector<std::string> notes;
    std::vector<Tensor> results;
    Graph graph;
    int noted(std::string_view what) const {
      int count = 0;
      for (const std::string& note : notes) count += note.find(what) != std::string::npos;
      return count;
    }
  };
  // Planned with what it runs, and run.
  Planned plan(const Build& build, std::span<const Tensor> args,
               std::shared_ptr<ModelState> state = std::make_shared<ModelState>()) {
    Planned planned;
    auto graph = make_graph(build, args, Known::kAllButRows, library_);
    EXPECT_TRUE(graph.ok()) << graph.status();
    if (!graph.ok()) return planned;
    ExecutableOptions options;
    options.explain = [&](std::string_view note) { planned.notes.emplace_back(note); };
    auto made = Executable::create(*std::move(graph), std::move(state), options);
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) return planned;
    const Status status = (*made)->run(args, planned.results);
    EXPECT_TRUE(status.ok()) << status;
    planned.graph = (*made)->graph();
    return planned;
  }
  void expect_same_whatever_is_known(const Build& build, std::span<const Tensor> args) {
    for (Known known : kEveryKnown) expect_same(build, args, known, 0, library_);
  }

  std::shared_ptr<FunctionLibrary> library_ = std::make_shared<FunctionLibrary>();
};

// The only node of `op`, which must be there.
const Node& node_of(const Graph& graph, std::string_view op) {
  const Node* found = nullptr;
  for (NodeId id = 0; id < graph.size(); ++id) {
    if (graph.node(id).is(op)) found = &graph.node(id);
  }
  EXPECT_NE(found, nullptr);
  static const Node none;
  return found ? *found : none;
}

TEST_F(SpecializeFunctions, ALoopsConstantsAreConstantsOfItsBodyWhichFusesThem) {
  add_loop(3, {kF, kF, kF}, [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint next = b.op("Relu", {b.add(b.matmul(in[0], in[1]), in[2])});
    return Endpoints{next, in[1], b.op("Identity", {in[2]})};
  });
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint weights = b.constant(numbers({4, 4}, 1)), bias = b.constant(numbers({4}, 2));
    return loop(b, {in[0], weights, bias});
  };
  const std::vector<Tensor> x{numbers({3, 4}, 3)};
  const Planned planned = plan(build, x);
  EXPECT_EQ(planned.noted("bias: "), 1);
  EXPECT_EQ(planned.noted("activation: "), 1);
  EXPECT_EQ(node_of(planned.graph, "StatelessWhile").inputs.size(), 2u);
  expect_same_whatever_is_known(build, x);
}

TEST_F(SpecializeFunctions, FrozenVariablesAreConstantsOfTheBodiesThatReadThem) {
  add_loop(2, {kF, kR}, [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint weights = b.op("ReadVariableOp", {in[1]}, {{"dtype", kF}});
    b.graph().value(weights).shape = PartialShape();
    return Endpoints{b.matmul(in[0], weights), in[1]};
  });
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint handle =
        b.op("VarHandleOp", {},
             {{"dtype", kF}, {"shape", PartialShape({2, 2})}, {"shared_name", std::string("w")}});
    return Endpoints{loop(b, {in[0], handle}, "While")[0]};
  };
  const std::vector<Tensor> x{Tensor::from<float>({1, 2}, std::vector<float>{1, 2})};
  for (bool frozen : {true, false}) {
    auto state = std::make_shared<ModelState>();
    ASSERT_TRUE(
        state->set_variable("w", Tensor::from<float>({2, 2}, std::vector<float>{0, 1, 1, 0})).ok());
    if (frozen) state->freeze("w");
    const Planned planned = plan(build, x, state);
    EXPECT_EQ(planned.noted("freeze: variable w"), frozen ? 1 : 0);
    ASSERT_EQ(planned.results.size(), 1u);
    EXPECT_EQ(planned.results[0].data<float>()[0], 1.0f);
    if (frozen) continue;
    // One that is written between runs is read again in each.
    ASSERT_TRUE(
        state->set_variable("w", Tensor::from<float>({2, 2}, std::vector<float>{2, 0, 0, 2})).ok());
    EXPECT_EQ(plan(build, x, state).results[0].data<float>()[0], 4.0f);
  }
}

TEST_F(SpecializeFunctions, BranchesKnowConstantsAndShapes) {
  add("then", {kF, kF}, [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.add(in[0], b.mul(in[1], b.scalar(2.0f)))};
  });
  add("else", {kF, kF}, [](GraphBuilder&, const Endpoints& in) { return Endpoints{in[1]}; });
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint twice = b.constant(numbers({2, 3}, 5));
    return Endpoints{branch(b, positive(b, in[0]), {in[0], twice}),
                     branch(b, positive(b, b.neg(in[0])), {in[0], twice})};
  };
  const std::vector<Tensor> x{numbers({2, 3}, 1)};
  const Planned planned = plan(build, x);
  EXPECT_EQ(planned.noted("fold: Mul"), 2) << "once a branch that adds";
  for (NodeId id = 0; id < planned.graph.size(); ++id) {
    if (!planned.graph.node(id).is("StatelessIf")) continue;
    EXPECT_EQ(planned.graph.node(id).inputs.size(), 2u);
    const std::string name = planned.graph.node(id).attrs.get<FunctionAttr>("then_branch").name;
    EXPECT_TRUE(name.starts_with("then for StatelessIf")) << name;
  }
  expect_same_whatever_is_known(build, x);
}

// A shape holds in the body when it holds after it, too.
TEST_F(SpecializeFunctions, ALoopMayChangeShapesAndRanks) {
  add_loop(3, {kF, kF, kF, kF}, [](GraphBuilder& b, const Endpoints& in) {
    const Endpoint longer = b.op("ConcatV2", {in[0], in[1], b.scalar<int32_t>(0)});
    const Endpoint deeper = b.op("ExpandDims", {in[2], b.scalar<int32_t>(0)});
    return Endpoints{longer, in[0], deeper, in[2]};
  });
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    Endpoints out = loop(b, {in[0], in[0], in[0], in[0]});
    out.push_back(b.shape_of(out[0]));
    out.push_back(b.shape_of(out[2]));
    return out;
  };
  const std::vector<Tensor> x{numbers({2, 3}, 1)};
  const Planned planned = plan(build, x);
  ASSERT_EQ(planned.results.size(), 6u);
  EXPECT_EQ(planned.results[4].data<int32_t>()[0], 10);  // 2, 4, 6, 10
  EXPECT_EQ(planned.results[5].num_elements(), 5);
  expect_same_whatever_is_known(build, x);
}

TEST_F(SpecializeFunctions, WhatIsKnownGoesDownThroughLoopsAndBranches) {
  add("then", {kF, kF}, [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{b.mul(in[0], b.op("Exp", {in[1]}))};
  });
  add("else", {kF, kF},
      [](GraphBuilder& b, const Endpoints& in) { return Endpoints{b.add(in[0], in[1])}; });
  add_loop(5, {kF, kF}, [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{branch(b, positive(b, in[0]), {in[0], in[1]}), in[1]};
  });
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    return Endpoints{loop(b, {in[0], b.scalar(-0.5f)})[0]};
  };
  const std::vector<Tensor> x{numbers({2, 3}, 1)};
  EXPECT_EQ(plan(build, x).noted("fold: Exp"), 1);
  expect_same_whatever_is_known(build, x);
}

// 2,000 branches of one function of 50 nodes would be 100,000 nodes.
TEST_F(SpecializeFunctions, BeyondTheGrowthBodiesAreShared) {
  add("then", {kF}, [](GraphBuilder& b, const Endpoints& in) {
    Endpoint x = in[0];
    for (int i = 0; i < 50; ++i) x = b.op(i % 2 ? "Sin" : "Cos", {x});
    return Endpoints{x};
  });
  add("else", {kF}, [](GraphBuilder& b, const Endpoints& in) { return Endpoints{b.neg(in[0])}; });
  constexpr int kBranches = 2000;
  const Build build = [](GraphBuilder& b, const Endpoints& in) {
    Endpoint x = in[0];
    const Endpoint holds = positive(b, x);
    for (int i = 0; i < kBranches; ++i) x = branch(b, holds, {x});
    return Endpoints{x};
  };
  const std::vector<Tensor> x{numbers({2, 3}, 1)};
  auto graph = make_graph(build, x, Known::kAll, library_);
  ASSERT_TRUE(graph.ok()) << graph.status();
  graph->set_library(std::make_shared<FunctionLibrary>(library_));
  ASSERT_TRUE(specialize_functions(*graph, {}).ok());
  int64_t nodes = 0;
  for (const std::string& name : graph->library()->names()) {
    if (graph->library()->contains_itself(name)) nodes += (*graph->library()->find(name))->size();
  }
  EXPECT_GT(nodes, 1000);
  EXPECT_LE(nodes, 8 * (graph->size() + 60));
}

}  // namespace
}  // namespace tenon
