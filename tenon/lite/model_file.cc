#include "tenon/lite/model_file.h"

#include "tenon/lite/builtin_operators.h"

namespace tenon::lite {
namespace {

// A table in a table in ...: the format itself needs about eight.
constexpr flatbuffers::uoffset_t kDeepestTable = 32;
constexpr flatbuffers::uoffset_t kMostTables = 4'000'000;
// Of all operators together: vectors may be shared, so the file's size does not bound them.
constexpr size_t kMostOperands = 4'000'000;
constexpr size_t kMostNameBytes = 64'000;

constexpr struct {
  int number;
  std::string_view name;
} kOperators[] = {
#define TENON_LITE_ROW(name, number) {number, #name},
    TENON_LITE_OPERATORS(TENON_LITE_ROW)
#undef TENON_LITE_ROW
};

Status damaged(std::string_view what) {
  return invalid_argument("the .tflite file is damaged: ", what);
}

bool has_null(const auto* vector) {
  if (!vector) return false;
  for (flatbuffers::uoffset_t i = 0; i < vector->size(); ++i) {
    if (!vector->Get(i)) return true;
  }
  return false;
}

Status check_indices(const flatbuffers::Vector<int32_t>* indices, int count, bool optional,
                     std::string_view what) {
  if (!indices) return absl::OkStatus();
  for (const int32_t index : *indices) {
    if (index >= (optional ? -1 : 0) && index < count) continue;
    return damaged(cat(what, " is tensor ", index, ", the subgraph has ", count, " tensors"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string operator_name(const OperatorCode& code) {
  if (code.builtin == 32) return cat("custom operator '", code.custom, "'");
  for (const auto& row : kOperators) {
    if (row.number == code.builtin) return std::string(row.name);
  }
  return cat("operator ", code.builtin);
}

StatusOr<std::shared_ptr<const ModelFile>> ModelFile::parse(std::string bytes) {
  if (bytes.size() < 16 || bytes.size() > FLATBUFFERS_MAX_BUFFER_SIZE - 1) {
    return invalid_argument("the .tflite file has ", bytes.size(),
                            " bytes; expected 16 to 2147483646");
  }
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  if (!schema::ModelBufferHasIdentifier(data)) {
    return invalid_argument("the file is no .tflite: it lacks the identifier 'TFL3'");
  }
  flatbuffers::Verifier verifier(data, bytes.size(), kDeepestTable, kMostTables);
  if (!schema::VerifyModelBuffer(verifier)) {
    return damaged("a table, a vector or a string does not lie within it");
  }
  std::shared_ptr<ModelFile> file(new ModelFile);
  file->bytes_ = std::move(bytes);
  file->model_ = schema::GetModel(file->bytes_.data());
  TENON_RETURN_IF_ERROR(file->check());
  return std::shared_ptr<const ModelFile>(std::move(file));
}

Status ModelFile::check() {
  if (model_->version() != 3) {
    return invalid_argument("the .tflite file has version ", model_->version(), ", expected 3");
  }
  if (has_null(model_->operator_codes()) || has_null(model_->subgraphs()) ||
      has_null(model_->buffers()) || has_null(model_->signature_defs())) {
    return damaged("a table is missing");
  }
  if (length(model_->subgraphs()) == 0) return damaged("it has no subgraph");
  for (int i = 0; i < length(model_->operator_codes()); ++i) {
    const auto* code = model_->operator_codes()->Get(static_cast<flatbuffers::uoffset_t>(i));
    // Numbers above 127 stand in the wide field alone.
    const int builtin = std::max<int>(code->deprecated_builtin_code(), code->builtin_code());
    codes_.push_back({builtin, text(code->custom_code()).substr(0, 200), code->version()});
  }
  TENON_RETURN_IF_ERROR(check_buffers());
  size_t operands = 0;
  for (int i = 0; i < num_subgraphs(); ++i) {
    TENON_RETURN_IF_ERROR(check_tensors(subgraph(i), i));
    TENON_RETURN_IF_ERROR(check_operators(subgraph(i), i, operands));
  }
  return check_signatures();
}

Status ModelFile::check_buffers() const {
  if (!model_->buffers()) return absl::OkStatus();
  for (const schema::Buffer* buffer : *model_->buffers()) {
    // An offset of 0 or 1 marks a buffer that is not behind the table.
    if (buffer->offset() <= 1) continue;
    if (buffer->offset() > bytes_.size() || buffer->size() > bytes_.size() - buffer->offset()) {
      return damaged(cat("a buffer of ", buffer->size(), " bytes at ", buffer->offset(),
                         " lies beyond its end at ", bytes_.size()));
    }
  }
  return absl::OkStatus();
}

std::string_view ModelFile::buffer(const schema::Tensor& tensor) const {
  if (!model_->buffers()) return {};
  const schema::Buffer* buffer = model_->buffers()->Get(tensor.buffer());
  if (buffer->offset() > 1) {
    return std::string_view(bytes_).substr(buffer->offset(), buffer->size());
  }
  if (!buffer->data()) return {};
  return {reinterpret_cast<const char*>(buffer->data()->data()), buffer->data()->size()};
}

Status ModelFile::check_tensors(const schema::SubGraph& graph, int index) const {
  if (has_null(graph.tensors()) || has_null(graph.operators())) {
    return damaged(cat("a table of subgraph ", index, " is missing"));
  }
  const auto buffers = static_cast<uint32_t>(length(model_->buffers()));
  for (int i = 0; i < length(graph.tensors()); ++i) {
    const auto* tensor = graph.tensors()->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (tensor->buffer() >= std::max(buffers, 1u)) {
      return damaged(cat("tensor ", i, " of subgraph ", index, " has buffer ", tensor->buffer(),
                         ", the file has ", buffers));
    }
    if (tensor->external_buffer() != 0) {
      return unimplemented("tensor ", i, " of subgraph ", index,
                           " lies in a file of its own; such weights are not read");
    }
    if (text(tensor->name()).size() > kMostNameBytes) {
      return damaged(cat("the name of tensor ", i, " of subgraph ", index, " has ",
                         text(tensor->name()).size(), " bytes"));
    }
    if (length(tensor->shape()) > kMaxRank || length(tensor->shape_signature()) > kMaxRank) {
      return damaged(
          cat("tensor ", i, " of subgraph ", index, " has more than ", kMaxRank, " dimensions"));
    }
  }
  return absl::OkStatus();
}

Status ModelFile::check_operators(const schema::SubGraph& graph, int index,
                                  size_t& operands) const {
  const int tensors = length(graph.tensors());
  TENON_RETURN_IF_ERROR(
      check_indices(graph.inputs(), tensors, false, cat("an input of subgraph ", index)));
  TENON_RETURN_IF_ERROR(
      check_indices(graph.outputs(), tensors, false, cat("an output of subgraph ", index)));
  for (int i = 0; i < length(graph.operators()); ++i) {
    const auto* op = graph.operators()->Get(static_cast<flatbuffers::uoffset_t>(i));
    if (op->opcode_index() >= codes_.size()) {
      return damaged(cat("operator ", i, " of subgraph ", index, " has code ", op->opcode_index(),
                         ", the file has ", codes_.size()));
    }
    operands += static_cast<size_t>(length(op->inputs()) + length(op->outputs()));
    if (operands > kMostOperands) return damaged(cat("it has over ", kMostOperands, " operands"));
    const std::string where = cat("operator ", i, " of subgraph ", index);
    TENON_RETURN_IF_ERROR(check_indices(op->inputs(), tensors, true, cat("an input of ", where)));
    TENON_RETURN_IF_ERROR(
        check_indices(op->outputs(), tensors, false, cat("an output of ", where)));
  }
  return absl::OkStatus();
}

Status ModelFile::check_signatures() const {
  if (!model_->signature_defs()) return absl::OkStatus();
  for (const schema::SignatureDef* signature : *model_->signature_defs()) {
    const std::string_view key = text(signature->signature_key());
    if (key.size() > kMostNameBytes) return damaged("a signature's name is too long");
    if (signature->subgraph_index() >= static_cast<uint32_t>(num_subgraphs())) {
      return damaged(cat("signature '", key, "' has subgraph ", signature->subgraph_index(),
                         ", the file has ", num_subgraphs()));
    }
    const auto tensors = static_cast<uint32_t>(
        length(subgraph(static_cast<int>(signature->subgraph_index())).tensors()));
    for (const auto* maps : {signature->inputs(), signature->outputs()}) {
      if (has_null(maps)) return damaged(cat("a table of signature '", key, "' is missing"));
      if (!maps) continue;
      for (const schema::TensorMap* map : *maps) {
        if (map->tensor_index() < tensors && text(map->name()).size() <= kMostNameBytes) continue;
        return damaged(cat("signature '", key, "' names tensor ", map->tensor_index(),
                           ", its subgraph has ", tensors));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace tenon::lite
