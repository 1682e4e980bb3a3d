#include <absl/strings/escaping.h>

#include "tenon/serving/json/json_predict.h"
#include "tenon/serving/json/json_writer.h"

namespace tenon::serving {
namespace {

using WritableTypes = TypeList<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                               uint32_t, uint64_t, bool>;

// Numbers and bools; false for other types.
bool write_numbers(JsonWriter& writer, const Tensor& tensor, int64_t begin, int64_t count) {
  const bool is_half = visit<TypeList<float16, bfloat16>>(tensor.dtype(), [&]<class T>() {
    const T* values = tensor.data<T>() + begin;
    for (int64_t i = 0; i < count; ++i) writer.number(static_cast<float>(values[i]));
  });
  return is_half || visit<WritableTypes>(tensor.dtype(), [&]<class T>() {
           const T* values = tensor.data<T>() + begin;
           for (int64_t i = 0; i < count; ++i) writer.number(values[i]);
         });
}

void write_bytes(JsonWriter& writer, std::string_view bytes) {
  std::string base64;
  absl::Base64Escape(absl::string_view(bytes.data(), bytes.size()), &base64);
  writer.start_object();
  writer.key("b64");
  writer.string(base64);
  writer.end_object();
}

// Writes elements [begin, begin + count) of `tensor`, which are a scalar or an innermost list.
Status write_elements(JsonWriter& writer, const NamedTensor& output, int64_t begin, int64_t count) {
  const Tensor& tensor = *output.tensor;
  if (tensor.dtype() == DType::kString) {
    const bool as_bytes = output.name.ends_with("_bytes");
    for (const std::string_view text : tensor.span<std::string_view>().subspan(
             static_cast<size_t>(begin), static_cast<size_t>(count))) {
      as_bytes ? write_bytes(writer, text) : writer.string(text);
    }
    return absl::OkStatus();
  }
  if (write_numbers(writer, tensor, begin, count) || count == 0) return absl::OkStatus();
  return invalid_argument("Failed to write JSON value for tensor type: ", tensor.dtype());
}

// Writes the part of `output` that is left when the first `dim` indices are fixed to `index` (of
// the elements counted row-major). Recurses at most kMaxRank deep: shapes are ours.
Status write_values(JsonWriter& writer, const NamedTensor& output, int dim, int64_t index) {
  const Shape& shape = output.tensor->shape();
  if (dim == shape.rank()) return write_elements(writer, output, index, 1);
  writer.start_array();
  if (dim == shape.rank() - 1) {
    TENON_RETURN_IF_ERROR(write_elements(writer, output, index * shape[dim], shape[dim]));
  } else {
    for (int64_t i = 0; i < shape[dim]; ++i) {
      TENON_RETURN_IF_ERROR(write_values(writer, output, dim + 1, index * shape[dim] + i));
    }
  }
  writer.end_array();
  return absl::OkStatus();
}

StatusOr<int64_t> batch_size(std::span<const NamedTensor> outputs) {
  int64_t batch = -1;
  for (const NamedTensor& output : outputs) {
    if (output.tensor->rank() == 0) {
      return invalid_argument("Tensor name: ", output.name, " has no shape information ");
    }
    const int64_t size = output.tensor->dim(0);
    if (batch >= 0 && size != batch) {
      return invalid_argument("Tensor name: ", output.name, " has inconsistent batch size: ", size,
                              " expecting: ", batch);
    }
    batch = size;
  }
  return batch;
}

Status write_rows(JsonWriter& writer, std::span<const NamedTensor> outputs) {
  TENON_ASSIGN_OR_RETURN(const int64_t batch, batch_size(outputs));
  const bool objects = outputs.size() > 1;
  writer.key("predictions");
  writer.start_array();
  for (int64_t row = 0; row < batch; ++row) {
    if (objects) writer.start_object();
    writer.set_single_line(true);
    for (const NamedTensor& output : outputs) {
      if (objects) writer.key(output.name);
      TENON_RETURN_IF_ERROR(write_values(writer, output, 1, row));
    }
    writer.set_single_line(false);
    if (objects) writer.end_object();
  }
  writer.end_array();
  return absl::OkStatus();
}

Status write_columns(JsonWriter& writer, std::span<const NamedTensor> outputs) {
  const bool objects = outputs.size() > 1;
  writer.key("outputs");
  if (objects) writer.start_object();
  for (const NamedTensor& output : outputs) {
    if (objects) writer.key(output.name);
    TENON_RETURN_IF_ERROR(write_values(writer, output, 0, 0));
  }
  if (objects) writer.end_object();
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::string> write_predict_response(JsonFormat format,
                                             std::span<const NamedTensor> outputs) {
  if (outputs.empty()) return invalid_argument("Cannot convert empty tensor map to JSON");
  JsonWriter writer;
  size_t bytes = 64;
  constexpr size_t kBytesPerValue = 13;  // a float of 9 digits, comma and space
  for (const NamedTensor& output : outputs) {
    bytes +=
        output.name.size() + static_cast<size_t>(output.tensor->num_elements()) * kBytesPerValue;
  }
  writer.reserve(bytes);
  writer.start_object();
  TENON_RETURN_IF_ERROR(format == JsonFormat::kRow ? write_rows(writer, outputs)
                                                   : write_columns(writer, outputs));
  writer.end_object();
  return std::move(writer).take();
}

Status write_flat_values(JsonWriter& writer, const NamedTensor& output) {
  writer.start_array();
  TENON_RETURN_IF_ERROR(write_elements(writer, output, 0, output.tensor->num_elements()));
  writer.end_array();
  return absl::OkStatus();
}

std::string write_json_error(std::string_view message) {
  JsonWriter writer;
  writer.start_object();
  writer.key("error");
  writer.string(message);
  writer.end_object();
  return std::move(writer).take();
}

}  // namespace tenon::serving
