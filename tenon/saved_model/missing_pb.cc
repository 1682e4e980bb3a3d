#include <set>

#include "tenon/base/files.h"
#include "tenon/graph/import.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/saved_model/meta_graph.h"
#include "tenon/saved_model/missing.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace tenon {
namespace meta = saved_model_internal;
namespace {

template <class Nodes>
void find_missing_ops(const Nodes& nodes, const std::string& function,
                      std::map<std::pair<std::string, std::string>, MissingOp>& missing) {
  for (const auto& node : nodes) {
    if (GraphImporter::knows(node.op())) continue;
    MissingOp& entry = missing[{node.op(), function}];
    if (entry.nodes++ == 0) entry = {node.op(), function, node.name(), 1};
  }
}

// The variables of the graph: their own name, which is also the key of TensorFlow 1's checkpoints.
std::set<std::string> declared_variables(const tensorflow::MetaGraphDef& graph) {
  std::set<std::string> names;
  for (const auto& node : graph.graph_def().node()) {
    if (node.op() != "VarHandleOp" && node.op() != "VariableV2" && node.op() != "Variable")
      continue;
    const auto shared = node.attr().find("shared_name");
    const bool named = shared != node.attr().end() && !shared->second.s().empty();
    names.insert(named && node.op() == "VarHandleOp" ? shared->second.s() : node.name());
  }
  return names;
}

std::vector<std::string> missing_variables(const SavedModel& model,
                                           const std::set<std::string>& declared) {
  const auto bundle = BundleReader::open(join_path(model.folder(), "variables/variables"));
  if (!bundle.ok()) return {declared.begin(), declared.end()};
  std::vector<std::string> missing;
  constexpr std::string_view kObjectGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";
  if (!(*bundle)->contains(kObjectGraphKey)) {
    for (const std::string& name : declared) {
      if (!(*bundle)->contains(name)) missing.push_back(name);
    }
    return missing;
  }
  const StatusOr<Tensor> objects = (*bundle)->read(kObjectGraphKey);
  if (!objects.ok()) return missing;
  const auto variables =
      meta::object_variables(model.meta_graph(), *objects->data<std::string_view>());
  if (!variables.ok()) return missing;
  for (const meta::ObjectVariable& variable : *variables) {
    if (!(*bundle)->contains(variable.checkpoint_key)) missing.push_back(variable.name);
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  return missing;
}

}  // namespace

std::vector<MissingOp> missing_ops(const tensorflow::GraphDef& graph) {
  std::map<std::pair<std::string, std::string>, MissingOp> ops;
  std::set<std::string> functions;
  for (const auto& function : graph.library().function()) {
    functions.insert(function.signature().name());
    find_missing_ops(function.node_def(), function.signature().name(), ops);
  }
  find_missing_ops(graph.node(), "", ops);
  std::vector<MissingOp> missing;
  for (auto& [key, op] : ops) {
    if (!functions.contains(op.op)) missing.push_back(std::move(op));  // else a call by name
  }
  return missing;
}

MissingParts missing_parts(const SavedModel& model) {
  MissingParts parts;
  parts.ops = missing_ops(model.meta_graph().graph_def());
  const std::set<std::string> declared = declared_variables(model.meta_graph());
  parts.variables_declared = static_cast<int64_t>(declared.size());
  parts.variables = missing_variables(model, declared);
  for (const auto& [tensor, file] : meta::start_up_of(model.meta_graph()).assets) {
    const std::string path = join_path(join_path(model.folder(), "assets"), file);
    if (!path_exists(path)) parts.assets.push_back(file);
  }
  std::sort(parts.assets.begin(), parts.assets.end());
  parts.assets.erase(std::unique(parts.assets.begin(), parts.assets.end()), parts.assets.end());
  return parts;
}

}  // namespace tenon
