#include "tenon/keras/weights/initializer.h"

#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

TEST(Initializer, SeededValuesAreThoseOfKeras) {
  const Json cases = testdata_json("initializers.json");
  for (const Json& c : *cases.items()) {
    const StatusOr<Initializer> initializer = Initializer::from_json(c["initializer"]);
    ASSERT_TRUE(initializer.ok()) << initializer.status();
    std::vector<int64_t> dims;
    for (const Json& dim : *c["shape"].items()) dims.push_back(*dim.integer());
    const StatusOr<Tensor> value = initializer->make(DType::kFloat, Shape(dims), {1, 2});
    ASSERT_TRUE(value.ok()) << value.status();
    const std::vector<float> expected = floats_of(c["value"]);
    for (size_t i = 0; i < expected.size(); ++i) {
      // Orthogonal goes through a QR decomposition of another library.
      EXPECT_NEAR(value->data<float>()[i], expected[i], 2e-6)
          << c["initializer"].dump() << c["shape"].dump() << " " << i;
    }
    EXPECT_EQ(initializer->to_json(), c["initializer"]);
  }
}

TEST(Initializer, UnknownNamesAndParametersAreErrors) {
  EXPECT_EQ(Initializer::from_json(Json("glorot")).status().code(),
            absl::StatusCode::kUnimplemented);
  Json json = Initializer("zeros").to_json();
  json.set("config", Json::object({{"speed", 3}}));
  EXPECT_EQ(Initializer::from_json(json).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon::keras
