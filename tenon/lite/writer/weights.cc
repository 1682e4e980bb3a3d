#include "tenon/lite/writer/weights.h"

#include "tenon/core/float16.h"
#include "tenon/lite/constants.h"

namespace tenon::lite {
namespace {

constexpr int64_t kFewestWeights = 1024;

// Calls f(element, slice) over all elements of a tensor of this shape.
void for_each_in_slice(const schema::TensorT& tensor, int axis,
                       FunctionRef<void(size_t element, size_t slice)> f) {
  const auto count = static_cast<size_t>(num_elements(tensor));
  size_t inner = 1, slices = 1;
  if (axis >= 0) {
    slices = static_cast<size_t>(tensor.shape[static_cast<size_t>(axis)]);
    for (size_t i = static_cast<size_t>(axis) + 1; i < tensor.shape.size(); ++i) {
      inner *= static_cast<size_t>(tensor.shape[i]);
    }
  }
  for (size_t i = 0; i < count; ++i) f(i, i / inner % slices);
}

int8_t type_number(DType dtype) { return static_cast<int8_t>(tensor_type_of(dtype)); }

bool is_float_constant(const schema::TensorT& tensor) {
  return is_constant(tensor) && tensor.type == type_number(DType::kFloat);
}

}  // namespace

void weights_to_float16(LiteModel& model) {
  for (int g = 0; g < model.num_subgraphs(); ++g) {
    schema::SubGraphT& graph = model.subgraph(g);
    std::vector<std::unique_ptr<schema::OperatorT>> widened;
    const size_t count = graph.tensors.size();
    for (size_t i = 0; i < count; ++i) {
      if (!is_float_constant(*graph.tensors[i])) continue;
      const std::vector<float> values = floats_of(model, *graph.tensors[i]);
      std::vector<float16> halves(values.begin(), values.end());
      auto narrow = std::make_unique<schema::TensorT>(*graph.tensors[i]);
      narrow->name += "/float16";
      narrow->type = type_number(DType::kHalf);
      narrow->buffer = model.add_buffer(std::string_view(
          reinterpret_cast<const char*>(halves.data()), halves.size() * sizeof(float16)));
      graph.tensors[i]->buffer = 0;
      graph.tensors.push_back(std::move(narrow));
      widened.push_back(model.make_operator(
          op::DEQUANTIZE, {static_cast<int>(graph.tensors.size()) - 1}, {static_cast<int>(i)}));
    }
    graph.operators.insert(graph.operators.begin(), std::make_move_iterator(widened.begin()),
                           std::make_move_iterator(widened.end()));
  }
}

int channel_axis(int builtin) {
  switch (builtin) {
    case op::CONV_2D:
    case op::FULLY_CONNECTED:
    case op::TRANSPOSE_CONV:
      return 0;
    case op::DEPTHWISE_CONV_2D:
      return 3;
    default:
      return -1;
  }
}

std::vector<float> largest_magnitudes(const LiteModel& model, const schema::TensorT& tensor,
                                      int axis) {
  const std::vector<float> values = floats_of(model, tensor);
  std::vector<float> largest(
      axis < 0 ? 1 : static_cast<size_t>(tensor.shape[static_cast<size_t>(axis)]), 0.0F);
  for_each_in_slice(tensor, axis, [&](size_t i, size_t slice) {
    largest[slice] = std::max(largest[slice], std::abs(values[i]));
  });
  return largest;
}

void set_int8_levels(LiteModel& model, schema::TensorT& tensor, const std::vector<float>& scales,
                     int axis) {
  const std::vector<float> values = floats_of(model, tensor);
  std::string levels(values.size(), '\0');
  for_each_in_slice(tensor, axis, [&](size_t i, size_t slice) {
    const float level = std::round(values[i] / scales[slice]);
    levels[i] = static_cast<char>(static_cast<int8_t>(std::clamp(level, -127.0F, 127.0F)));
  });
  tensor.type = type_number(DType::kInt8);
  tensor.buffer = model.add_buffer(levels);
  tensor.quantization = std::make_unique<schema::QuantizationParametersT>();
  tensor.quantization->scale = scales;
  tensor.quantization->zero_point.assign(scales.size(), 0);
  tensor.quantization->quantized_dimension = std::max(axis, 0);
}

void weights_to_int8(LiteModel& model) {
  for (int g = 0; g < model.num_subgraphs(); ++g) {
    schema::SubGraphT& graph = model.subgraph(g);
    std::map<int, int> axes;  // by tensor; -2: something else reads it
    for (const auto& op : graph.operators) {
      const int builtin = model.builtin(*op);
      for (size_t i = 0; i < op->inputs.size(); ++i) {
        // TRANSPOSE_CONV has no such kernel.
        const bool weights = i == 1 && builtin != op::TRANSPOSE_CONV && channel_axis(builtin) >= 0;
        const int axis = weights ? channel_axis(builtin) : -2;
        const auto [it, is_new] = axes.emplace(op->inputs[i], axis);
        if (!is_new && it->second != axis) it->second = -2;
      }
    }
    for (const auto& [index, axis] : axes) {
      if (index < 0 || axis < 0) continue;
      schema::TensorT& tensor = *graph.tensors[static_cast<size_t>(index)];
      if (!is_float_constant(tensor) || num_elements(tensor) < kFewestWeights) continue;
      std::vector<float> scales = largest_magnitudes(model, tensor, axis);
      for (float& scale : scales) scale = scale > 0 ? scale / 127 : 1;
      set_int8_levels(model, tensor, scales, axis);
    }
  }
}

}  // namespace tenon::lite
