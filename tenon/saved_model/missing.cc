#include "tenon/saved_model/missing.h"

#include <set>

#include "tenon/base/files.h"
#include "tenon/graph/import.h"
#include "tenon/io/tensor_bundle.h"
#include "tenon/saved_model/meta_graph.h"

namespace tenon {
namespace meta = saved_model_internal;
namespace {

using MissingByName = std::map<std::pair<std::string, std::string>, MissingOp>;

void find_missing_ops(const std::vector<NodeView>& nodes, std::string_view function,
                      MissingByName& missing) {
  for (const NodeView& node : nodes) {
    if (GraphImporter::knows(node.op)) continue;
    const std::string op(node.op), place(function);
    MissingOp& entry = missing[{op, place}];
    if (entry.nodes++ == 0) entry = {op, place, std::string(node.name), 1};
  }
}

// The variables of the graph: their own name, which is also the key of TensorFlow 1's checkpoints.
std::set<std::string> declared_variables(const GraphView& graph) {
  std::set<std::string> names;
  for (const NodeView& node : graph.nodes()) {
    if (node.op != "VarHandleOp" && node.op != "VariableV2" && node.op != "Variable") continue;
    std::string shared = node.op == "VarHandleOp" ? node.string_attr("shared_name") : "";
    names.insert(shared.empty() ? std::string(node.name) : std::move(shared));
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

std::vector<MissingOp> missing_ops(const GraphView& graph) {
  MissingByName ops;
  std::set<std::string_view> functions;
  for (const GraphView::Function& function : graph.functions()) {
    functions.insert(function.name);
    const StatusOr<FunctionView> body = graph.body(function);
    if (body.ok()) find_missing_ops(body->nodes, function.name, ops);  // else load() says so
  }
  find_missing_ops(graph.nodes(), "", ops);
  std::vector<MissingOp> missing;
  for (auto& [key, op] : ops) {
    if (!functions.contains(op.op)) missing.push_back(std::move(op));  // else a call by name
  }
  return missing;
}

MissingParts missing_parts(const SavedModel& model) {
  MissingParts parts;
  parts.ops = missing_ops(*model.meta_graph().graph);
  const std::set<std::string> declared = declared_variables(*model.meta_graph().graph);
  parts.variables_declared = static_cast<int64_t>(declared.size());
  parts.variables = missing_variables(model, declared);
  for (const auto& [tensor, file] : model.meta_graph().start_up.assets) {
    const std::string path = join_path(join_path(model.folder(), "assets"), file);
    if (!path_exists(path)) parts.assets.push_back(file);
  }
  std::sort(parts.assets.begin(), parts.assets.end());
  parts.assets.erase(std::unique(parts.assets.begin(), parts.assets.end()), parts.assets.end());
  return parts;
}

}  // namespace tenon
