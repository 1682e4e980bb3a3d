#include "tenon/saved_model/calls.h"
#include "tenon/saved_model/export_parts.h"

namespace tenon::saved_model_internal {
namespace {

constexpr std::string_view kSaveFunction = "__inference__traced_save";
constexpr std::string_view kRestoreFunction = "__inference__traced_restore";
constexpr std::string_view kGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";

// A function from a file prefix and every variable to the prefix.
FunctionDefWriter saver_function(const ExportedModel& model, std::string_view name) {
  FunctionDefWriter function(name);
  function.set_stateful(true);
  function.add_arg("file_prefix", DType::kString);
  for (size_t i = 0; i < model.variables.size(); ++i) {
    function.add_arg(cat("variable_", i), DType::kResource);
  }
  function.add_result("prefix", DType::kString, "done:output:0");
  return function;
}

// The names of what a checkpoint holds, and as many empty slice specifications.
void add_tensor_names(const ExportedModel& model, bool with_graph, NodeDefList& nodes) {
  std::vector<std::string> keys;
  for (const ExportedVariable& variable : model.variables) keys.push_back(variable.key);
  if (with_graph) keys.emplace_back(kGraphKey);
  const Shape shape{static_cast<int64_t>(keys.size())};
  add_constant(nodes, "tensor_names", Tensor::strings(shape, keys));
  add_constant(nodes, "shape_and_slices",
               Tensor::strings(shape, std::vector<std::string>(keys.size())));
}

std::vector<DType> variable_dtypes(const ExportedModel& model) {
  std::vector<DType> dtypes;
  for (const ExportedVariable& variable : model.variables) dtypes.push_back(variable.dtype);
  return dtypes;
}

// As TensorFlow writes: a shard under a temporary name, then merged to its place.
FunctionDefWriter save_function(const ExportedModel& model) {
  FunctionDefWriter function = saver_function(model, kSaveFunction);
  function.add_arg("object_graph", DType::kString);
  NodeDefList& nodes = function.nodes();
  add_constant(nodes, "part", Tensor::string("_temp/part"));
  nodes.add("temporary_prefix", "StringJoin", {"file_prefix", "part:output:0"},
            {{"N", int64_t{2}}});
  add_constant(nodes, "shard", Tensor::scalar<int32_t>(0));
  add_constant(nodes, "num_shards", Tensor::scalar<int32_t>(1));
  nodes.add("sharded_filename", "ShardedFilename",
            {"temporary_prefix:output:0", "shard:output:0", "num_shards:output:0"});
  add_tensor_names(model, /*with_graph=*/true, nodes);
  std::vector<std::string> inputs = {"sharded_filename:filename:0", "tensor_names:output:0",
                                     "shape_and_slices:output:0"};
  for (size_t i = 0; i < model.variables.size(); ++i) {
    const std::string read = cat("read_", i);
    nodes.add(read, "ReadVariableOp", {cat("variable_", i)}, {{"dtype", model.variables[i].dtype}});
    inputs.push_back(cat(read, ":value:0"));
  }
  inputs.emplace_back("object_graph");
  std::vector<DType> dtypes = variable_dtypes(model);
  dtypes.push_back(DType::kString);
  nodes.add("save", "SaveV2", inputs, {{"dtypes", dtypes}});
  nodes.add("shards", "Pack", {"sharded_filename:filename:0", "^save"},
            {{"N", int64_t{1}}, {"T", DType::kString}});
  nodes.add("merge", "MergeV2Checkpoints", {"shards:output:0", "file_prefix"});
  nodes.add("done", "Identity", {"file_prefix", "^merge"}, {{"T", DType::kString}});
  function.add_control_output("merge");
  return function;
}

FunctionDefWriter restore_function(const ExportedModel& model) {
  FunctionDefWriter function = saver_function(model, kRestoreFunction);
  NodeDefList& nodes = function.nodes();
  std::vector<std::string> waits = {"file_prefix"};
  if (!model.variables.empty()) {
    add_tensor_names(model, /*with_graph=*/false, nodes);
    nodes.add("restore", "RestoreV2",
              {"file_prefix", "tensor_names:output:0", "shape_and_slices:output:0"},
              {{"dtypes", variable_dtypes(model)}});
  }
  for (size_t i = 0; i < model.variables.size(); ++i) {
    const std::string assign = cat("assign_", i);
    nodes.add(assign, "AssignVariableOp", {cat("variable_", i), cat("restore:tensors:", i)},
              {{"dtype", model.variables[i].dtype}});
    waits.push_back(cat("^", assign));
    function.add_control_output(assign);
  }
  nodes.add("done", "Identity", waits, {{"T", DType::kString}});
  return function;
}

}  // namespace

Status add_saver(const ExportedModel& model, const std::string& object_graph,
                 ExportedGraph& graph) {
  TENON_RETURN_IF_ERROR(graph.functions.add(save_function(model)));
  TENON_RETURN_IF_ERROR(graph.functions.add(restore_function(model)));
  NodeDefList& nodes = graph.nodes;
  const ExportedModel::SaverNodes& names = model.saver;
  nodes.add(names.filename, "Placeholder", {},
            {{"dtype", DType::kString}, {"shape", PartialShape(Shape())}});
  add_constant(nodes, names.object_graph, Tensor::string(object_graph));
  std::vector<std::string> inputs = {names.filename};
  std::vector<DType> dtypes = {DType::kString};
  for (const ExportedVariable& variable : model.variables) {
    inputs.push_back(variable.handle);
    dtypes.push_back(DType::kResource);
  }
  add_call(nodes, names.restore, kRestoreFunction, inputs, dtypes, {DType::kString});
  inputs.push_back(names.object_graph);
  dtypes.push_back(DType::kString);
  add_call(nodes, names.save, kSaveFunction, inputs, dtypes, {DType::kString});
  return absl::OkStatus();
}

}  // namespace tenon::saved_model_internal
