#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "tenon/base/files.h"
#include "tenon/ops/register_all.h"
#include "tenon/prototext/prototext.h"
#include "tenon/saved_model/saved_model.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

TEST(TextFormat, AModelInTextIsTheModel) {
  ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
  tensorflow::SavedModel model;
  const auto bytes =
      read_file(TENON_SOURCE_DIR "/../shared/cases/models/tf1_control_flow_v1/1/saved_model.pb");
  ASSERT_TRUE(bytes.ok() && model.ParseFromString(*bytes));
  std::string text;
  ASSERT_TRUE(google::protobuf::TextFormat::PrintToString(model, &text));
  const auto wire = read_text_message(TextMessage::kSavedModel, text);
  ASSERT_TRUE(wire.ok()) << wire.status();
  tensorflow::SavedModel again;
  ASSERT_TRUE(again.ParseFromString(*wire));
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(again, model));

  StatusOr<TemporaryDirectory> folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  ASSERT_TRUE(write_file(join_path(folder->path(), "saved_model.pbtxt"), text).ok());
  // Without a reader it is one sentence, with one it loads.
  const auto unread = SavedModel::read(folder->path());
  EXPECT_EQ(unread.status().code(), absl::StatusCode::kUnimplemented);
  set_text_format_reader(read_text_message);
  const auto read = SavedModel::read(folder->path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_NE((*read)->find_signature("serving_default"), nullptr);
}

TEST(TextFormat, ErrorsNameLineAndColumn) {
  const auto wire = read_text_message(TextMessage::kGraph, "node {\n  nam: \"x\"\n}");
  EXPECT_EQ(wire.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(message_of(wire.status()).find("line 2, column 6"), std::string_view::npos)
      << wire.status();
}

TEST(TextFormat, AnEntryOfAMapMayLeaveOutKeyOrValue) {
  const auto wire = read_text_message(TextMessage::kGraph, R"(library { function {
      signature { name: "f" }
      arg_attr { value { attr { key: "_user_specified_name" value { s: "x" } } } }
      attr { key: "a" value { func { name: "g" attr { key: "b" } } } }
      ret { key: "y" } ret { value: "z" } resource_arg_unique_id {} } })");
  ASSERT_TRUE(wire.ok()) << wire.status();
  tensorflow::GraphDef graph;
  ASSERT_TRUE(graph.ParseFromString(*wire));
  const tensorflow::FunctionDef& function = graph.library().function(0);
  ASSERT_EQ(function.arg_attr().count(0), 1U);
  EXPECT_EQ(function.arg_attr().at(0).attr().at("_user_specified_name").s(), "x");
  EXPECT_EQ(function.attr().at("a").func().attr().count("b"), 1U);
  EXPECT_EQ(function.ret().at("y"), "");
  EXPECT_EQ(function.ret().at(""), "z");
  EXPECT_EQ(function.resource_arg_unique_id().at(0), 0U);
}

TEST(TextFormat, MessagesDeeperThanOnTheWireAreRefused) {
  std::string text = "node { attr { key: 'k' value {";
  for (int i = 0; i < 100000; ++i) text += "func { attr { key: 'k' value {";
  for (int i = 0; i < 100000; ++i) text += "}}}";
  EXPECT_EQ(read_text_message(TextMessage::kGraph, text + "}}}").status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tenon
