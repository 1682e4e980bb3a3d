// Loss scaling beside Keras (tests/keras/make_loss_scale_case.py).
#include "tenon/io/npy.h"
#include "tenon/keras/model.h"
#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

TEST(LossScale, StepsAreThoseOfKeras) {
  const auto model = Model::load(testdata("loss_scale.keras"));
  ASSERT_TRUE(model.ok()) << model.status();
  const auto arrays = NpzReader::open(testdata("loss_scale.npz"));
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  const Tensor x = *arrays->read("x"), y = *arrays->read("y"), steps = *arrays->read("steps");
  const auto scalar = [&](std::string_view name) {
    const Ref<Variable> variable = (*model)->state()->variable(name);
    return variable ? *variable->read() : Tensor::scalar(-1.0f);
  };
  for (int64_t step = 0; step < steps.dim(0); ++step) {
    const auto logs = (*model)->train_on_batch(x, y);
    ASSERT_TRUE(logs.ok()) << logs.status();
    const float* expected = steps.data<float>() + 4 * step;
    // float16 has three digits.
    EXPECT_NEAR(*find_log(*logs, "loss"), expected[0], 2e-3 * expected[0]) << "step " << step;
    EXPECT_EQ(*scalar("optimizer/loss_scale/dynamic_scale").data<float>(), expected[1]) << step;
    EXPECT_EQ(*scalar("optimizer/loss_scale/step_counter").data<int64_t>(), expected[2]) << step;
    EXPECT_EQ(*scalar("optimizer/iterations").data<int64_t>(), expected[3]) << step;
  }
  for (size_t i = 0; i < (*model)->weights().size(); ++i) {
    const Tensor value = *(*model)->weights()[i]->variable->read();
    const Tensor expected = *arrays->read(cat("weight", i));
    for (int64_t at = 0; at < expected.num_elements(); ++at) {
      EXPECT_NEAR(value.data<float>()[at], expected.data<float>()[at], 2e-2) << i;
    }
  }
}

TEST(LossScale, IsWrittenAsKerasWritesIt) {
  const auto model = Model::load(testdata("loss_scale.keras"));
  ASSERT_TRUE(model.ok()) << model.status();
  const Json described = (*model)->optimizer()->describe();
  EXPECT_EQ(described.text("class_name"), "LossScaleOptimizer");
  EXPECT_EQ(described["config"]["inner_optimizer"].text("class_name"), "Adam");
  EXPECT_EQ(*described["config"]["dynamic_growth_steps"].integer(), 3);
  const auto again = optimizer_from_json(described);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ((*again)->describe(), described);
}

TEST(LossScale, RefusesConfigsThatAreNone) {
  const auto code = [](Json config) {
    return optimizer_from_json(Json::object({{"module", "keras.optimizers"},
                                             {"class_name", "LossScaleOptimizer"},
                                             {"config", std::move(config)}}))
        .status()
        .code();
  };
  const Json inner = Adam()->describe();
  EXPECT_EQ(code(Json::object({})), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Json::object({{"inner_optimizer", inner}, {"initial_scale", 0}})),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Json::object({{"inner_optimizer", inner}, {"dynamic_growth_steps", "x"}})),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(Json::object({{"inner_optimizer", LossScaleOptimizer(Adam())->describe()}})),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::keras
