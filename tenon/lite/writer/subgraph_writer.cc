#include "tenon/lite/writer/subgraph_writer.h"

#include "tenon/graph/function_library.h"
#include "tenon/lite/constants.h"
#include "tenon/passes/pattern.h"

namespace tenon::lite {
namespace {

// Several nodes that are one operator.
struct Composite {
  std::string_view pattern;
  void (*write)(NodeContext& c, int x, const Pattern::Found& found);
};

template <bool approximate>
void write_gelu(NodeContext& c, int x, const Pattern::Found&) {
  schema::GeluOptionsT options;
  options.approximate = approximate;
  c.emit(op::GELU, {x}, {c.out()}, options);
}

void write_hard_swish(NodeContext& c, int x, const Pattern::Found&) {
  c.emit(op::HARD_SWISH, {x}, {c.out()});
}

// max(x, 0) + a max(-x, 0) is x * -a below 0.
void write_prelu(NodeContext& c, int x, const Pattern::Found& found) {
  for (const auto& [name, value] : found.captured) {
    const Tensor* slope = name == "slope" ? c.graph().constant(value) : nullptr;
    if (!slope) continue;
    Tensor negated(DType::kFloat, slope->shape());
    std::transform(slope->span<float>().begin(), slope->span<float>().end(),
                   negated.mutable_data<float>(), std::negate<float>());
    c.emit(op::PRELU, {x, c.constant_tensor(negated)}, {c.out()});
  }
}

constexpr Composite kComposites[] = {
    {"Mul(Mul(x, 0.5), Add|AddV2(Erf(Mul(x, 0.70710678)), 1))", write_gelu<false>},
    {"Mul(x, Mul(Add|AddV2(Erf(Mul(x, 0.70710678)), 1), 0.5))", write_gelu<false>},
    {"Mul(Mul(x, 0.5), Erfc(Mul(Neg(x), 0.70710678)))", write_gelu<false>},
    {"Mul(Mul(x, 0.5), Add|AddV2(Tanh(Mul(Add|AddV2(x, Mul(Pow(x, 3), 0.044715)), 0.79788456)), "
     "1))",
     write_gelu<true>},
    {"Mul(x, Mul(Add|AddV2(Tanh(Mul(Add|AddV2(x, Mul(Pow(x, 3), 0.044715)), 0.79788456)), 1), "
     "0.5))",
     write_gelu<true>},
    {"Mul(x, Mul(Relu6(Add|AddV2(x, 3)), 0.16666667))", write_hard_swish},
    {"Mul(Mul(x, Relu6(Add|AddV2(x, 3))), 0.16666667)", write_hard_swish},
    {"Add|AddV2(Relu(x), Mul(Relu(Neg(x)), slope))", write_prelu},
};

Endpoint captured_x(const Pattern::Found& found) {
  for (const auto& [name, value] : found.captured) {
    if (name == "x") return value;
  }
  return {};
}

const NodeWriter* find_writer(std::string_view op) {
  static const std::map<std::string_view, const NodeWriter*> kByOp = [] {
    std::map<std::string_view, const NodeWriter*> by_op;
    for (const auto rows : {elementwise_writers(), product_writers(), array_writers()}) {
      for (const NodeWriter& row : rows) by_op.emplace(row.op, &row);
    }
    return by_op;
  }();
  const auto it = kByOp.find(op);
  return it == kByOp.end() ? nullptr : it->second;
}

class SubgraphWriter final : public SubgraphScope {
 public:
  SubgraphWriter(LiteModel& model, const Graph& graph, const FrozenVariable& frozen)
      : model_(model), graph_(graph), frozen_(frozen), subgraph_(model.add_subgraph("main")) {}

  StatusOr<int> run() {
    TENON_RETURN_IF_ERROR(find_composites());
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    find_needed(order);
    for (NodeId arg : graph_.args) add_argument(arg);
    for (NodeId id : order) {
      if (needed_[static_cast<size_t>(id)]) TENON_RETURN_IF_ERROR(write(id));
    }
    for (Endpoint result : graph_.results) {
      model_.subgraph(subgraph_).outputs.push_back(tensor(result));
    }
    TENON_RETURN_IF_ERROR(status_);
    return subgraph_;
  }

  int tensor(Endpoint value) override {
    const auto it = tensors_.find(value);
    if (it != tensors_.end()) return it->second;
    const Node& node = graph_.node(value.node);
    if (const Tensor* constant = graph_.constant(value)) {
      return tensors_[value] = model_.add_constant(subgraph_, node.name, *constant);
    }
    if (status_.ok()) status_ = internal(describe(node), " is read before it is written");
    return 0;
  }

  void set_tensor(Endpoint value, int tensor) override { tensors_[value] = tensor; }

  Tensor frozen_variable(Endpoint handle) override {
    const Node& node = graph_.node(handle.node);
    if (!node.is("VarHandleOp")) return {};
    const std::string shared = node.attrs.get_or<std::string>("shared_name", "");
    return frozen_(shared.empty() ? node.name : shared);
  }

  StatusOr<int> subgraph(const FunctionAttr& function) override {
    TENON_ASSIGN_OR_RETURN(const auto graph, find_function(graph_, function.name));
    TENON_ASSIGN_OR_RETURN(const int index, write_subgraph(model_, *graph, frozen_));
    fuse_activations(model_, index);
    return index;
  }

 private:
  Status find_composites() {
    for (const Composite& composite : kComposites) {
      TENON_ASSIGN_OR_RETURN(const Pattern pattern, Pattern::parse(composite.pattern));
      for (NodeId id = 0; id < graph_.size(); ++id) {
        const auto& roots = pattern.root_ops();
        if (!graph_.alive(id) || composites_.contains(id) ||
            std::find(roots.begin(), roots.end(), graph_.node(id).op) == roots.end() ||
            graph_.node(id).outputs[0].dtype != DType::kFloat) {
          continue;
        }
        for (bool swapped : {false, true}) {
          auto found = pattern.match(graph_, id, swapped);
          if (!found || !fits(composite, *found)) continue;
          composites_.emplace(id, std::pair(&composite, *std::move(found)));
          break;
        }
      }
    }
    return absl::OkStatus();
  }

  bool fits(const Composite& composite, const Pattern::Found& found) const {
    if (composite.write != write_prelu) return true;
    return std::all_of(found.captured.begin(), found.captured.end(), [&](const auto& captured) {
      return captured.first != "slope" || graph_.constant(captured.second);
    });
  }

  // What results need, seen through composites.
  void find_needed(std::span<const NodeId> order) {
    needed_.assign(static_cast<size_t>(graph_.size()), false);
    for (Endpoint result : graph_.results) needed_[static_cast<size_t>(result.node)] = true;
    for (size_t i = order.size(); i-- > 0;) {
      const NodeId id = order[i];
      if (!needed_[static_cast<size_t>(id)]) continue;
      const auto composite = composites_.find(id);
      if (composite != composites_.end()) {
        needed_[static_cast<size_t>(captured_x(composite->second.second).node)] = true;
        continue;
      }
      for (Endpoint input : graph_.node(id).inputs) {
        needed_[static_cast<size_t>(input.node)] = true;
      }
    }
  }

  void add_argument(NodeId arg) {
    const ValueInfo& info = graph_.value({arg, 0});
    const int index = model_.add_tensor(subgraph_, graph_.node(arg).name, info.dtype, info.shape);
    tensors_[{arg, 0}] = index;
    model_.subgraph(subgraph_).inputs.push_back(index);
  }

  Status write(NodeId id) {
    const Node& node = graph_.node(id);
    if (node.is("_Arg") || node.is("Const") || node.is("VarHandleOp") || node.is("NoOp")) {
      return absl::OkStatus();
    }
    NodeContext context(*this, model_, subgraph_, graph_, id);
    const auto composite = composites_.find(id);
    const NodeWriter* writer = find_writer(node.op->name());
    if (composite != composites_.end()) {
      const auto& [row, found] = composite->second;
      row->write(context, tensor(captured_x(found)), found);
    } else if (writer) {
      writer->write(context);
    } else {
      return unimplemented("TensorFlow Lite has no operator for ", describe(node));
    }
    TENON_RETURN_IF_ERROR(status_);
    return with_context(context.status(), describe(node));
  }

  LiteModel& model_;
  const Graph& graph_;
  const FrozenVariable& frozen_;
  const int subgraph_;
  std::map<Endpoint, int> tensors_;
  std::map<NodeId, std::pair<const Composite*, Pattern::Found>> composites_;
  std::vector<bool> needed_;
  Status status_;
};

// The field of options that may hold an activation; null where the operator has none.
int8_t* activation_field(schema::OperatorT& op) {
  auto& options = op.builtin_options;
  if (auto* o = options.AsAddOptions()) return &o->fused_activation_function;
  if (auto* o = options.AsSubOptions()) return &o->fused_activation_function;
  if (auto* o = options.AsMulOptions()) return &o->fused_activation_function;
  if (auto* o = options.AsDivOptions()) return &o->fused_activation_function;
  if (auto* o = options.AsConv2DOptions()) return &o->fused_activation_function;
  if (auto* o = options.AsDepthwiseConv2DOptions()) return &o->fused_activation_function;
  if (auto* o = options.AsFullyConnectedOptions()) return &o->fused_activation_function;
  if (auto* o = options.AsPool2DOptions()) return &o->fused_activation_function;
  return nullptr;
}

}  // namespace

StatusOr<int> write_subgraph(LiteModel& model, const Graph& graph, const FrozenVariable& frozen) {
  return SubgraphWriter(model, graph, frozen).run();
}

void fuse_activations(LiteModel& model, int subgraph) {
  schema::SubGraphT& graph = model.subgraph(subgraph);
  std::vector<int> readers(graph.tensors.size()), maker(graph.tensors.size(), -1);
  for (int output : graph.outputs) ++readers[static_cast<size_t>(output)];
  for (size_t i = 0; i < graph.operators.size(); ++i) {
    for (int input : graph.operators[i]->inputs) {
      if (input >= 0) ++readers[static_cast<size_t>(input)];
    }
    for (int output : graph.operators[i]->outputs) {
      maker[static_cast<size_t>(output)] = static_cast<int>(i);
    }
  }
  for (auto& activation : graph.operators) {
    const int builtin = model.builtin(*activation);
    const int8_t kind = builtin == op::RELU ? 1 : builtin == op::RELU6 ? 3 : 0;
    if (kind == 0) continue;
    const auto value = static_cast<size_t>(activation->inputs[0]);
    if (readers[value] != 1 || maker[value] < 0) continue;
    auto& made = graph.operators[static_cast<size_t>(maker[value])];
    int8_t* field = activation_field(*made);
    if (!field || *field != 0) continue;
    *field = kind;
    made->outputs[0] = activation->outputs[0];
    maker[static_cast<size_t>(activation->outputs[0])] = maker[value];
    activation.reset();
  }
  std::erase(graph.operators, nullptr);
}

}  // namespace tenon::lite
