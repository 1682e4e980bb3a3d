// Files of Keras 2 and of Keras 3 under the name of a .h5 file, against what Keras predicts
// (tools/make_keras_fixtures.py).
#include "tenon/keras/legacy_file.h"

#include "tenon/io/npy.h"
#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

class LegacyFile : public testing::TestWithParam<const char*> {};

TEST_P(LegacyFile, PredictsAsKerasDoes) {
  const std::string name = cat("legacy_", GetParam());
  const auto model = load_legacy_file(testdata(name + ".h5"), {});
  ASSERT_TRUE(model.ok()) << model.status();
  const StatusOr<NpzReader> arrays = NpzReader::open(testdata(name + ".npz"));
  ASSERT_TRUE(arrays.ok()) << arrays.status();
  const StatusOr<Tensor> x = arrays->read("x");
  ASSERT_TRUE(x.ok()) << x.status();
  const StatusOr<std::vector<Tensor>> outputs = (*model)->predict(Inputs(*x));
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  for (size_t i = 0; i < outputs->size(); ++i) {
    const StatusOr<Tensor> want = arrays->read(cat("y", i));
    ASSERT_TRUE(want.ok()) << want.status();
    ASSERT_EQ((*outputs)[i].shape(), want->shape());
    for (int64_t j = 0; j < want->num_elements(); ++j) {
      EXPECT_NEAR((*outputs)[i].data<float>()[j], want->data<float>()[j], 1e-5) << i << "," << j;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Keras, LegacyFile,
                         testing::Values("keras2_sequential", "keras2_functional",
                                         "keras3_sequential", "keras3_functional"),
                         [](const auto& param_info) { return std::string(param_info.param); });

TEST(LegacyFileErrors, WhatIsNoModelIsSaid) {
  const StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  const std::string path = join_path(folder->path(), "cut.h5");
  const std::string whole = testdata_text("legacy_keras2_functional.h5");
  EXPECT_EQ(load_legacy_file(path, {}).status().code(), absl::StatusCode::kNotFound);
  for (size_t length = 0; length < whole.size(); length += whole.size() / 40) {
    ASSERT_TRUE(write_file(path, whole.substr(0, length)).ok());
    EXPECT_FALSE(load_legacy_file(path, {}).ok()) << length;
  }
  // A flipped byte may still be a model; it is never more than an error.
  for (size_t at = 0; at < whole.size(); at += 997) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    ASSERT_TRUE(write_file(path, damaged).ok());
    (void)load_legacy_file(path, {}).status();
  }
}

TEST(LegacyFileErrors, TheFirstLayerOfASequentialTellsItsInput) {
  const auto json = Json::parse(
      R"({"class_name": "Sequential", "config": {"layers": [{"class_name": "Dense", "config":
      {"name": "d", "batch_input_shape": [null, 4], "dtype": "float32", "units": 2}}]}})");
  ASSERT_TRUE(json.ok()) << json.status();
  const Json modern = modern_config(*json);
  const auto* layers = modern["config"]["layers"].items();
  ASSERT_EQ(layers->size(), 2u);
  EXPECT_EQ((*layers)[0].text("class_name"), "InputLayer");
  EXPECT_EQ((*layers)[0]["config"]["batch_shape"].dump(), "[null, 4]");
  EXPECT_EQ((*layers)[0]["config"].text("name"), "d_input");
}

}  // namespace
}  // namespace tenon::keras
