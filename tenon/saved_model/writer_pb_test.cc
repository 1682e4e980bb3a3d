#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include <set>

#include "tenon/base/files.h"
#include "tenon/graph/builder.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/saved_model.h"
#include "tenon/saved_model/writer.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"
#include "tensorflow/core/protobuf/trackable_object_graph.pb.h"

namespace tenon {
namespace {

// What protobuf writes of a message, maps sorted.
std::string deterministic_bytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

// softmax(x * kernel + bias) with two inputs to add up: enough to see names and order.
class WrittenModel : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(register_test_ops(), absl::OkStatus());
    StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
    ASSERT_TRUE(folder.ok());
    base_.emplace(*std::move(folder));
    const float kernel[] = {0.5f, -1.0f, 2.0f, 0.25f, 1.0f, -0.5f};
    const float bias[] = {0.125f, -0.125f};
    ASSERT_TRUE(
        state_.set_variable("dense/kernel", Tensor::from<float>({3, 2}, std::span(kernel))).ok());
    ASSERT_TRUE(state_.set_variable("dense/bias", Tensor::vector<float>(std::span(bias))).ok());
    ASSERT_TRUE(state_.set_variable("unused", Tensor::scalar<int64_t>(7)).ok());
  }

  static Endpoint read(GraphBuilder& build, std::string_view name, PartialShape shape) {
    const Endpoint handle = build.op("VarHandleOp", {},
                                     {{"dtype", DType::kFloat},
                                      {"shape", std::move(shape)},
                                      {"shared_name", std::string(name)}});
    return build.op("ReadVariableOp", {handle}, {{"dtype", DType::kFloat}});
  }

  static Graph make_function() {
    Graph graph;
    GraphBuilder build(graph);
    const Endpoint z = build.arg("zeta", DType::kFloat, {-1, 3});
    const Endpoint a = build.arg("Alpha", DType::kFloat, {-1, 3});
    const Endpoint x = build.add(build.scalar<float>(2.0f), build.sub(z, a));
    const Endpoint logits = build.op(
        "BiasAdd",
        {build.matmul(x, read(build, "dense/kernel", {3, 2})), read(build, "dense/bias", {2})},
        {{"data_format", std::string("NHWC")}});
    graph.results = {build.op("Softmax", {logits}), logits};
    graph.result_names = {"output_0", "output_1"};
    EXPECT_TRUE(build.status().ok()) << build.status();
    return graph;
  }

  SavedModelSpec spec() const {
    SavedModelSpec spec;
    spec.folder = join_path(base_->path(), "model/1");
    spec.endpoints.push_back({.name = "serve", .function = make_function()});
    spec.variables = {{"dense/kernel", true}, {"dense/bias", true}, {"unused", false}};
    spec.state = &state_;
    return spec;
  }

  tensorflow::MetaGraphDef written(const SavedModelSpec& spec) {
    EXPECT_EQ(write_saved_model(spec), absl::OkStatus());
    tensorflow::SavedModel model;
    StatusOr<std::string> bytes = read_file(join_path(spec.folder, "saved_model.pb"));
    EXPECT_TRUE(bytes.ok() && model.ParseFromString(*bytes));
    EXPECT_EQ(model.meta_graphs_size(), 1);
    return model.meta_graphs(0);
  }

  std::optional<TemporaryDirectory> base_;
  ModelState state_;
};

TEST_F(WrittenModel, GivesTheFunctionsResultsWhenItIsLoaded) {
  const SavedModelSpec model_spec = spec();
  ASSERT_EQ(write_saved_model(model_spec), absl::OkStatus());
  StatusOr<std::shared_ptr<SavedModel>> model = SavedModel::load(model_spec.folder);
  ASSERT_TRUE(model.ok()) << model.status();
  for (const char* name : {"serve", "serving_default"}) {
    const Signature* signature = (*model)->find_signature(name);
    ASSERT_TRUE(signature);
    EXPECT_EQ(signature->method_name, "tensorflow/serving/predict");
    ASSERT_EQ(signature->inputs.size(), 2u);
    EXPECT_EQ(signature->inputs[0].name, "Alpha");
    EXPECT_EQ(signature->inputs[1].name, "zeta");
    EXPECT_EQ(signature->inputs[0].shape, (PartialShape{-1, 3}));
    StatusOr<std::shared_ptr<Executable>> executable = (*model)->executable(*signature);
    ASSERT_TRUE(executable.ok()) << executable.status();
    const float zeta[] = {1, 2, 3}, alpha[] = {2, 2, 4};
    const Tensor args[] = {Tensor::from<float>({1, 3}, std::span(alpha)),
                           Tensor::from<float>({1, 3}, std::span(zeta))};
    std::vector<Tensor> results;
    ASSERT_EQ((*executable)->run(args, results), absl::OkStatus());
    // 2 + zeta - alpha = (1, 2, 1): logits (0.5 + 4 + 1 + 0.125, -1 + 0.5 - 0.5 - 0.125).
    ASSERT_EQ(results.size(), 2u);
    EXPECT_FLOAT_EQ(results[1].data<float>()[0], 5.625f);
    EXPECT_FLOAT_EQ(results[1].data<float>()[1], -1.125f);
    EXPECT_FLOAT_EQ(results[0].data<float>()[1], 1.0f / (1.0f + std::exp(6.75f)));
  }
}

TEST_F(WrittenModel, NamesOnlyFunctionsOfItsLibrary) {
  const tensorflow::MetaGraphDef meta = written(spec());
  std::set<std::string> functions;
  for (const auto& function : meta.graph_def().library().function()) {
    EXPECT_TRUE(functions.insert(function.signature().name()).second);
  }
  const auto check = [&](const tensorflow::NodeDef& node) {
    for (const auto& [name, value] : node.attr()) {
      if (!value.has_func()) continue;
      EXPECT_TRUE(functions.contains(value.func().name())) << node.name();
    }
  };
  for (const auto& node : meta.graph_def().node()) check(node);
  for (const auto& function : meta.graph_def().library().function()) {
    for (const auto& node : function.node_def()) check(node);
  }
  for (const auto& [name, concrete] : meta.object_graph_def().concrete_functions()) {
    EXPECT_TRUE(functions.contains(name));
    EXPECT_EQ(concrete.bound_inputs_size(), 2);
  }
}

TEST_F(WrittenModel, LeavesDefaultAttributesOut) {
  const tensorflow::MetaGraphDef meta = written(spec());
  EXPECT_TRUE(meta.meta_info_def().stripped_default_attrs());
  bool found = false;
  for (const auto& function : meta.graph_def().library().function()) {
    for (const auto& node : function.node_def()) {
      EXPECT_FALSE(node.attr().contains("data_format")) << node.name();
      EXPECT_FALSE(node.attr().contains("transpose_a")) << node.name();
      found |= node.op() == "MatMul" && node.attr().at("T").type() == tensorflow::DT_FLOAT;
    }
  }
  EXPECT_TRUE(found);
}

TEST_F(WrittenModel, HasWhatASessionRestoresBy) {
  const tensorflow::MetaGraphDef meta = written(spec());
  const std::string restore = meta.saver_def().restore_op_name();
  std::string function;
  std::set<std::string> nodes;
  for (const auto& node : meta.graph_def().node()) {
    EXPECT_TRUE(nodes.insert(node.name()).second) << node.name();
    if (node.name() == restore) function = node.attr().at("f").func().name();
  }
  EXPECT_TRUE(nodes.contains("saver_filename"));
  EXPECT_EQ(meta.saver_def().filename_tensor_name(), "saver_filename:0");
  int assigned = 0;
  for (const auto& def : meta.graph_def().library().function()) {
    if (def.signature().name() != function) continue;
    for (const auto& node : def.node_def()) assigned += node.op() == "AssignVariableOp";
    EXPECT_EQ(def.control_ret().size(), 3u);
  }
  EXPECT_EQ(assigned, 3);
  EXPECT_TRUE(nodes.contains(
      meta.signature_def().at("__saved_model_init_op").outputs().begin()->second.name()));
}

TEST_F(WrittenModel, HoldsEveryVariableUnderItsCheckpointKey) {
  const SavedModelSpec model_spec = spec();
  const tensorflow::MetaGraphDef meta = written(model_spec);
  const auto bundle = BundleReader::open(join_path(model_spec.folder, "variables/variables"));
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const StatusOr<Tensor> bytes = (*bundle)->read("_CHECKPOINTABLE_OBJECT_GRAPH");
  ASSERT_TRUE(bytes.ok());
  tensorflow::TrackableObjectGraph graph;
  ASSERT_TRUE(graph.ParseFromString(std::string(*bytes->data<std::string_view>())));
  ASSERT_EQ(graph.nodes_size(), meta.object_graph_def().nodes_size());
  int variables = 0;
  for (int i = 0; i < graph.nodes_size(); ++i) {
    const auto& saved = meta.object_graph_def().nodes(i);
    EXPECT_EQ(graph.nodes(i).children_size(), saved.children_size());
    EXPECT_EQ(graph.nodes(i).attributes_size(), saved.has_variable() ? 1 : 0);
    if (!saved.has_variable()) continue;
    ++variables;
    EXPECT_TRUE((*bundle)->contains(graph.nodes(i).attributes(0).checkpoint_key()));
    EXPECT_EQ(saved.variable().trainable(), saved.variable().name() != "unused");
  }
  EXPECT_EQ(variables, 3);
}

// Byte for byte: fields in order, maps sorted, defaults left out, nothing that it does not know.
TEST_F(WrittenModel, IsWhatProtobufWritesOfIt) {
  SavedModelSpec model_spec = spec();
  const float numbers[] = {1, 2, 3};
  model_spec.endpoints[0].defaults["Alpha"] = Tensor::from<float>({1, 3}, std::span(numbers));
  written(model_spec);
  const StatusOr<std::string> bytes = read_file(join_path(model_spec.folder, "saved_model.pb"));
  ASSERT_TRUE(bytes.ok());
  tensorflow::SavedModel model;
  ASSERT_TRUE(model.ParseFromString(*bytes));
  EXPECT_EQ(deterministic_bytes(model), *bytes);
  const auto bundle = BundleReader::open(join_path(model_spec.folder, "variables/variables"));
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const StatusOr<Tensor> objects = (*bundle)->read("_CHECKPOINTABLE_OBJECT_GRAPH");
  ASSERT_TRUE(objects.ok());
  const std::string object_bytes(*objects->data<std::string_view>());
  tensorflow::TrackableObjectGraph graph;
  ASSERT_TRUE(graph.ParseFromString(object_bytes));
  EXPECT_EQ(deterministic_bytes(graph), object_bytes);
}

TEST_F(WrittenModel, IsNotPutOverAnother) {
  SavedModelSpec model_spec = spec();
  ASSERT_EQ(write_saved_model(model_spec), absl::OkStatus());
  EXPECT_EQ(write_saved_model(model_spec).code(), absl::StatusCode::kAlreadyExists);
  model_spec.overwrite = true;
  EXPECT_EQ(write_saved_model(model_spec), absl::OkStatus());
  StatusOr<std::vector<std::string>> left = list_directory(join_path(base_->path(), "model"));
  ASSERT_TRUE(left.ok());
  EXPECT_EQ(*left, std::vector<std::string>{"1"});
}

TEST_F(WrittenModel, WithAnUnknownVariableLeavesNothingBehind) {
  SavedModelSpec model_spec = spec();
  model_spec.variables.push_back({"missing", true});
  EXPECT_EQ(write_saved_model(model_spec).code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(path_exists(model_spec.folder));
}

}  // namespace
}  // namespace tenon
