#include "tenon/serving/open_inference/infer_message.h"

#include <bit>
#include <cstring>

#include "tenon/base/wire.h"
#include "tenon/serving/open_inference/datatype.h"

namespace tenon::serving {
namespace {

// No signature has so many inputs or outputs; what a request has beyond only costs time.
constexpr size_t kMostInferTensors = 4096;

Status malformed_request() { return internal("malformed ModelInferRequest message"); }

// InferTensorContents: which field holds the values of a dtype; 0 for those that are only raw.
uint32_t contents_field(DType dtype) {
  switch (dtype) {
    case DType::kBool:
      return 1;
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
      return 2;
    case DType::kInt64:
      return 3;
    case DType::kUint8:
    case DType::kUint16:
    case DType::kUint32:
      return 4;
    case DType::kUint64:
      return 5;
    case DType::kFloat:
      return 6;
    case DType::kDouble:
      return 7;
    case DType::kString:
      return 8;
    default:
      return 0;
  }
}

using VarintTypes =
    TypeList<bool, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;

// The values of one field of InferTensorContents. Not more than `most` are kept, but all counted.
struct Values {
  std::vector<uint64_t> varints;
  std::string fixed;
  std::vector<std::string_view> texts;
};

struct InferInput {
  std::string name;
  std::string datatype;
  std::vector<int64_t> dims;
  MessageField contents;
};

// Appends the values of `field`, packed or not; false where it is malformed.
bool add_values(const WireField& field, DType dtype, Values& values) {
  if (dtype == DType::kString) {
    if (field.type != WireType::kBytes) return false;
    values.texts.push_back(field.bytes);
    return true;
  }
  if (!is_floating(dtype)) {
    return for_each_varint(field, [&](uint64_t value) { values.varints.push_back(value); });
  }
  const size_t size = size_of(dtype);
  if (field.type == WireType::kBytes) {
    values.fixed.append(field.bytes);
    return field.bytes.size() % size == 0;
  }
  const bool right = field.type == (size == 4 ? WireType::kFixed32 : WireType::kFixed64);
  values.fixed.append(reinterpret_cast<const char*>(&field.value), size);
  return right;
}

template <class T>
bool set_varints(const std::vector<uint64_t>& varints, Tensor& tensor) {
  T* const out = tensor.mutable_data<T>();
  for (size_t i = 0; i < varints.size(); ++i) {
    out[i] = static_cast<T>(varints[i]);
    if constexpr (std::is_signed_v<T>) {
      if (static_cast<int64_t>(out[i]) != static_cast<int64_t>(varints[i])) return false;
    } else {
      if (static_cast<uint64_t>(out[i]) != varints[i]) return false;
    }
  }
  return true;
}

StatusOr<Tensor> tensor_of_contents(const InferInput& input, DType dtype, const Shape& shape) {
  const uint32_t wanted = contents_field(dtype);
  if (wanted == 0) {
    return invalid_argument("input ", input.name, ": values of ", input.datatype,
                            " stand in raw_input_contents only");
  }
  Values values;
  WireReader reader(input.contents.bytes());
  WireField field;
  while (reader.next(field)) {
    if (field.number == wanted && !add_values(field, dtype, values)) return malformed_request();
  }
  if (reader.malformed()) return malformed_request();
  const size_t found =
      values.varints.size() + values.texts.size() + values.fixed.size() / size_of(dtype);
  if (found != static_cast<size_t>(shape.num_elements())) {
    return invalid_argument("input ", input.name, ": ", found, " values of ", input.datatype,
                            " are given, shape ", shape, " has ", shape.num_elements());
  }
  if (dtype == DType::kString) {
    StringTensorBuilder strings(shape);
    for (size_t i = 0; i < found; ++i) strings.set(static_cast<int64_t>(i), values.texts[i]);
    return std::move(strings).build();
  }
  if (is_floating(dtype)) return tensor_of_bytes(input.name, dtype, shape, values.fixed);
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  bool fits = true;
  visit<VarintTypes>(dtype, [&]<class T>() { fits = set_varints<T>(values.varints, tensor); });
  if (fits) return tensor;
  return invalid_argument("input ", input.name, ": a value is out of the range of ",
                          input.datatype);
}

bool parse_input_message(std::string_view bytes, InferInput& input) {
  WireReader reader(bytes);
  WireField field;
  bool well_formed = true;
  while (reader.next(field)) {
    if (field.is_bytes(1)) input.name = field.bytes;
    if (field.is_bytes(2)) input.datatype = field.bytes;
    if (field.number == 3) {
      well_formed = well_formed && for_each_varint(field, [&](uint64_t dim) {
                      input.dims.push_back(static_cast<int64_t>(dim));
                    });
    }
    if (field.is_bytes(5)) input.contents.add(field.bytes);
  }
  return well_formed && !reader.malformed();
}

// The string in an entry of map<string, InferParameter>, where its key is `name`.
bool parse_text_parameter(std::string_view entry_bytes, std::string_view name, std::string& text) {
  MapEntry entry;
  if (!parse_map_entry(entry_bytes, entry)) return false;
  if (entry.key != name) return true;
  WireReader reader(entry.message.bytes());
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(3)) text = field.bytes;
  }
  return !reader.malformed();
}

Status add_input(const InferInput& given, std::optional<std::string_view> raw,
                 OpenInferenceRequest& request) {
  const std::optional<DType> dtype = parse_datatype(given.datatype);
  if (!dtype) {
    return invalid_argument("input ", given.name, ": unknown datatype \"", given.datatype, "\"");
  }
  TENON_ASSIGN_OR_RETURN(const Shape shape, Shape::make(given.dims, size_of(*dtype)));
  OpenInferenceRequest::Input& input = request.inputs.emplace_back();
  input.name = given.name;
  if (raw && given.contents.present() && !given.contents.bytes().empty()) {
    return invalid_argument("input ", given.name,
                            " has contents, although the request has raw_input_contents");
  }
  if (raw) {
    TENON_ASSIGN_OR_RETURN(input.tensor, tensor_of_bytes(given.name, *dtype, shape, *raw));
  } else {
    TENON_ASSIGN_OR_RETURN(input.tensor, tensor_of_contents(given, *dtype, shape));
  }
  return absl::OkStatus();
}

void append_contents(std::string& out, const Tensor& tensor) {
  if (tensor.num_elements() == 0) return;
  const uint32_t number = contents_field(tensor.dtype());
  if (tensor.dtype() == DType::kString) {
    for (const std::string_view text : tensor.span<std::string_view>()) {
      append_bytes_field(out, number, text);
    }
  } else if (is_floating(tensor.dtype())) {
    append_bytes_field(out, number, {static_cast<const char*>(tensor.raw()), tensor.num_bytes()});
  } else {
    append_message(out, number, [&] {
      visit<VarintTypes>(tensor.dtype(), [&]<class T>() {
        for (const T value : tensor.span<T>()) {
          append_varint(out, static_cast<uint64_t>(static_cast<int64_t>(value)));
        }
      });
    });
  }
}

std::string text_field(std::string_view message, uint32_t number) {
  std::string text;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(number)) text = field.bytes;
  }
  return text;
}

}  // namespace

std::string infer_model_name(std::string_view message) { return text_field(message, 1); }

std::string infer_request_id(std::string_view message) { return text_field(message, 3); }

StatusOr<InferMessage> parse_infer_message(std::string_view bytes) {
  InferMessage message;
  OpenInferenceRequest& request = message.request;
  std::string_view model, version;
  std::vector<InferInput> inputs;
  std::vector<std::string_view> raw;
  WireReader reader(bytes);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) model = field.bytes;
    if (field.is_bytes(2)) version = field.bytes;
    if (field.is_bytes(3)) request.id = field.bytes;
    if (field.is_bytes(4) &&
        !parse_text_parameter(field.bytes, "signature_name", request.signature_name)) {
      return malformed_request();
    }
    if (field.is_bytes(5) && !parse_input_message(field.bytes, inputs.emplace_back())) {
      return malformed_request();
    }
    if (field.is_bytes(6)) request.outputs.push_back({infer_model_name(field.bytes), false});
    if (field.is_bytes(7)) raw.push_back(field.bytes);
    if (std::max({inputs.size(), request.outputs.size(), raw.size()}) > kMostInferTensors) {
      return invalid_argument("a request has at most ", kMostInferTensors, " inputs and outputs");
    }
  }
  if (reader.malformed()) return malformed_request();
  TENON_ASSIGN_OR_RETURN(message.model, open_inference_spec(model, version));
  message.raw = !raw.empty();
  if (message.raw && raw.size() != inputs.size()) {
    return invalid_argument("raw_input_contents has ", raw.size(), " entries, the request has ",
                            inputs.size(), " inputs");
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    TENON_RETURN_IF_ERROR(
        add_input(inputs[i], message.raw ? std::optional(raw[i]) : std::nullopt, request));
  }
  return message;
}

Status append_infer_response(const InferMessage& message, const OpenInferenceResult& result,
                             std::string& out) {
  const bool raw =
      message.raw || std::any_of(result.outputs.begin(), result.outputs.end(), [](const auto& one) {
        return contents_field(one.tensor.dtype()) == 0;
      });
  append_string_field(out, 1, result.served->model);
  append_string_field(out, 2, cat(result.served->version));
  append_string_field(out, 3, message.request.id);
  for (const OpenInferenceResult::Output& output : result.outputs) {
    append_message(out, 5, [&] {
      append_string_field(out, 1, output.name);
      append_string_field(out, 2, datatype_name(output.tensor.dtype()));
      if (output.tensor.rank() > 0) {
        append_message(out, 3, [&] {
          for (const int64_t dim : output.tensor.shape().dims()) {
            append_varint(out, static_cast<uint64_t>(dim));
          }
        });
      }
      if (!raw) append_message(out, 5, [&] { append_contents(out, output.tensor); });
    });
  }
  if (!raw) return absl::OkStatus();
  for (const OpenInferenceResult::Output& output : result.outputs) {
    Status status;
    append_message(out, 6, [&] { status = append_tensor_bytes(out, output.tensor); });
    TENON_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

}  // namespace tenon::serving
