// Whole training steps against real Keras: testdata/NAME.keras, NAME.npz.
#include <cstring>

#include "tenon/graph/gradient.h"
#include "tenon/io/npy.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"
#include "tenon/keras/steps.h"

namespace tenon::keras {
namespace {

struct TrainingCase {
  std::unique_ptr<Model> model;
  std::optional<NpzReader> arrays;

  explicit TrainingCase(const std::string& name) {
    StatusOr<std::unique_ptr<Model>> loaded = Model::load(testdata(name + ".keras"));
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (loaded.ok()) model = *std::move(loaded);
    StatusOr<NpzReader> npz = NpzReader::open(testdata(name + ".npz"));
    EXPECT_TRUE(npz.ok()) << npz.status();
    if (npz.ok()) arrays = *std::move(npz);
  }
  bool ready() const { return model && arrays; }
  Tensor array(const std::string& key) const {
    StatusOr<Tensor> tensor = arrays->read(key);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    return tensor.ok() ? *tensor : Tensor();
  }
  Inputs x() const {
    Inputs x;
    for (size_t i = 0; i < model->network().inputs.size(); ++i) x.push_back(array(cat("x", i)));
    return x;
  }
};

float largest(const Tensor& tensor) {
  float most = 0;
  for (float v : tensor.span<float>()) most = std::max(most, std::abs(v));
  return most;
}

// |a - b| <= tolerance everywhere.
void expect_near(const Tensor& a, const Tensor& b, float tolerance, const std::string& what) {
  ASSERT_EQ(a.shape(), b.shape()) << what;
  float worst = 0;
  for (int64_t i = 0; i < a.num_elements(); ++i) {
    worst = std::max(worst, std::abs(a.data<float>()[i] - b.data<float>()[i]));
  }
  EXPECT_LE(worst, tolerance) << what;
}

// How far a weight may be from Keras' after the first step. RMSprop divides a small gradient by the
// root of 0.1 g^2 + 1e-7, which magnifies the last bits of a convolution's gradient.
float update_tolerance(std::string_view name) { return name == "conv_rmsprop" ? 1e-5f : 2e-6f; }

class TrainingStep : public testing::TestWithParam<const char*> {};

TEST_P(TrainingStep, PredictionsBeforeTrainingAreThoseOfKeras) {
  const TrainingCase c(GetParam());
  ASSERT_TRUE(c.ready());
  const auto predicted = c.model->predict(c.x());
  ASSERT_TRUE(predicted.ok()) << predicted.status();
  expect_near((*predicted)[0], c.array("predicted"), 1e-5f, "predictions");
}

TEST_P(TrainingStep, GradientsAreThoseOfKeras) {
  const TrainingCase c(GetParam());
  ASSERT_TRUE(c.ready());
  Graph graph;
  Trace trace(graph, true);
  std::vector<Tensor> args = c.x();
  std::vector<Value> inputs;
  for (const Tensor& x : args) {
    inputs.emplace_back(trace.build().arg("x", x.dtype(), PartialShape(x.shape())));
  }
  args.push_back(c.array("y"));
  const Endpoint y = trace.build().arg("y", DType::kInt64, PartialShape(args.back().shape()));
  const Outputs outputs = c.model->network().trace(trace, inputs);
  const auto loss = SparseCategoricalCrossentropy(
      {.from_logits = std::string_view(GetParam()).starts_with("conv")});
  const Endpoint value = (*loss)(trace.build(), y, outputs[0].tensor, {});
  ASSERT_TRUE(trace.build().status().ok()) << trace.build().status();
  std::vector<Endpoint> weights;
  for (const Weight* weight : c.model->trainable_weights()) weights.push_back(trace.read(*weight));
  const auto found = gradients(graph, std::span(&value, 1), {}, weights);
  ASSERT_TRUE(found.ok()) << found.status();
  graph.results = *found;
  graph.control_results.clear();
  const auto executable = Executable::create(std::move(graph), c.model->state());
  ASSERT_TRUE(executable.ok()) << executable.status();
  std::vector<Tensor> results;
  const Status status = (*executable)->run(args, results);
  ASSERT_TRUE(status.ok()) << status;
  for (size_t i = 0; i < results.size(); ++i) {
    const Tensor expected = c.array(cat("gradient", i));
    expect_near(results[i], expected, 1e-5f * largest(expected) + 1e-8f, cat("gradient ", i));
  }
}

TEST_P(TrainingStep, LossAndWeightsAfterEachStepAreThoseOfKeras) {
  const TrainingCase c(GetParam());
  ASSERT_TRUE(c.ready());
  for (int step = 0; step < 3; ++step) {
    const auto logs = c.model->train_on_batch(c.x(), c.array("y"));
    ASSERT_TRUE(logs.ok()) << logs.status();
    const float loss = *c.array(cat("loss", step)).data<float>();
    EXPECT_NEAR(*find_log(*logs, "loss"), loss, 1e-6 * loss * (1 + 10 * step)) << "step " << step;
    EXPECT_NEAR(*find_log(*logs, "accuracy"), *c.array(cat("accuracy", step)).data<float>(), 1e-6);
    size_t index = 0;
    for (const Weight* weight : c.model->weights()) {
      const auto value = weight->variable->read();
      ASSERT_TRUE(value.ok()) << value.status();
      expect_near(*value, c.array(cat("step", step, "_weight", index)),
                  update_tolerance(GetParam()) * static_cast<float>(1 + 5 * step),
                  cat(weight->path, ", step ", step));
      ++index;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Keras, TrainingStep,
                         testing::Values("dense_sgd", "dense_sgd_nesterov", "dense_adam",
                                         "dense_adam_amsgrad_clipnorm", "dense_adamw",
                                         "dense_rmsprop", "dense_rmsprop_centered",
                                         "dense_sgd_decay", "conv_sgd", "conv_sgd_nesterov",
                                         "conv_adam", "conv_adam_amsgrad_clipnorm", "conv_adamw",
                                         "conv_rmsprop", "conv_rmsprop_centered", "conv_sgd_decay"),
                         [](const auto& info) { return std::string(info.param); });

// A small problem that a small network learns: is the sum of the inputs positive?
struct Problem {
  Tensor x{DType::kFloat, Shape{130, 4}};
  Tensor y{DType::kInt64, Shape{130}};
  Problem() {
    uint32_t state = 1;
    for (int64_t row = 0; row < 130; ++row) {
      float sum = 0;
      for (int64_t i = 0; i < 4; ++i) {
        state = state * 1664525u + 1013904223u;
        const float value = static_cast<float>(state >> 8) / 8388608.0f - 1;
        x.mutable_data<float>()[row * 4 + i] = value;
        sum += value;
      }
      y.mutable_data<int64_t>()[row] = sum > 0;
    }
  }
};

std::unique_ptr<Sequential> small_model(uint64_t seed) {
  auto model = std::make_unique<Sequential>(
      std::vector<LayerRef>{Input({4}), Dense({.units = 16, .activation = "relu"}),
                            Dropout({.rate = 0.1}), Dense({.units = 2, .activation = "softmax"})},
      ModelOptions{.seed = seed});
  const Status status = model->compile({.optimizer = Adam({.learning_rate = 0.02}),
                                        .loss = "sparse_categorical_crossentropy",
                                        .metrics = {"accuracy"}});
  EXPECT_TRUE(status.ok()) << status;
  return model;
}

TEST(Fit, LearnsAndReportsWhatItLearnt) {
  const Problem problem;
  const auto model = small_model(1);
  std::string printed;
  const auto history = model->fit(problem.x, problem.y,
                                  {.batch_size = 32,
                                   .epochs = 12,
                                   .verbose = 2,
                                   .validation_split = 0.2,
                                   .output = [&](std::string_view text) { printed += text; }});
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(history->epoch.size(), 12u);
  EXPECT_LT(history->history.at("loss").back(), history->history.at("loss").front());
  EXPECT_GT(history->history.at("val_accuracy").back(), 0.8);
  EXPECT_TRUE(printed.starts_with("Epoch 1/12\n4/4 - ")) << printed.substr(0, 80);
}

TEST(Fit, EqualSeedsGiveEqualBits) {
  const Problem problem;
  std::vector<std::vector<Tensor>> runs;
  for (int run = 0; run < 2; ++run) {
    const auto model = small_model(5);
    ASSERT_TRUE(model->fit(problem.x, problem.y, {.epochs = 3, .verbose = 0}).ok());
    runs.emplace_back();
    for (const Weight* weight : model->weights()) runs.back().push_back(*weight->variable->read());
  }
  for (size_t i = 0; i < runs[0].size(); ++i) {
    EXPECT_EQ(std::memcmp(runs[0][i].raw(), runs[1][i].raw(), runs[0][i].num_bytes()), 0) << i;
  }
}

TEST(Evaluate, LastSmallerBatchCountsByItsRows) {
  const Problem problem;
  const auto model = small_model(2);
  const auto whole = model->evaluate(problem.x, problem.y, {.batch_size = 130, .verbose = 0});
  const auto parts = model->evaluate(problem.x, problem.y, {.batch_size = 48, .verbose = 0});
  ASSERT_TRUE(whole.ok() && parts.ok()) << whole.status() << parts.status();
  for (const auto& [name, value] : *whole)
    EXPECT_NEAR(*find_log(*parts, name), value, 1e-5) << name;
}

TEST(Fit, LabelsOutOfRangeNameValueRowAndClasses) {
  Problem problem;
  problem.y.mutable_data<int64_t>()[77] = 9;
  const auto model = small_model(3);
  const Status status = model->fit(problem.x, problem.y, {.verbose = 0}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  for (const char* part : {"label 9", "row 78", "2 classes"}) {
    EXPECT_NE(message_of(status).find(part), std::string::npos) << status;
  }
}

TEST(Fit, BadArgumentsAreErrorsAndChangeNothing) {
  const Problem problem;
  const auto model = small_model(3);
  EXPECT_FALSE(model->fit(problem.x, Tensor(), {.verbose = 0}).ok());
  EXPECT_FALSE(model->fit(problem.x.slice(0, 7), problem.y, {.verbose = 0}).ok());
  EXPECT_FALSE(model->fit(problem.y, problem.y, {.verbose = 0}).ok());
  EXPECT_FALSE(model->fit(problem.x, problem.y, {.batch_size = 0, .verbose = 0}).ok());
  Sequential raw({Input({4}), Dense({.units = 2})});
  EXPECT_EQ(raw.fit(problem.x, problem.y).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Dropout, DropsWhatKerasDropsUnderTheSameSeed) {
  const Json calls = testdata_json("dropout.json");
  Sequential model({Input({6}), Dropout({.rate = 0.4, .seed = 5})});
  const StatusOr<Graph> graph = model.forward_graph(true);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto executable = Executable::create(*graph, model.state());
  ASSERT_TRUE(executable.ok()) << executable.status();
  Tensor ones(DType::kFloat, Shape{4, 6});
  std::fill_n(ones.mutable_data<float>(), 24, 1.0f);
  for (const Json& call : *calls.items()) {
    std::vector<Tensor> results;
    const Status status = (*executable)->run(std::span(&ones, 1), results);
    ASSERT_TRUE(status.ok()) << status;
    const std::vector<float> expected = floats_of(call);
    for (size_t i = 0; i < 24; ++i) EXPECT_FLOAT_EQ(results[0].data<float>()[i], expected[i]) << i;
  }
}

// Rows that Keras 3.15 keeps in two calls of Dropout(0.4, seed=5, noise_shape=(None, 1)).
TEST(Dropout, DropsWholeRowsWhereTheNoiseShapeSaysSo) {
  const auto config = Json::parse(
      R"({"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [
          {"module": "keras.layers", "class_name": "InputLayer",
           "config": {"batch_shape": [null, 6], "dtype": "float32", "name": "x"}},
          {"module": "keras.layers", "class_name": "Dropout",
           "config": {"name": "d", "rate": 0.4, "seed": 5, "noise_shape": [null, 1]}}]}})");
  ASSERT_TRUE(config.ok()) << config.status();
  const auto model = Model::from_json(*config);
  ASSERT_TRUE(model.ok()) << model.status();
  const StatusOr<Graph> graph = (*model)->forward_graph(true);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto executable = Executable::create(*graph, (*model)->state());
  ASSERT_TRUE(executable.ok()) << executable.status();
  Tensor ones(DType::kFloat, Shape{4, 6});
  std::fill_n(ones.mutable_data<float>(), 24, 1.0f);
  constexpr bool kKept[2][4] = {{false, true, true, false}, {true, true, false, true}};
  for (const auto& kept : kKept) {
    std::vector<Tensor> results;
    const Status status = (*executable)->run(std::span(&ones, 1), results);
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < 24; ++i) {
      EXPECT_FLOAT_EQ(results[0].data<float>()[i], kept[i / 6] ? 1 / 0.6f : 0.0f) << i;
    }
  }
}

TEST(Loss, ValuesAreThoseOfKeras) {
  const Json cases = testdata_json("losses.json");
  for (const Json& c : *cases.items()) {
    const StatusOr<LossPtr> loss = loss_from_json(c["loss"]);
    ASSERT_TRUE(loss.ok()) << loss.status();
    const auto shape = [&](std::string_view name) { return shape_from_json(c[name])->to_shape(); };
    const std::vector<float> y_values = floats_of(c["y"]);
    Tensor y = Tensor::from<float>(shape("y_shape"), y_values);
    if (*c["y_is_integer"].boolean()) {
      const std::vector<int64_t> integers(y_values.begin(), y_values.end());
      y = Tensor::from<int64_t>(shape("y_shape"), integers);
    }
    Graph graph;
    GraphBuilder g(graph);
    const Endpoint pred =
        g.constant(Tensor::from<float>(shape("pred_shape"), floats_of(c["pred"])));
    const Endpoint weight = c["weight"].is_null()
                                ? Endpoint{}
                                : g.constant(Tensor::vector<float>(floats_of(c["weight"])));
    graph.results = {(**loss)(g, g.constant(y), pred, weight)};
    ASSERT_TRUE(g.status().ok()) << g.status() << c["loss"].dump();
    const auto executable = Executable::create(std::move(graph), std::make_shared<ModelState>());
    ASSERT_TRUE(executable.ok()) << executable.status();
    std::vector<Tensor> results;
    const Status status = (*executable)->run({}, results);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_NEAR(*results[0].data<float>(), *c["value"].number(), 2e-6) << c["loss"].dump();
  }
}

}  // namespace
}  // namespace tenon::keras
