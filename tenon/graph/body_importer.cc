#include "tenon/graph/body_importer.h"

#include <algorithm>

#include "tenon/graph/control_flow_v1/functionalize.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/import.h"
#include "tenon/graph/import_ops.h"
#include "tenon/graph/verifier.h"

namespace tenon {
namespace {

// TensorFlow 1's operations on references and what they are on the handles of resources.
enum class RefOutput : uint8_t {
  kValue,    // no reference
  kChanged,  // the variable that it takes first, read after the operation
  kHandle,   // the reference that it takes
};
struct RefOp {
  std::string_view ref;
  std::string_view resource;
  RefOutput output;
  int references = 1;  // of its inputs, the first ones
};
constexpr RefOp changes(std::string_view ref, std::string_view resource, int references = 1) {
  return {ref, resource, RefOutput::kChanged, references};
}
// The handle of a table or queue was a reference to two strings that nobody reads.
constexpr RefOp table(std::string_view ref, std::string_view resource) {
  return {ref, resource, RefOutput::kValue, 0};
}
constexpr RefOp kRefOps[] = {
    changes("Assign", "AssignVariableOp"),
    changes("AssignAdd", "AssignAddVariableOp"),
    changes("AssignSub", "AssignSubVariableOp"),
    {"IsVariableInitialized", "VarIsInitializedOp", RefOutput::kValue},
    {"CountUpTo", "ResourceCountUpTo", RefOutput::kValue},
    {"RefIdentity", "Identity", RefOutput::kHandle},
    {"RefEnter", "Enter", RefOutput::kHandle},
    {"RefExit", "Exit", RefOutput::kHandle},
    {"RefNextIteration", "NextIteration", RefOutput::kHandle},
    {"RefSwitch", "Switch", RefOutput::kHandle},
    {"RefMerge", "Merge", RefOutput::kHandle},
    changes("ScatterUpdate", "ResourceScatterUpdate"),
    changes("ScatterAdd", "ResourceScatterAdd"),
    changes("ScatterSub", "ResourceScatterSub"),
    changes("ScatterMul", "ResourceScatterMul"),
    changes("ScatterDiv", "ResourceScatterDiv"),
    changes("ScatterMin", "ResourceScatterMin"),
    changes("ScatterMax", "ResourceScatterMax"),
    changes("ScatterNdUpdate", "ResourceScatterNdUpdate"),
    changes("ScatterNdAdd", "ResourceScatterNdAdd"),
    changes("ScatterNdSub", "ResourceScatterNdSub"),
    changes("ScatterNdMin", "ResourceScatterNdMin"),
    changes("ScatterNdMax", "ResourceScatterNdMax"),
    changes("StridedSliceAssign", "ResourceStridedSliceAssign"),
    changes("ApplyAdadelta", "ResourceApplyAdadelta", 3),
    changes("ApplyAdagrad", "ResourceApplyAdagrad", 2),
    changes("ApplyAdagradDA", "ResourceApplyAdagradDA", 3),
    changes("ApplyAdagradV2", "ResourceApplyAdagradV2", 2),
    changes("ApplyAdam", "ResourceApplyAdam", 3),
    changes("ApplyAdaMax", "ResourceApplyAdaMax", 3),
    changes("ApplyAddSign", "ResourceApplyAddSign", 2),
    changes("ApplyCenteredRMSProp", "ResourceApplyCenteredRMSProp", 4),
    changes("ApplyFtrl", "ResourceApplyFtrl", 3),
    changes("ApplyFtrlV2", "ResourceApplyFtrlV2", 3),
    changes("ApplyGradientDescent", "ResourceApplyGradientDescent"),
    changes("ApplyMomentum", "ResourceApplyMomentum", 2),
    changes("ApplyPowerSign", "ResourceApplyPowerSign", 2),
    changes("ApplyProximalAdagrad", "ResourceApplyProximalAdagrad", 2),
    changes("ApplyProximalGradientDescent", "ResourceApplyProximalGradientDescent"),
    changes("ApplyRMSProp", "ResourceApplyRMSProp", 3),
    changes("SparseApplyAdadelta", "ResourceSparseApplyAdadelta", 3),
    changes("SparseApplyAdagrad", "ResourceSparseApplyAdagrad", 2),
    changes("SparseApplyAdagradDA", "ResourceSparseApplyAdagradDA", 3),
    changes("SparseApplyAdagradV2", "ResourceSparseApplyAdagradV2", 2),
    changes("SparseApplyCenteredRMSProp", "ResourceSparseApplyCenteredRMSProp", 4),
    changes("SparseApplyFtrl", "ResourceSparseApplyFtrl", 3),
    changes("SparseApplyFtrlV2", "ResourceSparseApplyFtrlV2", 3),
    changes("SparseApplyMomentum", "ResourceSparseApplyMomentum", 2),
    changes("SparseApplyProximalAdagrad", "ResourceSparseApplyProximalAdagrad", 2),
    changes("SparseApplyProximalGradientDescent", "ResourceSparseApplyProximalGradientDescent"),
    changes("SparseApplyRMSProp", "ResourceSparseApplyRMSProp", 3),
    table("HashTable", "HashTableV2"),
    table("MutableHashTable", "MutableHashTableV2"),
    table("MutableHashTableOfTensors", "MutableHashTableOfTensorsV2"),
    table("MutableDenseHashTable", "MutableDenseHashTableV2"),
    table("InitializeTable", "InitializeTableV2"),
    table("InitializeTableFromTextFile", "InitializeTableFromTextFileV2"),
    table("LookupTableFind", "LookupTableFindV2"),
    table("LookupTableInsert", "LookupTableInsertV2"),
    table("LookupTableExport", "LookupTableExportV2"),
    table("LookupTableImport", "LookupTableImportV2"),
    table("LookupTableSize", "LookupTableSizeV2"),
    table("FIFOQueue", "FIFOQueueV2"),
    table("PriorityQueue", "PriorityQueueV2"),
    table("QueueEnqueue", "QueueEnqueueV2"),
    table("QueueEnqueueMany", "QueueEnqueueManyV2"),
    table("QueueDequeue", "QueueDequeueV2"),
    table("QueueDequeueMany", "QueueDequeueManyV2"),
    table("QueueDequeueUpTo", "QueueDequeueUpToV2"),
    table("QueueClose", "QueueCloseV2"),
    table("QueueIsClosed", "QueueIsClosedV2"),
    table("QueueSize", "QueueSizeV2"),
};

const RefOp* find_ref_op(std::string_view op) {
  for (const RefOp& row : kRefOps) {
    if (row.ref == op) return &row;
  }
  return nullptr;
}

// A function that TensorFlow's runtime runs on merged requests; here a request runs it alone.
constexpr std::string_view kBatchFunction = "BatchFunction";

bool is_ref_variable(std::string_view op) { return op == "VariableV2" || op == "Variable"; }

Status in_node(const Status& status, const NodeView& def) {
  return with_context(status, cat("node '", def.name, "' (op ", def.op, ")"));
}

// Whether data input `index` of the op is a reference.
bool takes_reference(const RefOp* op, int index) {
  return op && (index < op->references || op->ref == "RefMerge");
}

}  // namespace

bool GraphImporter::knows(std::string_view op) {
  return find_op_for_import(op) || find_ref_op(op) || is_ref_variable(op) || op == kBatchFunction;
}

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

std::optional<Endpoint> BodyImporter::find_bound(std::string_view node, int index) const {
  const auto it = bound_.find(std::string(node));
  if (it == bound_.end()) return std::nullopt;
  for (const auto& [at, value] : it->second) {
    if (at == index || at < 0) return value;
  }
  return std::nullopt;
}

Status BodyImporter::collect(std::span<const InputRef> results,
                             std::span<const InputRef> controls) {
  std::vector<std::string_view> stack;
  const auto reach = [&](const InputRef& ref) -> Status {
    if (find_bound(ref.node, ref.control ? -1 : ref.index)) return absl::OkStatus();
    const auto it = defs_.find(ref.node);
    if (it == defs_.end()) return not_found("there is no node '", ref.node, "' in the graph");
    if (reached_.insert(it->first).second) stack.push_back(it->first);
    return absl::OkStatus();
  };
  for (const InputRef& root : results) TENON_RETURN_IF_ERROR(reach(root));
  for (const InputRef& root : controls) TENON_RETURN_IF_ERROR(reach(root));
  while (!stack.empty()) {
    const NodeView& def = *defs_.at(stack.back());
    stack.pop_back();
    for (std::string_view input : def.inputs) {
      TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(input));
      if (Status status = reach(ref); !status.ok()) {
        return with_context(status, cat("an input of node '", def.name, "'"));
      }
    }
  }
  return absl::OkStatus();
}

Status BodyImporter::import(std::span<const InputRef> results, std::span<const InputRef> controls) {
  Status status = collect(results, controls);
  // In the order of the GraphDef, which is the program's where nothing else decides.
  std::vector<const NodeView*> defs;
  for (std::string_view name : reached_) defs.push_back(defs_.at(name));
  std::sort(defs.begin(), defs.end());
  if (status.ok()) {
    for (const auto* def : defs) {
      if (!is_implemented(def->op)) return not_implemented(*def);
    }
    status = import_nodes(defs, results, controls);
  }
  return function_.empty() ? status : with_context(status, cat("function '", function_, "'"));
}

Status BodyImporter::import_nodes(std::span<const NodeView* const> defs,
                                  std::span<const InputRef> results,
                                  std::span<const InputRef> controls) {
  for (const auto* def : defs) {
    if (Status status = make(*def); !status.ok()) return in_node(status, *def);
  }
  for (const auto* def : defs) {
    if (Status status = connect(*def); !status.ok()) return in_node(status, *def);
  }
  for (const InputRef& result : results) {
    TENON_ASSIGN_OR_RETURN(graph_.results.emplace_back(), resolve_result(result));
  }
  for (const InputRef& control : controls) {
    TENON_ASSIGN_OR_RETURN(graph_.control_results.emplace_back(), resolve_node(control.node));
  }
  TENON_RETURN_IF_ERROR(functionalize(graph_));
  TENON_RETURN_IF_ERROR(verify(graph_));
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
  for (NodeId id : order) TENON_RETURN_IF_ERROR(graph_.infer(id));
  return absl::OkStatus();
}

// A function of the library may stand in the place of an op.
bool BodyImporter::is_implemented(std::string_view op) const {
  return GraphImporter::knows(op) || (library_ && library_->contains(op));
}

Status BodyImporter::not_implemented(const NodeView& def) const {
  return unimplemented("op ", def.op, " (node '", def.name,
                       function_.empty() ? "'" : cat("' of function '", function_, "'"),
                       ") is not implemented");
}

// Old graphs call a function by using its name as the op.
StatusOr<Node> BodyImporter::describe_call(const NodeView& def) const {
  TENON_ASSIGN_OR_RETURN(const auto body, library_->find(def.op));
  std::vector<DType> in, out;
  for (NodeId arg : body->args) in.push_back(body->value({arg, 0}).dtype);
  for (Endpoint result : body->results) out.push_back(body->value(result).dtype);
  Node node;
  node.op = OpRegistry::global().find("PartitionedCall");
  node.attrs =
      AttrMap{{"f", FunctionAttr{std::string(def.op), nullptr}}, {"Tin", in}, {"Tout", out}};
  return node;
}

Status BodyImporter::make(const NodeView& def) {
  TENON_RETURN_IF_ERROR(make_reads(def));
  const RefOp* ref = find_ref_op(def.op);
  Node node;
  node.op =
      find_op_for_import(is_ref_variable(def.op)    ? std::string_view("VarHandleOp")
                         : def.op == kBatchFunction ? std::string_view("StatefulPartitionedCall")
                         : ref                      ? ref->resource
                                                    : def.op);
  TENON_ASSIGN_OR_RETURN(node.attrs, def.attrs());
  if (def.op == kBatchFunction) {
    auto dtypes = node.attrs.get_or<std::vector<DType>>("Tin", {});
    const auto captured = node.attrs.get_or<std::vector<DType>>("Tcaptured", {});
    dtypes.insert(dtypes.end(), captured.begin(), captured.end());
    node.attrs.set("Tin", std::move(dtypes));
  }
  if (is_ref_variable(def.op)) {
    if (node.attrs.get_or<std::string>("shared_name", "").empty()) {
      node.attrs.set("shared_name", std::string(def.name));
    }
  } else if (ref && ref->output != RefOutput::kHandle) {
    if (const DType* dtype = node.attrs.get_if<DType>("T")) node.attrs.set("dtype", *dtype);
  } else if (ref && find_reference({def.name, {}, 0, false})) {
    node.attrs.set("T", DType::kResource);
  }
  if (!node.op && library_ && library_->contains(def.op)) {
    TENON_ASSIGN_OR_RETURN(node, describe_call(def));
  }
  node.name = def.name;
  node.device = def.device;
  TENON_RETURN_IF_ERROR(node.op->complete_attrs(node.attrs));
  made_[def.name] = graph_.add_unchecked(std::move(node));
  return absl::OkStatus();
}

// Follows a reference back to its variable. Nothing where a chain is longer than any real one.
std::optional<BodyImporter::Reference> BodyImporter::find_reference(InputRef ref) const {
  constexpr int kLongestChain = 256;
  Reference found;
  for (int steps = 0; steps < kLongestChain; ++steps) {
    if (ref.control || find_bound(ref.node, ref.index)) return std::nullopt;
    const auto it = defs_.find(ref.node);
    if (it == defs_.end()) return std::nullopt;
    const NodeView& def = *it->second;
    const auto made = made_.find(ref.node);
    if (is_ref_variable(def.op)) {
      found.variable = &def;
      if (!found.handle && made != made_.end()) found.handle = Endpoint{made->second, 0};
      return found;
    }
    const RefOp* op = find_ref_op(def.op);
    const bool is_index = op && op->ref == "RefMerge" && ref.index == 1;
    if (!op || op->output == RefOutput::kValue || is_index || def.inputs.empty()) {
      return std::nullopt;
    }
    if (!found.handle && made != made_.end()) {
      if (op->output == RefOutput::kHandle) {
        found.handle = Endpoint{made->second, ref.index};
      } else if (found.after < 0) {
        found.after = made->second;
      }
    }
    const StatusOr<InputRef> next = parse_input(def.inputs[0]);
    if (!next.ok()) return std::nullopt;
    ref = *next;
  }
  return std::nullopt;
}

NodeId BodyImporter::add_read(const Reference& reference, std::string_view name) {
  Node read;
  read.name = name;
  read.op = OpRegistry::global().find("ReadVariableOp");
  const StatusOr<AttrValue> dtype = reference.variable->attr("dtype");
  const DType* const known = dtype.ok() ? std::get_if<DType>(&*dtype) : nullptr;
  read.attrs.set("dtype", known ? *known : DType::kInvalid);
  return graph_.add_unchecked(std::move(read));
}

// A node that takes the value of a reference reads the variable just before it runs.
Status BodyImporter::make_reads(const NodeView& def) {
  const RefOp* op = find_ref_op(def.op);
  for (int i = 0; i < static_cast<int>(def.inputs.size()); ++i) {
    TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(def.inputs[static_cast<size_t>(i)]));
    if (ref.control || takes_reference(op, i)) continue;
    const std::optional<Reference> reference = find_reference(ref);
    if (reference) reads_[{def.name, i}] = add_read(*reference, cat(def.name, "/read_", i));
  }
  return absl::OkStatus();
}

Status BodyImporter::connect(const NodeView& def) {
  const NodeId id = made_.at(def.name);
  const RefOp* op = find_ref_op(def.op);
  const bool hands_on = op && op->output == RefOutput::kHandle;
  std::vector<Endpoint> inputs;
  std::vector<NodeId> controls;
  std::vector<std::pair<NodeId, Reference>> reads;
  for (int i = 0; i < static_cast<int>(def.inputs.size()); ++i) {
    TENON_ASSIGN_OR_RETURN(const InputRef ref, parse_input(def.inputs[static_cast<size_t>(i)]));
    if (ref.control) {
      if (find_bound(ref.node, -1)) continue;
      TENON_ASSIGN_OR_RETURN(controls.emplace_back(), resolve_node(ref.node));
      continue;
    }
    const std::optional<Reference> reference = find_reference(ref);
    if (const auto read = reads_.find({def.name, i}); read != reads_.end()) {
      reads.emplace_back(read->second, *reference);
      inputs.push_back({read->second, 0});
    } else if (takes_reference(op, i) && reference) {
      inputs.push_back(*reference->handle);
      if (reference->after >= 0) controls.push_back(reference->after);
    } else if (takes_reference(op, i) && !hands_on) {
      return unimplemented("it changes '", ref.node, "' by reference, which is no variable");
    } else {
      TENON_ASSIGN_OR_RETURN(inputs.emplace_back(), resolve(ref));
    }
  }
  for (const auto& [read, reference] : reads) {
    Node& node = graph_.node(read);
    node.inputs = {*reference.handle};
    node.control_inputs = controls;
    if (reference.after >= 0) node.control_inputs.push_back(reference.after);
  }
  graph_.node(id).inputs = std::move(inputs);
  graph_.node(id).control_inputs = std::move(controls);
  return absl::OkStatus();
}

StatusOr<NodeId> BodyImporter::resolve_node(std::string_view name) const {
  if (const auto bound = find_bound(name, -1)) return bound->node;
  const auto it = made_.find(name);
  if (it == made_.end()) return not_found("there is no node '", name, "' in the graph");
  return it->second;
}

// The outputs of a call by the function's name have the names of the function's results.
StatusOr<std::optional<OpDef::Range>> BodyImporter::output_of_function(
    std::string_view function, std::string_view output) const {
  TENON_ASSIGN_OR_RETURN(const auto body, library_->find(function));
  const auto& names = body->result_names;
  const auto it = std::find(names.begin(), names.end(), output);
  if (it == names.end()) return std::nullopt;
  const auto count = std::count(names.begin(), names.end(), output);
  return OpDef::Range{static_cast<int>(it - names.begin()), static_cast<int>(count)};
}

StatusOr<Endpoint> BodyImporter::resolve(const InputRef& ref) const {
  if (const auto bound = find_bound(ref.node, ref.index)) return *bound;
  TENON_ASSIGN_OR_RETURN(const NodeId id, resolve_node(ref.node));
  const Node& node = graph_.node(id);
  int index = ref.index;
  if (!ref.output.empty()) {
    const auto def = defs_.find(ref.node);
    const std::string_view op = def == defs_.end() ? std::string_view() : def->second->op;
    std::optional<OpDef::Range> range;
    if (node.op->name() == "PartitionedCall" && library_ && library_->contains(op)) {
      TENON_ASSIGN_OR_RETURN(range, output_of_function(op, ref.output));
    } else {
      range = node.op->output_range(op == kBatchFunction ? "output" : ref.output, node.attrs);
    }
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

StatusOr<Endpoint> BodyImporter::resolve_result(const InputRef& ref) {
  const std::optional<Reference> reference = find_reference(ref);
  if (!reference) return resolve(ref);
  const NodeId read = add_read(*reference, cat(ref.node, "/read"));
  Node& node = graph_.node(read);
  node.inputs = {*reference->handle};
  if (reference->after >= 0) node.control_inputs = {reference->after};
  return Endpoint{read, 0};
}

}  // namespace tenon
