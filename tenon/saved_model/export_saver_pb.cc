#include "tenon/saved_model/export_parts.h"
#include "tenon/saved_model/proto_nodes.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace tenon::saved_model_internal {
namespace {

constexpr std::string_view kSaveFunction = "__inference__traced_save";
constexpr std::string_view kRestoreFunction = "__inference__traced_restore";
constexpr std::string_view kGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";

void add_function_arg(tensorflow::FunctionDef& function, const std::string& name, DType dtype) {
  auto& arg = *function.mutable_signature()->add_input_arg();
  arg.set_name(name);
  arg.set_type(static_cast<tensorflow::DataType>(dtype));
}

// A function from a file prefix and every variable to the prefix.
tensorflow::FunctionDef& add_saver_function(const ExportedModel& model, std::string_view name,
                                            tensorflow::MetaGraphDef& meta) {
  auto& function = *meta.mutable_graph_def()->mutable_library()->add_function();
  function.mutable_signature()->set_name(std::string(name));
  function.mutable_signature()->set_is_stateful(true);
  add_function_arg(function, "file_prefix", DType::kString);
  for (size_t i = 0; i < model.variables.size(); ++i) {
    add_function_arg(function, cat("variable_", i), DType::kResource);
  }
  auto& output = *function.mutable_signature()->add_output_arg();
  output.set_name("prefix");
  output.set_type(tensorflow::DT_STRING);
  (*function.mutable_ret())["prefix"] = "done:output:0";
  return function;
}

void keep_node(tensorflow::FunctionDef& function, const std::string& node) {
  function.mutable_signature()->add_control_output(node);
  (*function.mutable_control_ret())[node] = node;
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
void add_save_function(const ExportedModel& model, tensorflow::MetaGraphDef& meta) {
  auto& function = add_saver_function(model, kSaveFunction, meta);
  add_function_arg(function, "object_graph", DType::kString);
  auto& nodes = *function.mutable_node_def();
  add_constant(nodes, "part", Tensor::string("_temp/part"));
  add_node(nodes, "temporary_prefix", "StringJoin", {"file_prefix", "part:output:0"},
           {{"N", int64_t{2}}});
  add_constant(nodes, "shard", Tensor::scalar<int32_t>(0));
  add_constant(nodes, "num_shards", Tensor::scalar<int32_t>(1));
  add_node(nodes, "sharded_filename", "ShardedFilename",
           {"temporary_prefix:output:0", "shard:output:0", "num_shards:output:0"});
  add_tensor_names(model, /*with_graph=*/true, nodes);
  std::vector<std::string> inputs = {"sharded_filename:filename:0", "tensor_names:output:0",
                                     "shape_and_slices:output:0"};
  for (size_t i = 0; i < model.variables.size(); ++i) {
    const std::string read = cat("read_", i);
    add_node(nodes, read, "ReadVariableOp", {cat("variable_", i)},
             {{"dtype", model.variables[i].dtype}});
    inputs.push_back(cat(read, ":value:0"));
  }
  inputs.emplace_back("object_graph");
  std::vector<DType> dtypes = variable_dtypes(model);
  dtypes.push_back(DType::kString);
  add_node(nodes, "save", "SaveV2", inputs, {{"dtypes", dtypes}});
  add_node(nodes, "shards", "Pack", {"sharded_filename:filename:0", "^save"},
           {{"N", int64_t{1}}, {"T", DType::kString}});
  add_node(nodes, "merge", "MergeV2Checkpoints", {"shards:output:0", "file_prefix"});
  add_node(nodes, "done", "Identity", {"file_prefix", "^merge"}, {{"T", DType::kString}});
  keep_node(function, "merge");
}

void add_restore_function(const ExportedModel& model, tensorflow::MetaGraphDef& meta) {
  auto& function = add_saver_function(model, kRestoreFunction, meta);
  auto& nodes = *function.mutable_node_def();
  std::vector<std::string> waits = {"file_prefix"};
  if (!model.variables.empty()) {
    add_tensor_names(model, /*with_graph=*/false, nodes);
    add_node(nodes, "restore", "RestoreV2",
             {"file_prefix", "tensor_names:output:0", "shape_and_slices:output:0"},
             {{"dtypes", variable_dtypes(model)}});
  }
  for (size_t i = 0; i < model.variables.size(); ++i) {
    const std::string assign = cat("assign_", i);
    add_node(nodes, assign, "AssignVariableOp", {cat("variable_", i), cat("restore:tensors:", i)},
             {{"dtype", model.variables[i].dtype}});
    waits.push_back(cat("^", assign));
    keep_node(function, assign);
  }
  add_node(nodes, "done", "Identity", waits, {{"T", DType::kString}});
}

}  // namespace

void add_saver(const ExportedModel& model, const std::string& object_graph,
               tensorflow::MetaGraphDef& meta) {
  add_save_function(model, meta);
  add_restore_function(model, meta);
  auto& nodes = *meta.mutable_graph_def()->mutable_node();
  const ExportedModel::SaverNodes& names = model.saver;
  add_node(nodes, names.filename, "Placeholder", {},
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
  auto& saver = *meta.mutable_saver_def();
  saver.set_filename_tensor_name(cat(names.filename, ":0"));
  saver.set_save_tensor_name(cat(names.save, ":0"));
  saver.set_restore_op_name(names.restore);
  saver.set_version(tensorflow::SaverDef::V2);
}

}  // namespace tenon::saved_model_internal
