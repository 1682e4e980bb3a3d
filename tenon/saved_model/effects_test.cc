// What calls of functions do.
#include "tenon/graph/effects.h"

#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/saved_model.h"
#include "tenon/saved_model/writer.h"

namespace tenon {
namespace {

// A model of one variable w = 3, whose endpoint hands it to functions.
class CallingModel : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(register_test_ops(), absl::OkStatus());
    StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
    ASSERT_TRUE(folder.ok());
    folder_.emplace(*std::move(folder));
    ASSERT_EQ(state_.set_variable("w", Tensor::scalar<float>(3)), absl::OkStatus());
    library_->add(
        "read", function([](GraphBuilder& build, Endpoint w, Endpoint x) {
          return build.mul(x, build.op("ReadVariableOp", {w}, {{"dtype", DType::kFloat}}));
        }));
    library_->add(
        "count", function([](GraphBuilder& build, Endpoint w, Endpoint x) {
          const NodeId node = build.node("AssignAddVariableOp", {w, build.scalar<float>(1)});
          build.graph().control_results = {node};
          return build.neg(x);
        }));
    library_->add("read_deep", function([](GraphBuilder& build, Endpoint w, Endpoint x) {
                    return call(build, "StatefulPartitionedCall", "read", w, x);
                  }));
    library_->add("count_deep", function([](GraphBuilder& build, Endpoint w, Endpoint x) {
                    const Endpoint y = call(build, "StatefulPartitionedCall", "count", w, x);
                    build.graph().control_results = {y.node};
                    return y;
                  }));
  }

  static Endpoint call(GraphBuilder& build, std::string_view op, std::string name, Endpoint w,
                       Endpoint x) {
    return build.op(op, {w, x},
                    {{"Tin", std::vector<DType>{DType::kResource, DType::kFloat}},
                     {"Tout", std::vector<DType>{DType::kFloat}},
                     {"f", FunctionAttr{std::move(name), nullptr}}});
  }
  static Endpoint branch(GraphBuilder& build, std::string yes, std::string no, Endpoint w,
                         Endpoint x) {
    const Endpoint positive =
        build.op("Greater", {build.sum(x, std::array<int64_t, 1>{0}), build.scalar<float>(0)});
    return build.op("If", {positive, w, x},
                    {{"Tcond", DType::kBool},
                     {"Tin", std::vector<DType>{DType::kResource, DType::kFloat}},
                     {"Tout", std::vector<DType>{DType::kFloat}},
                     {"then_branch", FunctionAttr{std::move(yes), nullptr}},
                     {"else_branch", FunctionAttr{std::move(no), nullptr}}});
  }

  Graph function(FunctionRef<Endpoint(GraphBuilder&, Endpoint w, Endpoint x)> body) const {
    Graph graph(library_);
    GraphBuilder build(graph);
    const Endpoint w = build.arg("w", DType::kResource, {});
    graph.value(w).handle = HandleInfo{DType::kFloat, PartialShape(Shape{})};
    const Endpoint x = build.arg("x", DType::kFloat, {-1});
    graph.results = {body(build, w, x)};
    graph.result_names = {"y"};
    EXPECT_TRUE(build.status().ok()) << build.status();
    return graph;
  }

  // A SavedModel whose serving signature is `body`, loaded.
  std::shared_ptr<SavedModel> model(
      FunctionRef<Endpoint(GraphBuilder&, Endpoint w, Endpoint x)> body) {
    Graph graph(library_);
    GraphBuilder build(graph);
    const Endpoint x = build.arg("x", DType::kFloat, {-1});
    const Endpoint w = build.op("VarHandleOp", {},
                                {{"dtype", DType::kFloat},
                                 {"shape", PartialShape(Shape{})},
                                 {"shared_name", std::string("w")}});
    graph.results = {body(build, w, x)};
    graph.result_names = {"y"};
    EXPECT_TRUE(build.status().ok()) << build.status();
    SavedModelSpec spec;
    spec.folder = join_path(folder_->path(), "1");
    spec.overwrite = true;
    spec.state = &state_;
    spec.endpoints.push_back({.name = "serve", .function = std::move(graph)});
    EXPECT_EQ(write_saved_model(spec), absl::OkStatus());
    StatusOr<std::shared_ptr<SavedModel>> loaded = SavedModel::load(spec.folder);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return loaded.ok() ? *loaded : nullptr;
  }

  static bool has_effects(const SavedModel& model) {
    const auto executable = model.executable(*model.find_signature("serving_default"));
    EXPECT_TRUE(executable.ok()) << executable.status();
    return executable.ok() && (*executable)->has_effects();
  }

  std::optional<TemporaryDirectory> folder_;
  ModelState state_;
  std::shared_ptr<FunctionLibrary> library_ = std::make_shared<FunctionLibrary>();
};

TEST_F(CallingModel, ASignatureThatOnlyReadsThroughCallsHasNoEffects) {
  const auto reading = model([](GraphBuilder& build, Endpoint w, Endpoint x) {
    return call(build, "StatefulPartitionedCall", "read_deep", w, x);
  });
  ASSERT_TRUE(reading);
  EXPECT_FALSE(has_effects(*reading));
  EXPECT_TRUE(reading->state()->is_frozen("w"));
}

TEST_F(CallingModel, BranchesThatOnlyReadHaveNoEffects) {
  const auto reading = model([](GraphBuilder& build, Endpoint w, Endpoint x) {
    return branch(build, "read", "read_deep", w, x);
  });
  ASSERT_TRUE(reading);
  EXPECT_FALSE(has_effects(*reading));
  EXPECT_TRUE(reading->state()->is_frozen("w"));
  const auto executable = reading->executable(*reading->find_signature("serving_default"));
  std::vector<Tensor> results;
  const Tensor x = Tensor::vector<float>({2, -5});
  ASSERT_EQ((*executable)->run({&x, 1}, results), absl::OkStatus());
  EXPECT_EQ(results[0].data<float>()[0], 6.0f);
  EXPECT_EQ(results[0].data<float>()[1], -15.0f);
}

TEST_F(CallingModel, ABranchThatWritesDeepDownWrites) {
  const auto writing = model([](GraphBuilder& build, Endpoint w, Endpoint x) {
    return branch(build, "read", "count_deep", w, x);
  });
  ASSERT_TRUE(writing);
  EXPECT_TRUE(has_effects(*writing));
  EXPECT_FALSE(writing->state()->is_frozen("w"));
  const auto executable = writing->executable(*writing->find_signature("serving_default"));
  std::vector<Tensor> results;
  const Tensor x = Tensor::vector<float>({-2});
  ASSERT_EQ((*executable)->run({&x, 1}, results), absl::OkStatus());
  EXPECT_EQ(*writing->state()->variable("w")->read()->data<float>(), 4.0f);
}

TEST_F(CallingModel, EffectsAreThoseOfAllFunctionsReached) {
  Graph graph = function([](GraphBuilder& build, Endpoint w, Endpoint x) {
    return branch(build, "read_deep", "count_deep", w, x);
  });
  const Effects effects = effects_of(graph, graph.node(graph.results[0].node));
  EXPECT_TRUE(effects.reads && effects.writes);
  EXPECT_FALSE(effects.random || effects.outside);
  EXPECT_NE(find_effect(graph, Effect::kWrite)->find("AssignAddVariableOp"), std::string::npos);
  EXPECT_EQ(*find_effect(graph, Effect::kRandom), "");
}

// A hostile library: each function calls the next one twice, and the last the first.
TEST_F(CallingModel, CallsInACircleEnd) {
  for (int i = 0; i < 60; ++i) {
    library_->add(cat("level", i), function([i](GraphBuilder& build, Endpoint w, Endpoint x) {
                    const std::string next = cat("level", (i + 1) % 60);
                    return call(build, "StatefulPartitionedCall", next, w,
                                call(build, "StatefulPartitionedCall", next, w, x));
                  }));
  }
  const Graph graph = function([](GraphBuilder& build, Endpoint w, Endpoint x) {
    return call(build, "StatefulPartitionedCall", "level0", w, x);
  });
  EXPECT_FALSE(effects_of(graph, graph.node(graph.results[0].node)).any());
}

TEST_F(CallingModel, AFunctionThatIsMissingMayDoAnything) {
  const Graph graph = function([](GraphBuilder& build, Endpoint w, Endpoint x) {
    return call(build, "StatefulPartitionedCall", "nowhere", w, x);
  });
  EXPECT_TRUE(effects_of(graph, graph.node(graph.results[0].node)).writes);
}

}  // namespace
}  // namespace tenon
