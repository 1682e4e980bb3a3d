#include "tenon/serving/json/json_examples.h"

#include <bit>
#include <limits>

#include "tenon/base/wire.h"
#include "tenon/serving/json/json_tensor.h"
#include "tenon/serving/json/json_writer.h"

namespace tenon::serving {
namespace {

// The fields of tensorflow.Feature.
enum class FeatureKind : uint8_t { kNone = 0, kBytes = 1, kFloat = 2, kInt64 = 3 };

// Collects the values of one feature; all are of one kind.
class FeatureWriter {
 public:
  explicit FeatureWriter(std::string_view name) : name_(name) {}

  Status add(const JsonNode& value);
  // A tensorflow.Feature.
  std::string take() &&;

 private:
  Status set_kind(FeatureKind kind);
  Status add_number(const JsonNode& value);

  const std::string_view name_;
  FeatureKind kind_ = FeatureKind::kNone;
  std::string values_;  // of its list: packed numbers, or whole fields of bytes
};

Status FeatureWriter::set_kind(FeatureKind kind) {
  constexpr std::string_view kNames[] = {"UNKNOWN", "bytes", "float", "int64"};
  if (kind_ != FeatureKind::kNone && kind_ != kind) {
    return invalid_argument("Unexpected element type in feature: ", name_,
                            " expecting type: ", kNames[static_cast<size_t>(kind_)]);
  }
  kind_ = kind;
  return absl::OkStatus();
}

Status FeatureWriter::add_number(const JsonNode& value) {
  if (value.kind == JsonKind::kDouble) {
    TENON_RETURN_IF_ERROR(set_kind(FeatureKind::kFloat));
    const auto bits = std::bit_cast<uint32_t>(static_cast<float>(value.d));
    values_.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
    return absl::OkStatus();
  }
  TENON_RETURN_IF_ERROR(set_kind(FeatureKind::kInt64));
  if (value.kind == JsonKind::kUnsigned && value.u > std::numeric_limits<int64_t>::max()) {
    return invalid_argument("Feature: ", name_,
                            " has uint64_t element. Only int64_t is supported.");
  }
  append_varint(values_,
                value.kind == JsonKind::kUnsigned ? value.u : static_cast<uint64_t>(value.i));
  return absl::OkStatus();
}

Status FeatureWriter::add(const JsonNode& value) {
  switch (value.kind) {
    case JsonKind::kFalse:
    case JsonKind::kTrue:
      TENON_RETURN_IF_ERROR(set_kind(FeatureKind::kInt64));
      append_varint(values_, value.kind == JsonKind::kTrue ? 1 : 0);
      return absl::OkStatus();
    case JsonKind::kString:
      TENON_RETURN_IF_ERROR(set_kind(FeatureKind::kBytes));
      append_bytes_field(values_, 1, value.string());
      return absl::OkStatus();
    case JsonKind::kUnsigned:
    case JsonKind::kNegative:
    case JsonKind::kDouble:
      return add_number(value);
    default:
      break;
  }
  if (!is_base64_object(value)) {
    return invalid_argument("Feature: ", name_,
                            " has element with unexpected JSON type: ", kind_name(value.kind));
  }
  TENON_RETURN_IF_ERROR(set_kind(FeatureKind::kBytes));
  TENON_ASSIGN_OR_RETURN(const std::string bytes, decode_base64_object(value));
  append_bytes_field(values_, 1, bytes);
  return absl::OkStatus();
}

std::string FeatureWriter::take() && {
  std::string feature;
  if (kind_ == FeatureKind::kNone) return feature;
  append_message(feature, static_cast<uint32_t>(kind_), [&] {
    if (kind_ == FeatureKind::kBytes) {
      feature += values_;
    } else {
      append_bytes_field(feature, 1, values_);
    }
  });
  return feature;
}

// A tensorflow.Example.
StatusOr<std::string> example_of(const JsonNode& object) {
  if (!object.is_object()) {
    return invalid_argument("Example must be JSON object but got JSON ", kind_name(object.kind));
  }
  std::string example;
  if (object.size == 0) return example;
  std::string features;
  const JsonNode* key = object.first();
  for (uint32_t member = 0; member < object.size; ++member) {
    const JsonNode& content = key[1];
    FeatureWriter feature(key->string());
    if (content.is_array()) {
      const JsonNode* element = content.first();
      for (uint32_t i = 0; i < content.size; ++i, element = element->next()) {
        TENON_RETURN_IF_ERROR(feature.add(*element));
      }
    } else {
      TENON_RETURN_IF_ERROR(feature.add(content));
    }
    append_message(features, 1, [&] {
      append_bytes_field(features, 1, key->string());
      append_bytes_field(features, 2, std::move(feature).take());
    });
    key = content.next();
  }
  append_bytes_field(example, 1, features);
  return example;
}

}  // namespace

StatusOr<JsonExamplesRequest> parse_examples_request(std::string_view body) {
  TENON_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(body));
  const JsonNode& root = document.root();
  JsonExamplesRequest request;
  TENON_ASSIGN_OR_RETURN(request.signature_name, json_signature_name(root));
  std::string context;
  if (const JsonNode* given = root.find("context")) {
    TENON_ASSIGN_OR_RETURN(context, example_of(*given));
  }
  const JsonNode* list = root.find("examples");
  if (list == nullptr) {
    return invalid_argument(
        "JSON Value: ", root,
        " When method is classify, key 'examples' is expected and was not found");
  }
  if (!list->is_array()) {
    return invalid_argument("JSON Value: ", root,
                            " Expecting 'examples' value to be an list/array");
  }
  if (list->size == 0) {
    return invalid_argument("JSON Value: ", root, " 'examples' value is an empty array");
  }
  std::vector<std::string> examples;
  const JsonNode* element = list->first();
  for (uint32_t i = 0; i < list->size; ++i, element = element->next()) {
    TENON_ASSIGN_OR_RETURN(std::string example, example_of(*element));
    examples.push_back(std::move(example));
  }
  const std::vector<std::string_view> views(examples.begin(), examples.end());
  TENON_ASSIGN_OR_RETURN(request.examples, examples_tensor(views, context));
  return request;
}

std::string write_inference_response(const InferenceResult& result) {
  const int64_t batch = result.batch();
  JsonWriter writer;
  writer.start_object();
  writer.key("results");
  const bool regress = result.method == InferenceMethod::kRegress;
  writer.set_single_line(regress);
  writer.start_array();
  for (int64_t row = 0; row < batch; ++row) {
    if (regress) {
      writer.number(result.score(row, 0));
      continue;
    }
    writer.set_single_line(true);
    writer.start_array();
    for (int64_t c = 0; c < result.num_classes(); ++c) {
      writer.start_array();
      writer.string(result.label(row, c));
      writer.number(result.score(row, c));
      writer.end_array();
    }
    writer.end_array();
    writer.set_single_line(false);
  }
  writer.end_array();
  writer.end_object();
  return std::move(writer).take();
}

}  // namespace tenon::serving
