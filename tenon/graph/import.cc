#include "tenon/graph/import.h"

#include "tenon/graph/body_importer.h"
#include "tenon/graph/builder.h"
#include "tenon/graph/import_ops.h"

namespace tenon {
namespace {

StatusOr<NodeViews> index_nodes(const std::vector<NodeView>& nodes) {
  NodeViews defs;
  defs.reserve(nodes.size());
  for (const NodeView& node : nodes) {
    if (node.name.empty()) return invalid_argument("a node of op ", node.op, " has no name");
    if (!defs.emplace(node.name, &node).second) {
      return invalid_argument("two nodes are named '", node.name, "'");
    }
  }
  return defs;
}

PartialShape arg_shape_hint(const FunctionView& def, size_t index) {
  const auto it = def.arg_shapes.find(index);
  return it == def.arg_shapes.end() ? PartialShape() : it->second;
}

StatusOr<Graph> import_body(const FunctionView& def, std::shared_ptr<FunctionLibrary> library) {
  StatusOr<NodeViews> nodes = index_nodes(def.nodes);
  if (!nodes.ok()) return with_context(nodes.status(), cat("function '", def.name, "'"));
  BodyImporter importer(*nodes, std::move(library), def.name);
  GraphBuilder builder(importer.graph());
  for (size_t i = 0; i < def.args.size(); ++i) {
    const FunctionArgView& arg = def.args[i];
    const auto dtype = dtype_from_enum(arg.dtype);
    if (!dtype || arg.generic) {
      return unimplemented("argument '", arg.name, "' of function '", def.name,
                           "' takes its type from an attribute");
    }
    importer.bind(arg.name, -1, builder.arg(arg.name, *dtype, arg_shape_hint(def, i)));
    TENON_RETURN_IF_ERROR(builder.status());
  }
  std::vector<InputRef> results, controls;
  for (const FunctionArgView& result : def.results) {
    const auto it = def.ret.find(result.name);
    if (it == def.ret.end()) {
      return invalid_argument("result '", result.name, "' of function '", def.name, "' is not set");
    }
    TENON_ASSIGN_OR_RETURN(results.emplace_back(), parse_input(it->second));
    importer.graph().result_names.emplace_back(result.name);
  }
  for (const std::string_view output : def.control_outputs) {
    const auto it = def.control_ret.find(output);
    if (it != def.control_ret.end()) controls.push_back({it->second, {}, 0, true});
  }
  TENON_RETURN_IF_ERROR(importer.import(results, controls));
  return std::move(importer.graph());
}

StatusOr<Graph> import_function(const GraphView& graph, const GraphView::Function& function,
                                std::shared_ptr<FunctionLibrary> library) {
  const StatusOr<FunctionView> def = graph.body(function);
  if (!def.ok()) return with_context(def.status(), cat("function '", function.name, "'"));
  return import_body(*def, std::move(library));
}

}  // namespace

struct GraphImporter::Impl {
  std::shared_ptr<const GraphView> graph;
  NodeViews defs;
};

GraphImporter::GraphImporter(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)), library_(std::make_shared<FunctionLibrary>()) {}

GraphImporter::~GraphImporter() = default;

StatusOr<std::shared_ptr<GraphImporter>> GraphImporter::create(
    std::shared_ptr<const GraphView> graph) {
  auto impl = std::make_unique<Impl>();
  TENON_ASSIGN_OR_RETURN(impl->defs, index_nodes(graph->nodes()));
  impl->graph = graph;
  std::shared_ptr<GraphImporter> importer(new GraphImporter(std::move(impl)));
  for (const GraphView::Function& function : graph->functions()) {
    if (function.name.empty()) return invalid_argument("a function of the graph has no name");
    importer->library_->add_lazy(function.name,
                                 [graph, &function](std::shared_ptr<FunctionLibrary> library) {
                                   return import_function(*graph, function, std::move(library));
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
  const NodeView& def = *it->second;
  const OpDef* op = find_op_for_import(def.op);
  if (!op) return unimplemented("op ", def.op, " (node '", ref.node, "') is not implemented");
  TENON_ASSIGN_OR_RETURN(AttrMap attrs, def.attrs());
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
