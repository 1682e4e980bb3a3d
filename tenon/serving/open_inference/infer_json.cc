#include "tenon/serving/open_inference/infer_json.h"

#include "tenon/serving/inference/inference_messages.h"
#include "tenon/serving/json/json_predict.h"
#include "tenon/serving/json/json_tensor.h"
#include "tenon/serving/open_inference/datatype.h"

namespace tenon::serving {
namespace {

// No signature has so many inputs or outputs; what a request has beyond only costs time.
constexpr uint32_t kMostTensors = 4096;

// The member `name` of `object`, of which `is_kind` holds; null when there is none.
template <class IsKind>
StatusOr<const JsonNode*> member(const JsonNode& object, std::string_view name,
                                 std::string_view kind, IsKind is_kind) {
  const JsonNode* value = object.find(name);
  if (value == nullptr || is_kind(*value)) return value;
  return invalid_argument("\"", name, "\" is ", *value, ", expected ", kind);
}

StatusOr<std::string> text_member(const JsonNode& object, std::string_view name) {
  TENON_ASSIGN_OR_RETURN(
      const JsonNode* const value,
      member(object, name, "a string", [](const JsonNode& node) { return node.is_string(); }));
  return value == nullptr ? std::string() : std::string(value->string());
}

StatusOr<const JsonNode*> list_member(const JsonNode& object, std::string_view name) {
  TENON_ASSIGN_OR_RETURN(
      const JsonNode* const value,
      member(object, name, "an array", [](const JsonNode& node) { return node.is_array(); }));
  if (value != nullptr && value->size > kMostTensors) {
    return invalid_argument("\"", name, "\" has ", value->size, " elements, at most ", kMostTensors,
                            " are taken");
  }
  return value;
}

// Of `object`'s "parameters"; null when there is none.
StatusOr<const JsonNode*> parameter(const JsonNode& object, std::string_view name) {
  TENON_ASSIGN_OR_RETURN(const JsonNode* const parameters,
                         member(object, "parameters", "an object",
                                [](const JsonNode& node) { return node.is_object(); }));
  return parameters == nullptr ? nullptr : parameters->find(name);
}

StatusOr<bool> bool_parameter(const JsonNode& object, std::string_view name, bool otherwise) {
  TENON_ASSIGN_OR_RETURN(const JsonNode* const value, parameter(object, name));
  if (value == nullptr) return otherwise;
  if (value->kind == JsonKind::kTrue) return true;
  if (value->kind == JsonKind::kFalse) return false;
  return invalid_argument("parameter ", name, " is ", *value, ", expected true or false");
}

StatusOr<Shape> shape_of_input(const std::string& input, const JsonNode& object, DType dtype) {
  const JsonNode* const list = object.find("shape");
  if (list == nullptr || !list->is_array()) {
    return invalid_argument("input ", input, " lacks its \"shape\", an array of numbers");
  }
  std::vector<int64_t> dims;
  const JsonNode* node = list->first();
  for (uint32_t i = 0; i < list->size; ++i, node = node->next()) {
    if (node->kind != JsonKind::kUnsigned || node->u > INT64_MAX) {
      return invalid_argument("input ", input, ": dimension ", i, " of its shape is ", *node,
                              ", expected a whole number that is not negative");
    }
    dims.push_back(static_cast<int64_t>(node->u));
  }
  return Shape::make(dims, size_of(dtype));
}

// Values may be nested as the shape is, or stand in one list.
StatusOr<Tensor> tensor_of_json(const std::string& input, const JsonNode& data, DType dtype,
                                const Shape& shape, size_t max_elements) {
  JsonTensorReader reader(dtype, max_elements, JsonTensorReader::Narrow::kRefused);
  if (const Status status = reader.read(data); !status.ok()) {
    return make_status(status.code(), cat("input ", input, ": ", message_of(status)));
  }
  Tensor tensor = std::move(reader).take();
  const bool flat = tensor.rank() <= 1 && tensor.num_elements() == shape.num_elements();
  if (!flat && tensor.shape() != shape) {
    return invalid_argument("input ", input, ": its data has shape ", tensor.shape(),
                            ", expected its \"shape\" ", shape, " or one list of ",
                            shape.num_elements(), " values");
  }
  return tensor.reshaped(shape);
}

// Reads the inputs of one request, the binary ones off the front of `bytes`.
class InputReader {
 public:
  InputReader(std::string_view bytes, bool has_bytes, size_t max_elements)
      : bytes_(bytes), has_bytes_(has_bytes), max_elements_(max_elements) {}

  StatusOr<OpenInferenceRequest::Input> read(const JsonNode& object) {
    OpenInferenceRequest::Input input;
    if (!object.is_object()) return invalid_argument("an input is ", object, ", not an object");
    TENON_ASSIGN_OR_RETURN(input.name, text_member(object, "name"));
    if (input.name.empty()) return invalid_argument("an input lacks its \"name\"");
    TENON_ASSIGN_OR_RETURN(const std::string datatype, text_member(object, "datatype"));
    const std::optional<DType> dtype = parse_datatype(datatype);
    if (!dtype) {
      return invalid_argument("input ", input.name, ": unknown \"datatype\" \"", datatype, "\"");
    }
    TENON_ASSIGN_OR_RETURN(const Shape shape, shape_of_input(input.name, object, *dtype));
    TENON_ASSIGN_OR_RETURN(const JsonNode* const size, parameter(object, "binary_data_size"));
    const JsonNode* const data = object.find("data");
    if ((size == nullptr) == (data == nullptr)) {
      return invalid_argument("input ", input.name,
                              " has to have either \"data\" or the parameter binary_data_size");
    }
    if (size != nullptr) {
      TENON_ASSIGN_OR_RETURN(const std::string_view own, take(input.name, *size));
      TENON_ASSIGN_OR_RETURN(input.tensor, tensor_of_bytes(input.name, *dtype, shape, own));
    } else {
      TENON_ASSIGN_OR_RETURN(input.tensor,
                             tensor_of_json(input.name, *data, *dtype, shape, max_elements_));
    }
    return input;
  }

  size_t left() const { return bytes_.size(); }

 private:
  StatusOr<std::string_view> take(const std::string& name, const JsonNode& size) {
    if (!has_bytes_) {
      return invalid_argument("input ", name,
                              " is binary, but there is no header Inference-Header-Content-Length");
    }
    if (size.kind != JsonKind::kUnsigned || size.u > bytes_.size()) {
      return invalid_argument("input ", name, ": binary_data_size is ", size, ", but ",
                              bytes_.size(), " bytes are left behind the JSON");
    }
    const std::string_view own = bytes_.substr(0, size.u);
    bytes_.remove_prefix(size.u);
    return own;
  }

  std::string_view bytes_;
  const bool has_bytes_;
  const size_t max_elements_;
};

Status read_outputs(const JsonNode& root, OpenInferenceRequest& request) {
  TENON_ASSIGN_OR_RETURN(request.binary_outputs, bool_parameter(root, "binary_data_output", false));
  TENON_ASSIGN_OR_RETURN(const JsonNode* const outputs, list_member(root, "outputs"));
  if (outputs == nullptr) return absl::OkStatus();
  const JsonNode* node = outputs->first();
  for (uint32_t i = 0; i < outputs->size; ++i, node = node->next()) {
    if (!node->is_object()) return invalid_argument("an output is ", *node, ", not an object");
    OpenInferenceRequest::Output& output = request.outputs.emplace_back();
    TENON_ASSIGN_OR_RETURN(output.name, text_member(*node, "name"));
    TENON_ASSIGN_OR_RETURN(output.binary,
                           bool_parameter(*node, "binary_data", request.binary_outputs));
  }
  return absl::OkStatus();
}

Status write_text(JsonWriter& writer, const OpenInferenceResult::Output& output) {
  if (output.tensor.dtype() == DType::kString) {
    for (const std::string_view text : output.tensor.span<std::string_view>()) {
      if (is_utf8(text)) continue;
      return invalid_argument("output ", output.name,
                              " holds bytes that are no text (UTF-8): ask for it with the "
                              "parameter binary_data");
    }
    writer.start_array();
    for (const std::string_view text : output.tensor.span<std::string_view>()) writer.string(text);
    writer.end_array();
    return absl::OkStatus();
  }
  return write_flat_values(writer, {output.name, &output.tensor});
}

Status write_output(JsonWriter& writer, const OpenInferenceResult::Output& output, bool binary,
                    std::string& bytes) {
  writer.start_object();
  writer.key("name");
  writer.string(output.name);
  writer.key("datatype");
  writer.string(datatype_name(output.tensor.dtype()));
  writer.key("shape");
  writer.set_single_line(true);
  writer.start_array();
  for (const int64_t dim : output.tensor.shape().dims()) writer.number(dim);
  writer.end_array();
  if (binary) {
    const size_t before = bytes.size();
    TENON_RETURN_IF_ERROR(append_tensor_bytes(bytes, output.tensor));
    writer.key("parameters");
    writer.start_object();
    writer.key("binary_data_size");
    writer.number(bytes.size() - before);
    writer.end_object();
  } else {
    writer.key("data");
    TENON_RETURN_IF_ERROR(write_text(writer, output));
  }
  writer.set_single_line(false);
  writer.end_object();
  return absl::OkStatus();
}

}  // namespace

StatusOr<OpenInferenceRequest> parse_infer_request(std::string_view body,
                                                   std::optional<size_t> json_bytes) {
  if (json_bytes.value_or(0) > body.size()) {
    return invalid_argument("Inference-Header-Content-Length is ", *json_bytes,
                            ", but the body has ", body.size(), " bytes");
  }
  TENON_ASSIGN_OR_RETURN(const JsonDocument document,
                         JsonDocument::parse(body.substr(0, json_bytes.value_or(body.size()))));
  const JsonNode& root = document.root();
  if (!root.is_object()) return invalid_argument("the request is ", root, ", not an object");
  OpenInferenceRequest request;
  TENON_ASSIGN_OR_RETURN(request.id, text_member(root, "id"));
  TENON_ASSIGN_OR_RETURN(const JsonNode* const signature, parameter(root, "signature_name"));
  if (signature != nullptr && signature->is_string()) request.signature_name = signature->string();
  TENON_ASSIGN_OR_RETURN(const JsonNode* const inputs, list_member(root, "inputs"));
  if (inputs == nullptr) return invalid_argument("the request lacks its \"inputs\", an array");
  InputReader reader(body.substr(json_bytes.value_or(body.size())), json_bytes.has_value(),
                     document.num_nodes());
  const JsonNode* node = inputs->first();
  for (uint32_t i = 0; i < inputs->size; ++i, node = node->next()) {
    TENON_ASSIGN_OR_RETURN(request.inputs.emplace_back(), reader.read(*node));
  }
  if (reader.left() > 0) {
    return invalid_argument(reader.left(), " bytes behind the JSON belong to no input");
  }
  TENON_RETURN_IF_ERROR(read_outputs(root, request));
  return request;
}

StatusOr<OpenInferenceRequest> raw_infer_request(const Signature& signature,
                                                 std::string_view body) {
  OpenInferenceRequest request;
  request.binary_outputs = true;
  if (signature.inputs.size() != 1) {
    return invalid_argument("a body of bytes alone is for a model of one input; this one has ",
                            signature.inputs.size());
  }
  const TensorSpec& spec = signature.inputs[0];
  if (datatype_name(spec.dtype).empty() || !spec.shape.has_rank()) {
    return invalid_argument("a body of bytes alone does not tell the shape of input ", spec.name);
  }
  OpenInferenceRequest::Input& input = request.inputs.emplace_back();
  input.name = spec.name;
  std::vector<int64_t> dims(spec.shape.dims().begin(), spec.shape.dims().end());
  if (spec.dtype == DType::kString) {
    std::fill(dims.begin(), dims.end(), 1);
    StringTensorBuilder one{Shape(dims)};
    one.set(0, body);
    input.tensor = std::move(one).build();
    return request;
  }
  uint64_t known = size_of(spec.dtype);
  int64_t* unknown = nullptr;
  for (int64_t& dim : dims) {
    if (dim >= 0) {
      if (__builtin_mul_overflow(known, static_cast<uint64_t>(dim), &known)) known = 0;
    } else if (unknown != nullptr) {
      return invalid_argument("a body of bytes alone does not tell the shape ", spec.shape,
                              " of input ", spec.name);
    } else {
      unknown = &dim;
    }
  }
  if (unknown != nullptr) *unknown = known == 0 ? 0 : static_cast<int64_t>(body.size() / known);
  TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(dims, size_of(spec.dtype)));
  TENON_ASSIGN_OR_RETURN(input.tensor, tensor_of_bytes(spec.name, spec.dtype, shape, body));
  return request;
}

StatusOr<InferResponse> write_infer_response(const OpenInferenceRequest& request,
                                             const OpenInferenceResult& result) {
  JsonWriter writer;
  std::string bytes;
  bool any_binary = false;
  writer.start_object();
  writer.key("model_name");
  writer.string(result.served->model);
  writer.key("model_version");
  writer.string(cat(result.served->version));
  if (!request.id.empty()) {
    writer.key("id");
    writer.string(request.id);
  }
  writer.key("outputs");
  writer.start_array();
  for (size_t i = 0; i < result.outputs.size(); ++i) {
    const bool binary =
        request.outputs.empty() ? request.binary_outputs : request.outputs[i].binary;
    any_binary = any_binary || binary;
    TENON_RETURN_IF_ERROR(write_output(writer, result.outputs[i], binary, bytes));
  }
  writer.end_array();
  writer.end_object();
  InferResponse response;
  response.body = std::move(writer).take();
  if (!any_binary) return response;
  response.json_bytes = response.body.size();
  response.body += bytes;
  return response;
}

}  // namespace tenon::serving
