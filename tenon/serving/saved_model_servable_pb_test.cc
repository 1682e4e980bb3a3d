// What requests meet when a signature of their model cannot be used. Outside truth: HTTP's classes
// of codes: 4xx says that the client is wrong.
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "tenon/base/files.h"
#include "tenon/serving/case_models.h"
#include "tenon/serving/rest_route.h"
#include "tenon/serving/saved_model_servable.h"
#include "tensorflow/core/example/example.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon::serving {
namespace {

// "plain" hands x on; "broken" multiplies matrices that do not fit.
constexpr char kModel[] = R"(
meta_graphs {
  meta_info_def { tags: "serve" }
  signature_def { key: "plain" value {
    inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } } } }
    outputs { key: "y" value { name: "y:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } } } } } }
  signature_def { key: "broken" value {
    inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape { dim { size: -1 } } } }
    outputs { key: "y" value { name: "product:0" dtype: DT_FLOAT tensor_shape {} } } } }
  graph_def {
    node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT } }
      attr { key: "shape" value { shape { dim { size: -1 } } } } }
    node { name: "y" op: "Identity" input: "x" attr { key: "T" value { type: DT_FLOAT } } }
    node { name: "a" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
      attr { key: "value" value { tensor { dtype: DT_FLOAT
        tensor_shape { dim { size: 2 } dim { size: 3 } } float_val: 1 } } } }
    node { name: "product" op: "MatMul" input: "a" input: "a"
      attr { key: "T" value { type: DT_FLOAT } } attr { key: "transpose_a" value { b: false } }
      attr { key: "transpose_b" value { b: false } } }
  }
})";

TEST(SavedModelServable, ASignatureThatCannotBePlannedIsNoFaultOfTheClient) {
  ASSERT_TRUE(register_case_ops().ok()) << register_case_ops();
  tensorflow::SavedModel proto;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kModel, &proto));
  auto folder = *TemporaryDirectory::create();
  ASSERT_TRUE(
      write_file(join_path(folder.path(), "saved_model.pb"), proto.SerializeAsString()).ok());
  MetricRegistry metrics;
  SavedModelOptions options;
  options.prepare = true;
  options.metrics = &metrics;
  const auto servable = load_saved_model(folder.path(), options);
  ASSERT_TRUE(servable.ok()) << servable.status();
  const Tensor x = Tensor::vector<float>({1, 2});
  const int first[] = {0};
  const auto run = [&](std::string_view name) {
    return (*servable)->run(*find_signature(**servable, name), {&x, 1}, first, {}).status();
  };
  EXPECT_TRUE(run("plain").ok()) << run("plain");
  EXPECT_GE(http_status_of(run("broken").code()), 500) << run("broken");
  EXPECT_EQ(metrics.counter("/tensorflow/core/graph_runs").cell({}).value(), 1);
  EXPECT_EQ(metrics.counter("/tensorflow/core/graph_build_calls").cell({}).value(), 2);
}

// Outside truth: TensorFlow's half_plus_two, whose signatures share one placeholder.
TEST(SavedModelServable, SignaturesOverOneInputRunTogether) {
  ASSERT_TRUE(register_case_ops().ok()) << register_case_ops();
  MetricRegistry metrics;
  SavedModelOptions options;
  options.metrics = &metrics;
  const auto loaded = load_saved_model(cases_folder() + "/models/half_plus_two/123", options);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  const Servable& servable = **loaded;
  tensorflow::Example example;
  (*example.mutable_features()->mutable_feature())["x"].mutable_float_list()->add_value(4);
  const Tensor examples = Tensor::strings(Shape({1}), std::vector{example.SerializeAsString()});
  const int first[] = {0};
  const std::vector<Servable::Part> parts = {{find_signature(servable, "classify_x_to_y"), first},
                                             {find_signature(servable, "regress_x_to_y"), first},
                                             {find_signature(servable, "regress_x_to_y2"), first}};
  const auto results = servable.run_together(parts, examples, {});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ(metrics.counter("/tensorflow/core/graph_runs").cell({}).value(), 1);
  ASSERT_EQ(results->size(), 3);
  EXPECT_EQ((*results)[0][0].data<float>()[0], 4);  // 4 / 2 + 2
  EXPECT_EQ((*results)[1][0].data<float>()[0], 4);
  EXPECT_EQ((*results)[2][0].data<float>()[0], 5);  // 4 / 2 + 3
}

}  // namespace
}  // namespace tenon::serving
