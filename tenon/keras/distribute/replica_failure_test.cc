// Replicas of which one fails while the others reduce: on the processor, and on the devices that a
// plug-in brings (TENON_PLUGIN_PATH).
#include <gtest/gtest.h>

#include <cstring>

#include "tenon/core/device.h"
#include "tenon/keras/distribute/mirrored_strategy.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"
#include "tenon/runtime/plugin/plugin_host.h"

namespace tenon::keras {
namespace {

constexpr int64_t kRowsOfEach = 2, kTokens = 4, kClasses = 3;

// Devices of one kind, "CPU" or what captures its work; fewer than asked for where there are not so
// many.
std::vector<std::string> replica_devices(bool plugin, int count) {
  std::vector<std::string> names;
  if (!plugin) {
    DeviceRegistry::global().set_virtual_cpus(8);
    for (int i = 0; i < count; ++i) names.push_back(cat("CPU:", i));
    return names;
  }
  EXPECT_TRUE(PluginHost::global().load_from_environment().ok());
  for (const Device* device : DeviceRegistry::global().all()) {
    if (device->captures() && static_cast<int>(names.size()) < count) {
      names.push_back(device->name());
    }
  }
  return names;
}

// Looks up tokens before all reductions and, with its second input, between those of the forward
// pass and the sums of gradients, each in a bucket of its own. Statistics are averaged too.
std::unique_ptr<Model> twice_embedded(const std::vector<std::string>& devices) {
  auto strategy = MirroredStrategy::create({.devices = devices, .bucket_bytes = 1});
  EXPECT_TRUE(strategy.ok()) << strategy.status();
  const KTensor early = Input({2}), late = Input({2});
  KTensor x = Flatten()(Embedding({.input_dim = kTokens, .output_dim = 3})(early));
  x = BatchNormalization()(x);
  x = BatchNormalization({.synchronized = true})(Dense({.units = 2})(x));
  const KTensor tokens = Add()({Rescaling({.scale = 0})(x), late});
  const KTensor y = Flatten()(Embedding({.input_dim = kTokens, .output_dim = 3})(tokens));
  auto model = std::make_unique<Model>(
      std::vector<KTensor>{early, late},
      std::vector<KTensor>{
          Dense({.units = kClasses, .activation = "softmax"})(Concatenate()({x, y}))},
      ModelOptions{.seed = 2, .strategy = *strategy});
  EXPECT_TRUE(model
                  ->compile({.optimizer = Adam({.learning_rate = 0.01}),
                             .loss = "sparse_categorical_crossentropy",
                             .metrics = {"accuracy"}})
                  .ok());
  return model;
}

enum class Wrong { kNothing, kEarly, kLate };

// One batch; the rows of replica `rank` have a token that there is not.
StatusOr<Logs> step_with(Model& model, int replicas, Wrong wrong, int rank) {
  const int64_t rows = kRowsOfEach * replicas;
  Tensor x(DType::kFloat, Shape{rows, 2}), y(DType::kInt64, Shape{rows});
  for (int64_t i = 0; i < 2 * rows; ++i) x.mutable_data<float>()[i] = static_cast<float>(i % 3);
  for (int64_t i = 0; i < rows; ++i) y.mutable_data<int64_t>()[i] = i % kClasses;
  Tensor bad = x.clone();
  bad.mutable_data<float>()[2 * (rank * kRowsOfEach + 1)] = 100;
  return model.train_on_batch({wrong == Wrong::kEarly ? bad : x, wrong == Wrong::kLate ? bad : x},
                              y);
}

std::vector<Tensor> copies_of(const std::vector<Weight*>& weights) {
  std::vector<Tensor> values;
  for (const Weight* weight : weights) values.push_back(weight->variable->read()->clone());
  return values;
}

void expect_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b,
                 const std::vector<Weight*>& weights) {
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(std::memcmp(a[i].raw(), b[i].raw(), a[i].num_bytes()), 0) << weights[i]->path;
  }
}

void expect_named(const Status& status, int rank, int replicas) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.message().find(cat("replica ", rank, " of ", replicas, ": ")), std::string::npos)
      << status;
}

// The step leaves no trace, whichever replica fails and where.
TEST(AFailingReplica, IsNamedAndTheStepLeavesNoTrace) {
  for (int replicas : {2, 3, 8}) {
    const auto devices = replica_devices(false, replicas);
    const auto model = twice_embedded(devices), fresh = twice_embedded(devices);
    const std::vector<Weight*> weights = model->checkpoint_variables();
    for (int rank = 0; rank < replicas; ++rank) {
      for (Wrong wrong : {Wrong::kEarly, Wrong::kLate}) {
        const auto before = copies_of(weights);
        expect_named(step_with(*model, replicas, wrong, rank).status(), rank, replicas);
        expect_same(copies_of(weights), before, weights);
      }
      const auto logs = step_with(*model, replicas, Wrong::kNothing, 0);
      const auto expected = step_with(*fresh, replicas, Wrong::kNothing, 0);
      ASSERT_TRUE(logs.ok() && expected.ok()) << logs.status();
      EXPECT_EQ(*logs, *expected);
    }
  }
}

// Devices that sum among themselves have gone on with what the failing one gave them. What that
// wrote is nobody's to use: weights want to be restored.
TEST(AFailingReplica, OnDevicesIsNamedAndWeightsAreRestoredBeforeTheNextStep) {
  const auto devices = replica_devices(true, 2);
  if (devices.size() < 2) GTEST_SKIP() << "there are not two devices that capture their work";
  for (int rank : {0, 1}) {
    for (int step : {0, 1, 3}) {
      for (Wrong wrong : {Wrong::kEarly, Wrong::kLate}) {
        SCOPED_TRACE(cat("replica ", rank, ", step ", step));
        const auto model = twice_embedded(devices), fresh = twice_embedded(devices);
        const std::vector<Weight*> weights = model->checkpoint_variables();
        for (int i = 0; i < step; ++i) {
          ASSERT_TRUE(step_with(*model, 2, Wrong::kNothing, 0).ok());
          ASSERT_TRUE(step_with(*fresh, 2, Wrong::kNothing, 0).ok());
        }
        const auto before = copies_of(weights);
        expect_named(step_with(*model, 2, wrong, rank).status(), rank, 2);
        const auto too_early = step_with(*model, 2, Wrong::kNothing, 0);
        EXPECT_EQ(too_early.status().code(), absl::StatusCode::kFailedPrecondition)
            << too_early.status();
        EXPECT_FALSE(weights[0]->variable->read().ok());
        for (size_t i = 0; i < weights.size(); ++i) {
          ASSERT_TRUE(weights[i]->variable->assign(before[i].clone()).ok());
        }
        const auto logs = step_with(*model, 2, Wrong::kNothing, 0);
        const auto expected = step_with(*fresh, 2, Wrong::kNothing, 0);
        ASSERT_TRUE(logs.ok() && expected.ok()) << logs.status();
        EXPECT_EQ(*logs, *expected);
        expect_same(copies_of(weights), copies_of(fresh->checkpoint_variables()), weights);
      }
    }
  }
}

}  // namespace
}  // namespace tenon::keras
