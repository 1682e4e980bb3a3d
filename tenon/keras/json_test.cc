#include "tenon/keras/json.h"

#include "tenon/keras/reference_test.h"

namespace tenon::keras {
namespace {

TEST(Json, PrintsWhatPythonPrinted) {
  // Written by Python's json.dumps.
  for (const char* name : {"layers.json", "optimizers.json", "dense.model.json"}) {
    const std::string text = testdata_text(name);
    const StatusOr<Json> json = Json::parse(text);
    ASSERT_TRUE(json.ok()) << json.status();
    EXPECT_EQ(json->dump(), text) << name;
  }
}

TEST(Json, FloatsAreInPythonsShortestForm) {
  EXPECT_EQ(Json(1e-07).dump(), "1e-07");
  EXPECT_EQ(Json(0.001).dump(), "0.001");
  EXPECT_EQ(Json(1.0).dump(), "1.0");
  EXPECT_EQ(Json(1e16).dump(), "1e+16");
  EXPECT_EQ(Json(123456789012345680.0).dump(), "1.2345678901234568e+17");
}

TEST(Json, BrokenTextIsAnError) {
  for (const char* text : {"", "{", "[1,]", "{\"a\" 1}", "nul", "[1] 2", "\"\\x\""}) {
    EXPECT_EQ(Json::parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Json, DepthIsBounded) {
  EXPECT_FALSE(Json::parse(std::string(100000, '[')).ok());
  EXPECT_TRUE(Json::parse(std::string(200, '[') + std::string(200, ']')).ok());
}

TEST(Json, NumbersCompareByValueAndObjectsByMembers) {
  EXPECT_EQ(*Json::parse("{\"a\": 1, \"b\": [2.0]}"), *Json::parse("{\"b\": [2], \"a\": 1.0}"));
  EXPECT_FALSE(*Json::parse("{\"a\": 1}") == *Json::parse("{\"a\": 2}"));
}

}  // namespace
}  // namespace tenon::keras
