// Options that every optimizer has (values beside Keras: tests/interop/optimizers.py).
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

Json optimizer_json(std::string_view class_name, Json config) {
  return Json::object({{"module", "keras.optimizers"},
                       {"class_name", class_name},
                       {"config", std::move(config)},
                       {"registered_name", nullptr}});
}

TEST(OptimizerOptions, WhatKerasRefusesIsRefused) {
  const auto code = [](std::string_view class_name, Json config) {
    return optimizer_from_json(optimizer_json(class_name, std::move(config))).status().code();
  };
  const auto invalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(code("SGD", Json::object({{"gradient_accumulation_steps", 1}})), invalid);
  EXPECT_EQ(code("SGD", Json::object({{"gradient_accumulation_steps", "two"}})), invalid);
  EXPECT_EQ(code("SGD", Json::object({{"use_ema", true}, {"ema_momentum", 1.5}})), invalid);
  EXPECT_EQ(code("SGD", Json::object({{"use_ema", true}, {"ema_overwrite_frequency", -1}})),
            invalid);
  EXPECT_EQ(code("SGD", Json::object({{"loss_scale_factor", 0.0}})), invalid);
  EXPECT_EQ(code("SGD", Json::object({{"clipnorm", 1.0}, {"clipvalue", 1.0}})), invalid);
  EXPECT_EQ(code("Muon", Json::object({{"ns_steps", int64_t{1} << 40}})), invalid);
  const Json expressions{Json::Array{"dense_[0-9]"}};
  EXPECT_EQ(code("Muon", Json::object({{"exclude_layers", expressions}})),
            absl::StatusCode::kUnimplemented);
}

TEST(OptimizerOptions, AreWrittenAsTheyWereRead) {
  for (const char* name : {"SGD", "Adam", "Adafactor", "Muon"}) {
    const auto optimizer = optimizer_from_json(
        optimizer_json(name, Json::object({{"use_ema", true},
                                           {"ema_momentum", 0.5},
                                           {"ema_overwrite_frequency", 3},
                                           {"loss_scale_factor", 8.0},
                                           {"gradient_accumulation_steps", 4}})));
    ASSERT_TRUE(optimizer.ok()) << name << ": " << optimizer.status();
    const Json written = (*optimizer)->describe();
    EXPECT_EQ(written["config"]["gradient_accumulation_steps"], Json(4)) << name;
    EXPECT_EQ(written["config"]["ema_overwrite_frequency"], Json(3)) << name;
    const auto again = optimizer_from_json(written);
    ASSERT_TRUE(again.ok()) << name << ": " << again.status();
    EXPECT_EQ((*again)->describe(), written) << name;
  }
}

// The first of two steps leaves the weights; the second updates them by the mean of both.
TEST(OptimizerOptions, UpdatesComeAfterSoManySteps) {
  Sequential model({Input({1}), Dense({.units = 1, .use_bias = false})});
  SGDOptions options{.learning_rate = 0.25};
  options.gradient.gradient_accumulation_steps = 2;
  ASSERT_EQ(model.compile({.optimizer = SGD(options), .loss = "mse"}), absl::OkStatus());
  Weight& kernel = *model.weights()[0];
  ASSERT_EQ(kernel.variable->assign(Tensor::vector<float>({1}).reshaped({1, 1})), absl::OkStatus());
  const auto after_step = [&](float x) {
    const Tensor one = Tensor::vector<float>({x}).reshaped({1, 1});
    const auto logs = model.train_on_batch(one, Tensor::vector<float>({0}).reshaped({1, 1}));
    EXPECT_TRUE(logs.ok()) << logs.status();
    return kernel.variable->read()->data<float>()[0];
  };
  // Gradients are 2 x^2 w: 2 and 8 of the first weight, then 2 and 2 of the second.
  EXPECT_EQ(after_step(1), 1.0f);
  EXPECT_EQ(after_step(2), 1.0f - 0.25f * (2 + 8) / 2);
  EXPECT_EQ(after_step(1), -0.25f);
  EXPECT_EQ(after_step(1), -0.25f + 0.25f * 0.5f);
}

}  // namespace
}  // namespace tenon::keras
