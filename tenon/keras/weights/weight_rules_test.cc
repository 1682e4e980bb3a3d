// Regularizers and constraints against real Keras: testdata/weight_rules.json
// (tests/keras/make_weight_rules.py).
#include "tenon/graph/gradient.h"
#include "tenon/keras/layers.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"
#include "tenon/runtime/executable.h"

namespace tenon::keras {
namespace {

Shape shape_of_case(const Json& json) {
  std::vector<int64_t> dims;
  for (const Json& dim : *json.items()) dims.push_back(*dim.integer());
  return Shape(dims);
}

void expect_values(const Tensor& got, const std::vector<float>& want, const std::string& what) {
  ASSERT_EQ(static_cast<size_t>(got.num_elements()), want.size()) << what;
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(got.data<float>()[i], want[i], 2e-6f * std::max(1.0f, std::abs(want[i])))
        << what << " " << i;
  }
}

// The results of a graph that `add` makes of one argument.
std::vector<Tensor> run_on(
    const Tensor& x, const std::function<std::vector<Endpoint>(GraphBuilder&, Endpoint)>& add) {
  Graph graph;
  GraphBuilder g(graph);
  graph.results = add(g, g.arg("x", x.dtype(), PartialShape(x.shape())));
  EXPECT_TRUE(g.status().ok()) << g.status();
  for (size_t i = 0; i < graph.results.size(); ++i) graph.result_names.push_back(cat("y_", i));
  const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
  EXPECT_TRUE(executable.ok()) << executable.status();
  std::vector<Tensor> results;
  if (executable.ok()) {
    const Tensor args[] = {x};
    const Status status = (*executable)->run(args, results);
    EXPECT_TRUE(status.ok()) << status;
  }
  return results;
}

TEST(Regularizer, PenaltiesAndTheirGradientsAreThoseOfKeras) {
  const Json cases = testdata_json("weight_rules.json");
  for (const Json& c : *cases["regularizers"].items()) {
    const std::string what = c["object"].dump() + c["shape"].dump();
    const StatusOr<Regularizer> regularizer = Regularizer::from_json(c["object"]);
    ASSERT_TRUE(regularizer.ok()) << regularizer.status();
    EXPECT_EQ(regularizer->to_json(), c["object"]);
    const Tensor x = Tensor::from<float>(shape_of_case(c["shape"]), floats_of(c["x"]));
    const std::vector<Tensor> got = run_on(x, [&](GraphBuilder& g, Endpoint in) {
      const Endpoint penalty = (*regularizer)(g, in);
      const Endpoint losses[] = {penalty}, of[] = {in};
      const auto found = gradients(g.graph(), losses, {}, of);
      EXPECT_TRUE(found.ok()) << found.status();
      return std::vector<Endpoint>{penalty, (*found)[0] ? (*found)[0] : g.op("ZerosLike", {in})};
    });
    ASSERT_EQ(got.size(), 2u) << what;
    expect_values(got[0], floats_of(c["value"]), what);
    expect_values(got[1], floats_of(c["gradient"]), what + ", gradient");
  }
}

TEST(Constraint, WeightsAreBroughtBackAsByKeras) {
  const Json cases = testdata_json("weight_rules.json");
  for (const Json& c : *cases["constraints"].items()) {
    const std::string what = c["object"].dump() + c["shape"].dump();
    const StatusOr<Constraint> constraint = Constraint::from_json(c["object"]);
    ASSERT_TRUE(constraint.ok()) << constraint.status();
    EXPECT_EQ(constraint->to_json(), c["object"]);
    const Tensor w = Tensor::from<float>(shape_of_case(c["shape"]), floats_of(c["x"]));
    const std::vector<Tensor> got = run_on(w, [&](GraphBuilder& g, Endpoint in) {
      return std::vector<Endpoint>{(*constraint)(g, in)};
    });
    ASSERT_EQ(got.size(), 1u) << what;
    expect_values(got[0], floats_of(c["value"]), what);
  }
}

TEST(WeightRules, NamesParametersAndValuesThatAreNotThereAreErrors) {
  const auto object = [](const char* name, Json config) {
    return Json::object({{"class_name", name}, {"config", std::move(config)}});
  };
  EXPECT_EQ(Regularizer::from_json(Json("l3")).status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(Constraint::from_json(Json("norm")).status().code(), absl::StatusCode::kUnimplemented);
  for (const Json& bad :
       {object("L2", Json::object({{"l3", 1}})), object("L2", Json::object({{"l2", -1.0}})),
        object("L1", Json::object({{"l1", "much"}})),
        object("OrthogonalRegularizer", Json::object({{"mode", "both"}})), Json(3)}) {
    EXPECT_EQ(Regularizer::from_json(bad).status().code(), absl::StatusCode::kInvalidArgument)
        << bad.dump();
  }
  for (const Json& bad : {object("MaxNorm", Json::object({{"axis", "all"}})),
                          object("MinMaxNorm", Json::object({{"rate", nullptr}})),
                          object("NonNeg", Json::object({{"axis", 0}}))}) {
    EXPECT_EQ(Constraint::from_json(bad).status().code(), absl::StatusCode::kInvalidArgument)
        << bad.dump();
  }
}

// The status of a model of one layer.
Status status_of(const LayerRef& layer) { return Sequential({Input({4}), layer}).status(); }

TEST(WeightRules, AnOptionSetByNameIsCheckedWhenTheLayerIsBuilt) {
  EXPECT_TRUE(status_of(Dense({.units = 3}).with("kernel_regularizer", L2(0.1))).ok());
  EXPECT_TRUE(status_of(Flatten().with("activity_regularizer", L1(0.1))).ok());
  EXPECT_EQ(status_of(Flatten().with("kernel_regularizer", L2(0.1))).code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status_of(Dense({.units = 3}).with("kernel_regularizer", L2(-1))).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status_of(Dense({.units = 3}).with("kernel_constraint", L2(0.1))).code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_EQ(status_of(Dense({.units = 3}).with("kernel_constraint", MaxNorm(1, {7}))).code(),
            absl::StatusCode::kOk);
}

// loss = mean((x w)^2) + l2 * sum(w^2) + the penalty for the outputs over the rows, by hand.
TEST(WeightRules, PenaltiesAreInTheLossOfTrainingAndEvaluation) {
  const auto loss_of = [](const LayerRef& layer, bool trainable) {
    layer->set_trainable(trainable);
    Sequential model({Input({2}), layer});
    EXPECT_TRUE(model.compile({.optimizer = "sgd", .loss = "mean_squared_error"}).ok());
    const Tensor x = Tensor::from<float>({2, 2}, std::vector<float>{1, 2, 3, 4});
    const auto logs =
        model.evaluate(x, Tensor::from<float>({2, 1}, std::vector<float>{0, 0}), {.verbose = 0});
    EXPECT_TRUE(logs.ok()) << logs.status();
    return logs.ok() ? static_cast<double>((*logs)[0].second) : 0.0;
  };
  const auto dense = [] {
    return Dense({.units = 1, .use_bias = false, .kernel_initializer = "ones"});
  };
  const double plain = (9.0 + 49.0) / 2;
  EXPECT_NEAR(loss_of(dense(), true), plain, 1e-4);
  EXPECT_NEAR(loss_of(dense().with("kernel_regularizer", L2(0.5)), true), plain + 1.0, 1e-4);
  // Of weights that are not trained there is none.
  EXPECT_NEAR(loss_of(dense().with("kernel_regularizer", L2(0.5)), false), plain, 1e-4);
  EXPECT_NEAR(loss_of(dense().with("activity_regularizer", L1(0.5)), true),
              plain + 0.5 * (3.0 + 7.0) / 2, 1e-4);
}

}  // namespace
}  // namespace tenon::keras
