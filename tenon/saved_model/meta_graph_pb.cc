#include <google/protobuf/text_format.h>

#include <algorithm>
#include <set>

#include "tenon/base/files.h"
#include "tenon/graph/tensor_pb.h"
#include "tenon/saved_model/meta_graph.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"
#include "tensorflow/core/protobuf/saved_object_graph.pb.h"
#include "tensorflow/core/protobuf/trackable_object_graph.pb.h"

namespace tenon::saved_model_internal {
namespace {

constexpr std::string_view kInitOp = "__saved_model_init_op";

std::string node_of(const std::string& tensor) { return tensor.substr(0, tensor.find(':')); }

StatusOr<SignatureTensor> tensor_of(const std::string& alias, const tensorflow::TensorInfo& info) {
  SignatureTensor tensor;
  tensor.name = alias;
  tensor.tensor = info.name();
  const auto dtype = dtype_from_enum(info.dtype());
  if (!dtype) {
    return invalid_argument("tensor '", alias, "' has the unknown dtype ",
                            static_cast<int>(info.dtype()));
  }
  if (info.encoding_case() != tensorflow::TensorInfo::kName) {
    return unimplemented("tensor '", alias, "' is sparse or composite");
  }
  tensor.dtype = *dtype;
  TENON_ASSIGN_OR_RETURN(tensor.shape, shape_from_proto(info.tensor_shape()));
  return tensor;
}

template <class Map>
StatusOr<std::vector<SignatureTensor>> tensors_of(const Map& infos) {
  std::map<std::string, const tensorflow::TensorInfo*> sorted;
  for (const auto& [alias, info] : infos) sorted[alias] = &info;
  std::vector<SignatureTensor> tensors;
  for (const auto& [alias, info] : sorted) {
    TENON_ASSIGN_OR_RETURN(tensors.emplace_back(), tensor_of(alias, *info));
  }
  return tensors;
}

StatusOr<Signature> signature_of(const std::string& name, const tensorflow::SignatureDef& def) {
  Signature signature;
  signature.name = name;
  signature.method_name = def.method_name();
  TENON_ASSIGN_OR_RETURN(signature.inputs, tensors_of(def.inputs()));
  TENON_ASSIGN_OR_RETURN(signature.outputs, tensors_of(def.outputs()));
  for (SignatureTensor& input : signature.inputs) {
    const auto it = def.defaults().find(input.name);
    if (it == def.defaults().end()) continue;
    TENON_ASSIGN_OR_RETURN(input.default_value, tensor_from_proto(it->second));
  }
  return signature;
}

}  // namespace

StatusOr<std::shared_ptr<const tensorflow::SavedModel>> read_proto(const std::string& folder) {
  auto model = std::make_shared<tensorflow::SavedModel>();
  const std::string binary = join_path(folder, "saved_model.pb");
  const std::string text = join_path(folder, "saved_model.pbtxt");
  const bool is_text = !path_exists(binary) && path_exists(text);
  const std::string& path = is_text ? text : binary;
  if (!path_exists(path)) {
    return not_found("'", folder, "' holds no SavedModel: there is no saved_model.pb");
  }
  TENON_ASSIGN_OR_RETURN(const std::string bytes, read_file(path, uint64_t{2} << 30));
  const bool parsed = is_text ? google::protobuf::TextFormat::ParseFromString(bytes, model.get())
                              : model->ParseFromString(bytes);
  if (!parsed) return data_loss("'", path, "' is damaged: it does not parse as a SavedModel");
  if (model->meta_graphs_size() == 0) return invalid_argument("'", path, "' holds no MetaGraph");
  return std::shared_ptr<const tensorflow::SavedModel>(std::move(model));
}

StatusOr<std::shared_ptr<const tensorflow::MetaGraphDef>> select(
    std::shared_ptr<const tensorflow::SavedModel> model, std::span<const std::string> tags) {
  const std::set<std::string> wanted(tags.begin(), tags.end());
  std::vector<std::string> found;
  for (const auto& meta : model->meta_graphs()) {
    const auto& info = meta.meta_info_def().tags();
    const std::set<std::string> own(info.begin(), info.end());
    if (own == wanted) return std::shared_ptr<const tensorflow::MetaGraphDef>(model, &meta);
    found.push_back(cat("'", join(own, ","), "'"));
  }
  return not_found("the model has no MetaGraph with the tags '", join(wanted, ","), "'; it has ",
                   join(found, ", "));
}

StatusOr<std::vector<Signature>> signatures_of(const tensorflow::MetaGraphDef& meta) {
  std::map<std::string, const tensorflow::SignatureDef*> sorted;
  for (const auto& [name, def] : meta.signature_def()) sorted[name] = &def;
  std::vector<Signature> signatures;
  for (const auto& [name, def] : sorted) {
    if (name == kInitOp) continue;
    StatusOr<Signature> signature = signature_of(name, *def);
    if (!signature.ok()) return with_context(signature.status(), cat("signature '", name, "'"));
    signatures.push_back(*std::move(signature));
  }
  return signatures;
}

StartUp start_up_of(const tensorflow::MetaGraphDef& meta) {
  StartUp start;
  start.filename_tensor = meta.saver_def().filename_tensor_name();
  start.restore_node = meta.saver_def().restore_op_name();
  const auto init = meta.signature_def().find(std::string(kInitOp));
  if (init != meta.signature_def().end()) {
    const auto output = init->second.outputs().find(std::string(kInitOp));
    if (output != init->second.outputs().end()) start.init_node = node_of(output->second.name());
  }
  for (const char* collection : {"saved_model_main_op", "legacy_init_op"}) {
    const auto it = meta.collection_def().find(collection);
    if (!start.init_node.empty() || it == meta.collection_def().end()) continue;
    if (it->second.node_list().value_size() == 1) {
      start.init_node = node_of(it->second.node_list().value(0));
    }
  }
  for (const auto& asset : meta.asset_file_def()) {
    start.assets.emplace_back(asset.tensor_info().name(), asset.filename());
  }
  return start;
}

StatusOr<std::vector<ObjectVariable>> object_variables(const tensorflow::MetaGraphDef& meta,
                                                       std::string_view checkpoint_graph) {
  tensorflow::TrackableObjectGraph trackables;
  if (!trackables.ParseFromArray(checkpoint_graph.data(),
                                 static_cast<int>(checkpoint_graph.size()))) {
    return data_loss("the checkpoint's object graph does not parse");
  }
  const auto key_of = [&](int node) -> std::string {
    if (node < 0 || node >= trackables.nodes_size()) return {};
    for (const auto& attribute : trackables.nodes(node).attributes()) {
      if (attribute.name() == "VARIABLE_VALUE") return attribute.checkpoint_key();
    }
    return {};
  };
  std::map<std::string, const tensorflow::NodeDef*> nodes;
  for (const auto& node : meta.graph_def().node()) nodes[node.name()] = &node;
  std::vector<ObjectVariable> variables;
  for (const auto& node : meta.graph_def().node()) {
    const auto f = node.attr().find("f");
    if (f == node.attr().end()) continue;
    const auto function =
        meta.object_graph_def().concrete_functions().find(f->second.func().name());
    if (function == meta.object_graph_def().concrete_functions().end()) continue;
    // The captures are the call's last inputs, in the order of bound_inputs.
    std::vector<std::string> inputs;
    for (const std::string& input : node.input()) {
      if (!input.starts_with('^')) inputs.push_back(node_of(input));
    }
    const auto& bound = function->second.bound_inputs();
    if (static_cast<size_t>(bound.size()) > inputs.size()) continue;
    const size_t first = inputs.size() - static_cast<size_t>(bound.size());
    for (int i = 0; i < bound.size(); ++i) {
      const auto handle = nodes.find(inputs[first + static_cast<size_t>(i)]);
      if (handle == nodes.end() || handle->second->op() != "VarHandleOp") continue;
      const std::string key = key_of(bound.Get(i));
      if (key.empty()) continue;
      const auto shared = handle->second->attr().find("shared_name");
      const bool named = shared != handle->second->attr().end() && !shared->second.s().empty();
      variables.push_back({named ? shared->second.s() : handle->first, key});
    }
  }
  return variables;
}

bool has_mutable_tables(const tensorflow::MetaGraphDef& meta) {
  return std::any_of(
      meta.graph_def().node().begin(), meta.graph_def().node().end(), [](const auto& node) {
        return node.op().starts_with("Mutable") && node.op().find("HashTable") != std::string::npos;
      });
}

std::vector<std::string> ops_of(const tensorflow::MetaGraphDef& meta) {
  std::set<std::string> ops;
  for (const auto& node : meta.graph_def().node()) ops.insert(node.op());
  for (const auto& function : meta.graph_def().library().function()) {
    for (const auto& node : function.node_def()) ops.insert(node.op());
  }
  return {ops.begin(), ops.end()};
}

}  // namespace tenon::saved_model_internal
