// SignatureDefs of a MetaGraph.
#include "tenon/base/log.h"
#include "tenon/core/tensor_message.h"
#include "tenon/saved_model/meta_graph.h"

namespace tenon::saved_model_internal {
namespace {

Status malformed_signature() { return data_loss("malformed SignatureDef message"); }

struct TensorInfoView {
  uint32_t encoding = 0;  // the number of the field that says where the tensor is; 1: by name
  std::string_view name;
  int dtype = 0;
  MessageField shape;
};

bool parse_tensor_info(std::string_view message, TensorInfoView& info) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) info.name = field.bytes;
    if (field.is_bytes(1) || field.is_bytes(4) || field.is_bytes(5)) info.encoding = field.number;
    if (field.is_varint(2)) info.dtype = static_cast<int>(field.value);
    if (field.is_bytes(3)) info.shape.add(field.bytes);
  }
  return !reader.malformed();
}

struct SignatureView {
  std::map<std::string, MessageField> inputs, outputs, defaults;
  std::string_view method_name;
};

bool parse_signature(std::string_view message, SignatureView& signature) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(3)) signature.method_name = field.bytes;
    auto* const map = field.is_bytes(1)   ? &signature.inputs
                      : field.is_bytes(2) ? &signature.outputs
                      : field.is_bytes(4) ? &signature.defaults
                                          : nullptr;
    if (!map) continue;
    MapEntry entry;
    if (!parse_map_entry(field.bytes, entry)) return false;
    (*map)[std::string(entry.key)] = std::move(entry.message);
  }
  return !reader.malformed();
}

StatusOr<SignatureTensor> tensor_of(const std::string& alias, const MessageField& message) {
  TensorInfoView info;
  if (!parse_tensor_info(message.bytes(), info)) return malformed_signature();
  SignatureTensor tensor;
  tensor.name = alias;
  tensor.tensor = info.name;
  if (info.encoding > 1) return unimplemented("tensor '", alias, "' is sparse or composite");
  const auto dtype = dtype_from_enum(info.dtype);
  if (!dtype) return invalid_argument("tensor '", alias, "' has the unknown dtype ", info.dtype);
  if (info.encoding != 1) return unimplemented("tensor '", alias, "' has no name in the graph");
  tensor.dtype = *dtype;
  TENON_ASSIGN_OR_RETURN(tensor.shape, parse_shape(info.shape.bytes()));
  return tensor;
}

StatusOr<std::vector<SignatureTensor>> tensors_of(
    const std::map<std::string, MessageField>& infos) {
  std::vector<SignatureTensor> tensors;
  for (const auto& [alias, info] : infos) {
    TENON_ASSIGN_OR_RETURN(tensors.emplace_back(), tensor_of(alias, info));
  }
  return tensors;
}

StatusOr<Signature> signature_of(const std::string& name, std::string_view message) {
  SignatureView view;
  if (!parse_signature(message, view)) return malformed_signature();
  Signature signature;
  signature.name = name;
  signature.method_name = view.method_name;
  TENON_ASSIGN_OR_RETURN(signature.inputs, tensors_of(view.inputs));
  TENON_ASSIGN_OR_RETURN(signature.outputs, tensors_of(view.outputs));
  for (SignatureTensor& input : signature.inputs) {
    const auto it = view.defaults.find(input.name);
    if (it == view.defaults.end()) continue;
    TENON_ASSIGN_OR_RETURN(input.default_value, parse_tensor(it->second.bytes()));
  }
  return signature;
}

}  // namespace

StatusOr<std::vector<Signature>> signatures_of(const MetaGraph& meta, bool warn) {
  std::vector<Signature> signatures;
  for (const auto& [name, message] : meta.signature_defs) {
    if (name == kInitSignature) continue;
    StatusOr<Signature> signature = signature_of(name, message.bytes());
    if (absl::IsUnimplemented(signature.status())) {
      if (warn) {
        log_warning("signature '", name, "' is left out: ", message_of(signature.status()));
      }
      continue;
    }
    if (!signature.ok()) return with_context(signature.status(), cat("signature '", name, "'"));
    signatures.push_back(*std::move(signature));
  }
  return signatures;
}

std::vector<Signature> other_signatures(const MetaGraph& meta, std::span<const Signature> known) {
  std::vector<Signature> others;
  for (const auto& [name, message] : meta.signature_defs) {
    const bool is_known = std::any_of(
        known.begin(), known.end(), [&name = name](const Signature& s) { return s.name == name; });
    if (is_known) continue;
    Signature& added = others.emplace_back();
    added.name = name;
    SignatureView view;
    if (!parse_signature(message.bytes(), view)) continue;
    for (const auto& [alias, output] : view.outputs) {
      TensorInfoView info;
      if (!parse_tensor_info(output.bytes(), info)) continue;
      SignatureTensor& tensor = added.outputs.emplace_back();
      tensor.name = alias;
      tensor.tensor = info.name;
    }
  }
  return others;
}

}  // namespace tenon::saved_model_internal
