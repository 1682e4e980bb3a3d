#include "tenon/graph/all_reduce.h"
#include "tenon/keras/layer.h"

namespace tenon::keras {

Trace::State& Trace::state(const Weight& weight) {
  const auto [it, fresh] = states_.try_emplace(&weight);
  if (fresh) {
    it->second.handle =
        build_.op("VarHandleOp", {},
                  {{"dtype", weight.dtype},
                   {"shape", PartialShape(weight.shape)},
                   {"shared_name", weight.path.empty() ? weight.name : weight.path}});
  }
  return it->second;
}

Endpoint Trace::handle(const Weight& weight) { return state(weight).handle; }

Endpoint Trace::read(const Weight& weight) {
  const Endpoint value = read_stored(weight);
  const bool casts = autocast_ != DType::kInvalid && is_floating(weight.dtype);
  return casts && value ? build_.cast(value, autocast_) : value;
}

Endpoint Trace::read_stored(const Weight& weight) {
  State& at = state(weight);
  if (!at.value) {
    at.value = build_.op("ReadVariableOp", {at.handle}, {{"dtype", weight.dtype}});
    if (at.value && at.last_write >= 0) {
      build_.graph().node(at.value.node).control_inputs.push_back(at.last_write);
    }
  }
  return at.value;
}

void Trace::write(std::string_view op, const Weight& weight, std::vector<Endpoint> inputs,
                  AttrMap attrs) {
  const Weight* const changed[] = {&weight};
  // What is assigned need not be read again: who wants it does not wait for the write, which comes
  // when all that can fail in a step is over.
  const Endpoint assigned = op == "AssignVariableOp" ? inputs[0] : Endpoint();
  write_all(op, changed, std::move(inputs), std::move(attrs));
  state(weight).value = assigned;
}

void Trace::write_all(std::string_view op, std::span<const Weight* const> weights,
                      std::vector<Endpoint> inputs, AttrMap attrs) {
  std::vector<Endpoint> handles;
  for (const Weight* weight : weights) handles.push_back(handle(*weight));
  inputs.insert(inputs.begin(), handles.begin(), handles.end());
  const NodeId id = build_.node(op, std::move(inputs), std::move(attrs));
  if (id < 0) return;
  std::vector<NodeId>& waits = build_.graph().node(id).control_inputs;
  for (const Weight* weight : weights) {
    State& at = state(*weight);
    for (const NodeId before : {at.value ? at.value.node : NodeId{-1}, at.last_write}) {
      if (before >= 0 && std::find(waits.begin(), waits.end(), before) == waits.end()) {
        waits.push_back(before);
      }
    }
    at.value = {};
    at.last_write = id;
  }
  build_.graph().control_results.push_back(id);
}

void Trace::add_activity_loss(const Regularizer& regularizer, Endpoint output) {
  if (!losses_ || !output) return;
  Endpoint loss = regularizer(build_, output);
  if (build_.status().ok() && build_.shape(output).rank() != 0) {
    const Endpoint rows = build_.dim(output, 0);
    loss = build_.op("DivNoNan", {loss, build_.cast(rows, build_.dtype(loss))});
  }
  losses_->push_back(loss);
}

std::vector<Endpoint> Trace::all_reduce(std::vector<Endpoint> values, bool mean) {
  if (!replication_) return values;
  const AllReduce started =
      start_all_reduce(build_, replication_->layers, replication_->present, std::move(values),
                       cat("layers_", reductions_++), mean);
  return finish_all_reduce(build_, started);
}

}  // namespace tenon::keras
