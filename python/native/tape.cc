#include "python/native/tape.h"

#include "python/native/convert.h"
#include "python/native/operation.h"
#include "python/native/trace.h"
#include "tenon/graph/gradient.h"

namespace tenon::python {
namespace {

using Gradients = std::vector<std::optional<Value>>;

bool carries_gradient(const Value& value) {
  const DType dtype = value.dtype();
  return is_floating(dtype) || is_complex(dtype) || dtype == DType::kVariant;
}

using Part = Tape::Part;

Value whole_of(Part& part) {
  if (!part.whole) part = {.whole = part.sum()};
  return *part.whole;
}

// Their sum, in the order in which they came.
Value sum_of(std::vector<Part>& parts) {
  std::vector<Value> wholes;
  for (Part& part : parts) wholes.push_back(whole_of(part));
  if (parts.size() > 1) parts = {{.whole = run_op("AddN", wholes)[0]}};
  return *parts[0].whole;
}

bool all_are_rows(const std::vector<Part>& parts) {
  return std::ranges::all_of(parts, [](const Part& part) { return part.rows.has_value(); });
}

// Parts that are all rows stay rows, one after the other.
Part joined(std::vector<Part>& parts) {
  if (!all_are_rows(parts)) return {.whole = sum_of(parts)};
  if (parts.size() == 1) return parts[0];
  std::vector<Value> rows, places;
  for (const Part& part : parts) {
    rows.push_back(*part.rows);
    places.push_back(part.places->dtype() == DType::kInt64
                         ? *part.places
                         : run_op("Cast", {&*part.places, 1}, {{"DstT", DType::kInt64}})[0]);
  }
  const Value axis(Tensor::scalar<int32_t>(0));
  rows.push_back(axis);
  places.push_back(axis);
  return {.rows = run_op("ConcatV2", rows)[0], .places = run_op("ConcatV2", places)[0]};
}

Value integers(std::initializer_list<int32_t> numbers) { return Value(Tensor::vector(numbers)); }

// The axis of a gather of whole rows.
bool is_zero(const Tensor& axis) {
  return axis.num_elements() == 1 &&
         (axis.dtype() == DType::kInt32
              ? axis.data<int32_t>()[0] == 0
              : axis.dtype() == DType::kInt64 && axis.data<int64_t>()[0] == 0);
}

}  // namespace

std::vector<std::shared_ptr<Tape>>& Tape::active() {
  thread_local std::vector<std::shared_ptr<Tape>> tapes;
  return tapes;
}

bool Tape::any_watches(std::span<const Value> inputs) {
  for (const std::shared_ptr<Tape>& tape : active()) {
    for (const Value& input : inputs) {
      if (tape->watches(input.id)) return true;
    }
  }
  return false;
}

void Tape::add(const Record& record) {
  for (const Value& input : record.inputs) {
    if (!watches(input.id)) continue;
    for (const Value& output : record.outputs) {
      if (carries_gradient(output)) watched_.insert(output.id);
    }
    records_.push_back(record);
    return;
  }
}

void Tape::add_to_active(const Record& record) {
  for (const std::shared_ptr<Tape>& tape : active()) tape->add(record);
}

void Tape::record(GraphFunction& function, std::span<const Value> inputs,
                  std::span<const Value> outputs) {
  add_to_active({.function = function.shared_from_this(),
                 .inputs = {inputs.begin(), inputs.end()},
                 .outputs = {outputs.begin(), outputs.end()}});
}

void Tape::record_node(Trace& trace, NodeId node, std::span<const Value> inputs,
                       std::span<const Value> outputs) {
  add_to_active({.trace = trace.shared_from_this(),
                 .node = node,
                 .inputs = {inputs.begin(), inputs.end()},
                 .outputs = {outputs.begin(), outputs.end()}});
}

// The gradient of a branch or a loop gives its node more to take and to keep; what is kept depends
// on its inputs as its results do.
void Tape::renew(Trace& trace, NodeId node) {
  for (const std::shared_ptr<Tape>& tape : active()) {
    for (Record& record : tape->records_) {
      if (record.trace.get() != &trace || record.node != node) continue;
      record.inputs = trace.inputs_of(node);
      record.outputs = trace.outputs_of(node);
      for (const Value& output : record.outputs) {
        if (carries_gradient(output)) tape->watch(output.id);
      }
    }
  }
}

void Tape::record_read(const Value& handle, const Value& value) {
  const Record record{.inputs = {handle}, .outputs = {value}};
  for (const std::shared_ptr<Tape>& tape : active()) {
    if (!tape->watches(value.id)) tape->add(record);
  }
}

void Tape::record_custom(nb::object backward, std::span<const Value> inputs,
                         std::span<const Value> outputs) {
  add_to_active({.custom = std::move(backward),
                 .inputs = {inputs.begin(), inputs.end()},
                 .outputs = {outputs.begin(), outputs.end()}});
}

void Tape::touch(const VariableObject& variable) {
  for (const std::shared_ptr<Tape>& tape : active()) {
    if (!tape->watch_variables_ || !tape->touched_.insert(variable.id()).second) continue;
    tape->watch(variable.id());
    tape->variables_.push_back(nb::find(variable));
  }
}

void Tape::reset() {
  watched_.clear();
  records_.clear();
  variables_.clear();
  touched_.clear();
}

Gradients Tape::backward_of_call(const Record& record, const Gradients& dys,
                                 const std::vector<bool>& wanted) {
  std::vector<bool> given;
  for (const std::optional<Value>& dy : dys) given.push_back(dy.has_value());
  // An inner tape's gradient has read values that were kept: then they are outputs like others.
  const size_t own = record.function->num_outputs();
  const bool deeper =
      std::find(given.begin() + static_cast<std::ptrdiff_t>(own), given.end(), true) != given.end();
  if (!deeper) given.resize(own);
  GraphFunction& function = deeper ? record.function->saving() : *record.function;
  const Backward& backward = function.backward(given, wanted);
  Gradients dxs(record.inputs.size());
  if (!backward.function) return dxs;
  std::vector<Value> inputs;
  for (const BackwardSource& source : backward.sources) {
    switch (source.of) {
      case BackwardSource::kInput:
        inputs.push_back(record.inputs[source.index]);
        break;
      case BackwardSource::kOutput:
        inputs.push_back(record.outputs[source.index]);
        break;
      case BackwardSource::kSaved:
        inputs.push_back(record.outputs[own + source.index]);
        break;
      case BackwardSource::kGradient:
        inputs.push_back(dys[source.index]
                             ? *dys[source.index]
                             : run_op("ZerosLike", {&record.outputs[source.index], 1})[0]);
        break;
    }
  }
  const std::vector<Value> results = call(*backward.function, inputs);
  for (size_t i = 0; i < dxs.size(); ++i) {
    const int at = backward.result_of_input[i];
    if (at >= 0) dxs[i] = results[static_cast<size_t>(at)];
  }
  return dxs;
}

// The gradient function adds its nodes to the trace that the node stands in; they are recorded as
// any others are.
Gradients Tape::backward_of_node(const Record& record, const Gradients& dys) {
  Trace& trace = *record.trace;
  if (Trace::current() != &trace) {
    check(invalid_argument("the gradient of a traced function's values is taken outside of it"));
  }
  Graph& graph = trace.graph();
  Gradients dxs(record.inputs.size());
  const auto function = graph.node(record.node).op->decl().gradient.function;
  if (!function) return dxs;
  std::vector<Endpoint> ends;
  for (const std::optional<Value>& dy : dys) ends.push_back(dy ? trace.enter(*dy) : Endpoint{});
  const NodeId first = graph.size();
  const size_t outputs = graph.node(record.node).outputs.size();
  ends.resize(outputs);
  Gradient gradient(graph, record.node, std::move(ends));
  Status status = function(gradient);
  if (status.ok()) status = gradient.build().status();
  check(with_context(status, cat("gradient of ", describe(graph.node(record.node)))));
  if (graph.node(record.node).outputs.size() != outputs) renew(trace, record.node);
  trace.record_nodes_from(first);
  for (size_t i = 0; i < dxs.size() && i < gradient.dx().size(); ++i) {
    if (gradient.dx()[i]) dxs[i] = trace.value(gradient.dx()[i]);
  }
  return dxs;
}

Gradients Tape::backward_of_custom(const Record& record, const Gradients& dys) {
  nb::list given;
  for (size_t i = 0; i < dys.size(); ++i) {
    given.append(wrap(dys[i] ? *dys[i] : run_op("ZerosLike", {&record.outputs[i], 1})[0]));
  }
  Gradients dxs(record.inputs.size());
  size_t at = 0;
  for (nb::handle dx : record.custom(given)) {
    if (at < dxs.size() && !dx.is_none()) dxs[at] = to_value(dx);
    ++at;
  }
  return dxs;
}

Gradients Tape::backward_of(const Record& record, const Gradients& dys,
                            const std::vector<bool>& wanted) {
  if (record.custom.is_valid()) return backward_of_custom(record, dys);
  if (record.trace) return backward_of_node(record, dys);
  if (record.function) return backward_of_call(record, dys, wanted);
  return {dys[0]};  // of a variable's read
}

bool Tape::Record::is_read() const {
  if (trace) return trace->graph().node(node).op->name() == "ReadVariableOp";
  return !function && !custom.is_valid();
}

void Tape::record_all(Trace& trace) {
  std::vector<std::shared_ptr<Tape>> others = {shared_from_this()};
  std::swap(active(), others);
  trace.record_again();
  std::swap(active(), others);
}

// Of GatherV2 along the first dimension: the rows of its result's gradient, and where they belong.
std::optional<Part> Tape::rows_of_gather(const Record& record, const std::optional<Value>& dy,
                                         const std::vector<bool>& wanted) {
  if (!dy || !wanted[0] || record.inputs.size() != 3 || record.custom.is_valid()) return {};
  const Graph& graph = record.trace ? record.trace->graph() : record.function->graph();
  NodeId gather = record.node;
  if (!record.trace) {
    for (NodeId id = 0; id < graph.size(); ++id) {
      if (graph.alive(id) && graph.node(id).op->name() == "GatherV2") gather = id;
    }
    if (gather < 0 || graph.results.size() != 1 || graph.results[0].node != gather) return {};
  }
  const Node& node = graph.node(gather);
  if (node.op->name() != "GatherV2" || node.attrs.get<int64_t>("batch_dims") != 0) return {};
  const Value& axis = record.inputs[2];
  const Tensor* number = axis.symbolic() ? graph.constant(axis.endpoint) : &axis.tensor;
  if (!number || !is_zero(*number)) return {};
  const Value params = record.inputs[0], indices = record.inputs[1];
  const PartialShape shape = params.shape();
  if (!shape.has_rank() || shape.rank() == 0) return {};
  const Value flat = run_op("Reshape", std::vector{indices, integers({-1})})[0];
  const Value size = run_op("Shape", {&flat, 1})[0];
  Value inner = run_op("Shape", {&params, 1})[0];
  inner = run_op("StridedSlice",
                 std::vector{inner, integers({1}), integers({static_cast<int32_t>(shape.rank())}),
                             integers({1})})[0];
  const Value zero(Tensor::scalar<int32_t>(0));
  const Value sizes = run_op("ConcatV2", std::vector{size, inner, zero})[0];
  return Part{.rows = run_op("Reshape", std::vector{*dy, sizes})[0],
              .places = flat,
              .sum = [record, dy = *dy, wanted] { return *backward_of(record, {dy}, wanted)[0]; }};
}

// The trace around the current one that all targets are of: their gradients belong there too.
std::shared_ptr<Trace> Tape::trace_of(std::span<const Value> targets) {
  const Trace* current = Trace::current();
  if (!current || targets.empty()) return nullptr;
  const std::shared_ptr<Trace>& trace = targets[0].trace;
  for (const Value& target : targets) {
    if (!target.symbolic() || target.trace != trace || !current->is_inside(*trace)) return nullptr;
  }
  return trace;
}

std::vector<std::optional<Part>> Tape::gradient(std::span<const Value> targets,
                                                std::span<const std::optional<Value>> given,
                                                std::span<const int64_t> sources) const {
  // What depends on a source.
  std::unordered_set<int64_t> reached(sources.begin(), sources.end());
  std::vector<bool> useful(records_.size());
  for (size_t i = 0; i < records_.size(); ++i) {
    for (const Value& input : records_[i].inputs)
      useful[i] = useful[i] || reached.contains(input.id);
    if (!useful[i]) continue;
    for (const Value& output : records_[i].outputs) {
      if (carries_gradient(output)) reached.insert(output.id);
    }
  }
  std::map<int64_t, std::vector<Part>> arrived;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!reached.contains(targets[i].id)) continue;
    arrived[targets[i].id].push_back({.whole = i < given.size() && given[i]
                                                   ? *given[i]
                                                   : run_op("OnesLike", {&targets[i], 1})[0]});
  }
  for (size_t i = records_.size(); i-- > 0;) {
    const Record& record = records_[i];
    if (!useful[i]) continue;
    if (record.is_read()) {  // rows stay rows
      const auto it = arrived.find(record.outputs[0].id);
      if (it == arrived.end() || it->second.empty()) continue;
      std::vector<Part> parts = {joined(it->second)};
      it->second = parts;
      arrived[record.inputs[0].id].push_back(std::move(parts[0]));
      continue;
    }
    Gradients dys(record.outputs.size());
    bool any = false;
    for (size_t j = 0; j < dys.size(); ++j) {
      const auto it = arrived.find(record.outputs[j].id);
      if (it == arrived.end() || it->second.empty()) continue;
      dys[j] = sum_of(it->second);
      any = true;
    }
    if (!any) continue;
    std::vector<bool> wanted;
    for (const Value& input : record.inputs) wanted.push_back(reached.contains(input.id));
    if (std::optional<Part> rows = rows_of_gather(record, dys[0], wanted)) {
      arrived[record.inputs[0].id].push_back(*std::move(rows));
      continue;
    }
    Gradients dxs = backward_of(record, dys, wanted);
    for (size_t j = 0; j < dxs.size() && j < wanted.size(); ++j) {
      if (dxs[j] && wanted[j])
        arrived[record.inputs[j].id].push_back({.whole = *std::move(dxs[j])});
    }
  }
  std::vector<std::optional<Part>> result;
  for (int64_t source : sources) {
    const auto it = arrived.find(source);
    if (it == arrived.end() || it->second.empty()) {
      result.emplace_back();
    } else {
      result.emplace_back(joined(it->second));
    }
  }
  return result;
}

namespace {

std::vector<Value> values_in(nb::sequence tensors) {
  std::vector<Value> values;
  for (nb::handle each : tensors) values.push_back(to_value(each));
  return values;
}

// In the graph that is being traced: the results with a gradient of their own. `function`, of the
// library, takes their gradients and `read`, and gives those of the `sources` that `of` numbers.
// Where it is empty, asking for the gradient is the error `error`.
nb::list with_gradient(nb::sequence results, nb::sequence sources, nb::sequence read,
                       const std::string& function, const std::vector<int64_t>& of,
                       const std::string& error) {
  std::vector<Value> inputs = values_in(results);
  const size_t count = inputs.size();
  for (const nb::sequence& more : {sources, read}) {
    for (Value& value : values_in(more)) inputs.push_back(std::move(value));
  }
  std::vector<DType> types;
  for (const Value& input : inputs) types.push_back(input.dtype());
  AttrMap attrs{{"T", std::move(types)}};
  if (function.empty()) {
    attrs.set("_gradient_error", error);
  } else {
    attrs.set("_gradient_function", FunctionAttr{function, nullptr});
    attrs.set("_gradient_results", static_cast<int64_t>(count));
    attrs.set("_gradient_sources", static_cast<int64_t>(nb::len(sources)));
    attrs.set("_gradient_of", of);
  }
  const std::vector<Value> outputs =
      Trace::current()->add(find_op("IdentityN"), inputs, std::move(attrs), "custom_gradient");
  nb::list made;
  for (size_t i = 0; i < count; ++i) made.append(wrap(outputs[i]));
  return made;
}

}  // namespace

void register_tape(nb::module_& m) {
  nb::class_<Tape>(m, "Tape")
      .def(nb::new_([](bool persistent, bool watch_variables) {
             return std::make_shared<Tape>(persistent, watch_variables);
           }),
           nb::arg("persistent"), nb::arg("watch_variables"))
      .def("push", [](const std::shared_ptr<Tape>& tape) { Tape::active().push_back(tape); })
      .def("pop", [](const std::shared_ptr<Tape>& tape) { std::erase(Tape::active(), tape); })
      .def("watch",
           [](Tape& tape, nb::handle object) {
             const Value* value = value_if(object);
             const VariableObject* variable = variable_if(object);
             if (!value && !variable)
               raise(PyExc_TypeError, "only tensors and variables are watched");
             tape.watch(variable ? variable->here().id() : value->id);
           })
      .def("reset", &Tape::reset)
      .def("variables",
           [](const Tape& tape) {
             nb::list variables;
             for (const nb::object& each : tape.variables_) variables.append(each);
             return variables;
           })
      .def("gradient",
           [](const Tape& tape, nb::sequence targets, nb::sequence gradients,
              const std::vector<int64_t>& sources) {
             std::vector<Value> ys;
             for (nb::handle target : targets) ys.push_back(to_value(target));
             Gradients dys;
             for (nb::handle dy : gradients) {
               dys.push_back(dy.is_none() ? std::nullopt : std::optional<Value>(to_value(dy)));
             }
             nb::list result;
             const std::shared_ptr<Trace> around = Tape::trace_of(ys);
             std::optional<Within> within;
             if (around) within.emplace(around);
             for (std::optional<Part>& dx : tape.gradient(ys, dys, sources)) {
               if (dx && dx->rows) {
                 result.append(
                     nb::make_tuple(wrap(*std::move(dx->rows)), wrap(*std::move(dx->places))));
               } else {
                 result.append(dx ? wrap(*std::move(dx->whole)) : nb::none());
               }
             }
             return result;
           })
      .def("record_all", [](Tape& tape) {
        if (Trace* trace = Trace::current()) tape.record_all(*trace);
      });
  m.def("value_id", [](nb::handle object) -> int64_t {
    if (const Value* value = value_if(object)) return value->id;
    if (const VariableObject* variable = variable_if(object)) return variable->here().id();
    raise(PyExc_TypeError, "gradients are taken with respect to tensors and variables");
  });
  m.def("record_custom", [](nb::object backward, nb::sequence inputs, nb::sequence outputs) {
    std::vector<Value> in, out;
    for (nb::handle each : inputs) {
      if (const VariableObject* variable = variable_if(each)) {
        in.push_back(variable->handle());
      } else {
        in.push_back(to_value(each));
      }
    }
    for (nb::handle each : outputs) out.push_back(to_value(each));
    Tape::record_custom(std::move(backward), in, out);
  });
  m.def("with_gradient", &with_gradient);
  m.def("stop_recording", [] {
    nb::list tapes;
    for (const std::shared_ptr<Tape>& tape : Tape::active()) tapes.append(nb::cast(tape));
    Tape::active().clear();
    return tapes;
  });
  m.def("resume_recording",
        [](const std::vector<std::shared_ptr<Tape>>& tapes) { Tape::active() = tapes; });
}

}  // namespace tenon::python
