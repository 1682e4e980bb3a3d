#include "tenon/serving/json/json_predict.h"
#include "tenon/serving/json/json_tensor.h"

namespace tenon::serving {
namespace {

std::string sorted_names(std::span<const TensorSpec> specs) {
  std::vector<std::string_view> names;
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  std::sort(names.begin(), names.end());
  return join(names, ",");
}

bool is_plain_object(const JsonNode& value) {
  return value.is_object() && !is_base64_object(value);
}

// "INVALID_ARGUMENT: text", as absl prints a Status inside another's message.
std::string status_text(const Status& status) {
  return cat(code_name(status.code()), ": ", message_of(status));
}

// Reads the list of "instances": one reader an input, one turn an element.
class InstancesReader {
 public:
  InstancesReader(std::span<const TensorSpec> specs, size_t max_elements) : specs_(specs) {
    for (const TensorSpec& spec : specs) readers_.emplace_back(spec.dtype, max_elements);
  }

  Status read(const JsonNode& instances);
  std::vector<Tensor> take();

 private:
  Status read_object(const JsonNode& object, int64_t index);
  Status read_value(size_t input, const JsonNode& value, int64_t index);
  size_t input_named(std::string_view name, size_t guess) const;

  const std::span<const TensorSpec> specs_;
  std::vector<JsonTensorReader> readers_;
  std::vector<bool> seen_;  // inputs that the current object has given
  int64_t count_ = 0;
  bool plain_ = false;
};

Status InstancesReader::read(const JsonNode& instances) {
  const JsonNode* element = instances.first();
  if (!element->is_object() && specs_.size() > 1) {
    return invalid_argument(
        "instances is a plain list, but expecting list of objects as multiple input tensors "
        "required as per tensorinfo_map");
  }
  const bool objects = is_plain_object(*element);
  plain_ = !objects;
  count_ = instances.size;
  for (int64_t i = 0; i < count_; ++i, element = element->next()) {
    if (objects != is_plain_object(*element)) {
      return objects
                 ? invalid_argument("Expecting object but got list at item ", i, " of input list")
                 : invalid_argument("Expecting value/list but got object at item ", i,
                                    " of input list");
    }
    if (objects) {
      TENON_RETURN_IF_ERROR(read_object(*element, i));
    } else if (const Status status = read_value(0, *element, i); !status.ok()) {
      if (absl::IsResourceExhausted(status)) return status;  // no fault of the request
      return invalid_argument("Failed to process element: ", i,
                              " of 'instances' list. Error: ", status_text(status));
    }
  }
  return absl::OkStatus();
}

Status InstancesReader::read_object(const JsonNode& object, int64_t index) {
  seen_.assign(specs_.size(), false);
  size_t given = 0;
  const JsonNode* key = object.first();
  for (uint32_t member = 0; member < object.size; ++member) {
    const size_t input = input_named(key->string(), member);
    Status status;
    if (input == specs_.size()) {
      status = invalid_argument("JSON object: does not have named input: ", key->string());
    } else if (!seen_[input]) {
      status = read_value(input, key[1], index);
      seen_[input] = true;
      ++given;
    }
    if (!status.ok()) {
      if (absl::IsResourceExhausted(status)) return status;
      return invalid_argument("Failed to process element: ", index, " key: ", key->string(),
                              " of 'instances' list. Error: ", status_text(status));
    }
    key = key[1].next();
  }
  if (given == specs_.size()) return absl::OkStatus();
  return invalid_argument("Failed to process element: ", index,
                          " of 'instances' list. JSON object: ", object,
                          " keys must be equal to: ", sorted_names(specs_));
}

Status InstancesReader::read_value(size_t input, const JsonNode& value, int64_t index) {
  JsonTensorReader& reader = readers_[input];
  return index == 0 ? reader.read_first(value, count_) : reader.read_next(value);
}

// Objects mostly give the inputs in one order: the place in the object is a good first guess.
size_t InstancesReader::input_named(std::string_view name, size_t guess) const {
  if (guess < specs_.size() && specs_[guess].name == name) return guess;
  size_t input = 0;
  while (input < specs_.size() && specs_[input].name != name) ++input;
  return input;
}

std::vector<Tensor> InstancesReader::take() {
  std::vector<Tensor> tensors(specs_.size());
  const size_t given = plain_ ? 1 : specs_.size();
  for (size_t i = 0; i < given; ++i) tensors[i] = std::move(readers_[i]).take();
  return tensors;
}

StatusOr<std::vector<Tensor>> read_inputs(const JsonNode& inputs, std::span<const TensorSpec> specs,
                                          size_t max_elements) {
  std::vector<Tensor> tensors(specs.size());
  const bool by_name = is_plain_object(inputs);
  if (!by_name && specs.size() > 1) {
    return invalid_argument(
        "inputs is a plain value/list, but expecting an object as multiple input tensors required "
        "as per tensorinfo_map");
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    const JsonNode* value = by_name ? inputs.find(specs[i].name) : &inputs;
    if (value == nullptr) {
      return invalid_argument("Missing named input: ", specs[i].name, " in 'inputs' object.");
    }
    JsonTensorReader reader(specs[i].dtype, max_elements);
    TENON_RETURN_IF_ERROR(reader.read(*value));
    tensors[i] = std::move(reader).take();
  }
  return tensors;
}

Status check_keys(const JsonNode& root, const JsonNode* instances, const JsonNode* inputs) {
  if (instances && inputs) {
    return invalid_argument(
        "JSON Value: ", root,
        " Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ");
  }
  if (!instances && !inputs) return invalid_argument("Missing 'inputs' or 'instances' key");
  if (instances && !instances->is_array()) {
    return invalid_argument("JSON Value: ", root, " Expecting 'instances' to be an list/array");
  }
  if (instances && instances->size == 0) {
    return invalid_argument("JSON Value: ", root, " No values in 'instances' array");
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::string> json_signature_name(const JsonNode& root) {
  if (!root.is_object()) return invalid_argument("JSON Value: ", root, " Is not object");
  const JsonNode* name = root.find("signature_name");
  if (name == nullptr) return std::string();
  if (name->is_string()) return std::string(name->string());
  return invalid_argument("JSON Value: ", root,
                          " not formatted correctly. 'signature_name' key must be a string value.");
}

StatusOr<JsonPredictRequest> parse_predict_request(std::string_view body, InputsOf inputs_of) {
  TENON_ASSIGN_OR_RETURN(const JsonDocument document, JsonDocument::parse(body));
  const JsonNode& root = document.root();
  JsonPredictRequest request;
  TENON_ASSIGN_OR_RETURN(request.signature_name, json_signature_name(root));
  TENON_ASSIGN_OR_RETURN(const std::span<const TensorSpec> specs,
                         inputs_of(request.signature_name));
  if (specs.empty()) {
    return invalid_argument("Failed to get input map for signature: ",
                            request.signature_name.empty() ? "DEFAULT" : request.signature_name);
  }
  const JsonNode* instances = root.find("instances");
  const JsonNode* inputs = root.find("inputs");
  TENON_RETURN_IF_ERROR(check_keys(root, instances, inputs));
  if (instances) {
    InstancesReader reader(specs, document.num_nodes());
    TENON_RETURN_IF_ERROR(reader.read(*instances));
    request.inputs = reader.take();
  } else {
    request.format = JsonFormat::kColumnar;
    TENON_ASSIGN_OR_RETURN(request.inputs, read_inputs(*inputs, specs, document.num_nodes()));
  }
  return request;
}

}  // namespace tenon::serving
