#include "tenon/graph/body_importer.h"
#include "tenon/graph/builder.h"
#include "tenon/graph/import.h"
#include "tenon/graph/import_ops.h"
#include "tenon/graph/tensor_pb.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace tenon {
namespace {

StatusOr<NodeDefs> index_nodes(
    const google::protobuf::RepeatedPtrField<tensorflow::NodeDef>& nodes) {
  NodeDefs defs;
  for (const auto& node : nodes) {
    if (node.name().empty()) return invalid_argument("a node of op ", node.op(), " has no name");
    if (!defs.emplace(node.name(), &node).second) {
      return invalid_argument("two nodes are named '", node.name(), "'");
    }
  }
  return defs;
}

// The shapes that the exporter knew, for argument `index` of a function.
PartialShape arg_shape_hint(const tensorflow::FunctionDef& def, int index) {
  const auto it = def.arg_attr().find(static_cast<uint32_t>(index));
  if (it == def.arg_attr().end()) return {};
  const auto shapes = it->second.attr().find("_output_shapes");
  if (shapes == it->second.attr().end() || shapes->second.list().shape_size() == 0) return {};
  const auto shape = shape_from_proto(shapes->second.list().shape(0));
  return shape.ok() ? *shape : PartialShape();
}

StatusOr<Graph> import_function(const tensorflow::FunctionDef& def,
                                std::shared_ptr<FunctionLibrary> library) {
  const std::string& name = def.signature().name();
  StatusOr<NodeDefs> nodes = index_nodes(def.node_def());
  if (!nodes.ok()) return with_context(nodes.status(), cat("function '", name, "'"));
  BodyImporter importer(*nodes, std::move(library), name);
  GraphBuilder builder(importer.graph());
  for (int i = 0; i < def.signature().input_arg_size(); ++i) {
    const auto& arg = def.signature().input_arg(i);
    const auto dtype = dtype_from_enum(arg.type());
    if (!dtype || !arg.number_attr().empty() || !arg.type_list_attr().empty()) {
      return unimplemented("argument '", arg.name(), "' of function '", name,
                           "' takes its type from an attribute");
    }
    importer.bind(arg.name(), -1, builder.arg(arg.name(), *dtype, arg_shape_hint(def, i)));
    TENON_RETURN_IF_ERROR(builder.status());
  }
  std::vector<InputRef> results, controls;
  for (const auto& output : def.signature().output_arg()) {
    const auto it = def.ret().find(output.name());
    if (it == def.ret().end()) {
      return invalid_argument("result '", output.name(), "' of function '", name, "' is not set");
    }
    TENON_ASSIGN_OR_RETURN(results.emplace_back(), parse_input(it->second));
    importer.graph().result_names.push_back(output.name());
  }
  for (const auto& name : def.signature().control_output()) {
    const auto it = def.control_ret().find(name);
    if (it != def.control_ret().end()) controls.push_back({it->second, {}, 0, true});
  }
  TENON_RETURN_IF_ERROR(importer.import(results, controls));
  return std::move(importer.graph());
}

}  // namespace

struct GraphImporter::Impl {
  std::shared_ptr<const tensorflow::GraphDef> graph;
  NodeDefs defs;
};

GraphImporter::GraphImporter(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)), library_(std::make_shared<FunctionLibrary>()) {}

GraphImporter::~GraphImporter() = default;

StatusOr<std::shared_ptr<GraphImporter>> GraphImporter::create(
    std::shared_ptr<const tensorflow::GraphDef> graph) {
  auto impl = std::make_unique<Impl>();
  TENON_ASSIGN_OR_RETURN(impl->defs, index_nodes(graph->node()));
  impl->graph = graph;
  std::shared_ptr<GraphImporter> importer(new GraphImporter(std::move(impl)));
  for (const auto& function : graph->library().function()) {
    if (function.signature().name().empty()) {
      return invalid_argument("a function of the graph has no name");
    }
    importer->library_->add_lazy(function.signature().name(),
                                 [graph, &function](std::shared_ptr<FunctionLibrary> library) {
                                   return import_function(function, std::move(library));
                                 });
  }
  return importer;
}

StatusOr<Graph> GraphImporter::extract(std::span<const std::string> feeds,
                                       std::span<const std::string> arg_names,
                                       std::span<const std::string> fetches,
                                       std::span<const std::string> targets) const {
  BodyImporter importer(impl_->defs, library_);
  GraphBuilder builder(importer.graph());
  for (size_t i = 0; i < feeds.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(feeds[i]));
    TENON_ASSIGN_OR_RETURN(const ValueInfo info, describe_tensor(feeds[i]));
    importer.bind(ref.node, ref.index, builder.arg(arg_names[i], info.dtype, info.shape));
    TENON_RETURN_IF_ERROR(builder.status());
  }
  std::vector<InputRef> results, controls;
  for (const std::string& fetch : fetches) {
    TENON_ASSIGN_OR_RETURN(results.emplace_back(), parse_input(fetch));
    importer.graph().result_names.push_back(fetch);
  }
  for (const std::string& target : targets) controls.push_back({target, {}, 0, true});
  TENON_RETURN_IF_ERROR(importer.import(results, controls));
  return std::move(importer.graph());
}

StatusOr<ValueInfo> GraphImporter::describe_tensor(const std::string& tensor) const {
  TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(tensor));
  const auto it = impl_->defs.find(ref.node);
  if (it == impl_->defs.end()) {
    return not_found("there is no node '", ref.node, "' in the graph");
  }
  const tensorflow::NodeDef& def = *it->second;
  const OpDef* op = find_op_for_import(def.op());
  if (!op) return unimplemented("op ", def.op(), " (node '", ref.node, "') is not implemented");
  TENON_ASSIGN_OR_RETURN(AttrMap attrs, read_attrs(def));
  TENON_RETURN_IF_ERROR(op->complete_attrs(attrs));
  const std::vector<DType> dtypes = op->output_dtypes(attrs);
  if (static_cast<size_t>(ref.index) >= dtypes.size()) {
    return invalid_argument("node '", ref.node, "' has no output ", ref.index);
  }
  ValueInfo info{dtypes[static_cast<size_t>(ref.index)], PartialShape(), std::nullopt};
  if (const auto* shape = attrs.get_if<PartialShape>("shape")) info.shape = *shape;
  return info;
}

}  // namespace tenon
