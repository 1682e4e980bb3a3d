#include <unordered_map>
#include <unordered_set>

#include "tenon/graph/builder.h"
#include "tenon/graph/import.h"
#include "tenon/graph/tensor_pb.h"
#include "tenon/graph/verifier.h"
#include "tensorflow/core/framework/graph.pb.h"

namespace tenon {
namespace {

using NodeDefs = std::unordered_map<std::string_view, const tensorflow::NodeDef*>;

// TensorFlow 1's operations on reference variables and what they are on resource variables.
struct RefOp {
  std::string_view ref;
  std::string_view resource;
  bool returns_ref;  // its output is the variable, read after the operation
};
constexpr RefOp kRefOps[] = {{"Assign", "AssignVariableOp", true},
                             {"AssignAdd", "AssignAddVariableOp", true},
                             {"AssignSub", "AssignSubVariableOp", true},
                             {"IsVariableInitialized", "VarIsInitializedOp", false}};

const RefOp* find_ref_op(std::string_view op) {
  for (const RefOp& row : kRefOps) {
    if (row.ref == op) return &row;
  }
  return nullptr;
}

bool is_ref_variable(std::string_view op) { return op == "VariableV2" || op == "Variable"; }

bool is_frame_op(std::string_view op) {
  constexpr std::string_view kOps[] = {
      "Enter",  "RefEnter",  "Exit",  "RefExit",  "NextIteration",   "LoopCond",
      "Switch", "RefSwitch", "Merge", "RefMerge", "RefNextIteration"};
  return std::find(std::begin(kOps), std::end(kOps), op) != std::end(kOps);
}

// An input as NodeDef writes it: "^node", "node", "node:1" or, in function bodies, "node:out:1".
struct InputRef {
  std::string_view node;
  std::string_view output;  // name of the output argument; empty in GraphDefs
  int index = 0;
  bool control = false;
};

StatusOr<InputRef> parse_input(std::string_view text) {
  InputRef ref;
  if (text.starts_with('^')) {
    ref.control = true;
    ref.node = text.substr(1);
    return ref;
  }
  const std::vector<std::string_view> parts = split(text, ':');
  ref.node = parts[0];
  int64_t index = 0;
  bool ok = parts.size() <= 3 && !ref.node.empty();
  if (parts.size() == 2 && !parse_number(parts[1], index)) ref.output = parts[1];
  if (parts.size() == 3) {
    ref.output = parts[1];
    ok &= parse_number(parts[2], index);
  }
  if (!ok || index < 0 || index > 1 << 20) {
    return invalid_argument("'", text, "' is not the name of a tensor");
  }
  ref.index = static_cast<int>(index);
  return ref;
}

// Imports the nodes that some roots reach into one Graph.
class BodyImporter {
 public:
  BodyImporter(const NodeDefs& defs, std::shared_ptr<FunctionLibrary> library)
      : defs_(defs), library_(std::move(library)), graph_(library_) {}

  Graph& graph() { return graph_; }

  // A name that stands for an endpoint of the graph: a function's argument, a fed tensor. `index`
  // -1: every output.
  void bind(std::string_view node, int index, Endpoint value) {
    bound_[std::string(node)].emplace_back(index, value);
  }

  // Everything that `roots` need, transitively.
  Status import(std::span<const InputRef> roots);

  StatusOr<Endpoint> resolve(const InputRef& ref) const;
  StatusOr<NodeId> resolve_node(std::string_view name) const;

 private:
  std::optional<Endpoint> find_bound(std::string_view node, int index) const;
  Status collect(std::span<const InputRef> roots);
  Status make(const tensorflow::NodeDef& def);
  StatusOr<AttrMap> read_attrs(const tensorflow::NodeDef& def) const;
  Status make_ref_variable(const tensorflow::NodeDef& def);
  Status connect(const tensorflow::NodeDef& def);
  StatusOr<NodeId> ref_handle(const tensorflow::NodeDef& def, const InputRef& ref) const;

  struct Made {
    NodeId compute = -1;  // takes the inputs
    NodeId value = -1;    // gives the outputs
    NodeId handle = -1;   // of a reference variable
  };

  const NodeDefs& defs_;
  std::shared_ptr<FunctionLibrary> library_;
  Graph graph_;
  std::unordered_map<std::string, std::vector<std::pair<int, Endpoint>>> bound_;
  std::unordered_set<std::string_view> reached_;
  std::unordered_map<std::string_view, Made> made_;
};

std::optional<Endpoint> BodyImporter::find_bound(std::string_view node, int index) const {
  const auto it = bound_.find(std::string(node));
  if (it == bound_.end()) return std::nullopt;
  for (const auto& [at, value] : it->second) {
    if (at == index || at < 0) return value;
  }
  return std::nullopt;
}

Status BodyImporter::collect(std::span<const InputRef> roots) {
  std::vector<std::string_view> stack;
  const auto reach = [&](const InputRef& ref) -> Status {
    if (find_bound(ref.node, ref.control ? -1 : ref.index)) return absl::OkStatus();
    const auto it = defs_.find(ref.node);
    if (it == defs_.end()) return not_found("there is no node '", ref.node, "' in the graph");
    if (reached_.insert(it->first).second) stack.push_back(it->first);
    return absl::OkStatus();
  };
  for (const InputRef& root : roots) TENON_RETURN_IF_ERROR(reach(root));
  while (!stack.empty()) {
    const tensorflow::NodeDef& def = *defs_.at(stack.back());
    stack.pop_back();
    for (const std::string& input : def.input()) {
      TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(input));
      if (Status status = reach(ref); !status.ok()) {
        return with_context(status, cat("an input of node '", def.name(), "'"));
      }
    }
  }
  return absl::OkStatus();
}

Status BodyImporter::import(std::span<const InputRef> roots) {
  TENON_RETURN_IF_ERROR(collect(roots));
  // In the order of the GraphDef, which is the program's where nothing else decides.
  std::vector<const tensorflow::NodeDef*> defs;
  for (std::string_view name : reached_) defs.push_back(defs_.at(name));
  std::sort(defs.begin(), defs.end());
  for (const auto* def : defs) {
    if (Status status = make(*def); !status.ok()) {
      return with_context(status, cat("node '", def->name(), "' (op ", def->op(), ")"));
    }
  }
  for (const auto* def : defs) {
    if (Status status = connect(*def); !status.ok()) {
      return with_context(status, cat("node '", def->name(), "' (op ", def->op(), ")"));
    }
  }
  TENON_RETURN_IF_ERROR(verify(graph_));
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
  for (NodeId id : order) TENON_RETURN_IF_ERROR(graph_.infer(id));
  return absl::OkStatus();
}

StatusOr<AttrMap> BodyImporter::read_attrs(const tensorflow::NodeDef& def) const {
  AttrMap attrs;
  for (const auto& [name, value] : def.attr()) {
    // Attributes whose name starts with '_' are hints of TensorFlow's runtime.
    if (name.starts_with('_')) continue;
    StatusOr<AttrValue> parsed = attr_from_proto(value);
    if (!parsed.ok()) return with_context(parsed.status(), cat("attribute '", name, "'"));
    attrs.set(name, *std::move(parsed));
  }
  return attrs;
}

Status BodyImporter::make(const tensorflow::NodeDef& def) {
  if (is_ref_variable(def.op())) return make_ref_variable(def);
  if (is_frame_op(def.op())) {
    const auto frame = def.attr().find("frame_name");
    return unimplemented(
        "TensorFlow 1 control flow is not supported",
        frame == def.attr().end() ? std::string() : cat(" (frame '", frame->second.s(), "')"));
  }
  Node node;
  node.name = def.name();
  node.device = def.device();
  const RefOp* ref = find_ref_op(def.op());
  node.op = OpRegistry::global().find(ref ? ref->resource : std::string_view(def.op()));
  TENON_ASSIGN_OR_RETURN(node.attrs, read_attrs(def));
  if (ref) {
    if (const DType* dtype = node.attrs.get_if<DType>("T")) node.attrs.set("dtype", *dtype);
  }
  if (!node.op && library_ && library_->contains(def.op())) {
    // Old graphs call a function by using its name as the op.
    TENON_ASSIGN_OR_RETURN(const auto body, library_->find(def.op()));
    std::vector<DType> in, out;
    for (NodeId arg : body->args) in.push_back(body->value({arg, 0}).dtype);
    for (Endpoint result : body->results) out.push_back(body->value(result).dtype);
    node.op = OpRegistry::global().find("PartitionedCall");
    node.attrs = AttrMap{{"f", FunctionAttr{def.op(), nullptr}}, {"Tin", in}, {"Tout", out}};
  }
  if (!node.op) return unimplemented("op ", def.op(), " is not implemented");
  TENON_RETURN_IF_ERROR(node.op->complete_attrs(node.attrs));
  Made made;
  made.compute = made.value = graph_.add_unchecked(std::move(node));
  if (ref && ref->returns_ref) {
    Node read;
    read.name = cat(def.name(), "/read");
    read.op = OpRegistry::global().find("ReadVariableOp");
    read.attrs.set("dtype", graph_.node(made.compute).attrs.get<DType>("dtype"));
    read.control_inputs = {made.compute};
    made.value = graph_.add_unchecked(std::move(read));
  }
  made_[def.name()] = made;
  return absl::OkStatus();
}

Status BodyImporter::make_ref_variable(const tensorflow::NodeDef& def) {
  TENON_ASSIGN_OR_RETURN(AttrMap attrs, read_attrs(def));
  if (attrs.get_or<std::string>("shared_name", "").empty()) attrs.set("shared_name", def.name());
  Made made;
  Node handle;
  handle.name = def.name();
  handle.op = OpRegistry::global().find("VarHandleOp");
  handle.attrs = std::move(attrs);
  TENON_RETURN_IF_ERROR(handle.op->complete_attrs(handle.attrs));
  const DType dtype = handle.attrs.get<DType>("dtype");
  made.handle = graph_.add_unchecked(std::move(handle));
  Node read;
  read.name = cat(def.name(), "/read");
  read.op = OpRegistry::global().find("ReadVariableOp");
  read.attrs.set("dtype", dtype);
  read.inputs = {{made.handle, 0}};
  made.compute = made.value = graph_.add_unchecked(std::move(read));
  made_[def.name()] = made;
  return absl::OkStatus();
}

StatusOr<NodeId> BodyImporter::ref_handle(const tensorflow::NodeDef& def,
                                          const InputRef& ref) const {
  const auto it = made_.find(ref.node);
  if (it != made_.end() && it->second.handle >= 0) return it->second.handle;
  return unimplemented("'", def.name(), "' changes '", ref.node,
                       "' by reference, which is not a variable itself");
}

Status BodyImporter::connect(const tensorflow::NodeDef& def) {
  if (is_ref_variable(def.op())) return absl::OkStatus();
  const Made made = made_.at(def.name());
  const bool takes_ref = find_ref_op(def.op()) != nullptr;
  std::vector<Endpoint> inputs;
  std::vector<NodeId> controls = graph_.node(made.compute).control_inputs;
  for (const std::string& text : def.input()) {
    TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(text));
    if (ref.control) {
      if (find_bound(ref.node, -1)) continue;
      TENON_ASSIGN_OR_RETURN(const NodeId control, resolve_node(ref.node));
      controls.push_back(control);
    } else if (takes_ref && inputs.empty()) {
      TENON_ASSIGN_OR_RETURN(const NodeId handle, ref_handle(def, ref));
      inputs.push_back({handle, 0});
      if (made.value != made.compute) graph_.node(made.value).inputs = {{handle, 0}};
    } else {
      TENON_ASSIGN_OR_RETURN(inputs.emplace_back(), resolve(ref));
    }
  }
  graph_.node(made.compute).inputs = std::move(inputs);
  graph_.node(made.compute).control_inputs = std::move(controls);
  return absl::OkStatus();
}

StatusOr<NodeId> BodyImporter::resolve_node(std::string_view name) const {
  if (const auto bound = find_bound(name, -1)) return bound->node;
  const auto it = made_.find(name);
  if (it == made_.end()) return not_found("there is no node '", name, "' in the graph");
  return it->second.value;
}

StatusOr<Endpoint> BodyImporter::resolve(const InputRef& ref) const {
  if (const auto bound = find_bound(ref.node, ref.index)) return *bound;
  TENON_ASSIGN_OR_RETURN(const NodeId id, resolve_node(ref.node));
  const Node& node = graph_.node(id);
  int index = ref.index;
  if (!ref.output.empty()) {
    const auto range = node.op->output_range(ref.output, node.attrs);
    if (!range || index >= range->count) {
      return invalid_argument("node '", ref.node, "' (op ", node.op->name(), ") has no output '",
                              ref.output, ":", index, "'");
    }
    index += range->begin;
  }
  if (static_cast<size_t>(index) >= node.outputs.size()) {
    return invalid_argument("node '", ref.node, "' (op ", node.op->name(), ") has ",
                            node.outputs.size(), " outputs, output ", index, " is asked for");
  }
  return Endpoint{id, index};
}

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
  TENON_ASSIGN_OR_RETURN(const NodeDefs defs, index_nodes(def.node_def()));
  BodyImporter importer(defs, std::move(library));
  GraphBuilder builder(importer.graph());
  for (int i = 0; i < def.signature().input_arg_size(); ++i) {
    const auto& arg = def.signature().input_arg(i);
    const auto dtype = dtype_from_enum(arg.type());
    if (!dtype || !arg.number_attr().empty() || !arg.type_list_attr().empty()) {
      return unimplemented("argument '", arg.name(), "' takes its type from an attribute");
    }
    importer.bind(arg.name(), -1, builder.arg(arg.name(), *dtype, arg_shape_hint(def, i)));
    TENON_RETURN_IF_ERROR(builder.status());
  }
  std::vector<InputRef> results;
  std::vector<InputRef> roots;
  for (const auto& output : def.signature().output_arg()) {
    const auto it = def.ret().find(output.name());
    if (it == def.ret().end()) return invalid_argument("result '", output.name(), "' is not set");
    TENON_ASSIGN_OR_RETURN(results.emplace_back(), parse_input(it->second));
    importer.graph().result_names.push_back(output.name());
  }
  roots = results;
  std::vector<std::string> controls;
  for (const auto& name : def.signature().control_output()) {
    const auto it = def.control_ret().find(name);
    if (it == def.control_ret().end()) continue;
    controls.push_back(it->second);
    roots.push_back({it->second, {}, 0, true});
  }
  TENON_RETURN_IF_ERROR(importer.import(roots));
  for (const InputRef& result : results) {
    TENON_ASSIGN_OR_RETURN(importer.graph().results.emplace_back(), importer.resolve(result));
  }
  for (const std::string& control : controls) {
    TENON_ASSIGN_OR_RETURN(importer.graph().control_results.emplace_back(),
                           importer.resolve_node(control));
  }
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
  std::vector<InputRef> roots;
  for (const std::string& fetch : fetches) {
    TENON_ASSIGN_OR_RETURN(roots.emplace_back(), parse_input(fetch));
  }
  for (const std::string& target : targets) roots.push_back({target, {}, 0, true});
  TENON_RETURN_IF_ERROR(importer.import(roots));
  for (size_t i = 0; i < fetches.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(importer.graph().results.emplace_back(), importer.resolve(roots[i]));
    importer.graph().result_names.push_back(fetches[i]);
  }
  for (const std::string& target : targets) {
    TENON_ASSIGN_OR_RETURN(importer.graph().control_results.emplace_back(),
                           importer.resolve_node(target));
  }
  return std::move(importer.graph());
}

StatusOr<ValueInfo> GraphImporter::describe_tensor(const std::string& tensor) const {
  TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(tensor));
  const auto it = impl_->defs.find(ref.node);
  if (it == impl_->defs.end()) {
    return not_found("there is no node '", ref.node, "' in the graph");
  }
  const tensorflow::NodeDef& def = *it->second;
  const OpDef* op = OpRegistry::global().find(def.op());
  if (!op) return unimplemented("op ", def.op(), " (node '", ref.node, "') is not implemented");
  AttrMap attrs;
  for (const auto& [name, value] : def.attr()) {
    if (name.starts_with('_')) continue;
    TENON_ASSIGN_OR_RETURN(AttrValue parsed, attr_from_proto(value));
    attrs.set(name, std::move(parsed));
  }
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
