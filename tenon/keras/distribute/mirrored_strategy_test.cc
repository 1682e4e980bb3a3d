// MirroredStrategy beside one replica, and beside TensorFlow's
// (tests/keras/make_mirrored_cases.py).
#include "tenon/keras/distribute/mirrored_strategy.h"

#include <cstring>

#include "tenon/data/files.h"
#include "tenon/io/npy.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

std::shared_ptr<const MirroredStrategy> strategy_of(int replicas, int64_t bucket_bytes = 4 << 20) {
  DeviceRegistry::global().set_virtual_cpus(8);
  MirroredOptions options;
  options.bucket_bytes = bucket_bytes;
  for (int i = 0; i < replicas; ++i) options.devices.push_back(cat("CPU:", i));
  auto made = MirroredStrategy::create(std::move(options));
  EXPECT_TRUE(made.ok()) << made.status();
  return made.ok() ? *made : nullptr;
}

// Loss and accuracy as they stand after each batch.
struct BatchLogs final : Callback {
  std::vector<double> losses, accuracies;
  Status on_batch_end(Model&, int64_t, const RunningMeans& means) override {
    TENON_ASSIGN_OR_RETURN(const Logs* logs, means.read());
    losses.push_back(*find_log(*logs, "loss"));
    const double* accuracy = find_log(*logs, "accuracy");
    accuracies.push_back(accuracy ? *accuracy : 0);
    return absl::OkStatus();
  }
};

std::vector<Tensor> weights_of(const Model& model) {
  std::vector<Tensor> values;
  for (const Weight* weight : model.weights()) values.push_back(*weight->variable->read());
  return values;
}

void expect_equal_bits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(a[i].num_bytes(), b[i].num_bytes());
    EXPECT_EQ(std::memcmp(a[i].raw(), b[i].raw(), a[i].num_bytes()), 0) << "weight " << i;
  }
}

// --- the digits' CNN of the examples, without its Dropout ---

struct Digits {
  Tensor x, y;
  Digits() {
    auto table = data::read_table(TENON_SOURCE_DIR "/examples/digits/train.csv");
    EXPECT_TRUE(table.ok()) << table.status();
    if (!table.ok()) return;
    x = table->x.slice(0, 480);
    y = table->y.slice(0, 480);
  }
};

const Digits& digits() {
  static const Digits digits;
  return digits;
}

std::unique_ptr<Sequential> digits_cnn(std::shared_ptr<const MirroredStrategy> strategy) {
  ModelOptions options;
  options.seed = 4;
  options.strategy = std::move(strategy);
  auto model = std::make_unique<Sequential>(
      std::vector<LayerRef>{
          Input({64}), Rescaling({.scale = 0.0625}), Reshape({8, 8, 1}),
          Conv2D({.filters = 32, .padding = "same", .activation = "relu"}), MaxPooling2D(),
          Conv2D({.filters = 64, .padding = "same", .activation = "relu"}), MaxPooling2D(),
          Flatten(), Dense({.units = 10, .activation = "softmax"})},
      std::move(options));
  const Status status = model->compile({.optimizer = Adam({.learning_rate = 0.001}),
                                        .loss = "sparse_categorical_crossentropy",
                                        .metrics = {"accuracy"}});
  EXPECT_TRUE(status.ok()) << status;
  return model;
}

// 20 steps of 48 rows, in the data's order.
std::vector<double> train_digits(Model& model) {
  auto logs = std::make_shared<BatchLogs>();
  FitOptions options;
  options.batch_size = 48;
  options.epochs = 2;
  options.verbose = 0;
  options.shuffle = false;
  options.callbacks = {logs};
  const auto history = model.fit(digits().x, digits().y, std::move(options));
  EXPECT_TRUE(history.ok()) << history.status();
  return logs->losses;
}

TEST(MirroredStrategy, DigitsCnnHasTheLossesOfOneReplica) {
  const auto alone = digits_cnn(nullptr);
  const std::vector<double> expected = train_digits(*alone);
  ASSERT_EQ(expected.size(), 20u);
  for (int replicas : {1, 2, 3, 8}) {
    const auto model = digits_cnn(strategy_of(replicas, 2048));
    const std::vector<double> losses = train_digits(*model);
    ASSERT_EQ(losses.size(), 20u);
    for (size_t i = 0; i < 20; ++i) {
      EXPECT_NEAR(losses[i], expected[i], 1e-5 * expected[i]) << replicas << ", step " << i;
    }
    // Evaluation and prediction use replica 0's weights.
    const auto judged = model->evaluate(digits().x, digits().y, {.verbose = 0});
    ASSERT_TRUE(judged.ok()) << judged.status();
    const auto reference = alone->evaluate(digits().x, digits().y, {.verbose = 0});
    EXPECT_NEAR(*find_log(*judged, "loss"), *find_log(*reference, "loss"), 1e-4);
  }
}

TEST(MirroredStrategy, EqualBitsWhateverTheTimingAndTheBuckets) {
  const auto first = digits_cnn(strategy_of(3));
  const std::vector<double> losses = train_digits(*first);
  for (int64_t bucket_bytes : {4 << 20, 1, 20000}) {
    const auto again = digits_cnn(strategy_of(3, bucket_bytes));
    EXPECT_EQ(train_digits(*again), losses) << bucket_bytes;
    expect_equal_bits(weights_of(*again), weights_of(*first));
  }
}

// --- beside TensorFlow ---

class MirroredCase : public testing::TestWithParam<const char*> {};

TEST_P(MirroredCase, TrainsAsUnderTensorFlowsStrategy) {
  const std::string name = cat("mirrored_", GetParam());
  const auto arrays = NpzReader::open(testdata(name + ".npz"));
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  const auto array = [&](const std::string& key) {
    auto tensor = arrays->read(key);
    EXPECT_TRUE(tensor.ok()) << tensor.status();
    return tensor.ok() ? *tensor : Tensor();
  };
  const std::vector<int64_t> sizes = integers_of(array("sizes"));
  ModelOptions model_options;
  model_options.strategy = strategy_of(static_cast<int>(sizes[0]), 500);
  auto model = Model::load(testdata(name + ".keras"), std::move(model_options));
  ASSERT_TRUE(model.ok()) << model.status();
  auto logs = std::make_shared<BatchLogs>();
  FitOptions options;
  options.batch_size = sizes[1];
  options.epochs = sizes[2];
  options.verbose = 0;
  options.shuffle = false;
  options.sample_weight = array("w");
  options.callbacks = {logs};
  const auto history = (*model)->fit(array("x"), array("y"), std::move(options));
  ASSERT_TRUE(history.ok()) << history.status();
  const Tensor losses = array("losses");
  ASSERT_EQ(static_cast<int64_t>(logs->losses.size()), losses.dim(0));
  for (int64_t i = 0; i < losses.dim(0); ++i) {
    const float loss = losses.data<float>()[2 * i];
    EXPECT_NEAR(logs->losses[static_cast<size_t>(i)], loss, 1e-5 * loss) << "batch " << i;
    EXPECT_NEAR(logs->accuracies[static_cast<size_t>(i)], losses.data<float>()[2 * i + 1], 1e-5);
  }
  const std::vector<Tensor> weights = weights_of(**model);
  for (size_t i = 0; i < weights.size(); ++i) {
    const Tensor expected = array(cat("weight", i));
    ASSERT_EQ(weights[i].shape(), expected.shape());
    for (int64_t at = 0; at < expected.num_elements(); ++at) {
      EXPECT_NEAR(weights[i].data<float>()[at], expected.data<float>()[at], 3e-5)
          << (*model)->weights()[i]->path;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(TensorFlow, MirroredCase,
                         testing::Values("batch_norm", "sync_batch_norm", "sync_absent",
                                         "clipped_absent"),
                         [](const auto& info) { return std::string(info.param); });

// --- what else must hold ---

Tensor ramp_rows(int64_t rows, int64_t columns) {
  Tensor x(DType::kFloat, Shape{rows, columns});
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    x.mutable_data<float>()[i] = static_cast<float>((i * 37) % 19) / 19 - 0.5f;
  }
  return x;
}

std::unique_ptr<Sequential> small_regression(std::shared_ptr<const MirroredStrategy> strategy) {
  ModelOptions options;
  options.seed = 2;
  options.strategy = std::move(strategy);
  auto model = std::make_unique<Sequential>(
      std::vector<LayerRef>{Input({3}), Dense({.units = 4, .activation = "tanh"}),
                            Dense({.units = 1})},
      std::move(options));
  EXPECT_TRUE(model->compile({.optimizer = Adam({.learning_rate = 0.05}), .loss = "mse"}).ok());
  return model;
}

// What is changed between steps reaches every replica: rates and weights.
TEST(MirroredStrategy, ChangesBetweenStepsReachAllReplicas) {
  const auto alone = small_regression(nullptr), model = small_regression(strategy_of(2));
  const Tensor x = ramp_rows(8, 3), y = ramp_rows(8, 1);
  for (int step = 0; step < 6; ++step) {
    for (Model* each : {static_cast<Model*>(alone.get()), static_cast<Model*>(model.get())}) {
      ASSERT_TRUE(each->set_learning_rate(0.01 * (step + 1)).ok());
      if (step == 3) {
        for (Weight* weight : each->weights()) {
          Tensor zero = weight->variable->read()->clone();
          std::memset(zero.mutable_raw(), 0, zero.num_bytes());
          zero.mutable_data<float>()[0] = 0.5f;
          ASSERT_TRUE(weight->variable->assign(zero).ok());
        }
      }
    }
    const auto expected = alone->train_on_batch(x, y), logs = model->train_on_batch(x, y);
    ASSERT_TRUE(expected.ok() && logs.ok()) << logs.status();
    EXPECT_NEAR(*find_log(*logs, "loss"), *find_log(*expected, "loss"), 1e-6) << step;
  }
}

// The mask of one replica is not that of the other: with equal ones no weight would move by half.
TEST(MirroredStrategy, DropoutDiffersBetweenReplicas) {
  ModelOptions options;
  options.strategy = strategy_of(2);
  Sequential model({Input({64}), Dropout({.rate = 0.5, .seed = 5}),
                    Dense({.units = 1, .use_bias = false, .kernel_initializer = "zeros"})},
                   std::move(options));
  ASSERT_TRUE(model.compile({.optimizer = SGD({.learning_rate = 1.0}), .loss = "mse"}).ok());
  Tensor x(DType::kFloat, Shape{2, 64}), y(DType::kFloat, Shape{2, 1});
  std::fill_n(x.mutable_data<float>(), 128, 1.0f);
  std::fill_n(y.mutable_data<float>(), 2, 1.0f);
  ASSERT_TRUE(model.train_on_batch(x, y).ok());
  std::set<float> moved;
  const Tensor kernel = *model.weights()[0]->variable->read();
  for (float value : kernel.span<float>()) moved.insert(value);
  EXPECT_EQ(moved, (std::set<float>{0.0f, 2.0f, 4.0f}));
}

// A class that the second replica's share alone has: the step fails, and leaves no trace.
TEST(MirroredStrategy, AFailingReplicaIsNamedAndTheNextStepIsWhole) {
  const auto make = [] {
    ModelOptions options;
    options.seed = 2;
    options.strategy = strategy_of(2);
    auto model = std::make_unique<Sequential>(
        std::vector<LayerRef>{Input({2}), Embedding({.input_dim = 4, .output_dim = 3}), Flatten(),
                              Dense({.units = 1})},
        std::move(options));
    EXPECT_TRUE(model->compile({.optimizer = "adam", .loss = "mse"}).ok());
    return model;
  };
  const auto model = make(), fresh = make();
  Tensor good(DType::kFloat, Shape{4, 2}), y = ramp_rows(4, 1);
  for (int64_t i = 0; i < 8; ++i) good.mutable_data<float>()[i] = static_cast<float>(i % 4);
  Tensor bad = good.clone();
  bad.mutable_data<float>()[7] = 9;
  for (int step = 0; step < 3; ++step) {
    const auto failed = model->train_on_batch(bad, y);
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(failed.status().code(), absl::StatusCode::kInvalidArgument) << failed.status();
    EXPECT_NE(failed.status().message().find("replica 1 of 2"), std::string::npos)
        << failed.status();
    ASSERT_TRUE(model->train_on_batch(good, y).ok());
    ASSERT_TRUE(fresh->train_on_batch(good, y).ok());
  }
  expect_equal_bits(weights_of(*model), weights_of(*fresh));
}

TEST(MirroredStrategy, StoresOneModel) {
  const auto model = small_regression(strategy_of(3));
  const Tensor x = ramp_rows(7, 3), y = ramp_rows(7, 1);
  ASSERT_TRUE(model->train_on_batch(x, y).ok());
  const std::string path = join_path(testing::TempDir(), "mirrored.keras");
  ASSERT_TRUE(model->save(path).ok());
  ModelOptions options;
  options.strategy = strategy_of(3);
  const auto again = Model::load(path, std::move(options));
  ASSERT_TRUE(again.ok()) << again.status();
  expect_equal_bits(weights_of(**again), weights_of(*model));
  ASSERT_TRUE(model->train_on_batch(x, y).ok());
  ASSERT_TRUE((*again)->train_on_batch(x, y).ok());
  expect_equal_bits(weights_of(**again), weights_of(*model));
  const auto predicted = (*again)->predict(x);
  ASSERT_TRUE(predicted.ok()) << predicted.status();
  EXPECT_EQ((*predicted)[0].dim(0), 7);
}

TEST(MirroredStrategy, RefusesWhatItCannotDo) {
  EXPECT_EQ(MirroredStrategy::create({.devices = {"TPU:0"}}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(MirroredStrategy::create({.devices = {"CPU:0", "CPU"}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  ModelOptions options;
  options.strategy = strategy_of(2);
  Sequential model({Input({.shape = {3, 2}, .batch_size = 4}), LSTM({.units = 2, .stateful = true}),
                    Dense({.units = 1})},
                   std::move(options));
  ASSERT_TRUE(model.compile({.loss = "mse"}).ok());
  const auto logs = model.train_on_batch(Tensor(DType::kFloat, Shape{4, 3, 2}), ramp_rows(4, 1));
  EXPECT_EQ(logs.status().code(), absl::StatusCode::kUnimplemented) << logs.status();
}

}  // namespace
}  // namespace tenon::keras
