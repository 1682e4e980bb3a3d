#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "tenon/graph/tensor_pb.h"
#include "tenon/saved_model/export_parts.h"
#include "tensorflow/core/protobuf/meta_graph.pb.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"
#include "tensorflow/core/protobuf/saved_object_graph.pb.h"
#include "tensorflow/core/protobuf/trackable_object_graph.pb.h"

namespace tenon::saved_model_internal {
namespace {

using Value = tensorflow::StructuredValue;

void tensor_spec(const std::string& name, const ValueInfo& value, Value& out) {
  auto& spec = *out.mutable_tensor_spec_value();
  spec.set_name(name);
  shape_to_proto(value.shape, *spec.mutable_shape());
  spec.set_dtype(static_cast<tensorflow::DataType>(value.dtype));
}

// The one positional argument of an endpoint: a tensor, or a list of them as Keras passes it.
void positional_argument(const ExportedEndpoint& endpoint, Value& out) {
  if (endpoint.num_inputs() == 1) {
    return tensor_spec(endpoint.input_name(0), endpoint.input(0), out);
  }
  auto& list = *out.mutable_list_value();
  for (size_t i = 0; i < endpoint.num_inputs(); ++i) {
    tensor_spec(endpoint.input_name(i), endpoint.input(i), *list.add_values());
  }
}

// (args, kwargs) of an endpoint, an empty args where it takes nothing.
void endpoint_inputs(const ExportedEndpoint& endpoint, Value& out) {
  auto& pair = *out.mutable_tuple_value();
  auto& args = *pair.add_values()->mutable_tuple_value();
  if (endpoint.num_inputs() > 0) positional_argument(endpoint, *args.add_values());
  pair.add_values()->mutable_dict_value();
}

void signature_inputs(const ExportedEndpoint& endpoint, Value& out) {
  auto& pair = *out.mutable_tuple_value();
  pair.add_values()->mutable_tuple_value();
  auto& fields = *pair.add_values()->mutable_dict_value()->mutable_fields();
  for (size_t i = 0; i < endpoint.num_inputs(); ++i) {
    tensor_spec(endpoint.input_name(i), endpoint.input(i), fields[endpoint.input_name(i)]);
  }
}

void outputs_by_name(const ExportedEndpoint& endpoint, Value& out) {
  auto& fields = *out.mutable_dict_value()->mutable_fields();
  for (size_t i = 0; i < endpoint.body.results.size(); ++i) {
    const std::string& name = endpoint.body.result_names[i];
    tensor_spec(name, endpoint.output(i), fields[name]);
  }
}

// A tensor, a list or a dictionary, as the model's call returns it.
void endpoint_outputs(const ExportedEndpoint& endpoint, Value& out) {
  if (!endpoint.lists_outputs) return outputs_by_name(endpoint, out);
  const std::vector<std::string>& names = endpoint.body.result_names;
  if (names.size() == 1) return tensor_spec(names[0], endpoint.output(0), out);
  auto& list = *out.mutable_list_value();
  for (size_t i = 0; i < names.size(); ++i) {
    tensor_spec(names[i], endpoint.output(i), *list.add_values());
  }
}

Value& add_field(tensorflow::NamedTupleValue& tuple, const char* key) {
  auto& pair = *tuple.add_values();
  pair.set_key(key);
  return *pair.mutable_value();
}

// inspect.FullArgSpec of a Python function with these arguments.
void argument_spec(const std::vector<std::string>& args, const std::vector<std::string>& keywords,
                   Value& out) {
  auto& tuple = *out.mutable_named_tuple_value();
  tuple.set_name("FullArgSpec");
  auto& positional = *add_field(tuple, "args").mutable_list_value();
  for (const std::string& arg : args) positional.add_values()->set_string_value(arg);
  for (const char* field : {"varargs", "varkw", "defaults"}) {
    add_field(tuple, field).mutable_none_value();
  }
  auto& named = *add_field(tuple, "kwonlyargs").mutable_list_value();
  for (const std::string& keyword : keywords) named.add_values()->set_string_value(keyword);
  add_field(tuple, "kwonlydefaults").mutable_none_value();
  add_field(tuple, "annotations").mutable_dict_value();
}

std::vector<std::string> sorted_inputs(const ExportedEndpoint& endpoint) {
  std::vector<std::string> names;
  for (size_t input : endpoint.by_input) names.push_back(endpoint.input_name(input));
  return names;
}

// Adds nodes to both object graphs under equal numbers.
class ObjectGraphs {
 public:
  explicit ObjectGraphs(tensorflow::SavedObjectGraph& saved) : saved_(saved) {}

  int add() {
    saved_.add_nodes();
    trackables_.add_nodes()->mutable_has_checkpoint_values();
    return saved_.nodes_size() - 1;
  }

  int add_user_object(const char* identifier) {
    const int id = add();
    auto& object = *saved_.mutable_nodes(id)->mutable_user_object();
    object.set_identifier(identifier);
    object.mutable_version()->set_producer(1);
    object.mutable_version()->set_min_consumer(1);
    return id;
  }

  void add_child(int parent, int child, const std::string& name) {
    for (auto* reference : {saved_.mutable_nodes(parent)->add_children(),
                            trackables_.mutable_nodes(parent)->add_children()}) {
      reference->set_node_id(child);
      reference->set_local_name(name);
    }
  }

  // A child that must be made before its parent.
  void add_dependency(int parent, int child, const std::string& name) {
    add_child(parent, child, name);
    auto& reference = *saved_.mutable_nodes(parent)->add_dependencies();
    reference.set_node_id(child);
    reference.set_local_name(name);
  }

  void mark_values(int id) {
    trackables_.mutable_nodes(id)->mutable_has_checkpoint_values()->set_value(true);
  }

  tensorflow::SavedObject& saved(int id) { return *saved_.mutable_nodes(id); }
  tensorflow::TrackableObjectGraph::TrackableObject& trackable(int id) {
    return *trackables_.mutable_nodes(id);
  }
  std::string serialized_trackables() const { return trackables_.SerializeAsString(); }

 private:
  tensorflow::SavedObjectGraph& saved_;
  tensorflow::TrackableObjectGraph trackables_;
};

int add_variable(const ExportedVariable& variable, ObjectGraphs& graphs) {
  const int id = graphs.add();
  auto& saved = *graphs.saved(id).mutable_variable();
  saved.set_name(variable.name);
  saved.set_dtype(static_cast<tensorflow::DataType>(variable.dtype));
  shape_to_proto(variable.shape, *saved.mutable_shape());
  saved.set_trainable(variable.trainable);
  auto& value = *graphs.trackable(id).add_attributes();
  value.set_name("VARIABLE_VALUE");
  value.set_full_name(variable.name);
  value.set_checkpoint_key(variable.key);
  graphs.mark_values(id);
  return id;
}

void add_list(const ExportedModel& model, const char* name, std::span<const int> variables,
              std::optional<bool> trainable, ObjectGraphs& graphs) {
  const int list = graphs.add_user_object("trackable_list_wrapper");
  graphs.add_child(0, list, name);
  int size = 0;
  for (size_t i = 0; i < variables.size(); ++i) {
    if (trainable && model.variables[i].trainable != *trainable) continue;
    graphs.add_child(list, variables[i], cat(size++));
    graphs.mark_values(list);
  }
}

// The attribute by which the loaded object is called: a tf.function with its one trace.
void add_endpoint(const ExportedEndpoint& endpoint, ObjectGraphs& graphs) {
  const bool takes_input = endpoint.num_inputs() > 0;
  const std::vector<std::string> args =
      takes_input ? std::vector<std::string>{"args_0"} : std::vector<std::string>{};
  const int function = graphs.add();
  auto& saved = *graphs.saved(function).mutable_function();
  saved.add_concrete_functions(endpoint.function);
  argument_spec(args, {}, *saved.mutable_function_spec()->mutable_fullargspec());
  auto& signature = *saved.mutable_function_spec()->mutable_input_signature();
  signature.mutable_tuple_value();
  if (takes_input) {
    positional_argument(endpoint, *signature.mutable_tuple_value()->add_values());
  }
  graphs.add_child(0, function, endpoint.name);
  const int trace = graphs.add();
  auto& bare = *graphs.saved(trace).mutable_bare_concrete_function();
  bare.set_concrete_function_name(endpoint.function);
  for (size_t i = 0; i < endpoint.num_inputs(); ++i) {
    bare.add_argument_keywords(endpoint.input_name(i));
  }
  bare.set_allowed_positional_arguments(static_cast<int64_t>(endpoint.num_inputs()));
  argument_spec(args, {}, *bare.mutable_function_spec()->mutable_fullargspec());
  bare.mutable_function_spec()->mutable_input_signature()->mutable_none_value();
  graphs.add_dependency(function, trace, "trace_0");
}

int add_wrapper_object(const ExportedEndpoint& endpoint, const ExportedSignature& signature,
                       ObjectGraphs& graphs) {
  const int id = graphs.add();
  auto& bare = *graphs.saved(id).mutable_bare_concrete_function();
  bare.set_concrete_function_name(signature.function);
  const std::vector<std::string> keywords = sorted_inputs(endpoint);
  for (const std::string& keyword : keywords) bare.add_argument_keywords(keyword);
  bare.set_allowed_positional_arguments(keywords.size() == 1 ? 1 : 0);
  argument_spec({}, keywords, *bare.mutable_function_spec()->mutable_fullargspec());
  bare.mutable_function_spec()->mutable_input_signature()->mutable_none_value();
  return id;
}

tensorflow::SavedConcreteFunction& add_concrete(const ExportedEndpoint& endpoint,
                                                const std::string& name,
                                                std::span<const int> variables,
                                                tensorflow::SavedObjectGraph& saved) {
  auto& concrete = (*saved.mutable_concrete_functions())[name];
  for (size_t capture : endpoint.captures) concrete.add_bound_inputs(variables[capture]);
  return concrete;
}

}  // namespace

std::string add_objects(const ExportedModel& model, tensorflow::MetaGraphDef& meta) {
  auto& saved = *meta.mutable_object_graph_def();
  ObjectGraphs graphs(saved);
  const int root = graphs.add_user_object("_generic_user_object");
  std::vector<int> variables;
  for (const ExportedVariable& variable : model.variables) {
    variables.push_back(add_variable(variable, graphs));
    graphs.mark_values(root);
  }
  add_list(model, "variables", variables, std::nullopt, graphs);
  add_list(model, "trainable_variables", variables, true, graphs);
  add_list(model, "non_trainable_variables", variables, false, graphs);
  for (const ExportedEndpoint& endpoint : model.endpoints) {
    add_endpoint(endpoint, graphs);
    auto& concrete = add_concrete(endpoint, endpoint.function, variables, saved);
    endpoint_inputs(endpoint, *concrete.mutable_canonicalized_input_signature());
    endpoint_outputs(endpoint, *concrete.mutable_output_signature());
  }
  const int map = graphs.add_user_object("signature_map");
  graphs.add_child(root, map, "signatures");
  for (const ExportedSignature& signature : model.signatures) {
    const ExportedEndpoint& endpoint = model.endpoints[signature.endpoint];
    graphs.add_child(map, add_wrapper_object(endpoint, signature, graphs), signature.name);
    auto& concrete = add_concrete(endpoint, signature.function, variables, saved);
    signature_inputs(endpoint, *concrete.mutable_canonicalized_input_signature());
    outputs_by_name(endpoint, *concrete.mutable_output_signature());
  }
  return graphs.serialized_trackables();
}

StatusOr<ExportedProtos> make_protos(ExportedModel& model) {
  tensorflow::SavedModel saved;
  saved.set_saved_model_schema_version(1);
  tensorflow::MetaGraphDef& meta = *saved.add_meta_graphs();
  auto& info = *meta.mutable_meta_info_def();
  info.add_tags("serve");
  info.set_stripped_default_attrs(true);
  // The version whose op definitions and formats these are.
  info.set_tensorflow_version("2.21.0");
  meta.mutable_graph_def()->mutable_versions()->set_producer(2474);
  meta.mutable_graph_def()->mutable_versions()->set_min_consumer(12);
  TENON_RETURN_IF_ERROR(add_graph(model, meta));
  ExportedProtos protos;
  protos.object_graph = add_objects(model, meta);
  add_saver(model, protos.object_graph, meta);
  if (saved.ByteSizeLong() > size_t{1} << 31) {
    return resource_exhausted("the graph takes ", saved.ByteSizeLong(),
                              " bytes, a saved_model.pb holds 2 GiB at most; large constants "
                              "should be variables");
  }
  google::protobuf::io::StringOutputStream stream(&protos.saved_model);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  saved.SerializeToCodedStream(&coded);
  coded.Trim();
  return protos;
}

}  // namespace tenon::saved_model_internal
