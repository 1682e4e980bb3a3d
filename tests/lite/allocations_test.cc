// From the second call on, an interpreter of tenon/lite.h allocates nothing for models without
// variables and recurrent layers: not to take inputs, to run or to give outputs.
#include "tests/allocations/allocations.h"

#include <gtest/gtest.h>

#include "tenon/lite.h"

namespace tenon::lite {
namespace {

class LiteAllocations : public testing::TestWithParam<const char*> {};

TEST_P(LiteAllocations, NoneFromTheSecondCallOn) {
  const std::string path = std::string(TENON_LITE_DATA) + "/" + GetParam() + ".tflite";
  TenonLiteModel* const model = tenon_lite_model_from_file(path.c_str());
  ASSERT_NE(model, nullptr) << tenon_lite_error();
  TenonLiteInterpreter* const interpreter = tenon_lite_interpreter_new(model);
  tenon_lite_model_free(model);
  ASSERT_NE(interpreter, nullptr) << tenon_lite_error();
  TenonLiteTensor input, output;
  ASSERT_EQ(tenon_lite_input(interpreter, 0, &input), TENON_LITE_OK) << tenon_lite_error();
  ASSERT_EQ(tenon_lite_invoke(interpreter), TENON_LITE_OK) << tenon_lite_error();
  ASSERT_EQ(tenon_lite_output(interpreter, 0, &output), TENON_LITE_OK) << tenon_lite_error();
  const std::vector<char> values(input.bytes);
  std::vector<char> results(output.bytes);
  bool good = true;
  allocations::start_counting();
  for (int run = 0; good && run < 20; ++run) {
    good = tenon_lite_set_input(interpreter, 0, values.data(), values.size()) == TENON_LITE_OK &&
           tenon_lite_invoke(interpreter) == TENON_LITE_OK &&
           tenon_lite_get_output(interpreter, 0, results.data(), results.size()) == TENON_LITE_OK;
  }
  const int64_t counted = allocations::stop_counting();
  EXPECT_TRUE(good) << tenon_lite_error();
  EXPECT_EQ(counted, 0) << allocations::first_stack();
  tenon_lite_interpreter_free(interpreter);
}

INSTANTIATE_TEST_SUITE_P(Models, LiteAllocations,
                         testing::Values("net_mlp", "int8_net_cnn", "int8_softmax", "int16x8_conv",
                                         "conv_SAME_2", "float16_net_mlp"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace tenon::lite
