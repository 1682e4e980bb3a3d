#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;
namespace pb = google::protobuf;

const fs::path kShared = TENON_SOURCE_DIR "/../shared";
const fs::path kProtos = TENON_SOURCE_DIR "/tenon/proto";

std::string read_bytes(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// The definitions `names` of `folder` and what they import, as protoc reads them.
void load(const fs::path& folder, const std::string& names, pb::DescriptorPool& pool) {
  const fs::path out = fs::temp_directory_path() / ("tenon_protos." + std::to_string(getpid()));
  const std::string command =
      "cd '" + folder.string() +
      "' && " TENON_PROTOC " -I . --include_imports --descriptor_set_out=" + out.string() + names;
  ASSERT_EQ(std::system(command.c_str()), 0);
  pb::FileDescriptorSet set;
  ASSERT_TRUE(set.ParseFromString(read_bytes(out)));
  fs::remove(out);
  for (const pb::FileDescriptorProto& file : set.file()) {
    ASSERT_NE(pool.BuildFile(file), nullptr) << file.name();
  }
}

// Every field of ours is TensorFlow's: number, name, type, label, packing, oneof.
void expect_same_message(const pb::Descriptor& ours, const pb::Descriptor* theirs) {
  ASSERT_NE(theirs, nullptr) << ours.full_name();
  for (int i = 0; i < ours.field_count(); ++i) {
    const pb::FieldDescriptor* a = ours.field(i);
    const pb::FieldDescriptor* b = theirs->FindFieldByNumber(a->number());
    ASSERT_NE(b, nullptr) << a->full_name();
    EXPECT_EQ(a->full_name(), b->full_name());
    EXPECT_EQ(a->type(), b->type()) << a->full_name();
    EXPECT_EQ(a->label(), b->label()) << a->full_name();
    EXPECT_EQ(a->is_packed(), b->is_packed()) << a->full_name();
    EXPECT_EQ(a->containing_oneof() != nullptr, b->containing_oneof() != nullptr);
    if (a->message_type()) {
      EXPECT_EQ(a->message_type()->full_name(), b->message_type()->full_name());
    }
  }
  for (int i = 0; i < ours.nested_type_count(); ++i) {
    expect_same_message(*ours.nested_type(i),
                        theirs->FindNestedTypeByName(ours.nested_type(i)->name()));
  }
}

void expect_same_enum(const pb::EnumDescriptor& ours, const pb::EnumDescriptor* theirs) {
  ASSERT_NE(theirs, nullptr) << ours.full_name();
  for (int i = 0; i < ours.value_count(); ++i) {
    const auto* value = theirs->FindValueByName(ours.value(i)->name());
    ASSERT_NE(value, nullptr) << ours.value(i)->full_name();
    EXPECT_EQ(value->number(), ours.value(i)->number());
  }
}

TEST(Protocol, DefinitionsAreThoseOfTensorFlow) {
  std::vector<std::string> files;
  std::string names;
  for (const auto& entry : fs::recursive_directory_iterator(kProtos)) {
    if (entry.path().extension() != ".proto") continue;
    const std::string file = fs::relative(entry.path(), kProtos).string();
    // gRPC's own and the Open Inference Protocol's, which their clients check.
    if (file.starts_with("grpc/") || file.starts_with("inference/")) continue;
    files.push_back(file);
    names += " " + files.back();
  }
  EXPECT_GT(files.size(), 50u);
  pb::DescriptorPool ours, theirs;
  load(kProtos, names, ours);
  load(kShared / "reference/protos", names, theirs);
  for (const std::string& name : files) {
    const pb::FileDescriptor* a = ours.FindFileByName(name);
    const pb::FileDescriptor* b = theirs.FindFileByName(name);
    ASSERT_TRUE(a && b) << name;
    EXPECT_EQ(a->package(), b->package());
    for (int i = 0; i < a->message_type_count(); ++i) {
      expect_same_message(*a->message_type(i),
                          b->FindMessageTypeByName(a->message_type(i)->name()));
    }
    for (int i = 0; i < a->enum_type_count(); ++i) {
      expect_same_enum(*a->enum_type(i), b->FindEnumTypeByName(a->enum_type(i)->name()));
    }
    for (int i = 0; i < a->service_count(); ++i) {
      const pb::ServiceDescriptor* service = b->FindServiceByName(a->service(i)->name());
      ASSERT_NE(service, nullptr);
      EXPECT_EQ(a->service(i)->DebugString(), service->DebugString());
    }
  }
}

void expect_no_unknown_fields(const pb::Message& message) {
  const pb::Reflection& reflection = *message.GetReflection();
  EXPECT_TRUE(reflection.GetUnknownFields(message).empty()) << message.GetTypeName();
  std::vector<const pb::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (!field->message_type()) continue;
    if (!field->is_repeated()) {
      expect_no_unknown_fields(reflection.GetMessage(message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      expect_no_unknown_fields(reflection.GetRepeatedMessage(message, field, i));
    }
  }
}

TEST(Protocol, SavedModelsOfTensorFlowHoldNothingUnknown) {
  int models = 0;
  for (const auto& entry : fs::directory_iterator(kShared / "cases/models")) {
    const std::string bytes = read_bytes(entry.path() / "1/saved_model.pb");
    if (bytes.empty()) continue;
    tensorflow::SavedModel model;
    ASSERT_TRUE(model.ParseFromString(bytes)) << entry.path();
    expect_no_unknown_fields(model);
    EXPECT_EQ(model.ByteSizeLong(), bytes.size()) << entry.path();
    ++models;
  }
  EXPECT_GT(models, 50);
}

}  // namespace
}  // namespace tenon
