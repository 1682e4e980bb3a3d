#include "python/native/trace.h"

#include "python/native/attributes.h"
#include "python/native/convert.h"
#include "python/native/devices.h"
#include "python/native/dtypes.h"
#include "python/native/operation.h"
#include "python/native/tape.h"
#include "tenon/graph/control_flow_v1/region.h"
#include "tenon/graph/effects.h"
#include "tenon/graph/function_copy.h"
#include "tenon/graph/function_library.h"

namespace tenon::python {
namespace {

// Captured values of at most so many elements are constants, unless a gradient may flow to them.
constexpr int64_t kMostConstantElements = 128;

std::vector<std::shared_ptr<Trace>>& traces() {
  thread_local std::vector<std::shared_ptr<Trace>> stack;
  return stack;
}

// Function names are unique in the process, so that libraries can be put together.
std::string unique_function_name(std::string_view prefix) {
  static std::atomic<uint64_t> made{0};
  return cat(prefix, "_", made.fetch_add(1, std::memory_order_relaxed));
}

bool becomes_constant(const Tensor& tensor) {
  return tensor.num_elements() <= kMostConstantElements &&
         (is_integer(tensor.dtype()) || tensor.dtype() == DType::kBool ||
          tensor.dtype() == DType::kString);
}

}  // namespace

Trace* Trace::current() { return traces().empty() ? nullptr : traces().back().get(); }
void Trace::push(std::shared_ptr<Trace> trace) { traces().push_back(std::move(trace)); }
void Trace::pop() { traces().pop_back(); }

Trace::Trace(std::shared_ptr<Trace> outer)
    : outer_(std::move(outer)),
      graph_(outer_ ? outer_->graph_.library() : std::make_shared<FunctionLibrary>()),
      builder_(graph_) {}

Value Trace::value(Endpoint endpoint) {
  auto [it, fresh] = ids_.try_emplace(endpoint, 0);
  if (fresh) it->second = next_value_id();
  return Value(shared_from_this(), endpoint, it->second);
}

Value Trace::argument(std::string_view name, DType dtype, PartialShape shape) {
  const Endpoint arg = builder_.arg(name, dtype, std::move(shape));
  check(builder_.status());
  return value(arg);
}

Value Trace::constant(const Tensor& tensor) {
  const Endpoint made = builder_.constant(on_host(tensor));
  check(builder_.status());
  return value(made);
}

Endpoint Trace::capture(const Value& value) {
  const Endpoint arg = builder_.arg("captured", value.dtype(), value.shape());
  check(builder_.status());
  if (value.symbolic()) graph_.value(arg).handle = value.trace->graph_.value(value.endpoint).handle;
  captures_.push_back(value);
  return arg;
}

Endpoint Trace::enter(const Value& value) {
  if (value.trace.get() == this) return value.endpoint;
  for (const Trace* at = value.symbolic() ? outer_.get() : nullptr; value.symbolic();
       at = at->outer_.get()) {
    if (at == value.trace.get()) break;
    if (!at) {
      nb::module_::import_("tenon.errors").attr("raise_out_of_trace")();
    }
  }
  const auto found = entered_.find(value.id);
  if (found != entered_.end()) return found->second;
  const bool constant = !value.symbolic() && becomes_constant(value.tensor);
  const Endpoint here = constant ? builder_.constant(on_host(value.tensor)) : capture(value);
  check(builder_.status());
  entered_[value.id] = here;
  ids_[here] = value.id;  // for tapes it is the same value
  return here;
}

Value Trace::handle_of(const VariableObject& variable) {
  const auto found = handles_.find(variable.id());
  if (found != handles_.end()) return value(found->second);
  Endpoint handle;
  if (outer_) {
    const Value around = outer_->handle_of(variable);
    handle = builder_.arg("handle", DType::kResource, Shape());
    check(builder_.status());
    graph_.value(handle).handle = HandleInfo{variable.dtype(), variable.shape()};
    captures_.push_back(around);
  } else if (is_known(variable.variable())) {
    handle = builder_.op("VarHandleOp", {},
                         {{"dtype", variable.dtype()},
                          {"shape", variable.shape()},
                          {"shared_name", variable.variable().name()}});
    check(builder_.status());
    handle_inputs_.push_back(handle);
    variable_objects_.push_back(nb::find(variable));
  } else {
    handle = enter(variable.eager_handle());
    graph_.value(handle).handle = HandleInfo{variable.dtype(), variable.shape()};
  }
  variables_inside_[variable.id()] = nb::find(variable);
  handles_[variable.id()] = handle;
  entered_[variable.id()] = handle;
  ids_[handle] = variable.id();
  return value(handle);
}

Value Trace::read(const VariableObject& variable) {
  const Value inputs[] = {handle_of(variable)};
  if (const auto found = reads_.find(variable.id()); found != reads_.end()) {
    // By a tape too that was opened since it was read.
    const Value known = value(found->second);
    Tape::record_read(inputs[0], known);
    return known;
  }
  const Value read = run_op("ReadVariableOp", inputs, {{"dtype", variable.dtype()}})[0];
  reads_[variable.id()] = read.endpoint;
  return read;
}

std::vector<Value> Trace::inputs_of(NodeId node) {
  std::vector<Value> inputs;
  for (Endpoint input : graph_.node(node).inputs) inputs.push_back(value(input));
  return inputs;
}

bool Trace::is_inside(const Trace& other) const {
  const Trace* at = outer_.get();
  while (at && at != &other) at = at->outer_.get();
  return at != nullptr;
}

std::vector<Value> Trace::outputs_of(NodeId node) {
  std::vector<Value> outputs;
  for (size_t i = 0; i < graph_.node(node).outputs.size(); ++i) {
    outputs.push_back(value({node, static_cast<int32_t>(i)}));
  }
  return outputs;
}

std::vector<Value> Trace::add(const OpDef& op, std::span<const Value> inputs, AttrMap attrs,
                              std::string_view name) {
  std::vector<Endpoint> ends;
  for (const Value& input : inputs) ends.push_back(enter(input));
  const NodeId node = value_of(graph_.add(op.name(), name, std::move(ends), std::move(attrs)));
  graph_.node(node).device = placed_name();
  order(node);
  record(node);
  return outputs_of(node);
}

std::vector<Value> Trace::inline_function(const GraphFunction& function,
                                          std::span<const Value> inputs) {
  const Graph& body = function.graph();
  if (body.library() && body.library() != graph_.library()) {
    for (const std::string& name : body.library()->names()) {
      if (graph_.library()->contains(name)) continue;
      graph_.library()->add(name, *value_of(body.library()->find(name)));
    }
  }
  std::vector<Endpoint> args;
  Graph taking_handles = body;
  for (size_t i = 0; i < function.inputs().size(); ++i) {
    Node& node = taking_handles.node(function.inputs()[i].node);
    if (node.is("Const")) continue;
    args.push_back(enter(inputs[i]));
    if (node.is("_Arg")) continue;
    node.attrs = {{"T", DType::kResource},
                  {"index", static_cast<int64_t>(args.size()) - 1},
                  {"shape", PartialShape(Shape())}};
    node.op = &find_op("_Arg");
    taking_handles.args.push_back(function.inputs()[i].node);
  }
  const NodeId first = graph_.size();
  const FunctionCopy copy = value_of(copy_function(graph_, taking_handles, args, {.infer = true}));
  record_nodes_from(first);
  std::vector<Value> results;
  for (Endpoint result : copy.results) results.push_back(value(result));
  return results;
}

void Trace::record_nodes_from(NodeId first) {
  for (NodeId id = first; id < graph_.size(); ++id) {
    if (!graph_.alive(id)) continue;
    if (graph_.node(id).device.empty()) graph_.node(id).device = placed_name();
    order(id);
    record(id);
  }
}

void Trace::record_again() {
  for (NodeId id = 0; id < graph_.size(); ++id) {
    if (graph_.alive(id)) record(id);
  }
}

void Trace::record(NodeId id) {
  if (Tape::active().empty()) return;
  const std::vector<Value> inputs = inputs_of(id);
  if (!functions_of(graph_.node(id)).empty()) {
    for (const Value& input : inputs) touch(input.id);
  }
  Tape::record_node(*this, id, inputs, outputs_of(id));
}

// The branches and bodies of a node read variables while no tape looked.
void Trace::touch(int64_t variable) {
  const auto found = variables_inside_.find(variable);
  if (found == variables_inside_.end()) return;
  const auto& object = nb::cast<const VariableObject&>(found->second);
  if (object.trainable()) Tape::touch(object);
}

void Trace::order_resource(NodeId node, Endpoint resource, bool writes) {
  ResourceOrder& at = resources_[resource];
  std::vector<NodeId>& waits = graph_.node(node).control_inputs;
  const auto wait = [&](NodeId before) {
    if (before >= 0 && before != node &&
        std::find(waits.begin(), waits.end(), before) == waits.end()) {
      waits.push_back(before);
    }
  };
  wait(at.written);
  if (!writes) {
    at.read.push_back(node);
    return;
  }
  for (NodeId read : at.read) wait(read);
  at.read.clear();
  at.written = node;
}

void Trace::order(NodeId id) {
  const Effects effects = effects_of(graph_, graph_.node(id));
  if (!effects.any()) return;
  for (Endpoint input : std::vector<Endpoint>(graph_.node(id).inputs)) {
    if (graph_.value(input).dtype != DType::kResource) continue;
    order_resource(id, input, effects.writes);
    if (!effects.writes) continue;
    for (const auto& [variable, handle] : handles_) {
      if (handle == input) reads_.erase(variable);
    }
  }
  if (effects.outside) {
    if (last_outside_ >= 0) graph_.node(id).control_inputs.push_back(last_outside_);
    last_outside_ = id;
  }
  if (effects.writes || effects.outside) graph_.control_results.push_back(id);
}

void Trace::take(size_t first, std::span<const Value> captures) {
  std::vector<NodeId> args(graph_.args.begin(),
                           graph_.args.begin() + static_cast<std::ptrdiff_t>(first));
  for (const Value& value : captures) {
    const auto found = entered_.find(value.id);
    const bool argument = found != entered_.end() && graph_.node(found->second.node).is("_Arg");
    if (!argument) {
      const Endpoint here = capture(value);
      entered_[value.id] = here;
      ids_[here] = value.id;
    }
    args.push_back(entered_[value.id].node);
  }
  for (size_t i = first; i < args.size(); ++i) {
    graph_.node(args[i]).attrs.set("index", static_cast<int64_t>(i));
  }
  graph_.args = std::move(args);
}

void Trace::set_results(std::span<const Value> results) {
  for (const Value& result : results) {
    graph_.results.push_back(enter(result));
    graph_.result_names.push_back(cat("output_", graph_.results.size() - 1));
  }
}

std::shared_ptr<GraphFunction> Trace::function() {
  std::vector<Endpoint> inputs;
  for (NodeId arg : graph_.args) inputs.push_back({arg, 0});
  inputs.insert(inputs.end(), handle_inputs_.begin(), handle_inputs_.end());
  Graph graph = graph_;
  graph.remove_unreached();
  // Handles that nothing reads are inputs all the same, so that the numbers stay.
  for (Endpoint handle : handle_inputs_) {
    if (!graph.alive(handle.node)) graph = graph_;
  }
  return std::make_shared<GraphFunction>(std::move(graph), std::move(inputs), eager_state(),
                                         Runs::kOnDefault, all_files());
}

std::optional<Value> Trace::lifted(Endpoint value) const {
  Graph body = graph_;
  body.results = {value};
  body.control_results.clear();
  const std::vector<bool> needed = needed_by_results(body);
  for (Endpoint handle : handle_inputs_) {
    if (needed[static_cast<size_t>(handle.node)]) return std::nullopt;
  }
  Graph alone;
  alone.set_library(graph_.library());
  GraphBuilder build(alone);
  std::vector<Endpoint> args(body.args.size());
  const size_t first_capture = args.size() - captures_.size();
  for (size_t i = 0; i < args.size(); ++i) {
    if (!needed[static_cast<size_t>(body.args[i])]) continue;
    if (i < first_capture || captures_[i - first_capture].symbolic()) return std::nullopt;
    args[i] = build.constant(on_host(captures_[i - first_capture].tensor));
    if (!build.status().ok()) return std::nullopt;
  }
  alone.results = value_of(copy_function(alone, body, args, {.results_only = true})).results;
  const auto function = std::make_shared<GraphFunction>(
      std::move(alone), std::vector<Endpoint>(), eager_state(), Runs::kWithArguments, all_files());
  std::vector<Tensor> results;
  function->run({}, results);
  return Value(std::move(results.at(0)));
}

std::string Trace::add_to_library(std::string_view prefix) {
  std::string name = unique_function_name(prefix);
  Graph graph = graph_;
  graph.remove_unreached();
  graph_.library()->add(name, std::move(graph));
  return name;
}

void register_trace(nb::module_& m) {
  nb::class_<Trace>(m, "Trace", nb::is_weak_referenceable())
      .def(nb::new_([](bool nested) {
             Trace* current = nested ? Trace::current() : nullptr;
             return std::make_shared<Trace>(current ? current->shared_from_this() : nullptr);
           }),
           nb::arg("nested") = false)
      .def("__enter__",
           [](Trace& t) {
             Trace::push(t.shared_from_this());
             return nb::find(t);
           })
      .def("__exit__", [](Trace&, nb::args) { Trace::pop(); })
      .def(
          "argument",
          [](Trace& t, const std::string& name, nb::handle dtype, nb::handle shape) {
            return wrap(t.argument(name, dtype_from(dtype), shape_from(shape)));
          },
          nb::arg("name"), nb::arg("dtype"), nb::arg("shape").none())
      .def("take",
           [](Trace& t, size_t first, nb::sequence captures) {
             std::vector<Value> values;
             for (nb::handle each : captures) values.push_back(to_value(each));
             t.take(first, values);
           })
      .def("inside",
           [](Trace& t, nb::handle value) { return wrap(t.value(t.enter(to_value(value)))); })
      .def("finish",
           [](Trace& t, nb::sequence results) {
             std::vector<Value> values;
             for (nb::handle result : results) values.push_back(to_value(result));
             t.set_results(values);
           })
      .def_prop_ro("captures",
                   [](const Trace& t) {
                     nb::list captures;
                     for (const Value& value : t.captures()) captures.append(wrap(value));
                     return captures;
                   })
      .def_prop_ro("variables",
                   [](const Trace& t) {
                     nb::list variables;
                     for (const nb::object& each : t.variables()) variables.append(each);
                     return variables;
                   })
      .def("function", [](Trace& t) { return t.function(); })
      .def("add_to_library",
           [](Trace& t, const std::string& prefix) { return t.add_to_library(prefix); });
  m.def(
      "static_value",
      [](nb::handle object) -> nb::object {
        const Value& value = *value_if(object);
        if (!value.symbolic()) return nb::borrow(object);
        const Tensor* known = value.trace->graph().constant(value.endpoint);
        return known ? wrap(Value(*known)) : nb::none();
      },
      "The eager tensor of what a tensor is known to hold, None where that shows when it runs.");
  m.def(
      "lifted_value",
      [](nb::handle object) -> nb::object {
        const Value& value = *value_if(object);
        if (!value.symbolic()) return nb::borrow(object);
        std::optional<Value> lifted = value.trace->lifted(value.endpoint);
        return lifted ? wrap(*std::move(lifted)) : nb::none();
      },
      "The eager tensor of what a tensor is in every run, None where that shows when it runs.");
  m.def("current_trace", []() -> nb::object {
    Trace* trace = Trace::current();
    return trace ? nb::cast(trace->shared_from_this()) : nb::none();
  });
  m.def("tracing", [] { return Trace::current() != nullptr; });
  m.def("push_eager", [] { Trace::push(nullptr); });
  m.def("pop_eager", [] { Trace::pop(); });
}

}  // namespace tenon::python
