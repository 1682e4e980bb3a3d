// Which class a name in a file means. The JSON is what Keras 3.15.1 writes.
#include "tenon/keras/object_config.h"

#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/keras/layers.h"
#include "tenon/keras/model.h"

namespace tenon::keras {
namespace {

Json parsed(std::string_view text) {
  const StatusOr<Json> json = Json::parse(text);
  EXPECT_TRUE(json.ok()) << json.status() << text;
  return json.ok() ? *json : Json();
}

void expect_foreign(const Status& status, std::initializer_list<std::string_view> names) {
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented) << status;
  for (std::string_view name : names) {
    EXPECT_NE(message_of(status).find(name), std::string_view::npos) << name << ": " << status;
  }
}

TEST(ObjectConfig, FilesWithForeignClassesAreRefused) {
  const std::string folder = TENON_SOURCE_DIR "/../shared/cases/reports/foreign_classes/";
  if (!path_exists(folder)) GTEST_SKIP() << "no reports here";
  expect_foreign(Model::load(folder + "m.keras").status(), {"'Dense'", "mycompany>Dense"});
  expect_foreign(Model::load(folder + "act.keras").status(), {"mycompany>softplus", "dense_1"});
  expect_foreign(Model::load(folder + "loss.keras").status(),
                 {"'MeanSquaredError'", "mycompany>MeanSquaredError"});
}

TEST(ObjectConfig, ForeignObjectsOfAllKindsAreRefused) {
  expect_foreign(optimizer_from_json(parsed(R"({"module": null, "class_name": "SGD", "config":
      {"name": "sgd", "learning_rate": 0.01}, "registered_name": "my>SGD"})"))
                     .status(),
                 {"'SGD'", "my>SGD"});
  expect_foreign(optimizer_from_json(parsed(R"({"module": "keras.optimizers", "class_name": "SGD",
      "config": {"name": "sgd", "learning_rate": {"module": null, "class_name": "ExponentialDecay",
      "config": {"initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.9},
      "registered_name": "my>ExponentialDecay"}}, "registered_name": null})"))
                     .status(),
                 {"'ExponentialDecay'", "my>ExponentialDecay"});
  const PartialShape y{-1}, p{-1, 3};
  expect_foreign(metric_from_json(parsed(R"({"module": null, "class_name":
      "SparseCategoricalAccuracy", "config": {"name": "sparse_categorical_accuracy", "dtype":
      "float32"}, "registered_name": "my>SparseCategoricalAccuracy"})"),
                                  y, p)
                     .status(),
                 {"my>SparseCategoricalAccuracy"});
  expect_foreign(metric_from_json(parsed(R"({"module": "builtins", "class_name": "function",
      "config": "my>accuracy", "registered_name": "function"})"),
                                  y, p)
                     .status(),
                 {"my>accuracy"});
  expect_foreign(Initializer::from_json(parsed(R"({"module": null, "class_name": "Zeros", "config":
      {}, "registered_name": "my>Zeros"})"))
                     .status(),
                 {"'Zeros'", "my>Zeros"});
  expect_foreign(loss_from_json(parsed(R"({"module": "builtins", "class_name": "function",
      "config": "my>mean_squared_error", "registered_name": "function"})"))
                     .status(),
                 {"my>mean_squared_error"});
  expect_foreign(layer_from_json(parsed(R"({"module": "keras.layers", "class_name": "Dense",
      "config": {"name": "d", "units": 3, "kernel_regularizer": {"module": null, "class_name": "L2",
      "config": {}, "registered_name": "my>L2"}}, "registered_name": null})"))
                     .status(),
                 {"my>L2"});
  expect_foreign(layer_from_json(parsed(R"({"module": "keras.layers", "class_name": "Dense",
      "config": {"name": "d", "units": 3, "activation": {"module": "keras.layers", "class_name":
      "LeakyReLU", "config": {}, "registered_name": null}}, "registered_name": null})"))
                     .status(),
                 {"LeakyReLU", "'d'"});
  expect_foreign(layer_from_json(parsed(R"({"module": "keras.layers", "class_name": "Dense",
      "config": {"name": "d", "units": 3, "dtype": {"module": null, "class_name": "Policy",
      "config": {"name": "float32"}, "registered_name": "my>Policy"}}, "registered_name": null})"))
                     .status(),
                 {"my>Policy"});
  expect_foreign(Model::from_json(parsed(R"({"module": "my.models", "class_name": "Sequential",
      "config": {"layers": []}, "registered_name": "my>Sequential"})"))
                     .status(),
                 {"my>Sequential"});
}

// keras.ops.multiply(x, 2.0) in a functional model.
TEST(ObjectConfig, AnOperationIsNoLayer) {
  const Json json = parsed(R"({"module": "keras.src.models.functional", "class_name": "Functional",
      "config": {"name": "f", "trainable": true, "layers": [{"module": "keras.layers",
      "class_name": "InputLayer", "config": {"batch_shape": [null, 3], "dtype": "float32",
      "sparse": false, "ragged": false, "name": "x", "optional": false}, "registered_name": null,
      "name": "x", "inbound_nodes": []}, {"module": "keras.src.ops.numpy", "class_name": "Einsum",
      "config": {"name": "multiply"}, "registered_name": "Einsum", "name": "multiply",
      "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config": {"shape": [null, 3],
      "dtype": "float32", "keras_history": ["x", 0, 0]}}, 2.0], "kwargs": {}}]}],
      "input_layers": ["x", 0, 0], "output_layers": ["multiply", 0, 0]},
      "registered_name": "Functional", "build_config": {"input_shape": null}})");
  expect_foreign(Model::from_json(json).status(), {"'Einsum'", "keras.ops", "'multiply'"});
}

// A user's `def accuracy(...)`, and keras.metrics.Accuracy, which compares for equality.
TEST(ObjectConfig, OnlyThePlainNameMeansTheAccuracyThatFits) {
  // Of four numbers three are equal, of two rows one has its largest at the same place.
  const float rows[] = {1, 0, 0, 1}, targets[] = {1, 0, 1, 1};
  const auto evaluated = [&](Json metric, std::string_view name = "accuracy") {
    Sequential model({Input({2}), Rescaling({.scale = 1})});
    const Status compiled = model.compile({.loss = "mse", .metrics = {std::move(metric)}});
    EXPECT_TRUE(compiled.ok()) << compiled;
    const auto logs = model.evaluate({Tensor::from<float>(Shape{2, 2}, rows)},
                                     {Tensor::from<float>(Shape{2, 2}, targets)}, {.verbose = 0});
    EXPECT_TRUE(logs.ok()) << logs.status();
    const double* accuracy = logs.ok() ? find_log(*logs, name) : nullptr;
    return accuracy ? *accuracy : -1;
  };
  EXPECT_EQ(evaluated("Accuracy", "Accuracy"), 0.5);
  EXPECT_EQ(evaluated("accuracy"), 0.5);
  EXPECT_EQ(evaluated(parsed(R"({"module": "keras.metrics", "class_name": "Accuracy",
      "config": {"name": "accuracy", "dtype": "float32"}, "registered_name": null})")),
            0.75);
  EXPECT_EQ(metric_from_json(parsed(R"({"module": "builtins", "class_name": "function", "config":
      "accuracy", "registered_name": "function"})"),
                             {-1}, {-1, 3})
                .status()
                .code(),
            absl::StatusCode::kUnimplemented);
}

TEST(ObjectConfig, MetricsAreRefusedWhenAModelIsCompiled) {
  Sequential model({Input({3}), Dense({.units = 2})});
  const Json foreign = parsed(R"({"module": null, "class_name": "MeanSquaredError", "config": {},
      "registered_name": "my>MeanSquaredError"})");
  expect_foreign(model.compile({.optimizer = "sgd", .loss = "mse", .metrics = {foreign}}),
                 {"my>MeanSquaredError"});
  EXPECT_EQ(model.compile({.optimizer = "sgd", .loss = "mse", .weighted_metrics = {"mist"}}).code(),
            absl::StatusCode::kUnimplemented);
  EXPECT_FALSE(model.compiled());
  EXPECT_EQ(model.compile({.optimizer = "sgd", .loss = "mse", .metrics = {"accuracy", "mae"}}),
            absl::OkStatus());
}

TEST(ObjectConfig, WhatIsWrongInAModelWithinAModelNamesIt) {
  const Status status = layer_from_json(parsed(R"({"module": "keras", "class_name": "Sequential",
      "config": {"name": "inner", "layers": []}, "registered_name": null})"))
                            .status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(message_of(status).find("'inner'"), std::string_view::npos);
}

TEST(ObjectConfig, KerasOwnAreTaken) {
  EXPECT_TRUE(loss_from_json("mse").ok());
  EXPECT_TRUE(loss_from_json(parsed(R"({"module": "builtins", "class_name": "function", "config":
      "mean_squared_error", "registered_name": "function"})"))
                  .ok());
  const auto metric = metric_from_json(
      parsed(R"({"module": "builtins", "class_name": "function", "config": "mean_absolute_error",
      "registered_name": "function"})"),
      {-1}, {-1, 3});
  ASSERT_TRUE(metric.ok()) << metric.status();
  EXPECT_EQ((*metric)->name(), "mean_absolute_error");
  EXPECT_TRUE(metric_from_json(parsed(R"({"module": "keras.losses", "class_name":
      "MeanAbsoluteError", "config": {"name": "mean_absolute_error", "reduction":
      "sum_over_batch_size"}, "registered_name": null})"),
                               {-1}, {-1, 3})
                  .ok());
  for (const char* module : {"\"keras.layers\"", "\"keras.src.layers.core.dense\"", "null"}) {
    const auto layer = layer_from_json(
        parsed(cat(R"({"class_name": "Dense", "config": {"units": 3}, "module": )", module, "}")));
    EXPECT_TRUE(layer.ok()) << layer.status();
  }
  // Keras 2.
  EXPECT_TRUE(layer_from_json(parsed(R"({"class_name": "Dense", "config": {"units": 3}})")).ok());
}

TEST(ObjectConfig, WhatIsNoObjectIsRefused) {
  for (const char* text : {"7", "[]", "{}", "null", R"({"class_name": 7})",
                           R"({"class_name": "Dense", "module": 7, "registered_name": null})",
                           R"({"class_name": "Dense", "module": "keras.layers",
                               "registered_name": {}})",
                           R"({"class_name": "function", "config": []})"}) {
    for (ObjectKind kind : {ObjectKind::kLayer, ObjectKind::kLoss, ObjectKind::kModel}) {
      EXPECT_FALSE(object_config(kind, parsed(text)).ok()) << text;
    }
  }
}

}  // namespace
}  // namespace tenon::keras
