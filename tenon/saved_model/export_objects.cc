#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"
#include "tenon/saved_model/export_parts.h"
#include "tenon/saved_model/structured_value.h"
#include "tenon/saved_model/trackable_graph.h"

namespace tenon::saved_model_internal {
namespace {

// Field numbers of SavedObject.
enum ObjectField : uint32_t {
  kChildren = 1,
  kUserObject = 4,
  kFunction = 6,
  kVariable = 7,
  kBareFunction = 8,
  kDependencies = 15,
};

// Adds objects to the model's graph and to the checkpoint's under equal numbers.
class ObjectGraphs {
 public:
  // `kind`: what the object is, a serialized field.
  int add(std::string kind) {
    saved_.push_back({{}, std::move(kind), {}});
    return trackables_.add();
  }

  int add_user_object(std::string_view identifier) {
    std::string kind;
    append_message(kind, kUserObject, [&] {
      append_string_field(kind, 1, identifier);
      append_message(kind, 2, [&] {
        append_varint_field(kind, 1, 1);  // producer
        append_varint_field(kind, 2, 1);  // min_consumer
      });
    });
    return add(std::move(kind));
  }

  void add_child(int parent, int child, std::string_view name) {
    append_object_reference(saved_[static_cast<size_t>(parent)].children, kChildren, child, name);
    trackables_.add_child(parent, child, name);
  }

  // A child that must be made before its parent.
  void add_dependency(int parent, int child, std::string_view name) {
    add_child(parent, child, name);
    append_object_reference(saved_[static_cast<size_t>(parent)].dependencies, kDependencies, child,
                            name);
  }

  TrackableGraph& trackables() { return trackables_; }

  // A SavedObjectGraph's objects.
  std::string serialize() const {
    std::string out;
    for (const Object& object : saved_) {
      append_message(out, 1, [&] {
        out += object.children;
        out += object.kind;
        out += object.dependencies;
      });
    }
    return out;
  }

 private:
  struct Object {
    std::string children, kind, dependencies;  // serialized fields
  };
  std::vector<Object> saved_;
  TrackableGraph trackables_;
};

int add_variable(const ExportedVariable& variable, ObjectGraphs& graphs) {
  std::string kind;
  append_message(kind, kVariable, [&] {
    append_varint_field(kind, 1, static_cast<uint64_t>(variable.dtype));
    append_message(kind, 2, [&] { append_shape(kind, variable.shape); });
    append_varint_field(kind, 3, variable.trainable);
    append_string_field(kind, 6, variable.name);
  });
  const int id = graphs.add(std::move(kind));
  graphs.trackables().add_value(id, variable.name, variable.key);
  graphs.trackables().mark_values(id);
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
    graphs.trackables().mark_values(list);
  }
}

// A FunctionSpec, as field `number`.
void append_function_spec(std::string& out, uint32_t number, const std::vector<std::string>& args,
                          const std::vector<std::string>& keywords,
                          std::string_view input_signature) {
  append_message(out, number, [&] {
    append_bytes_field(out, 1, argument_spec(args, keywords));
    append_bytes_field(out, 5, input_signature);
  });
}

// A SavedBareConcreteFunction.
std::string bare_function(const std::string& function, const std::vector<std::string>& keywords,
                          size_t positional, const std::vector<std::string>& args,
                          const std::vector<std::string>& keywords_only) {
  std::string kind;
  append_message(kind, kBareFunction, [&] {
    append_string_field(kind, 1, function);
    for (const std::string& keyword : keywords) append_bytes_field(kind, 2, keyword);
    append_varint_field(kind, 3, positional);
    append_function_spec(kind, 4, args, keywords_only, none_value());
  });
  return kind;
}

// The attribute by which the loaded object is called: a tf.function with its one trace.
void add_endpoint(const ExportedEndpoint& endpoint, ObjectGraphs& graphs) {
  const bool takes_input = endpoint.num_inputs() > 0;
  std::vector<std::string> args, signature, names;
  if (takes_input) {
    args.emplace_back("args_0");
    signature.push_back(positional_argument(endpoint));
  }
  std::string kind;
  append_message(kind, kFunction, [&] {
    append_bytes_field(kind, 1, endpoint.function);
    append_function_spec(kind, 2, args, {}, tuple_value(signature));
  });
  const int function = graphs.add(std::move(kind));
  graphs.add_child(0, function, endpoint.name);
  for (size_t i = 0; i < endpoint.num_inputs(); ++i) names.push_back(endpoint.input_name(i));
  const int trace = graphs.add(bare_function(endpoint.function, names, names.size(), args, {}));
  graphs.add_dependency(function, trace, "trace_0");
}

int add_wrapper_object(const ExportedEndpoint& endpoint, const ExportedSignature& signature,
                       ObjectGraphs& graphs) {
  std::vector<std::string> keywords;
  for (size_t input : endpoint.by_input) keywords.push_back(endpoint.input_name(input));
  return graphs.add(
      bare_function(signature.function, keywords, keywords.size() == 1 ? 1 : 0, {}, keywords));
}

// A SavedConcreteFunction.
std::string concrete_function(const ExportedEndpoint& endpoint, std::span<const int> variables,
                              std::string_view inputs, std::string_view outputs) {
  std::string out;
  if (!endpoint.captures.empty()) {
    append_message(out, 2, [&] {
      for (size_t capture : endpoint.captures) {
        append_varint(out, static_cast<uint64_t>(variables[capture]));
      }
    });
  }
  append_bytes_field(out, 3, inputs);
  append_bytes_field(out, 4, outputs);
  return out;
}

}  // namespace

ExportedObjects make_objects(const ExportedModel& model) {
  ObjectGraphs graphs;
  const int root = graphs.add_user_object("_generic_user_object");
  std::vector<int> variables;
  for (const ExportedVariable& variable : model.variables) {
    variables.push_back(add_variable(variable, graphs));
    graphs.trackables().mark_values(root);
  }
  add_list(model, "variables", variables, std::nullopt, graphs);
  add_list(model, "trainable_variables", variables, true, graphs);
  add_list(model, "non_trainable_variables", variables, false, graphs);
  std::map<std::string, std::string> concrete;
  for (const ExportedEndpoint& endpoint : model.endpoints) {
    add_endpoint(endpoint, graphs);
    concrete[endpoint.function] = concrete_function(endpoint, variables, endpoint_inputs(endpoint),
                                                    endpoint_outputs(endpoint));
  }
  const int map = graphs.add_user_object("signature_map");
  graphs.add_child(root, map, "signatures");
  for (const ExportedSignature& signature : model.signatures) {
    const ExportedEndpoint& endpoint = model.endpoints[signature.endpoint];
    graphs.add_child(map, add_wrapper_object(endpoint, signature, graphs), signature.name);
    concrete[signature.function] = concrete_function(
        endpoint, variables, signature_inputs(endpoint), outputs_by_name(endpoint));
  }
  ExportedObjects objects{graphs.serialize(), graphs.trackables().serialize()};
  for (const auto& [name, function] : concrete) {
    append_message(objects.saved, 2, [&, &name = name, &function = function] {
      append_bytes_field(objects.saved, 1, name);
      append_bytes_field(objects.saved, 2, function);
    });
  }
  return objects;
}

}  // namespace tenon::saved_model_internal
