// Training, evaluation and prediction on a dataset that is read as it is needed.
#include <gtest/gtest.h>

#include <thread>

#include "tenon/data/sources.h"
#include "tenon/data/transforms.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/layers.h"
#include "tenon/keras/model.h"

namespace tenon::keras {
namespace {

constexpr int64_t kLineRows = 19;

// x = 0, 0.1, ..., 1.8; y = 2 x + 1; weights 0, 1, 2, 3, 0, ...; labels 0, 1, 2, 0, ...
struct LineData {
  Tensor x{DType::kFloat, Shape{kLineRows, 1}}, y{DType::kFloat, Shape{kLineRows, 1}},
      weights{DType::kFloat, Shape{kLineRows}}, labels{DType::kInt64, Shape{kLineRows}};
  LineData() {
    for (int64_t i = 0; i < kLineRows; ++i) {
      const float value = static_cast<float>(i) / 10;
      x.mutable_data<float>()[i] = value;
      y.mutable_data<float>()[i] = 2 * value + 1;
      weights.mutable_data<float>()[i] = static_cast<float>(i % 4);
      labels.mutable_data<int64_t>()[i] = i % 3;
    }
  }
  data::DatasetPtr pairs() const { return *data::from_tensors({x, y}); }
};

// How many elements there are is not known.
data::DatasetPtr of_unknown_size(data::DatasetPtr rows) {
  return data::filter(std::move(rows), [](const data::Element&) -> StatusOr<bool> { return true; });
}

std::unique_ptr<Sequential> line_model() {
  auto model = std::make_unique<Sequential>(
      std::vector<LayerRef>{Input({1}), Dense({.units = 1, .kernel_initializer = "zeros"})});
  EXPECT_EQ(model->compile({.optimizer = SGD({.learning_rate = 0.1}), .loss = "mse"}),
            absl::OkStatus());
  return model;
}

std::vector<double> losses_of(const StatusOr<History>& history, const char* name = "loss") {
  EXPECT_TRUE(history.ok()) << history.status();
  return history.ok() ? history->history.at(name) : std::vector<double>();
}

void expect_losses(const std::vector<double>& found, const std::vector<double>& expected,
                   const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 2e-6 * std::max(1.0, expected[i])) << what << " " << i;
  }
}

TEST(DatasetTraining, SaysThatAnEpochWaitedForItsData) {
  const LineData line;
  const data::DatasetPtr slow =
      data::map(data::batch(line.pairs(), 4), [](data::Element batch) -> StatusOr<data::Element> {
        std::this_thread::sleep_for(std::chrono::milliseconds(250));
        return batch;
      });
  const std::unique_ptr<Sequential> model = line_model();
  testing::internal::CaptureStderr();
  const StatusOr<History> history = model->fit(slow, {.epochs = 1, .verbose = 0});
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(history.status(), absl::OkStatus());
  EXPECT_NE(said.find("input-bound: "), std::string::npos) << said;
  EXPECT_NE(said.find(" % of epoch 1 "), std::string::npos) << said;
}

// What Keras 3.15 on TensorFlow 2.21 says of the same model and tf.data's dataset of these batches.
TEST(DatasetTraining, HasTheEpochsOfKeras) {
  const LineData line;
  const struct {
    const char* what;
    bool repeats;
    int64_t epochs, steps;
    std::vector<double> losses;
  } cases[] = {
      {"passes", false, 3, 0, {1.1874394, 0.1643106, 0.089253}},
      // 4, 4 and 2 batches, then from the beginning.
      {"steps",
       false,
       7,
       4,
       {1.7028698, 1.0760485, 0.1100023, 0.3544557, 0.0261702, 0.0256315, 0.1927929}},
      // A pass ends with an epoch. (Where the number of batches is not known, Keras has an epoch
      // without steps there, whose loss is 0; here the next one begins.)
      {"whole passes", false, 5, 5, {1.7195572, 0.5961978, 0.2837913, 0.0315544, 0.1543527}},
      {"repeated", true, 3, 7, {1.5329105, 0.3027886, 0.0932541}},
  };
  for (const auto& c : cases) {
    for (const bool known : {true, false}) {
      data::DatasetPtr batches =
          data::batch(known ? line.pairs() : of_unknown_size(line.pairs()), 2);
      if (c.repeats) batches = data::repeat(batches);
      const FitOptions options{.epochs = c.epochs, .verbose = 0, .steps_per_epoch = c.steps};
      expect_losses(losses_of(line_model()->fit(batches, options)), c.losses, c.what);
    }
  }
}

TEST(DatasetTraining, ValidatesWeighsAndPredictsAsKeras) {
  const LineData line;
  const auto pairs = data::batch(line.pairs(), 2);
  FitOptions options{.epochs = 2, .verbose = 0, .validation_batches = data::batch(line.pairs(), 3)};
  expect_losses(losses_of(line_model()->fit(pairs, options), "val_loss"), {0.300995, 0.1642949},
                "validation");
  options.validation_steps = 2;
  expect_losses(losses_of(line_model()->fit(pairs, options), "val_loss"), {0.6715612, 0.3652379},
                "two batches of validation");
  const FitOptions two{.epochs = 2, .verbose = 0};
  const auto weighted = data::batch(*data::from_tensors({line.x, line.y, line.weights}), 4);
  expect_losses(losses_of(line_model()->fit(weighted, two)), {2.8796418, 0.2131137}, "weights");

  Sequential classes(
      {Input({1}), Dense({.units = 3, .activation = "softmax", .kernel_initializer = "zeros"})});
  ASSERT_EQ(classes.compile({.optimizer = SGD({.learning_rate = 0.1}),
                             .loss = "sparse_categorical_crossentropy"}),
            absl::OkStatus());
  FitOptions by_class = two;
  by_class.class_weight = {{0, 1.0}, {1, 3.0}, {2, 0.5}};
  const auto labelled = data::batch(*data::from_tensors({line.x, line.labels}), 4);
  expect_losses(losses_of(classes.fit(labelled, by_class)), {1.5429285, 1.4091054},
                "class weights");

  const auto model = line_model();
  ASSERT_TRUE(model->fit(pairs, {.verbose = 0}).ok());
  const auto fours = data::batch(of_unknown_size(line.pairs()), 4);
  expect_losses({*find_log(*model->evaluate(fours, {.verbose = 0}), "loss"),
                 *find_log(*model->evaluate(fours, {.verbose = 0, .steps = 2}), "loss")},
                {0.30099496, 0.59286469}, "evaluation");
  const auto outputs = model->predict(fours);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  ASSERT_EQ((*outputs)[0].shape(), Shape({kLineRows, 1}));
  const float* found = (*outputs)[0].data<float>();
  expect_losses({found[0], found[1], found[2]}, {1.9501595, 2.0957792, 2.241399}, "prediction");
}

TEST(DatasetTraining, HasTheBitsOfArrays) {
  const LineData line;
  for (const bool shuffle : {false, true}) {
    FitOptions options{.batch_size = 4, .epochs = 3, .verbose = 0, .shuffle = shuffle};
    const auto arrays = line_model(), streamed = line_model();
    const std::vector<double> expected = losses_of(arrays->fit(line.x, line.y, options));
    data::DatasetPtr rows = line.pairs();
    if (shuffle) rows = data::shuffle(rows, kLineRows, 0);
    for (int prefetch : {1, data::kAutotune}) {
      options.prefetch = prefetch;
      const auto model = line_model();
      EXPECT_EQ(losses_of(model->fit(data::batch(rows, 4), options)), expected);
    }
  }
}

TEST(DatasetTraining, GoesOnAtTheSavedPosition) {
  const LineData line;
  const data::DatasetPtr batches =
      data::batch(data::shuffle(of_unknown_size(line.pairs()), 7, 3), 2);
  const auto whole = line_model();
  FitOptions options{.epochs = 6, .verbose = 0, .steps_per_epoch = 4};
  const std::vector<double> expected = losses_of(whole->fit(batches, options));
  const auto parts = line_model();
  std::vector<double> found;
  for (int64_t epoch = 0; epoch < 6; ++epoch) {
    options.initial_epoch = epoch;
    options.epochs = epoch + 1;
    options.initial_position = *data::parse_position(data::to_string(parts->data_position()));
    found.push_back(losses_of(parts->fit(batches, options)).at(0));
  }
  EXPECT_EQ(found, expected);
}

TEST(DatasetTraining, ShowsAnUnknownLengthInTheFirstEpoch) {
  const LineData line;
  std::vector<std::string> shown;
  FitOptions options{.epochs = 2, .verbose = 1, .output = [&](std::string_view text) {
                       shown.emplace_back(text);
                     }};
  ASSERT_TRUE(line_model()->fit(data::batch(of_unknown_size(line.pairs()), 2), options).ok());
  const std::string all = join(shown, "");
  const size_t second = all.find("Epoch 2/2");
  ASSERT_NE(second, std::string::npos);
  EXPECT_NE(all.substr(0, second).find("      1/Unknown"), std::string::npos) << all;
  EXPECT_NE(all.substr(0, second).find("10/10"), std::string::npos) << all;
  EXPECT_EQ(all.substr(second).find("Unknown"), std::string::npos) << all;
}

TEST(DatasetTraining, RefusesWhatDoesNotFit) {
  const LineData line;
  const auto code = [&](data::DatasetPtr batches, FitOptions options = {}) {
    options.verbose = 0;
    return line_model()->fit(std::move(batches), options).status().code();
  };
  const auto pairs = data::batch(line.pairs(), 4);
  EXPECT_EQ(code(pairs), absl::StatusCode::kOk);
  EXPECT_EQ(code(data::batch(*data::from_tensors({line.x}), 4)),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(data::take(pairs, 0)), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(pairs, {.validation_split = 0.5}), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(pairs, {.steps_per_epoch = -1}), absl::StatusCode::kInvalidArgument);
  const auto weighted = data::batch(*data::from_tensors({line.x, line.y, line.weights}), 4);
  EXPECT_EQ(code(weighted, {.class_weight = {{0, 2.0}}}), absl::StatusCode::kInvalidArgument);
  const auto broken =
      data::map(pairs, [](data::Element) -> StatusOr<data::Element> { return data_loss("gone"); });
  EXPECT_EQ(code(broken), absl::StatusCode::kDataLoss);
  // A class that the model does not have.
  Sequential classes({Input({1}), Dense({.units = 2, .activation = "softmax"})});
  ASSERT_TRUE(classes.compile({.loss = "sparse_categorical_crossentropy"}).ok());
  const auto labelled = data::batch(*data::from_tensors({line.x, line.labels}), 2);
  EXPECT_EQ(classes.fit(labelled, {.verbose = 0}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::keras
