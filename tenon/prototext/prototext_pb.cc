#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "tenon/prototext/prototext.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

using google::protobuf::Message;

// What protobuf allows messages on the wire, TensorFlow's too.
constexpr int kMaxDepth = 100;

// Keeps the first error.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text_.empty()) text_ = cat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Entries of maps that leave out key or value have the default one, but protobuf 3.21 writes such
// an entry with a length that does not count it. Read from its own bytes an entry has both.
void complete_map_entries(Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      complete_map_entries(*reflection.MutableMessage(&message, field));
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      Message& element = *reflection.MutableRepeatedMessage(&message, field, i);
      complete_map_entries(element);
      if (field->is_map()) element.ParsePartialFromString(element.SerializePartialAsString());
    }
  }
}

StatusOr<std::string> convert(const std::string& text, Message& message) {
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kMaxDepth);
  // An entry without a message counts as partial; nothing else can be, in proto3.
  parser.AllowPartialMessage(true);
  if (!parser.ParseFromString(text, &message)) {
    return invalid_argument("is no ", message.GetTypeName(), " in text format: ", error.text());
  }
  complete_map_entries(message);
  std::string wire;
  if (!message.SerializeToString(&wire)) {
    return resource_exhausted("has more than the 2 GiB that a message may have");
  }
  return wire;
}

}  // namespace

StatusOr<std::string> read_text_message(TextMessage message, const std::string& text) {
  switch (message) {
    case TextMessage::kSavedModel: {
      tensorflow::SavedModel model;
      return convert(text, model);
    }
    case TextMessage::kMetaGraph: {
      tensorflow::MetaGraphDef meta;
      return convert(text, meta);
    }
    case TextMessage::kGraph: {
      tensorflow::GraphDef graph;
      return convert(text, graph);
    }
  }
  return invalid_argument("is no message that has a text format");
}

}  // namespace tenon
