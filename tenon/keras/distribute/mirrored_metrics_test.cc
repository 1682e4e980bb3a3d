// Metrics under a MirroredStrategy: those of one replica, since their sums are added up.
#include <gtest/gtest.h>

#include <cmath>

#include "tenon/keras/callbacks.h"
#include "tenon/keras/distribute/mirrored_strategy.h"
#include "tenon/keras/model.h"

namespace tenon::keras {
namespace {

struct EpochLogs final : Callback {
  std::vector<Logs> logs;
  Status on_epoch_end(Model&, int64_t, Logs& of_epoch) override {
    logs.push_back(of_epoch);
    return absl::OkStatus();
  }
};

Json metric_of(std::string_view class_name, Json config) {
  return Json::object({{"module", "keras.metrics"},
                       {"class_name", class_name},
                       {"config", std::move(config)},
                       {"registered_name", nullptr}});
}

std::vector<Json> all_kinds() {
  return {"accuracy",
          "AUC",
          "precision",
          "r2_score",
          "root_mean_squared_error",
          metric_of("F1Score", Json::object({{"name", "f1"}})),
          metric_of("Recall",
                    Json::object({{"name", "recalls"},
                                  {"thresholds", Json::array(std::vector<double>{0.2, 0.5})}})),
          metric_of("AUC", Json::object({{"name", "auc_pr"},
                                         {"curve", "PR"},
                                         {"multi_label", true},
                                         {"num_thresholds", 20}})),
          metric_of("OneHotMeanIoU", Json::object({{"name", "iou"}, {"num_classes", 4}}))};
}

// Waves, so that no two rows are alike.
Tensor waves(int64_t rows, int64_t columns, double phase) {
  Tensor x(DType::kFloat, Shape{rows, columns});
  for (int64_t i = 0; i < rows * columns; ++i) {
    x.mutable_data<float>()[i] = static_cast<float>(std::sin(phase + 1.7 * static_cast<double>(i)));
  }
  return x;
}

Tensor one_hot_rows(int64_t rows, int64_t classes) {
  Tensor y(DType::kFloat, Shape{rows, classes});
  std::fill_n(y.mutable_data<float>(), rows * classes, 0.0f);
  for (int64_t row = 0; row < rows; ++row) {
    y.mutable_data<float>()[row * classes + (row * row + row / 3) % classes] = 1.0f;
  }
  return y;
}

// Weights stay as they are: replicas with unequal shares would train otherwise than one does.
std::vector<Logs> train_with_metrics(int replicas) {
  ModelOptions options;
  options.seed = 3;
  if (replicas > 0) {
    DeviceRegistry::global().set_virtual_cpus(8);
    MirroredOptions mirrored;
    for (int i = 0; i < replicas; ++i) mirrored.devices.push_back(cat("CPU:", i));
    options.strategy = *MirroredStrategy::create(std::move(mirrored));
  }
  Sequential model({Input({5}), Dense({.units = 4, .activation = "softmax"})}, std::move(options));
  EXPECT_EQ(model.compile({.optimizer = SGD({.learning_rate = 0}),
                           .loss = "categorical_crossentropy",
                           .metrics = all_kinds(),
                           .weighted_metrics = {"AUC", "recall", "mae"}}),
            absl::OkStatus());
  auto seen = std::make_shared<EpochLogs>();
  FitOptions fit;
  fit.batch_size = 8;  // the last one has 3 rows, which leave most of 8 replicas without any
  fit.epochs = 3;
  fit.verbose = 0;
  fit.shuffle = false;
  fit.callbacks = {seen};
  fit.sample_weight = SampleWeights(waves(27, 1, 0.5).reshaped(Shape{27}));
  for (float& weight : std::span(fit.sample_weight[0].mutable_data<float>(), 27)) weight += 1.25f;
  const auto history = model.fit(waves(27, 5, 0), one_hot_rows(27, 4), fit);
  EXPECT_TRUE(history.ok()) << history.status();
  return seen->logs;
}

TEST(MirroredMetrics, AreThoseOfOneReplica) {
  const std::vector<Logs> alone = train_with_metrics(0);
  ASSERT_EQ(alone.size(), 3u);
  ASSERT_EQ(alone[0].size(), 13u);
  EXPECT_EQ(static_cast<double>(alone[0][0].second), alone[2][0].second);
  for (const int replicas : {1, 2, 3, 8}) {
    const std::vector<Logs> found = train_with_metrics(replicas);
    ASSERT_EQ(found.size(), alone.size());
    for (size_t epoch = 0; epoch < found.size(); ++epoch) {
      ASSERT_EQ(found[epoch].size(), alone[epoch].size());
      for (size_t i = 0; i < found[epoch].size(); ++i) {
        const auto& [name, value] = found[epoch][i];
        const LogValue& expected = alone[epoch][i].second;
        EXPECT_EQ(name, alone[epoch][i].first);
        EXPECT_NEAR(value, expected, 2e-5) << replicas << " replicas, " << name;
        ASSERT_EQ(value.parts().size(), expected.parts().size()) << name;
        for (size_t part = 0; part < value.parts().size(); ++part) {
          EXPECT_NEAR(value.parts()[part], expected.parts()[part], 2e-5)
              << replicas << " replicas, " << name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tenon::keras
