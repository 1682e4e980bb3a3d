#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <set>

#include "tenon/base/files.h"
#include "tenon/saved_model/graph_file.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace tenon {
namespace {

constexpr uint64_t kMostBytes = uint64_t{2} << 30;  // protobuf's own limit

// Whether a GraphDef's nodes are all named and have an op: what other messages parsed as one lack.
bool is_plausible(const tensorflow::GraphDef& graph) {
  for (const auto& node : graph.node()) {
    if (node.name().empty() || node.op().empty()) return false;
  }
  return graph.node_size() > 0;
}

StatusOr<std::shared_ptr<const tensorflow::GraphDef>> parse_graph(const std::string& path,
                                                                  const std::string& bytes) {
  const auto meta = std::make_shared<tensorflow::MetaGraphDef>();
  const auto graph = std::shared_ptr<tensorflow::GraphDef>(meta, meta->mutable_graph_def());
  const google::protobuf::LogSilencer silence;  // it would print what the Status says
  const bool text = path.ends_with(".pbtxt");
  const auto parse = [&](google::protobuf::Message& message) {
    if (!text) return message.ParseFromString(bytes);
    google::protobuf::TextFormat::Parser parser;
    class Quiet : public google::protobuf::io::ErrorCollector {
      void AddError(int, google::protobuf::io::ColumnNumber, const std::string&) override {}
    } quiet;
    parser.RecordErrorsTo(&quiet);
    return parser.ParseFromString(bytes, &message);
  };
  // Some bytes are both; the name decides.
  const bool is_meta = path.ends_with(".meta");
  if (!is_meta && parse(*graph) && is_plausible(*graph)) return graph;
  if (parse(*meta) && is_plausible(meta->graph_def())) {
    return std::shared_ptr<const tensorflow::GraphDef>(meta, &meta->graph_def());
  }
  return data_loss("'", path, "' is neither a GraphDef nor a MetaGraphDef, or it is damaged");
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

void find_ends(const tensorflow::GraphDef& graph, GraphFile& file) {
  std::set<std::string_view> read;
  for (const auto& node : graph.node()) {
    for (std::string_view input : node.input()) {
      if (input.starts_with('^')) input.remove_prefix(1);
      read.insert(input.substr(0, input.find(':')));
    }
  }
  for (const auto& node : graph.node()) {
    if (node.op() == "Placeholder") file.inputs.push_back(node.name() + ":0");
    if (is_variable(node.op())) file.variables.push_back(node.name());
    if (read.contains(node.name()) || gives_nothing(node.op())) continue;
    file.outputs.push_back(node.name() + ":0");
  }
}

template <class Nodes>
void count_nodes(const Nodes& nodes, GraphFile& file) {
  for (const auto& node : nodes) {
    ++file.ops[node.op()];
    const auto value = node.attr().find("value");
    if (node.op() != "Const" || value == node.attr().end()) continue;
    file.constant_bytes += value->second.tensor().ByteSizeLong();
  }
}

}  // namespace

StatusOr<GraphFile> read_graph_file(const std::string& path) {
  TENON_ASSIGN_OR_RETURN(const std::string bytes, read_file(path, kMostBytes));
  TENON_ASSIGN_OR_RETURN(const auto graph, parse_graph(path, bytes));
  GraphFile file;
  TENON_ASSIGN_OR_RETURN(file.importer, GraphImporter::create(graph));
  find_ends(*graph, file);
  count_nodes(graph->node(), file);
  for (const auto& function : graph->library().function()) count_nodes(function.node_def(), file);
  file.missing = missing_ops(*graph);
  return file;
}

}  // namespace tenon
