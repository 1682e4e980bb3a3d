#include "python/native/models.h"

#include "python/native/attributes.h"
#include "python/native/convert.h"
#include "python/native/dtypes.h"
#include "python/native/graph_function.h"
#include "python/native/operation.h"
#include "python/native/tape.h"
#include "python/native/variable.h"
#include "tenon/saved_model/saved_model.h"
#include "tenon/saved_model/writer.h"

namespace tenon::python {
namespace {

// Tensors, and variables for their handles.
std::vector<Value> inputs_of(nb::sequence objects) {
  std::vector<Value> inputs;
  for (nb::handle object : objects) {
    if (const VariableObject* variable = variable_if(object)) {
      if (variable->trainable()) Tape::touch(variable->here());
      inputs.push_back(variable->handle());
    } else {
      inputs.push_back(to_value(object));
    }
  }
  return inputs;
}

nb::list wrapped(std::vector<Value> values) {
  nb::list list;
  for (Value& value : values) list.append(wrap(std::move(value)));
  return list;
}

nb::dict describe_tensors(const std::vector<SignatureTensor>& tensors) {
  nb::dict all;
  for (const SignatureTensor& tensor : tensors) {
    all[tensor.name.c_str()] =
        nb::make_tuple(shape_object(tensor.shape), dtype_object(tensor.dtype));
  }
  return all;
}

const Signature& signature_of(const SavedModel& model, const std::string& name) {
  const Signature* signature = model.find_signature(name);
  if (!signature) check(not_found("the model has no signature '", name, "'"));
  return *signature;
}

// A signature's function, whose arguments and results stand in the order of the signature.
std::shared_ptr<GraphFunction> signature_function(const SavedModel& model,
                                                  const std::string& name) {
  Graph graph = value_of(model.function(signature_of(model, name)));
  std::vector<Endpoint> inputs;
  for (NodeId arg : graph.args) inputs.push_back({arg, 0});
  return std::make_shared<GraphFunction>(std::move(graph), std::move(inputs), model.state(),
                                         Runs::kOnDefault);
}

void write_model(const std::string& folder, const std::map<std::string, nb::tuple>& endpoints,
                 const std::vector<std::pair<std::string, bool>>& variables, bool overwrite) {
  SavedModelSpec spec;
  spec.folder = folder;
  spec.overwrite = overwrite;
  spec.state = eager_state().get();
  for (const auto& [name, trainable] : variables) spec.variables.push_back({name, trainable});
  for (const auto& [name, parts] : endpoints) {
    SavedModelEndpoint endpoint;
    endpoint.name = name;
    endpoint.function = nb::cast<const GraphFunction&>(parts[0]).graph();
    // Files do not say where they were made.
    for (NodeId id = 0; id < endpoint.function.size(); ++id)
      endpoint.function.node(id).device.clear();
    size_t at = 0;
    for (nb::handle input : nb::object(parts[1])) {
      endpoint.function.node(endpoint.function.args.at(at++)).name = nb::cast<std::string>(input);
    }
    const size_t inputs = at;
    // What was captured are constants of the file.
    for (nb::handle captured : nb::object(parts[3])) {
      const Value given = to_value(captured);
      const Tensor& value = eager(given, "a captured value of a saved function");
      Node& node = endpoint.function.node(endpoint.function.args.at(at++));
      node.op = &find_op("Const");
      node.attrs = {{"dtype", value.dtype()}, {"value", value}};
    }
    endpoint.function.args.resize(inputs);
    endpoint.function.result_names = nb::cast<std::vector<std::string>>(nb::object(parts[2]));
    spec.endpoints.push_back(std::move(endpoint));
  }
  const nb::gil_scoped_release released;
  check(write_saved_model(spec));
}

}  // namespace

void register_models(nb::module_& m) {
  nb::class_<GraphFunction>(m, "GraphFunction")
      .def("__call__", [](GraphFunction& f,
                          nb::sequence inputs) { return wrapped(call(f, inputs_of(inputs))); })
      .def_prop_ro("num_inputs", [](const GraphFunction& f) { return f.inputs().size(); })
      .def_prop_ro(
          "outputs",
          [](const GraphFunction& f) {
            nb::list outputs;
            for (Endpoint result : f.graph().results) {
              const ValueInfo& info = f.graph().value(result);
              outputs.append(nb::make_tuple(shape_object(info.shape), dtype_object(info.dtype)));
            }
            return outputs;
          })
      .def("__str__", [](const GraphFunction& f) { return to_string(f.graph()); });
  nb::class_<SavedModel>(m, "SavedModel")
      .def_static(
          "load",
          [](const std::string& folder, const std::vector<std::string>& tags) {
            LoadOptions options;
            options.tags = tags;
            const nb::gil_scoped_release released;
            return value_of(SavedModel::load(folder, std::move(options)));
          },
          nb::arg("folder"), nb::arg("tags"))
      .def_prop_ro("signatures",
                   [](const SavedModel& model) {
                     std::vector<std::string> names;
                     for (const Signature& each : model.signatures()) names.push_back(each.name);
                     return names;
                   })
      .def("inputs",
           [](const SavedModel& model, const std::string& name) {
             return describe_tensors(signature_of(model, name).inputs);
           })
      .def("outputs",
           [](const SavedModel& model, const std::string& name) {
             return describe_tensors(signature_of(model, name).outputs);
           })
      .def("default",
           [](const SavedModel& model, const std::string& name, const std::string& input) {
             for (const SignatureTensor& each : signature_of(model, name).inputs) {
               if (each.name == input && each.fallback().has_value()) {
                 return wrap(Value(each.fallback()));
               }
             }
             return nb::object(nb::none());
           })
      .def("function", [](const SavedModel& model, const std::string& name) {
        return signature_function(model, name);
      });
  m.def("write_saved_model", write_model);
}

}  // namespace tenon::python
