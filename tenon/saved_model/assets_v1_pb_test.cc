// A model as TensorFlow 1's builder writes it: its asset is named by a collection alone, and its
// table has the ops' first names. TensorFlow 2.21 answers 1, 0, -1 for this model.
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "tenon/base/files.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tenon/saved_model/saved_model.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

constexpr char kTableOfAsset[] = R"(
meta_graphs {
  meta_info_def { tags: "serve" }
  signature_def {
    key: "serving_default"
    value {
      inputs { key: "word" value { name: "word:0" dtype: DT_STRING
        tensor_shape { dim { size: -1 } } } }
      outputs { key: "id" value { name: "find:0" dtype: DT_INT64
        tensor_shape { dim { size: -1 } } } }
      method_name: "tensorflow/serving/predict"
    }
  }
  collection_def { key: "saved_model_main_op" value { node_list { value: "init" } } }
  collection_def {
    key: "saved_model_assets"
    value { any_list { value {
      type_url: "type.googleapis.com/tensorflow.AssetFileDef"
      value: "\n\016\n\014asset_path:0\022\twords.txt"
    } } }
  }
  graph_def {
    node { name: "word" op: "Placeholder"
      attr { key: "dtype" value { type: DT_STRING } }
      attr { key: "shape" value { shape { dim { size: -1 } } } } }
    node { name: "asset_path" op: "Const" attr { key: "dtype" value { type: DT_STRING } }
      attr { key: "value" value { tensor { dtype: DT_STRING tensor_shape {}
        string_val: "/where/it/was/made/words.txt" } } } }
    node { name: "none" op: "Const" attr { key: "dtype" value { type: DT_INT64 } }
      attr { key: "value" value { tensor { dtype: DT_INT64 tensor_shape {} int64_val: -1 } } } }
    node { name: "table" op: "HashTable"
      attr { key: "key_dtype" value { type: DT_STRING } }
      attr { key: "value_dtype" value { type: DT_INT64 } } }
    node { name: "fill" op: "InitializeTableFromTextFile" input: "table" input: "asset_path"
      attr { key: "key_index" value { i: -2 } } attr { key: "value_index" value { i: -1 } } }
    node { name: "init" op: "NoOp" input: "^fill" }
    node { name: "find" op: "LookupTableFind" input: "table" input: "word" input: "none"
      attr { key: "Tin" value { type: DT_STRING } } attr { key: "Tout" value { type: DT_INT64 } } }
  }
}
)";

TEST(AssetsV1, ACollectionNamesThem) {
  ASSERT_TRUE(register_test_ops().ok()) << register_test_ops();
  tensorflow::SavedModel proto;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kTableOfAsset, &proto));
  StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_TRUE(
      write_file(join_path(folder->path(), "saved_model.pb"), proto.SerializeAsString()).ok());
  ASSERT_TRUE(create_directories(join_path(folder->path(), "assets")).ok());
  ASSERT_TRUE(write_file(join_path(folder->path(), "assets/words.txt"), "fox\ndog\n").ok());
  const auto model = SavedModel::load(folder->path());
  ASSERT_TRUE(model.ok()) << model.status();
  const auto executable = (*model)->executable(*(*model)->find_signature("serving_default"));
  ASSERT_TRUE(executable.ok()) << executable.status();
  const Tensor words = Tensor::strings({3}, std::vector<std::string>{"dog", "fox", "cat"});
  std::vector<Tensor> ids;
  const Status status = (*executable)->run({&words, 1}, ids);
  ASSERT_TRUE(status.ok()) << status;
  const auto found = ids[0].span<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(found.begin(), found.end()), (std::vector<int64_t>{1, 0, -1}));
}

TEST(AssetsV1, DamagedCollectionsAreRefused) {
  ASSERT_TRUE(register_test_ops().ok()) << register_test_ops();
  tensorflow::SavedModel proto;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kTableOfAsset, &proto));
  auto& assets = (*proto.mutable_meta_graphs(0)->mutable_collection_def())["saved_model_assets"];
  std::string& value = *assets.mutable_any_list()->mutable_value(0)->mutable_value();
  value.resize(5);
  StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_TRUE(
      write_file(join_path(folder->path(), "saved_model.pb"), proto.SerializeAsString()).ok());
  EXPECT_EQ(SavedModel::load(folder->path()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tenon
