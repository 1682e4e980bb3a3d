// What becomes of a model when a part of it cannot be used. Outside truth: which of its signatures
// TensorFlow 2.21 runs when the others are taken out of the file.
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "tenon/base/files.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/saved_model.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

// x as it is; a variable; a table whose vocabulary the initialisation reads from a file that is not
// there.
constexpr char kGraph[] = R"(
  graph_def {
    node { name: "x" op: "Placeholder"
      attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "shape" value { shape {} } } }
    node { name: "y" op: "Identity" input: "x" attr { key: "T" value { type: DT_FLOAT } } }
    node { name: "w" op: "VarHandleOp"
      attr { key: "dtype" value { type: DT_FLOAT } } attr { key: "shape" value { shape {} } }
      attr { key: "shared_name" value { s: "w" } } }
    node { name: "read" op: "ReadVariableOp" input: "w"
      attr { key: "dtype" value { type: DT_FLOAT } } }
    node { name: "table" op: "HashTableV2" attr { key: "shared_name" value { s: "t" } }
      attr { key: "key_dtype" value { type: DT_STRING } }
      attr { key: "value_dtype" value { type: DT_INT64 } } }
    node { name: "k" op: "Placeholder"
      attr { key: "dtype" value { type: DT_STRING } } attr { key: "shape" value { shape {} } } }
    node { name: "none" op: "Const" attr { key: "dtype" value { type: DT_INT64 } }
      attr { key: "value" value { tensor { dtype: DT_INT64 tensor_shape {} int64_val: -1 } } } }
    node { name: "found" op: "LookupTableFindV2" input: "table" input: "k" input: "none"
      attr { key: "Tin" value { type: DT_STRING } } attr { key: "Tout" value { type: DT_INT64 } } }
    node { name: "file" op: "Const" attr { key: "dtype" value { type: DT_STRING } }
      attr { key: "value" value { tensor { dtype: DT_STRING tensor_shape {}
                                           string_val: "/nowhere/vocabulary" } } } }
    node { name: "init" op: "InitializeTableFromTextFileV2" input: "table" input: "file"
      attr { key: "key_index" value { i: -2 } } attr { key: "value_index" value { i: -1 } } }
  })";

constexpr char kPlain[] = R"(signature_def { key: "plain" value {
  inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape {} } }
  outputs { key: "y" value { name: "y:0" dtype: DT_FLOAT tensor_shape {} } } } })";
constexpr char kReads[] = R"(signature_def { key: "reads" value {
  outputs { key: "w" value { name: "read:0" dtype: DT_FLOAT tensor_shape {} } } } })";
constexpr char kLooks[] = R"(signature_def { key: "looks" value {
  inputs { key: "k" value { name: "k:0" dtype: DT_STRING tensor_shape {} } }
  outputs { key: "id" value { name: "found:0" dtype: DT_INT64 tensor_shape {} } } } })";
constexpr char kSparse[] = R"(signature_def { key: "sparse" value {
  inputs { key: "x" value { coo_sparse { values_tensor_name: "x:0" } dtype: DT_FLOAT } }
  outputs { key: "y" value { name: "y:0" dtype: DT_FLOAT tensor_shape {} } } } })";
constexpr char kRagged[] = R"(signature_def { key: "ragged" value {
  inputs { key: "x" value { name: "x:0" dtype: DT_FLOAT tensor_shape {} } }
  outputs { key: "y" value { composite_tensor { components { name: "y:0" } } } } } })";
constexpr char kInit[] = R"(signature_def { key: "__saved_model_init_op" value {
  outputs { key: "__saved_model_init_op" value { name: "init" } } } })";

class PartialModel : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(register_test_ops().ok()) << register_test_ops();
    folder_ = *TemporaryDirectory::create();
  }
  StatusOr<std::shared_ptr<SavedModel>> load(std::initializer_list<const char*> parts) {
    std::string text = "meta_graphs { meta_info_def { tags: \"serve\" }";
    for (const char* part : parts) text += part;
    tensorflow::SavedModel proto;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(cat(text, kGraph, "}"), &proto));
    EXPECT_TRUE(
        write_file(join_path(folder_->path(), "saved_model.pb"), proto.SerializeAsString()).ok());
    return SavedModel::load(folder_->path());
  }
  static void expect_plain_runs(const SavedModel& model) {
    const Signature* plain = model.find_signature("plain");
    ASSERT_NE(plain, nullptr);
    const auto executable = model.executable(*plain);
    ASSERT_TRUE(executable.ok()) << executable.status();
    std::vector<Tensor> results;
    const Tensor x = Tensor::scalar(3.0f);
    ASSERT_TRUE((*executable)->run({&x, 1}, results).ok());
    EXPECT_EQ(*results[0].data<float>(), 3);
  }

  std::optional<TemporaryDirectory> folder_;
};

TEST_F(PartialModel, SparseAndCompositeSignaturesAreLeftOut) {
  const auto model = load({kPlain, kSparse, kRagged});
  ASSERT_TRUE(model.ok()) << model.status();
  expect_plain_runs(**model);
  EXPECT_EQ((*model)->signatures().size(), 1u);
  EXPECT_EQ((*model)->declared_signatures().size(), 3u);
}

TEST_F(PartialModel, AnInitialisationThatFailsConcernsThoseThatNeedIt) {
  const auto model = load({kPlain, kLooks, kInit});
  ASSERT_TRUE(model.ok()) << model.status();
  expect_plain_runs(**model);
  const Status status = (*model)->executable(*(*model)->find_signature("looks")).status();
  EXPECT_NE(message_of(status).find("/nowhere/vocabulary"), std::string::npos) << status;
  EXPECT_FALSE(load({kLooks, kInit}).ok());
}

TEST_F(PartialModel, VariablesThatHaveNotArrivedAreAnError) {
  const auto model = load({kPlain, kReads});
  EXPECT_EQ(model.status().code(), absl::StatusCode::kNotFound) << model.status();
  EXPECT_NE(message_of(model.status()).find("variables.index"), std::string::npos);
  EXPECT_TRUE(load({kPlain}).ok());
}

}  // namespace
}  // namespace tenon
