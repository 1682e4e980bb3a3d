// The digits' CNN trained on a device that a plug-in brings (TENON_PLUGIN_PATH), its steps
// captured.
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>

#include "tenon/base/files.h"
#include "tenon/core/device.h"
#include "tenon/data/transforms.h"
#include "tenon/keras/callbacks.h"
#include "tenon/keras/distribute/mirrored_strategy.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon::keras {
namespace {

constexpr int64_t kSteps = 20, kRows = 32, kPixels = 64;

struct DigitBatches {
  std::vector<Tensor> x, y;  // by step
};

DigitBatches read_digit_batches() {
  DigitBatches digits;
  const auto text = read_file(TENON_SOURCE_DIR "/examples/digits/train.csv");
  EXPECT_TRUE(text.ok()) << text.status();
  const std::vector<std::string_view> lines = split(*text, '\n');
  for (int64_t step = 0; step < kSteps; ++step) {
    Tensor x(DType::kFloat, Shape{kRows, kPixels}), y(DType::kInt64, Shape{kRows});
    for (int64_t row = 0; row < kRows; ++row) {
      const auto fields = split(lines[static_cast<size_t>(step * kRows + row)], ',');
      for (int64_t i = 0; i < kPixels; ++i) {
        const auto value = std::atoi(std::string(fields[static_cast<size_t>(i)]).c_str());
        x.mutable_data<float>()[row * kPixels + i] = static_cast<float>(value);
      }
      y.mutable_data<int64_t>()[row] = std::atoi(std::string(fields.back()).c_str());
    }
    digits.x.push_back(std::move(x));
    digits.y.push_back(std::move(y));
  }
  return digits;
}

// The loss of each batch.
std::vector<double> train_on(Device* device, const char* optimizer, const DigitBatches& digits) {
  DeviceRegistry::global().prefer(device);
  std::vector<double> losses;
  const auto text = read_file(TENON_SOURCE_DIR "/examples/digits/cnn.json");
  auto model = Model::from_json(*Json::parse(*text), {.seed = 3});
  EXPECT_TRUE(model.ok()) << model.status();
  Status status = (*model)->compile({.optimizer = Json(optimizer),
                                     .loss = Json("sparse_categorical_crossentropy"),
                                     .metrics = {"accuracy"}});
  for (size_t i = 0; i < digits.x.size() && status.ok(); ++i) {
    const auto logs = (*model)->train_on_batch({digits.x[i]}, {digits.y[i]});
    status = logs.status();
    if (logs.ok()) losses.push_back(*find_log(*logs, "loss"));
  }
  EXPECT_TRUE(status.ok()) << status;
  DeviceRegistry::global().prefer(nullptr);
  return losses;
}

Status load_plugins() {
  static const Status loaded = PluginHost::global().load_from_environment();
  return loaded;
}

// Graphs that the lazy device has launched; 0 where it is another one.
int64_t launched() {
  const char* path = std::getenv("TENON_PLUGIN_PATH");
  void* library = path ? dlopen(path, RTLD_NOW | RTLD_NOLOAD) : nullptr;
  void* function = library ? dlsym(library, "lazy_graph_launches") : nullptr;
  return function ? reinterpret_cast<int64_t (*)()>(function)() : 0;
}

TEST(DigitsOnADevice, CapturedStepsTrainAsTheProcessorDoes) {
  ASSERT_TRUE(load_plugins().ok()) << load_plugins();
  Device* device = DeviceRegistry::global().preferred();
  if (!device->captures()) GTEST_SKIP() << "there is no device that captures its work";
  const DigitBatches digits = read_digit_batches();
  for (const char* optimizer : {"adam", "sgd"}) {
    const auto want = train_on(cpu_device(), optimizer, digits);
    const int64_t before = launched();
    const auto captured = train_on(device, optimizer, digits);
    // The whole step is one graph, from the second step on.
    const int64_t graphs = launched() - before;
    EXPECT_TRUE(graphs == kSteps - 1 || launched() == 0) << graphs;
    setenv("TENON_CAPTURE", "0", 1);
    const auto in_parts = train_on(device, optimizer, digits);
    unsetenv("TENON_CAPTURE");
    ASSERT_EQ(captured.size(), static_cast<size_t>(kSteps));
    EXPECT_LT(want.back(), want.front());
    EXPECT_EQ(captured, in_parts) << optimizer;
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(captured[i], want[i], 1e-5 * want[i]) << optimizer << ", step " << i;
    }
  }
}

// What fit() on some device gives, with a callback that waits for each step or without one.
struct Fitted {
  std::vector<double> losses, of_steps;
  double evaluated = 0;
  std::vector<Tensor> weights;
};

struct LossOfSteps final : Callback {
  std::vector<double> losses;
  Status on_batch_end(Model&, int64_t, const RunningMeans& means) override {
    TENON_ASSIGN_OR_RETURN(const Logs* logs, means.read());
    losses.push_back(*find_log(*logs, "loss"));
    return absl::OkStatus();
  }
};

Fitted fit_on(Device* device, const DigitBatches& digits, bool from_dataset, bool watched) {
  DeviceRegistry::global().prefer(device);
  Fitted fitted;
  Sequential model({Input({kPixels}), Rescaling({.scale = 0.0625}), Dense({.units = 16}),
                    Dense({.units = 10, .activation = "softmax"})},
                   {.seed = 3});
  Status status = model.compile({.optimizer = Adam({.learning_rate = 0.01}),
                                 .loss = "sparse_categorical_crossentropy",
                                 .metrics = {"accuracy"}});
  const auto watch = std::make_shared<LossOfSteps>();
  FitOptions options{.batch_size = 5, .epochs = 3, .verbose = 0, .shuffle = false};
  if (watched) options.callbacks = {watch};
  const Tensor x = digits.x[0].slice(0, 32), y = digits.y[0].slice(0, 32);  // the last batch has 2
  const auto rows = data::from_tensors({x, y});
  const auto history =
      from_dataset ? model.fit(data::batch(*rows, 5), options) : model.fit({x}, {y}, options);
  EXPECT_TRUE(status.ok() && history.ok()) << status << history.status();
  const auto judged = model.evaluate({x}, {y}, {.batch_size = 7, .verbose = 0});
  EXPECT_TRUE(judged.ok()) << judged.status();
  if (history.ok() && judged.ok()) {
    fitted.losses = history->history.at("loss");
    fitted.evaluated = *find_log(*judged, "loss");
  }
  fitted.of_steps = watch->losses;
  for (const Weight* weight : model.weights()) fitted.weights.push_back(*weight->variable->read());
  DeviceRegistry::global().prefer(nullptr);
  return fitted;
}

// Batches are copied ahead and steps begun before the last one is done: that changes no bit.
TEST(DigitsOnADevice, FitGoesAheadOfTheDevice) {
  ASSERT_TRUE(load_plugins().ok()) << load_plugins();
  Device* device = DeviceRegistry::global().preferred();
  if (!device->captures()) GTEST_SKIP() << "there is no device that captures its work";
  const DigitBatches digits = read_digit_batches();
  const Fitted want = fit_on(cpu_device(), digits, false, true);
  const Fitted first = fit_on(device, digits, false, true);
  ASSERT_EQ(want.of_steps.size(), 21u);
  ASSERT_EQ(first.of_steps.size(), want.of_steps.size());
  for (size_t i = 0; i < want.of_steps.size(); ++i) {
    EXPECT_NEAR(first.of_steps[i], want.of_steps[i], 1e-5 * want.of_steps[i]) << i;
  }
  EXPECT_NEAR(first.evaluated, want.evaluated, 1e-5 * want.evaluated);
  for (const bool from_dataset : {false, true}) {
    for (const bool watched : {false, true}) {
      const Fitted again = fit_on(device, digits, from_dataset, watched);
      EXPECT_EQ(again.losses, first.losses) << from_dataset << watched;
      EXPECT_EQ(again.evaluated, first.evaluated);
      for (size_t i = 0; i < first.weights.size(); ++i) {
        EXPECT_EQ(std::memcmp(again.weights[i].raw(), first.weights[i].raw(),
                              first.weights[i].num_bytes()),
                  0)
            << i;
      }
    }
  }
}

// Losses and weights of a residual network with batch normalisations after five steps.
struct ResidualTraining {
  std::vector<double> losses;
  std::vector<Tensor> weights;
};
ResidualTraining train_residual(Device* device, std::string_view policy,
                                const DigitBatches& digits) {
  DeviceRegistry::global().prefer(device);
  const auto with_policy = [&](LayerRef layer) {
    layer->set_policy(*DTypePolicy::of(policy));
    return layer;
  };
  const Initializer bias = Initializer("RandomNormal").with("stddev", 0.5);
  const auto convolved = [&](const KTensor& x, int64_t filters, int64_t taps, int64_t steps) {
    const KTensor y = with_policy(Conv2D({.filters = filters,
                                          .kernel_size = {taps, taps},
                                          .strides = {steps, steps},
                                          .padding = "same",
                                          .bias_initializer = bias}))(x);
    return with_policy(BatchNormalization())(y);
  };
  const auto relu = [&](const KTensor& x) { return with_policy(Activation("relu"))(x); };
  const auto sum = [&](const KTensor& x, const KTensor& y) {
    return with_policy(Add())(std::vector<KTensor>{x, y});
  };
  const KTensor image = Input({kPixels});
  KTensor x = Reshape({8, 8, 1})(Rescaling({.scale = 0.0625})(image));
  x = relu(convolved(x, 8, 3, 1));
  x = relu(sum(x, convolved(relu(convolved(x, 8, 3, 1)), 8, 1, 1)));
  x = relu(sum(convolved(relu(convolved(x, 16, 1, 2)), 16, 3, 1), convolved(x, 16, 1, 2)));
  const KTensor y = Dense({.units = 10})(with_policy(GlobalAveragePooling2D())(x));
  Model model({image}, {y}, {.seed = 3});
  Status status = model.compile({.optimizer = SGD({.learning_rate = 0.05}),
                                 .loss = SparseCategoricalCrossentropy({.from_logits = true})});
  ResidualTraining done;
  for (size_t i = 0; i < 5 && status.ok(); ++i) {
    const auto logs = model.train_on_batch({digits.x[i]}, {digits.y[i]});
    status = logs.status();
    if (logs.ok()) done.losses.push_back(*find_log(*logs, "loss"));
  }
  EXPECT_TRUE(status.ok()) << status;
  for (const Weight* weight : model.weights()) done.weights.push_back(*weight->variable->read());
  DeviceRegistry::global().prefer(nullptr);
  return done;
}

// Bias, normalisation, addition and Relu may be one kernel there, and so may their gradients.
TEST(DigitsOnADevice, ResidualNetworksTrainAsOnTheProcessor) {
  ASSERT_TRUE(load_plugins().ok()) << load_plugins();
  Device* device = DeviceRegistry::global().preferred();
  if (device->host_accessible()) GTEST_SKIP() << "there is no device with memory of its own";
  const DigitBatches digits = read_digit_batches();
  for (const auto& [policy, tolerance] :
       {std::pair("float32", 1e-4), std::pair("mixed_bfloat16", 3e-2)}) {
    SCOPED_TRACE(policy);
    const ResidualTraining want = train_residual(cpu_device(), policy, digits);
    const ResidualTraining found = train_residual(device, policy, digits);
    const ResidualTraining again = train_residual(device, policy, digits);
    ASSERT_EQ(found.losses.size(), 5u);
    ASSERT_EQ(found.weights.size(), want.weights.size());
    EXPECT_LT(want.losses.back(), want.losses.front());
    EXPECT_EQ(again.losses, found.losses);
    for (size_t i = 0; i < want.losses.size(); ++i) {
      EXPECT_NEAR(found.losses[i], want.losses[i], tolerance * want.losses[i]) << i;
    }
    for (size_t w = 0; w < want.weights.size(); ++w) {
      EXPECT_EQ(
          std::memcmp(again.weights[w].raw(), found.weights[w].raw(), found.weights[w].num_bytes()),
          0)
          << w;
      const auto expected = want.weights[w].span<float>(), values = found.weights[w].span<float>();
      float largest = 0.05f, furthest = 0;  // a bias before a normalisation stays about 0
      for (size_t i = 0; i < expected.size(); ++i) {
        largest = std::max(largest, std::abs(expected[i]));
        furthest = std::max(furthest, std::abs(values[i] - expected[i]));
      }
      EXPECT_LT(furthest, static_cast<float>(tolerance) * largest) << "weight " << w;
    }
  }
}

TEST(DigitsOnADevice, BatchesAreThereBeforeTheirStep) {
  ASSERT_TRUE(load_plugins().ok()) << load_plugins();
  Device* device = DeviceRegistry::global().preferred();
  if (device->host_accessible()) GTEST_SKIP() << "there is no device with memory of its own";
  const DigitBatches digits = read_digit_batches();
  const auto rows = data::from_tensors({digits.x[0], digits.y[0]});
  const auto batches = data::prefetch(data::on_device(data::batch(*rows, 8), device, 1));
  const auto iterator = *batches->iterate(0);
  data::Element batch;
  for (int64_t at = 0; at < kRows; at += 8) {
    const auto more = iterator->next(batch);
    ASSERT_TRUE(more.ok() && *more) << more.status();
    EXPECT_EQ(device_of(batch[0]), device);
    EXPECT_EQ(device_of(batch[1]), nullptr);
    const auto x = copy_to(batch[0], nullptr);
    ASSERT_TRUE(x.ok()) << x.status();
    EXPECT_EQ(std::memcmp(x->raw(), digits.x[0].slice(at, 8).raw(), x->num_bytes()), 0);
    EXPECT_EQ(std::memcmp(batch[1].raw(), digits.y[0].slice(at, 8).raw(), batch[1].num_bytes()), 0);
  }
  EXPECT_FALSE(*iterator->next(batch));
}

// 20 steps of the example's CNN, without its Dropout, on as many devices as are named.
std::vector<double> train_mirrored(const std::vector<std::string>& names,
                                   const DigitBatches& digits, std::vector<Tensor>& weights) {
  auto strategy = MirroredStrategy::create({.devices = names, .bucket_bytes = 20000});
  EXPECT_TRUE(strategy.ok()) << strategy.status();
  Sequential model({Input({kPixels}), Rescaling({.scale = 0.0625}), Reshape({8, 8, 1}),
                    Conv2D({.filters = 16, .padding = "same", .activation = "relu"}),
                    MaxPooling2D(), Flatten(), Dense({.units = 10, .activation = "softmax"})},
                   {.seed = 3, .strategy = *strategy});
  Status status = model.compile({.optimizer = Adam({.learning_rate = 0.001}),
                                 .loss = "sparse_categorical_crossentropy",
                                 .metrics = {"accuracy"}});
  std::vector<double> losses;
  for (size_t i = 0; i < digits.x.size() && status.ok(); ++i) {
    const auto logs = model.train_on_batch({digits.x[i]}, {digits.y[i]});
    status = logs.status();
    if (logs.ok()) losses.push_back(*find_log(*logs, "loss"));
  }
  EXPECT_TRUE(status.ok()) << status;
  weights.clear();
  for (const Weight* weight : model.weights()) weights.push_back(*weight->variable->read());
  return losses;
}

TEST(DigitsOnADevice, TwoDevicesSumTheirGradientsInCapturedSteps) {
  ASSERT_TRUE(load_plugins().ok()) << load_plugins();
  std::vector<std::string> names;
  for (const Device* device : DeviceRegistry::global().all()) {
    if (device->captures()) names.push_back(device->name());
  }
  if (names.size() < 2) GTEST_SKIP() << "there are not two devices that capture their work";
  const DigitBatches digits = read_digit_batches();
  std::vector<Tensor> weights, weights_of_two, again;
  const auto want = train_mirrored({names[0]}, digits, weights);
  const int64_t before = launched();
  const auto of_two = train_mirrored({names[0], names[1]}, digits, weights_of_two);
  // The whole step of each is one graph, with the reductions in it.
  const int64_t graphs = launched() - before;
  EXPECT_TRUE(graphs == 2 * (kSteps - 1) || launched() == 0) << graphs;
  EXPECT_LT(want.back(), want.front());
  ASSERT_EQ(of_two.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(of_two[i], want[i], 1e-5 * want[i]) << i;
  for (const char* capture : {"1", "0"}) {
    setenv("TENON_CAPTURE", capture, 1);
    EXPECT_EQ(train_mirrored({names[0], names[1]}, digits, again), of_two);
    for (size_t i = 0; i < again.size(); ++i) {
      EXPECT_EQ(std::memcmp(again[i].raw(), weights_of_two[i].raw(), again[i].num_bytes()), 0) << i;
    }
  }
  unsetenv("TENON_CAPTURE");
}

// Batches whose rows do not fill all replicas, and statistics that are averaged over those that
// have rows: as on the processor.
TEST(DigitsOnADevice, ReplicasWithoutRowsHaveNoSay) {
  ASSERT_TRUE(load_plugins().ok()) << load_plugins();
  std::vector<std::string> names;
  for (const Device* device : DeviceRegistry::global().all()) {
    if (device->captures()) names.push_back(device->name());
  }
  if (names.size() < 2) GTEST_SKIP() << "there are not two devices that capture their work";
  DeviceRegistry::global().set_virtual_cpus(2);
  const DigitBatches digits = read_digit_batches();
  const auto train = [&](const std::vector<std::string>& devices, bool synchronized) {
    auto strategy = MirroredStrategy::create({.devices = devices});
    EXPECT_TRUE(strategy.ok()) << strategy.status();
    Sequential model({Input({kPixels}), Rescaling({.scale = 0.0625}), Dense({.units = 8}),
                      BatchNormalization({.momentum = 0.5, .synchronized = synchronized}),
                      Dense({.units = 10, .activation = "softmax"})},
                     {.seed = 3, .strategy = *strategy});
    EXPECT_TRUE(model
                    .compile({.optimizer = SGD({.learning_rate = 0.1}),
                              .loss = "sparse_categorical_crossentropy"})
                    .ok());
    std::vector<float> values;
    for (int64_t rows : {9, 1, 8}) {  // 5 and 4, 1 and none
      const auto logs =
          model.train_on_batch({digits.x[0].slice(0, rows)}, {digits.y[0].slice(0, rows)});
      EXPECT_TRUE(logs.ok()) << logs.status();
      if (logs.ok()) values.push_back(static_cast<float>(*find_log(*logs, "loss")));
    }
    for (const Weight* weight : model.weights()) {
      const Tensor value = *weight->variable->read();
      values.insert(values.end(), value.span<float>().begin(), value.span<float>().end());
    }
    return values;
  };
  for (bool synchronized : {false, true}) {
    const auto want = train({"CPU:0", "CPU:1"}, synchronized);
    const auto got = train({names[0], names[1]}, synchronized);
    ASSERT_EQ(got.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(got[i], want[i], 1e-5f + 1e-4f * std::abs(want[i])) << synchronized << " " << i;
    }
  }
}

}  // namespace
}  // namespace tenon::keras
