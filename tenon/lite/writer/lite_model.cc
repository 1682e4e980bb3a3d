#include "tenon/lite/writer/lite_model.h"

#include <functional>

#include "tenon/lite/constants.h"

namespace tenon::lite {
namespace {

constexpr size_t kMostBytes = (size_t{1} << 31) - (size_t{1} << 20);

// A count, the offsets of all strings and of the end, the characters.
std::string string_table(const Tensor& value) {
  const auto texts = value.span<std::string_view>();
  std::string head, characters;
  const auto append = [&](size_t number) {
    const auto word = static_cast<int32_t>(number);
    head.append(reinterpret_cast<const char*>(&word), sizeof(word));
  };
  const size_t start = 4 * (texts.size() + 2);
  append(texts.size());
  for (std::string_view text : texts) {
    append(start + characters.size());
    characters += text;
  }
  append(start + characters.size());
  return head + characters;
}

}  // namespace

LiteModel::LiteModel() {
  model_.version = 3;
  model_.description = "Tenon";
  model_.buffers.push_back(std::make_unique<schema::BufferT>());  // of tensors without a value
}

int LiteModel::add_subgraph(std::string name) {
  auto added = std::make_unique<schema::SubGraphT>();
  added->name = std::move(name);
  model_.subgraphs.push_back(std::move(added));
  return num_subgraphs() - 1;
}

int LiteModel::add_tensor(int subgraph, std::string name, DType dtype, const PartialShape& shape) {
  auto tensor = std::make_unique<schema::TensorT>();
  tensor->name = std::move(name);
  tensor->type = static_cast<int8_t>(tensor_type_of(dtype));
  tensor->has_rank = shape.has_rank();
  if (shape.has_rank()) {
    bool open = false;
    for (int64_t size : shape.dims()) {
      open |= size < 0;
      tensor->shape.push_back(size < 0 ? 1 : static_cast<int32_t>(size));
      tensor->shape_signature.push_back(size < 0 ? -1 : static_cast<int32_t>(size));
    }
    if (!open) tensor->shape_signature.clear();
  }
  auto& tensors = this->subgraph(subgraph).tensors;
  tensors.push_back(std::move(tensor));
  return static_cast<int>(tensors.size()) - 1;
}

int LiteModel::add_constant(int subgraph, std::string name, const Tensor& value) {
  const int index = add_tensor(subgraph, std::move(name), value.dtype(), value.shape());
  const std::string_view raw(static_cast<const char*>(value.raw()),
                             value.dtype() == DType::kString ? 0 : value.num_bytes());
  this->subgraph(subgraph).tensors[static_cast<size_t>(index)]->buffer =
      value.dtype() == DType::kString ? add_buffer(string_table(value)) : add_buffer(raw);
  return index;
}

uint32_t LiteModel::add_buffer(std::string_view bytes) {
  const size_t hash = std::hash<std::string_view>()(bytes);
  const auto [begin, end] = buffers_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    const auto& data = model_.buffers[it->second]->data;
    if (std::equal(data.begin(), data.end(), bytes.begin(), bytes.end(),
                   [](uint8_t a, char b) { return a == static_cast<uint8_t>(b); })) {
      return it->second;
    }
  }
  auto buffer = std::make_unique<schema::BufferT>();
  buffer->data.assign(bytes.begin(), bytes.end());
  model_.buffers.push_back(std::move(buffer));
  const auto index = static_cast<uint32_t>(model_.buffers.size() - 1);
  buffers_.emplace(hash, index);
  return index;
}

std::string_view LiteModel::buffer(const schema::TensorT& tensor) const {
  const auto& data = model_.buffers[tensor.buffer]->data;
  return {reinterpret_cast<const char*>(data.data()), data.size()};
}

void LiteModel::drop_unused_tensors(int subgraph) {
  schema::SubGraphT& graph = this->subgraph(subgraph);
  std::vector<int> place(graph.tensors.size(), -1);
  const auto mark = [&](const std::vector<int>& tensors) {
    for (int index : tensors) {
      if (index >= 0) place[static_cast<size_t>(index)] = 0;
    }
  };
  const auto move = [&](std::vector<int>& tensors) {
    for (int& index : tensors) {
      if (index >= 0) index = place[static_cast<size_t>(index)];
    }
  };
  mark(graph.inputs);
  mark(graph.outputs);
  for (const auto& op : graph.operators) {
    mark(op->inputs);
    mark(op->outputs);
  }
  int count = 0;
  for (size_t i = 0; i < place.size(); ++i) {
    if (place[i] < 0) {
      graph.tensors[i].reset();
    } else {
      place[i] = count++;
    }
  }
  std::erase(graph.tensors, nullptr);
  move(graph.inputs);
  move(graph.outputs);
  for (auto& op : graph.operators) {
    move(op->inputs);
    move(op->outputs);
  }
  for (auto& def : model_.signature_defs) {
    if (static_cast<int>(def->subgraph_index) != subgraph) continue;
    for (auto* maps : {&def->inputs, &def->outputs}) {
      for (auto& map : *maps) {
        map->tensor_index = static_cast<uint32_t>(place[map->tensor_index]);
      }
    }
  }
}

uint32_t LiteModel::operator_code(int builtin) {
  const auto [it, is_new] =
      codes_.emplace(builtin, static_cast<uint32_t>(model_.operator_codes.size()));
  if (is_new) {
    auto code = std::make_unique<schema::OperatorCodeT>();
    code->builtin_code = builtin;
    // Readers of before there were more than 127 operators look here.
    code->deprecated_builtin_code = static_cast<int8_t>(std::min(builtin, 127));
    model_.operator_codes.push_back(std::move(code));
  }
  return it->second;
}

std::unique_ptr<schema::OperatorT> LiteModel::make_operator(int builtin, std::vector<int> inputs,
                                                            std::vector<int> outputs) {
  auto made = std::make_unique<schema::OperatorT>();
  made->opcode_index = operator_code(builtin);
  made->inputs = std::move(inputs);
  made->outputs = std::move(outputs);
  return made;
}

StatusOr<std::string> LiteModel::bytes() const {
  std::vector<bool> wanted(model_.buffers.size());
  wanted[0] = true;
  for (const auto& graph : model_.subgraphs) {
    for (const auto& tensor : graph->tensors) wanted[tensor->buffer] = true;
  }
  size_t total = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i]) total += model_.buffers[i]->data.size();
  }
  if (total > kMostBytes) {
    return resource_exhausted("a .tflite holds at most 2 GiB, the weights take ", total, " bytes");
  }
  schema::ModelT written = model_;
  std::vector<uint32_t> place(wanted.size());
  written.buffers.clear();
  for (size_t i = 0; i < wanted.size(); ++i) {
    place[i] = static_cast<uint32_t>(written.buffers.size());
    if (wanted[i]) written.buffers.push_back(std::make_unique<schema::BufferT>(*model_.buffers[i]));
  }
  for (auto& graph : written.subgraphs) {
    for (auto& tensor : graph->tensors) tensor->buffer = place[tensor->buffer];
  }
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(schema::Model::Pack(builder, &written), schema::ModelIdentifier());
  return std::string(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
}

std::vector<float> floats_of(const LiteModel& model, const schema::TensorT& tensor) {
  const std::string_view bytes = model.buffer(tensor);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

bool is_constant(const schema::TensorT& tensor) { return tensor.buffer != 0; }

int64_t num_elements(const schema::TensorT& tensor) {
  int64_t count = 1;
  for (int32_t size : tensor.shape) count *= size;
  return count;
}

}  // namespace tenon::lite
