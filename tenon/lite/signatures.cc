#include "tenon/lite/signatures.h"

#include <set>

#include "tenon/lite/subgraph.h"

namespace tenon::lite {
namespace {

using SignatureNames = flatbuffers::Vector<flatbuffers::Offset<schema::TensorMap>>;

// The subgraph's inputs or outputs by the names of the signature, or else of the tensors.
Status add_named(std::string_view signature, const schema::SubGraph& graph,
                 const flatbuffers::Vector<int32_t>* tensors, const SignatureNames* names,
                 std::string_view kind, std::vector<NamedTensor>& out) {
  std::map<uint32_t, std::string_view> given;
  for (int i = 0; i < length(names); ++i) {
    const auto* map = names->Get(static_cast<uint32_t>(i));
    given.emplace(map->tensor_index(), text(map->name()));
  }
  std::set<std::string> taken;
  std::map<std::string_view, int> suffixes;  // the last one by name
  for (int i = 0; i < length(tensors); ++i) {
    const auto index = static_cast<uint32_t>(tensors->Get(static_cast<uint32_t>(i)));
    const schema::Tensor& tensor = *graph.tensors()->Get(index);
    const auto named = given.find(index);
    std::string_view wanted = named == given.end() ? text(tensor.name()) : named->second;
    std::string name = wanted.empty() ? cat(kind, "_", i) : std::string(wanted);
    while (!taken.insert(name).second) name = cat(wanted, "_", ++suffixes[wanted]);
    const StatusOr<ValueInfo> value = declared_value(tensor);
    if (!value.ok()) {
      return with_context(value.status(),
                          cat(kind, " '", name, "' of signature '", signature, "'"));
    }
    out.push_back({std::move(name), i, static_cast<int>(index), *value});
  }
  return absl::OkStatus();
}

StatusOr<LiteSignature> find_signature(const ModelFile& file, std::string name, int subgraph,
                                       const SignatureNames* inputs,
                                       const SignatureNames* outputs) {
  LiteSignature found;
  found.name = std::move(name);
  found.subgraph = subgraph;
  const schema::SubGraph& graph = file.subgraph(subgraph);
  TENON_RETURN_IF_ERROR(
      add_named(found.name, graph, graph.inputs(), inputs, "input", found.inputs));
  TENON_RETURN_IF_ERROR(
      add_named(found.name, graph, graph.outputs(), outputs, "output", found.outputs));
  return found;
}

}  // namespace

StatusOr<std::vector<LiteSignature>> find_signatures(const ModelFile& file) {
  std::vector<LiteSignature> signatures;
  const auto* given = file.model().signature_defs();
  for (int i = 0; i < length(given); ++i) {
    const auto* def = given->Get(static_cast<uint32_t>(i));
    TENON_ASSIGN_OR_RETURN(
        signatures.emplace_back(),
        find_signature(file, std::string(text(def->signature_key())),
                       static_cast<int>(def->subgraph_index()), def->inputs(), def->outputs()));
  }
  if (signatures.empty()) {
    TENON_ASSIGN_OR_RETURN(signatures.emplace_back(),
                           find_signature(file, "serving_default", 0, nullptr, nullptr));
  }
  return signatures;
}

}  // namespace tenon::lite
