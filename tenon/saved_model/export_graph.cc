#include <cctype>
#include <set>

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"
#include "tenon/graph/export.h"
#include "tenon/saved_model/calls.h"
#include "tenon/saved_model/export_parts.h"

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

// An entry of a map<string, TensorInfo>, as field `number`.
void append_tensor_info(std::string& out, uint32_t number, std::string_view alias,
                        std::string_view tensor, const ValueInfo& value) {
  append_message(out, number, [&] {
    append_bytes_field(out, 1, alias);
    append_message(out, 2, [&] {
      append_bytes_field(out, 1, tensor);
      append_varint_field(out, 2, static_cast<uint64_t>(value.dtype));
      append_message(out, 3, [&] { append_shape(out, value.shape); });
    });
  });
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

// The function that a signature calls: it takes its inputs by name in sorted order, and gives its
// outputs so.
FunctionDefWriter make_wrapper(const ExportedEndpoint& endpoint, const std::string& name) {
  FunctionDefWriter function(name);
  function.set_stateful(true);
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
    function.add_arg(args[index], arg);
  };
  for (size_t input : endpoint.by_input) add_arg(input);
  for (size_t i = endpoint.num_inputs(); i < args.size(); ++i) add_arg(i);
  add_call(function.nodes(), "call", endpoint.function, args,
           input_dtypes(endpoint, counting(endpoint.num_inputs())),
           output_dtypes(endpoint, counting(endpoint.body.results.size())));
  for (size_t output : endpoint.by_output) {
    function.add_result(unique(endpoint.body.result_names[output]), endpoint.output(output).dtype,
                        cat("call:output:", output));
  }
  function.add_control_output("call");
  return function;
}

void add_signature(const ExportedModel& model, const ExportedSignature& signature, NodeNames& names,
                   ExportedGraph& graph) {
  const ExportedEndpoint& endpoint = model.endpoints[signature.endpoint];
  std::string& def = graph.signature_defs[signature.name];
  std::string defaults;
  std::vector<std::string> inputs;
  for (size_t input : endpoint.by_input) {
    const std::string& alias = endpoint.input_name(input);
    const ValueInfo& value = endpoint.input(input);
    inputs.push_back(names.take(cat(signature.name, "_", alias)));
    AttrMap attrs = {{"dtype", value.dtype}};
    if (value.shape.has_rank()) attrs.set("shape", value.shape);
    graph.nodes.add(inputs.back(), "Placeholder", {}, attrs);
    append_tensor_info(def, 1, alias, cat(inputs.back(), ":0"), value);
    if (const auto it = endpoint.defaults.find(alias); it != endpoint.defaults.end()) {
      append_message(defaults, 4, [&] {
        append_bytes_field(defaults, 1, alias);
        append_message(defaults, 2, [&] { append_tensor(defaults, it->second); });
      });
    }
  }
  for (size_t capture : endpoint.captures) inputs.push_back(model.variables[capture].handle);
  const std::string call = names.take("StatefulPartitionedCall");
  add_call(graph.nodes, call, signature.function, inputs, input_dtypes(endpoint, endpoint.by_input),
           output_dtypes(endpoint, endpoint.by_output));
  for (size_t i = 0; i < endpoint.by_output.size(); ++i) {
    const size_t output = endpoint.by_output[i];
    append_tensor_info(def, 2, endpoint.body.result_names[output], cat(call, ":", i),
                       endpoint.output(output));
  }
  append_string_field(def, 3, endpoint.method_name);
  def += defaults;
}

// Nothing is left to be initialised after the variables are restored.
void add_init_op(NodeNames& names, ExportedGraph& graph) {
  constexpr std::string_view kKey = "__saved_model_init_op";
  graph.init_node = names.take("NoOp");
  graph.nodes.add(graph.init_node, "NoOp", {});
  append_tensor_info(graph.signature_defs[std::string(kKey)], 2, kKey, graph.init_node,
                     {DType::kInvalid, PartialShape(), std::nullopt});
}

}  // namespace

Status add_graph(ExportedModel& model, ExportedGraph& graph) {
  FunctionDefList& functions = graph.functions;
  for (const ExportedEndpoint& endpoint : model.endpoints) {
    TENON_RETURN_IF_ERROR(add_reached_functions(endpoint.body, functions));
  }
  for (ExportedEndpoint& endpoint : model.endpoints) {
    endpoint.function = functions.free_name(cat("__inference_", argument_name(endpoint.name)));
    TENON_ASSIGN_OR_RETURN(const FunctionDefWriter function,
                           write_function(endpoint.body, endpoint.function));
    TENON_RETURN_IF_ERROR(functions.add(function));
  }
  for (ExportedSignature& signature : model.signatures) {
    signature.function =
        functions.free_name(cat("__inference_signature_wrapper_", argument_name(signature.name)));
    TENON_RETURN_IF_ERROR(
        functions.add(make_wrapper(model.endpoints[signature.endpoint], signature.function)));
  }
  NodeNames names;
  model.saver.filename = names.take("saver_filename");
  model.saver.object_graph = names.take("saver_object_graph");
  model.saver.save = names.take("saver_save");
  model.saver.restore = names.take("saver_restore");
  for (ExportedVariable& variable : model.variables) {
    variable.handle = names.take(variable.name);
    graph.nodes.add(
        variable.handle, "VarHandleOp", {},
        {{"dtype", variable.dtype}, {"shape", variable.shape}, {"shared_name", variable.name}});
  }
  for (const ExportedSignature& signature : model.signatures) {
    add_signature(model, signature, names, graph);
  }
  add_init_op(names, graph);
  return absl::OkStatus();
}

}  // namespace tenon::saved_model_internal
