#include "tenon/saved_model/graph_file.h"

#include <set>

#include "tenon/base/files.h"
#include "tenon/saved_model/meta_graph.h"
#include "tenon/saved_model/other_formats.h"

namespace tenon {
namespace {

constexpr uint64_t kMostGraphBytes = uint64_t{2} << 30;  // what a message may have

// Whether a GraphDef's nodes are all named and have an op: what other messages parsed as one lack.
bool is_plausible(const GraphView& graph) {
  for (const NodeView& node : graph.nodes()) {
    if (node.name.empty() || node.op.empty()) return false;
  }
  return !graph.nodes().empty();
}

using GraphOr = StatusOr<std::shared_ptr<const GraphView>>;

// The file as this message. Read anew each time: large tensors are taken out of what was read.
GraphOr parse_as(TextMessage message, const std::string& path) {
  TENON_ASSIGN_OR_RETURN(std::string bytes, read_file(path, kMostGraphBytes));
  if (path.ends_with(".pbtxt")) {
    TENON_ASSIGN_OR_RETURN(bytes, wire_of_text(message, bytes));
  }
  if (message == TextMessage::kGraph) return GraphView::parse(std::move(bytes));
  const auto owner = std::make_shared<MessageBytes>(std::move(bytes));
  TENON_ASSIGN_OR_RETURN(const auto meta,
                         saved_model_internal::parse_meta_graph(owner->view(), owner));
  return meta->graph;
}

GraphOr parse_graph_file(const std::string& path) {
  constexpr auto is_about_the_file = [](const Status& status) {
    return !status.ok() && !absl::IsDataLoss(status) && !absl::IsInvalidArgument(status);
  };
  // Some bytes are both; the name decides.
  std::string why;
  if (!path.ends_with(".meta")) {
    GraphOr graph = parse_as(TextMessage::kGraph, path);
    if (is_about_the_file(graph.status())) return graph;
    if (graph.ok() && is_plausible(**graph)) return graph;
    if (!graph.ok()) why = cat("; as a GraphDef: ", message_of(graph.status()));
  }
  GraphOr graph = parse_as(TextMessage::kMetaGraph, path);
  if (is_about_the_file(graph.status())) return graph;
  if (graph.ok() && is_plausible(**graph)) return graph;
  return data_loss("'", path, "' is neither a GraphDef nor a MetaGraphDef, or it is damaged", why);
}

bool is_variable(std::string_view op) {
  return op == "VarHandleOp" || op == "VariableV2" || op == "Variable";
}

// Nodes without a value that somebody could want.
bool gives_nothing(std::string_view op) {
  static constexpr std::string_view kOps[] = {
      "NoOp", "Const", "Placeholder", "Assert", "SaveV2", "AssignVariableOp", "Assign"};
  return std::find(std::begin(kOps), std::end(kOps), op) != std::end(kOps) || is_variable(op);
}

void find_ends(const GraphView& graph, GraphFile& file) {
  std::set<std::string_view> read;
  for (const NodeView& node : graph.nodes()) {
    for (std::string_view input : node.inputs) {
      if (input.starts_with('^')) input.remove_prefix(1);
      read.insert(input.substr(0, input.find(':')));
    }
  }
  for (const NodeView& node : graph.nodes()) {
    if (node.op == "Placeholder") file.inputs.push_back(cat(node.name, ":0"));
    if (is_variable(node.op)) file.variables.emplace_back(node.name);
    if (read.contains(node.name) || gives_nothing(node.op)) continue;
    file.outputs.push_back(cat(node.name, ":0"));
  }
}

void count_nodes(const std::vector<NodeView>& nodes, GraphFile& file) {
  for (const NodeView& node : nodes) {
    ++file.ops[std::string(node.op)];
    if (node.op == "Const") file.constant_bytes += node.attr_bytes("value");
  }
}

}  // namespace

StatusOr<GraphFile> read_graph_file(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const auto graph, parse_graph_file(path));
  GraphFile file;
  TENON_ASSIGN_OR_RETURN(file.importer, GraphImporter::create(graph));
  find_ends(*graph, file);
  count_nodes(graph->nodes(), file);
  for (const GraphView::Function& function : graph->functions()) {
    TENON_ASSIGN_OR_RETURN(const FunctionView body, graph->body(function));
    count_nodes(body.nodes, file);
  }
  file.missing = missing_ops(*graph);
  return file;
}

}  // namespace tenon
