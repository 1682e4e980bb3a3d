#include "tenon/cli/predictions.h"

#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/cli/output_check.h"

namespace tenon::cli {
namespace {

Predictions of_pets() {
  Predictions p;
  p.names = {"scores"};
  p.outputs = {Tensor::vector<float>({0.1f, 0.7f, 0.2f, 0.5f, 0.25f, 0.25f}).reshaped({2, 3})};
  p.classes = {"cat", "dog, \"big\"", "zebra"};
  return p;
}

TEST(Predictions, CsvHasALineARowAndQuotesNames) {
  const auto text = predictions_to_csv(of_pets(), true);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text,
            "cat,\"dog, \"\"big\"\"\",zebra,class\n0.1,0.7,0.2,\"dog, \"\"big\"\"\"\n"
            "0.5,0.25,0.25,cat\n");
  Predictions plain = of_pets();
  plain.classes.clear();
  EXPECT_EQ(*predictions_to_csv(plain, true),
            "scores_0,scores_1,scores_2\n0.1,0.7,0.2\n0.5,0.25,0.25\n");
  EXPECT_EQ(*predictions_to_csv(plain, false), "0.1,0.7,0.2\n0.5,0.25,0.25\n");
}

TEST(Predictions, JsonNestsRowsAsTheOutputDoes) {
  Predictions p;
  p.names = {"a", "b"};
  p.outputs = {Tensor::vector<int64_t>({1, 2, 3, 4, 5, 6, 7, 8}).reshaped({2, 2, 2}),
               Tensor::vector<float>({0.5f, std::numeric_limits<float>::quiet_NaN()})};
  EXPECT_EQ(*predictions_to_json(p),
            "{\"predictions\": [\n{\"a\":[[1,2],[3,4]],\"b\":0.5},\n"
            "{\"a\":[[5,6],[7,8]],\"b\":null}\n]}\n");
  EXPECT_NE(predictions_to_json(of_pets())->find("\"classes\": [\"dog, \\\"big\\\"\",\"cat\"]"),
            std::string::npos);
}

TEST(Predictions, OneProbabilityNamesOneOfTwoClasses) {
  Predictions p;
  p.names = {"yes"};
  p.outputs = {Tensor::vector<float>({0.25f, 0.75f}).reshaped({2, 1})};
  p.classes = {"no", "yes"};
  EXPECT_TRUE(p.classes_of_rows().empty());  // may be a logit
  p.first_is_probability = true;
  EXPECT_EQ(p.classes_of_rows(), (std::vector<std::string>{"no", "yes"}));
}

TEST(OutputCheck, SaysWhatIsInTheWay) {
  const auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const auto at = [&](std::string_view name) { return join_path(folder->path(), name); };
  ASSERT_TRUE(write_file(at("file"), "x").ok());
  EXPECT_EQ(check_output_file("save", at("m.keras"), 10), absl::OkStatus());
  EXPECT_EQ(check_output_folder("log_dir", at("a/b/c"), 10), absl::OkStatus());
  EXPECT_EQ(list_directory(folder->path())->size(), 1u);  // nothing is left behind
  EXPECT_EQ(check_output_file("save", folder->path(), 0).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check_output_file("save", at("no/m.keras"), 0).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(check_output_folder("log_dir", at("file/logs"), 0).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(check_output_file("save", at("m.keras"), uint64_t{1} << 62).code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(check_output_file("save", "/proc/m.keras", 0).ok(), false);
}

}  // namespace
}  // namespace tenon::cli
