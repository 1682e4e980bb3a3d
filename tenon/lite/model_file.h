// ModelFile: the bytes of a `.tflite`, verified, with every index in them checked.
//
// What later stages read of it they may trust: tables lie within the file, indices of tensors,
// buffers, operator codes and subgraphs are in range or -1 where the format allows it. What an
// operator's options say is not checked here.
#pragma once

#include "tenon/core/tensor.h"
#include "tenon/lite/schema_generated.h"

namespace tenon::lite {

// A builtin operator by its number; CUSTOM (32) goes by `custom`.
struct OperatorCode {
  int builtin = -1;
  std::string_view custom;
  int version = 1;
};

// "CONV_2D"; "custom operator 'X'"; "operator 999" where there is none of that number.
std::string operator_name(const OperatorCode& code);

// Immutable, safe from any thread; everything handed out is a view of its bytes.
class ModelFile {
 public:
  // INVALID_ARGUMENT in one sentence when `bytes` are no model of version 3, or damaged.
  static StatusOr<std::shared_ptr<const ModelFile>> parse(std::string bytes);

  const schema::Model& model() const { return *model_; }
  int num_subgraphs() const { return static_cast<int>(model_->subgraphs()->size()); }
  const schema::SubGraph& subgraph(int index) const {
    return *model_->subgraphs()->Get(static_cast<flatbuffers::uoffset_t>(index));
  }
  const OperatorCode& code(const schema::Operator& op) const { return codes_[op.opcode_index()]; }
  // The bytes of a tensor's buffer, empty for tensors that are computed.
  std::string_view buffer(const schema::Tensor& tensor) const;
  size_t num_bytes() const { return bytes_.size(); }

 private:
  ModelFile() = default;
  Status check();
  Status check_buffers() const;
  Status check_tensors(const schema::SubGraph& graph, int index) const;
  Status check_operators(const schema::SubGraph& graph, int index, size_t& operands) const;
  Status check_signatures() const;

  std::string bytes_;
  const schema::Model* model_ = nullptr;
  std::vector<OperatorCode> codes_;
};

// The length of a vector that may be absent.
template <class Vector>
int length(const Vector* vector) {
  return vector ? static_cast<int>(vector->size()) : 0;
}
inline std::string_view text(const flatbuffers::String* string) {
  return string ? std::string_view(string->c_str(), string->size()) : std::string_view();
}

}  // namespace tenon::lite
