#include <cctype>
#include <set>

#include "tenon/graph/export.h"
#include "tenon/graph/tensor_pb.h"
#include "tenon/saved_model/export_parts.h"
#include "tenon/saved_model/proto_nodes.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"

namespace tenon::saved_model_internal {
namespace {

// Names of one GraphDef: made legal for nodes and unique.
class NodeNames {
 public:
  std::string take(std::string_view wanted) {
    std::string legal;
    for (char c : wanted) {
      const bool inner = c == '_' || c == '/' || c == '-' || c == '\\';
      const bool ok =
          std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || (inner && !legal.empty());
      legal += ok ? c : (legal.empty() ? '.' : '_');
    }
    if (legal.empty()) legal = "unnamed";
    std::string name = legal;
    for (int suffix = 1; !taken_.insert(name).second; ++suffix) name = cat(legal, "_", suffix);
    return name;
  }

 private:
  std::set<std::string> taken_;
};

tensorflow::DataType proto_dtype(DType dtype) { return static_cast<tensorflow::DataType>(dtype); }

void tensor_info(const std::string& tensor, const ValueInfo& value, tensorflow::TensorInfo& info) {
  info.set_name(tensor);
  info.set_dtype(proto_dtype(value.dtype));
  shape_to_proto(value.shape, *info.mutable_tensor_shape());
}

std::vector<DType> input_dtypes(const ExportedEndpoint& endpoint, std::span<const size_t> inputs) {
  std::vector<DType> dtypes;
  for (size_t input : inputs) dtypes.push_back(endpoint.input(input).dtype);
  dtypes.resize(dtypes.size() + endpoint.captures.size(), DType::kResource);
  return dtypes;
}

std::vector<DType> output_dtypes(const ExportedEndpoint& endpoint,
                                 std::span<const size_t> outputs) {
  std::vector<DType> dtypes;
  for (size_t output : outputs) dtypes.push_back(endpoint.output(output).dtype);
  return dtypes;
}

std::vector<size_t> counting(size_t count) {
  std::vector<size_t> numbers(count);
  for (size_t i = 0; i < count; ++i) numbers[i] = i;
  return numbers;
}

std::string free_function_name(const tensorflow::FunctionDefLibrary& library,
                               std::string_view prefix) {
  std::set<std::string_view> taken;
  for (const auto& function : library.function()) taken.insert(function.signature().name());
  for (int suffix = 0;; ++suffix) {
    std::string name = cat(prefix, "_", suffix);
    if (!taken.contains(name)) return name;
  }
}

// The function that a signature calls: it takes its inputs by name in sorted order, and gives its
// outputs so.
void add_wrapper(const ExportedEndpoint& endpoint, const std::string& name,
                 tensorflow::FunctionDef& function) {
  auto& signature = *function.mutable_signature();
  signature.set_name(name);
  signature.set_is_stateful(true);
  std::set<std::string> taken = {"call"};
  const auto unique = [&](std::string_view wanted) {
    std::string result = argument_name(wanted);
    for (int i = 0; !taken.insert(result).second; ++i) result = cat(argument_name(wanted), "_", i);
    return result;
  };
  std::vector<std::string> args(endpoint.body.args.size());
  const auto add_arg = [&](size_t index) {
    const Node& arg = endpoint.body.node(endpoint.body.args[index]);
    args[index] = unique(arg.name);
    argument_to_proto(arg, args[index], function);
  };
  for (size_t input : endpoint.by_input) add_arg(input);
  for (size_t i = endpoint.num_inputs(); i < args.size(); ++i) add_arg(i);
  add_call(*function.mutable_node_def(), "call", endpoint.function, args,
           input_dtypes(endpoint, counting(endpoint.num_inputs())),
           output_dtypes(endpoint, counting(endpoint.body.results.size())));
  for (size_t output : endpoint.by_output) {
    auto& proto = *signature.add_output_arg();
    proto.set_name(unique(endpoint.body.result_names[output]));
    proto.set_type(proto_dtype(endpoint.output(output).dtype));
    (*function.mutable_ret())[proto.name()] = cat("call:output:", output);
  }
  signature.add_control_output("call");
  (*function.mutable_control_ret())["call"] = "call";
}

void add_signature(const ExportedModel& model, const ExportedSignature& signature, NodeNames& names,
                   tensorflow::MetaGraphDef& meta) {
  const ExportedEndpoint& endpoint = model.endpoints[signature.endpoint];
  auto& nodes = *meta.mutable_graph_def()->mutable_node();
  auto& def = (*meta.mutable_signature_def())[signature.name];
  def.set_method_name(endpoint.method_name);
  std::vector<std::string> inputs;
  for (size_t input : endpoint.by_input) {
    const std::string& alias = endpoint.input_name(input);
    const ValueInfo& value = endpoint.input(input);
    inputs.push_back(names.take(cat(signature.name, "_", alias)));
    AttrMap attrs = {{"dtype", value.dtype}};
    if (value.shape.has_rank()) attrs.set("shape", value.shape);
    add_node(nodes, inputs.back(), "Placeholder", {}, attrs);
    tensor_info(cat(inputs.back(), ":0"), value, (*def.mutable_inputs())[alias]);
    if (const auto it = endpoint.defaults.find(alias); it != endpoint.defaults.end()) {
      tensor_to_proto(it->second, (*def.mutable_defaults())[alias]);
    }
  }
  for (size_t capture : endpoint.captures) inputs.push_back(model.variables[capture].handle);
  const std::string call = names.take("StatefulPartitionedCall");
  add_call(nodes, call, signature.function, inputs, input_dtypes(endpoint, endpoint.by_input),
           output_dtypes(endpoint, endpoint.by_output));
  for (size_t i = 0; i < endpoint.by_output.size(); ++i) {
    const size_t output = endpoint.by_output[i];
    tensor_info(cat(call, ":", i), endpoint.output(output),
                (*def.mutable_outputs())[endpoint.body.result_names[output]]);
  }
}

// Nothing is left to be initialised after the variables are restored.
void add_init_op(NodeNames& names, tensorflow::MetaGraphDef& meta) {
  const std::string name = names.take("NoOp");
  add_node(*meta.mutable_graph_def()->mutable_node(), name, "NoOp", {});
  static const std::string key = "__saved_model_init_op", collection = "saved_model_main_op";
  auto& output = (*(*meta.mutable_signature_def())[key].mutable_outputs())[key];
  output.set_name(name);
  output.mutable_tensor_shape()->set_unknown_rank(true);
  (*meta.mutable_collection_def())[collection].mutable_node_list()->add_value(name);
}

}  // namespace

Status add_graph(ExportedModel& model, tensorflow::MetaGraphDef& meta) {
  auto& library = *meta.mutable_graph_def()->mutable_library();
  for (const ExportedEndpoint& endpoint : model.endpoints) {
    TENON_RETURN_IF_ERROR(add_reached_functions(endpoint.body, library));
  }
  for (ExportedEndpoint& endpoint : model.endpoints) {
    endpoint.function =
        free_function_name(library, cat("__inference_", argument_name(endpoint.name)));
    TENON_RETURN_IF_ERROR(
        function_to_proto(endpoint.body, endpoint.function, *library.add_function()));
  }
  for (ExportedSignature& signature : model.signatures) {
    signature.function = free_function_name(
        library, cat("__inference_signature_wrapper_", argument_name(signature.name)));
    add_wrapper(model.endpoints[signature.endpoint], signature.function, *library.add_function());
  }
  NodeNames names;
  model.saver.filename = names.take("saver_filename");
  model.saver.object_graph = names.take("saver_object_graph");
  model.saver.save = names.take("saver_save");
  model.saver.restore = names.take("saver_restore");
  for (ExportedVariable& variable : model.variables) {
    variable.handle = names.take(variable.name);
    add_node(
        *meta.mutable_graph_def()->mutable_node(), variable.handle, "VarHandleOp", {},
        {{"dtype", variable.dtype}, {"shape", variable.shape}, {"shared_name", variable.name}});
  }
  for (const ExportedSignature& signature : model.signatures) {
    add_signature(model, signature, names, meta);
  }
  add_init_op(names, meta);
  return absl::OkStatus();
}

}  // namespace tenon::saved_model_internal
