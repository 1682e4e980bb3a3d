// Which variables are frozen. Outside truth: TensorFlow 2.21 gives 1, 6, 6, 11 for this model.
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "tenon/base/files.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/saved_model.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

// w = 1 at the start. A run reads w, adds 5 to it in a branch, by a handle that the branch makes
// itself, and reads it again.
constexpr char kWritesInBranch[] = R"(
meta_graphs {
  meta_info_def { tags: "serve" }
  signature_def {
    key: "serving_default"
    value {
      inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape {} } }
      outputs { key: "before" value { name: "before:0" dtype: DT_FLOAT tensor_shape {} } }
      outputs { key: "after" value { name: "after:0" dtype: DT_FLOAT tensor_shape {} } }
      method_name: "tensorflow/serving/predict"
    }
  }
  signature_def {
    key: "__saved_model_init_op"
    value { outputs { key: "__saved_model_init_op" value { name: "init" } } }
  }
  graph_def {
    node { name: "x" op: "Placeholder"
      attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "shape" value { shape {} } } }
    node { name: "w" op: "VarHandleOp"
      attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "shape" value { shape {} } }
      attr { key: "shared_name" value { s: "w" } } }
    node { name: "one" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
      attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: 1 } } } }
    node { name: "zero" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
      attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: 0 } } } }
    node { name: "init" op: "AssignVariableOp" input: "w" input: "one"
      attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "read" op: "ReadVariableOp" input: "w"
      attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "positive" op: "Greater" input: "x" input: "zero"
      attr { key: "T" value { type: DT_FLOAT } } }
    node { name: "branch" op: "If" input: "positive" input: "x" input: "^read"
      attr { key: "Tcond" value { type: DT_BOOL } }
      attr { key: "Tin" value { list { type: DT_FLOAT } } }
      attr { key: "Tout" value { list { type: DT_FLOAT } } }
      attr { key: "then_branch" value { func { name: "write" } } }
      attr { key: "else_branch" value { func { name: "nothing" } } } }
    node { name: "again" op: "ReadVariableOp" input: "w" input: "^branch"
      attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "before" op: "Identity" input: "read"
      attr { key: "T" value { type: DT_FLOAT } } }
    node { name: "after" op: "Identity" input: "again"
      attr { key: "T" value { type: DT_FLOAT } } }
    library {
      function {
        signature { name: "write" input_arg { name: "x" type: DT_FLOAT }
          output_arg { name: "y" type: DT_FLOAT } control_output: "add" }
        node_def { name: "own" op: "VarHandleOp"
          attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "shape" value { shape {} } }
          attr { key: "shared_name" value { s: "w" } } }
        node_def { name: "five" op: "Const" attr { key: "dtype" value { type: DT_FLOAT } }
          attr { key: "value" value { tensor { dtype: DT_FLOAT tensor_shape {} float_val: 5 } } } }
        node_def { name: "add" op: "AssignAddVariableOp" input: "own:resource:0"
          input: "five:output:0" attr { key: "dtype" value { type: DT_FLOAT } } }
        node_def { name: "same" op: "Identity" input: "x" input: "^add"
          attr { key: "T" value { type: DT_FLOAT } } }
        ret { key: "y" value: "same:output:0" }
        control_ret { key: "add" value: "add" }
      }
      function {
        signature { name: "nothing" input_arg { name: "x" type: DT_FLOAT }
          output_arg { name: "y" type: DT_FLOAT } }
        ret { key: "y" value: "x" }
      }
    }
  }
}
)";

TEST(FrozenVariables, ABranchThatMakesItsOwnHandleWrites) {
  ASSERT_TRUE(register_test_ops().ok()) << register_test_ops();
  tensorflow::SavedModel proto;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kWritesInBranch, &proto));
  StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_TRUE(
      write_file(join_path(folder->path(), "saved_model.pb"), proto.SerializeAsString()).ok());
  const auto model = SavedModel::load(folder->path());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_FALSE((*model)->state()->is_frozen("w"));
  const Signature& signature = *(*model)->find_signature("serving_default");
  const auto executable = (*model)->executable(signature);
  ASSERT_TRUE(executable.ok()) << executable.status();
  std::map<std::string, std::vector<float>> seen;
  for (int run = 0; run < 2; ++run) {
    std::vector<Tensor> results;
    const Tensor x = Tensor::scalar(1.0f);
    const Status status = (*executable)->run({&x, 1}, results);
    ASSERT_TRUE(status.ok()) << status;
    for (size_t i = 0; i < results.size(); ++i) {
      seen[signature.outputs[i].name].push_back(*results[i].data<float>());
    }
  }
  EXPECT_EQ(seen["before"], (std::vector<float>{1, 6}));
  EXPECT_EQ(seen["after"], (std::vector<float>{6, 11}));
}

}  // namespace
}  // namespace tenon
