// Metrics beside Keras (tests/keras/make_metric_cases.py): what they come to after several batches,
// whatever the team, the batches and the order in which replicas add up.
#include <cmath>
#include <cstring>

#include "tenon/io/npy.h"
#include "tenon/keras/metric.h"
#include "tenon/keras/reference_test.h"
#include "tenon/runtime/executable.h"

namespace tenon::keras {
namespace {

struct MetricCase {
  std::string what;
  Json json;
  Tensor y_true, y_pred, weight;  // weight: no value where there is none
  int64_t batch = 1;
  std::vector<double> expected;
  bool is_scalar = true;

  int64_t rows() const { return y_true.dim(0); }
};

const std::vector<MetricCase>& metric_cases() {
  static const std::vector<MetricCase> cases = [] {
    std::vector<MetricCase> read;
    const Json list = testdata_json("metric_cases.json");
    const auto arrays = NpzReader::open(testdata("metric_cases.npz"));
    EXPECT_TRUE(arrays.ok()) << arrays.status();
    for (const Json& json : list.items() ? *list.items() : Json::Array()) {
      MetricCase c;
      c.json = json["metric"];
      c.what = cat(c.json.dump(), " of ", json.text("y_pred"), " by ", json["weights"].dump());
      c.y_true = *arrays->read(json.text("y_true"));
      c.y_pred = *arrays->read(json.text("y_pred"));
      if (json["weights"].string()) c.weight = *arrays->read(json.text("weights"));
      c.batch = *json["batch"].integer();
      c.is_scalar = !json["result"].items();
      const Json::Array one = {json["result"]};
      for (const Json& value : json["result"].items() ? *json["result"].items() : one) {
        c.expected.push_back(value.number().value_or(std::nan("")));
      }
      read.push_back(std::move(c));
    }
    return read;
  }();
  return cases;
}

PartialShape with_open_rows(const Tensor& tensor) {
  PartialShape shape(tensor.shape());
  shape.set(0, -1);
  return shape;
}

// A metric's variables, and the graph that takes a batch in.
class Running {
 public:
  static StatusOr<std::unique_ptr<Running>> create(const MetricCase& c, int team) {
    std::unique_ptr<Running> made(new Running);
    const PartialShape y_true = with_open_rows(c.y_true), y_pred = with_open_rows(c.y_pred);
    TENON_ASSIGN_OR_RETURN(made->metric_, metric_from_json(c.json, y_true, y_pred));
    TENON_RETURN_IF_ERROR(made->metric_->build(y_true, y_pred));
    auto state = std::make_shared<ModelState>();
    for (Weight& sum : made->metric_->state()) {
      TENON_RETURN_IF_ERROR(state->set_variable(sum.path, zeros_of(sum)));
      sum.variable = state->variable(sum.path);
    }
    Graph graph;
    Trace trace(graph, false);
    GraphBuilder& g = trace.build();
    Metric::Batch batch;
    batch.y_true = g.arg("y_true", c.y_true.dtype(), y_true);
    batch.y_pred = g.arg("y_pred", c.y_pred.dtype(), y_pred);
    if (c.weight.has_value()) {
      batch.sample_weight = g.arg("weight", c.weight.dtype(), with_open_rows(c.weight));
    }
    made->metric_->update(trace, batch);
    graph.results = {made->metric_->result(trace)};
    graph.result_names = {"result"};
    TENON_RETURN_IF_ERROR(g.status());
    ExecutableOptions options;
    options.team = team;
    TENON_ASSIGN_OR_RETURN(made->step_, Executable::create(std::move(graph), state, options));
    return made;
  }

  StatusOr<Tensor> add_rows(const MetricCase& c, int64_t begin, int64_t end) {
    std::vector<Tensor> args = {c.y_true.slice(begin, end - begin).clone(),
                                c.y_pred.slice(begin, end - begin).clone()};
    if (c.weight.has_value()) args.push_back(c.weight.slice(begin, end - begin).clone());
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(step_->run(args, results));
    return results[0];
  }
  StatusOr<Tensor> add_all(const MetricCase& c, int64_t batch) {
    StatusOr<Tensor> result = Tensor();
    for (int64_t begin = 0; begin < c.rows() && result.ok(); begin += batch) {
      result = add_rows(c, begin, std::min(begin + batch, c.rows()));
    }
    return result;
  }
  Metric& metric() { return *metric_; }

 private:
  MetricPtr metric_;
  std::shared_ptr<Executable> step_;
};

void expect_result(const MetricCase& c, const StatusOr<Tensor>& result) {
  ASSERT_TRUE(result.ok()) << c.what << ": " << result.status();
  ASSERT_EQ(result->dtype(), DType::kFloat) << c.what;
  EXPECT_EQ(result->rank() == 0, c.is_scalar) << c.what;
  const std::span<const float> found = result->span<float>();
  ASSERT_EQ(found.size(), c.expected.size()) << c.what;
  for (size_t i = 0; i < found.size(); ++i) {
    // Keras adds float32 up in another order.
    EXPECT_NEAR(found[i], c.expected[i], 2e-6 * (1 + std::abs(c.expected[i])))
        << c.what << " [" << i << "]";
  }
}

TEST(MetricsBesideKeras, ResultsAreKeras) {
  ASSERT_GT(metric_cases().size(), 200u);
  for (const MetricCase& c : metric_cases()) {
    const auto running = Running::create(c, 0);
    ASSERT_TRUE(running.ok()) << c.what << ": " << running.status();
    expect_result(c, (*running)->add_all(c, c.batch));
  }
}

TEST(MetricsBesideKeras, BitsAreTheSameForEveryTeam) {
  for (const MetricCase& c : metric_cases()) {
    std::optional<Tensor> first;
    for (const int team : {1, 2, 7, 32}) {
      const auto running = Running::create(c, team);
      ASSERT_TRUE(running.ok()) << c.what << ": " << running.status();
      const StatusOr<Tensor> result = (*running)->add_all(c, c.batch);
      ASSERT_TRUE(result.ok()) << c.what << ": " << result.status();
      if (!first) first = result->clone();
      ASSERT_EQ(result->num_bytes(), first->num_bytes());
      EXPECT_EQ(std::memcmp(result->raw(), first->raw(), first->num_bytes()), 0) << c.what;
    }
  }
}

// A metric is a function of sums, so that batches of other sizes and in another order give the same
// but for rounding; so does what replicas have counted, added up.
TEST(MetricsBesideKeras, BatchesOrderAndReplicasDoNotMatter) {
  for (const MetricCase& c : metric_cases()) {
    const auto by_row = Running::create(c, 0), reversed = Running::create(c, 0);
    ASSERT_TRUE(by_row.ok() && reversed.ok()) << c.what;
    expect_result(c, (*by_row)->add_all(c, 1));
    StatusOr<Tensor> last = Tensor();
    for (int64_t end = c.rows(); end > 0 && last.ok(); end -= 6) {
      last = (*reversed)->add_rows(c, std::max<int64_t>(0, end - 6), end);
    }
    expect_result(c, last);

    const auto one = Running::create(c, 0), other = Running::create(c, 0);
    ASSERT_TRUE(one.ok() && other.ok()) << c.what;
    ASSERT_TRUE((*one)->add_rows(c, 0, 9).ok()) << c.what;
    ASSERT_TRUE((*other)->add_rows(c, 9, c.rows()).ok()) << c.what;
    Graph graph;
    GraphBuilder g(graph);
    std::vector<Tensor> args;
    std::vector<Endpoint> sums;
    for (size_t i = 0; i < (*one)->metric().state().size(); ++i) {
      Endpoint parts[2];
      for (const auto* replica : {&one, &other}) {
        const Weight& sum = (**replica)->metric().state()[i];
        parts[replica == &other] =
            g.arg(cat("sum_", args.size()), sum.dtype, PartialShape(sum.shape));
        args.push_back(*sum.variable->read());
      }
      sums.push_back(g.add(parts[0], parts[1]));
    }
    graph.results = {(*one)->metric().result(g, sums)};
    graph.result_names = {"result"};
    ASSERT_TRUE(g.status().ok()) << c.what << ": " << g.status();
    const auto step = Executable::create(std::move(graph), std::make_shared<ModelState>());
    ASSERT_TRUE(step.ok()) << c.what << ": " << step.status();
    std::vector<Tensor> results;
    ASSERT_EQ((*step)->run(args, results), absl::OkStatus()) << c.what;
    expect_result(c, results[0]);
  }
}

TEST(Metrics, OptionsThatKerasRefusesAreRefused) {
  const auto code = [](std::string_view class_name, Json config) {
    return metric_from_json(Json::object({{"module", "keras.metrics"},
                                          {"class_name", class_name},
                                          {"config", std::move(config)},
                                          {"registered_name", nullptr}}),
                            {-1, 3}, {-1, 3})
        .status()
        .code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code("AUC", Json::object({{"num_thresholds", 1}})), invalid);
  EXPECT_EQ(code("AUC", Json::object({{"num_thresholds", int64_t{1} << 60}})), invalid);
  EXPECT_EQ(code("AUC", Json::object({{"curve", "round"}})), invalid);
  EXPECT_EQ(code("AUC", Json::object({{"num_labels", 3}})), invalid);
  EXPECT_EQ(code("AUC", Json::object({{"thresholds", Json::array(std::vector<double>{2})}})),
            invalid);
  EXPECT_EQ(code("Precision", Json::object({{"thresholds", "x"}})), invalid);
  EXPECT_EQ(code("Precision", Json::object({{"thresholds", Json::Array()}})), invalid);
  EXPECT_EQ(code("Precision", Json::object({{"top_k", 0}})), invalid);
  EXPECT_EQ(code("SensitivityAtSpecificity", Json::object({{"specificity", 1.5}})), invalid);
  EXPECT_EQ(code("SensitivityAtSpecificity", Json::object({})), invalid);
  EXPECT_EQ(code("FBetaScore", Json::object({{"beta", 0.0}})), invalid);
  EXPECT_EQ(code("F1Score", Json::object({{"average", "all"}})), invalid);
  EXPECT_EQ(code("R2Score", Json::object({{"num_regressors", -1}})), invalid);
  EXPECT_EQ(code("MeanIoU", Json::object({})), invalid);
  EXPECT_EQ(code("MeanIoU", Json::object({{"num_classes", int64_t{1} << 40}})), invalid);
  EXPECT_EQ(code("Mean", Json::object({{"name", "mean"}})), invalid);
  EXPECT_EQ(code("F1Score", Json::object({{"beta", 2.0}})), absl::StatusCode::kUnimplemented);
}

TEST(Metrics, AreKnownByTheNamesThatKerasKnows) {
  const std::pair<std::string_view, std::string_view> names[] = {
      {"AUC", "AUC"},
      {"auc", "AUC"},
      {"f1_score", "F1Score"},
      {"F1Score", "F1Score"},
      {"r2_score", "R2Score"},
      {"root_mean_squared_error", "RootMeanSquaredError"},
      {"mape", "MeanAbsolutePercentageError"},
      {"f_beta_score", "FBetaScore"},
      {"mse", "MeanSquaredError"},
      {"precision", "Precision"}};
  for (const auto& [name, class_name] : names) {
    const auto metric = metric_from_json(Json(name), {-1, 3}, {-1, 3});
    ASSERT_TRUE(metric.ok()) << name << ": " << metric.status();
    EXPECT_EQ((*metric)->class_name(), class_name);
    EXPECT_EQ((*metric)->name(), name);
  }
  // A function with its arguments, as Keras wraps it.
  const auto wrapped = metric_from_json(
      *Json::parse(R"({"module": "keras.metrics", "class_name": "MeanMetricWrapper", "config":
          {"name": "hub", "dtype": "float32", "fn": {"module": "builtins", "class_name": "function",
          "config": "huber", "registered_name": "function"}, "delta": 2.0},
          "registered_name": null})"),
      {-1, 3}, {-1, 3});
  ASSERT_TRUE(wrapped.ok()) << wrapped.status();
  EXPECT_EQ((*wrapped)->name(), "hub");
}

}  // namespace
}  // namespace tenon::keras
