// Outside truth: the example and the error texts of TensorFlow Serving's configuration guide and
// tests (serving/server_core_test.cc).
#include "tenon/serving/model_config.h"

#include <gtest/gtest.h>

namespace tenon::serving {
namespace {

std::string model(std::string_view fields) {
  return cat("model_config_list { config { ", fields, " } }");
}

std::string error_of(const std::string& text) {
  return std::string(message_of(parse_model_configs(text, "models.config").status()));
}

TEST(ModelConfigTest, ReadsPoliciesAndLabels) {
  const auto models = parse_model_configs(R"(
    model_config_list {  # comment
      config { name: "a" base_path: "/m/a" model_platform: "tensorflow" }
      config { name: "b" base_path: "/m/b" model_platform: "tensorflow"
               model_version_policy { latest { num_versions: 2 } } }
      config { name: "c" base_path: "/m/c" model_type: TENSORFLOW
               model_version_policy { specific { versions: 1 versions: 3 } }
               version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 3 } }
      config { name: "d" base_path: "file:///m/d" model_platform: "tensorflow"
               model_version_policy { all {} } }
    })",
                                          "models.config");
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->size(), 4u);
  EXPECT_EQ((*models)[0].policy, VersionPolicy());
  EXPECT_EQ((*models)[1].policy.num_versions, 2u);
  EXPECT_EQ((*models)[2].policy.versions, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ((*models)[2].labels.at("canary"), 3);
  EXPECT_EQ((*models)[3].policy.kind, VersionPolicy::Kind::kAll);
  EXPECT_EQ((*models)[3].base_path, "/m/d");
}

TEST(ModelConfigTest, ErrorsHaveTensorFlowServingsTexts) {
  EXPECT_NE(error_of("model_config_list { nope: 1 }")
                .find("Error parsing text-format tensorflow.serving.ModelServerConfig: 1:"),
            std::string::npos);
  const std::string a = "config { name: \"a\" base_path: \"/a\" model_platform: \"tensorflow\" }";
  EXPECT_EQ(error_of(cat("model_config_list {", a, a, "}")),
            "Illegal to list model a multiple times in config list");
  EXPECT_EQ(error_of(model("name: \"a\" base_path: \"/a\"")),
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is a");
  EXPECT_EQ(error_of(model("name: \"a\" base_path: \"b\" model_platform: \"tensorflow\"")),
            "Expected model a to have an absolute path or URI; got base_path()=b");
  EXPECT_EQ(error_of(model("name: \"a\" base_path: \"/b\" model_platform: \"caffe\"")),
            "Model a requests unsupported platform caffe");
}

// A file that somebody is about to write is empty first: that is no order to serve nothing.
TEST(ModelConfigTest, AnEmptyFileSaysNothingAndAnEmptyListSaysNone) {
  EXPECT_EQ(parse_model_configs("", "f").status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(parse_model_configs("# soon\n", "f").status().code(),
            absl::StatusCode::kFailedPrecondition);
  const auto none = parse_model_configs("model_config_list {}", "f");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->empty());
}

TEST(ModelConfigTest, SchemesThatCannotBeReadAreSaid) {
  const std::string text =
      model("name: \"a\" base_path: \"hdfs://b/a\" model_platform: \"tensorflow\"");
  EXPECT_EQ(parse_model_configs(text, "f").status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(error_of(text),
            "File system scheme 'hdfs' not implemented (file: 'hdfs://b/a'), model name is a");
}

TEST(ModelConfigTest, Monitoring) {
  const auto on = parse_monitoring_config("prometheus_config { enable: true path: \"/m\" }", "f");
  ASSERT_TRUE(on.ok());
  EXPECT_TRUE(on->enable);
  EXPECT_EQ(on->path, "/m");
  EXPECT_EQ(parse_monitoring_config("prometheus_config { enable: true }", "f")->path,
            "/monitoring/prometheus/metrics");
  EXPECT_FALSE(parse_monitoring_config("", "f")->enable);
  EXPECT_FALSE(parse_monitoring_config("{", "f").ok());
}

}  // namespace
}  // namespace tenon::serving
