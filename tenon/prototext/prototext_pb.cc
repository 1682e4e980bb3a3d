#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include "tenon/prototext/prototext.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

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

StatusOr<std::string> convert(const std::string& text, google::protobuf::Message& message) {
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  if (!parser.ParseFromString(text, &message)) {
    return invalid_argument("is no ", message.GetTypeName(), " in text format: ", error.text());
  }
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
