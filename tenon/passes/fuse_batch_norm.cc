// What follows a batch normalisation in training - an addition, a Relu - is computed with it, and
// the Relu's gradient with the normalisation's: each a pass over memory less.
#include "tenon/graph/symbolic_shapes.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

bool is_trained_norm(const Node& node, std::string_view op) {
  const DType dtype = node.op && !node.outputs.empty() ? node.outputs[0].dtype : DType::kInvalid;
  return node.is(op) && node.control_inputs.empty() && node.attrs.get<bool>("is_training") &&
         node.attrs.get_or<std::string>("data_format", "NHWC") == "NHWC" &&
         (dtype == DType::kFloat || dtype == DType::kHalf || dtype == DType::kBfloat16);
}

bool is_bare(const Node& node, std::string_view op) {
  return node.is(op) && node.control_inputs.empty();
}

class BatchNormFuser {
 public:
  BatchNormFuser(Graph& graph, const PassContext& context, SymbolicShapes shapes)
      : graph_(graph), context_(context), uses_(graph), shapes_(std::move(shapes)) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    rank_.assign(static_cast<size_t>(graph_.size()), 0);
    for (size_t i = 0; i < order.size(); ++i) rank_[static_cast<size_t>(order[i])] = i;
    // All are found before the first is replaced, by the order that the graph then has.
    std::vector<Found> found;
    for (NodeId id : order) {
      if (std::optional<Found> one = find(id)) found.push_back(*one);
    }
    for (const Found& one : found) TENON_RETURN_IF_ERROR(replace(one));
    for (NodeId id : order) {
      if (graph_.alive(id)) TENON_RETURN_IF_ERROR(fuse_gradient(id));
    }
    return absl::OkStatus();
  }

 private:
  // Relu(norm) or Relu(norm + side), where nothing else reads what is inside.
  struct Found {
    NodeId norm, add, relu;  // add -1: there is none
    int side;                // which input of `add`
  };

  std::optional<Found> find(NodeId id) {
    const Node& relu = graph_.node(id);
    if (!is_bare(relu, "Relu")) return std::nullopt;
    const Endpoint x = relu.inputs[0];
    if (x.index != 0 || uses_.only_reader(x) != id || uses_.is_waited_for(x.node)) {
      return std::nullopt;
    }
    if (is_trained_norm(graph_.node(x.node), "FusedBatchNormV3")) {
      return Found{x.node, -1, id, 0};
    }
    const Node& add = graph_.node(x.node);
    if (!is_bare(add, "AddV2") && !is_bare(add, "Add")) return std::nullopt;
    for (const int side : {1, 0}) {
      const Endpoint y = add.inputs[static_cast<size_t>(1 - side)];
      const Endpoint other = add.inputs[static_cast<size_t>(side)];
      if (y.index == 0 && is_trained_norm(graph_.node(y.node), "FusedBatchNormV3") &&
          uses_.only_reader(y) == x.node && !uses_.is_waited_for(y.node) &&
          shapes_.equal(y, other) && is_independent(y.node, x.node, id)) {
        return Found{y.node, x.node, id, side};
      }
    }
    return std::nullopt;
  }

  // The fused node stands where `relu` stood, behind what the addition takes. Does nothing that
  // reads the other outputs of `norm` come before that?
  bool is_independent(NodeId norm, NodeId add, NodeId relu) {
    std::vector<NodeId> next;
    const auto take = [&](NodeId reader) {
      if (rank_[static_cast<size_t>(reader)] >= rank_[static_cast<size_t>(relu)]) return;
      next.push_back(reader);
    };
    const int outputs = static_cast<int>(graph_.node(norm).outputs.size());
    for (int i = 1; i < outputs; ++i) uses_.for_each_reader({norm, i}, take);
    // What is read there are moving statistics, a few nodes.
    constexpr size_t kMost = 64;
    for (size_t at = 0; at < next.size(); ++at) {
      const NodeId id = next[at];
      if (next.size() > kMost || id == add || uses_.is_waited_for(id)) return false;
      const int count = static_cast<int>(graph_.node(id).outputs.size());
      for (int i = 0; i < count; ++i) uses_.for_each_reader({id, i}, take);
    }
    return true;
  }

  Status replace(const Found& found) {
    const Node norm = graph_.node(found.norm);
    std::vector<Endpoint> inputs = norm.inputs;
    const bool adds = found.add >= 0;
    if (adds) inputs.push_back(graph_.node(found.add).inputs[static_cast<size_t>(found.side)]);
    AttrMap attrs{{"T", norm.outputs[0].dtype},
                  {"U", DType::kFloat},
                  {"epsilon", norm.attrs.get<float>("epsilon")},
                  {"exponential_avg_factor", norm.attrs.get<float>("exponential_avg_factor")},
                  {"num_side_inputs", int64_t{adds}},
                  {"activation_mode", std::string("Relu")},
                  {"is_training", true}};
    TENON_ASSIGN_OR_RETURN(const NodeId fused,
                           graph_.add("_FusedBatchNormEx", cat(norm.name, "/fused"),
                                      std::move(inputs), std::move(attrs)));
    context_.note("batch normalisation: ", norm.name, " with ", adds ? "AddV2, " : "", "Relu");
    const auto stand_in = [&](Endpoint from, int32_t index) {
      graph_.node(fused).outputs[static_cast<size_t>(index)].shape = graph_.value(from).shape;
      uses_.replace_value(from, {fused, index});
    };
    stand_in({found.relu, 0}, 0);
    for (int32_t i = 1; i < static_cast<int32_t>(norm.outputs.size()); ++i) {
      stand_in({found.norm, i}, i);
    }
    uses_.replace_control(found.relu, fused);
    uses_.remove_if_unused(found.relu);
    return absl::OkStatus();
  }

  // FusedBatchNormGradV3(ReluGrad(dy, y), x, ...) where y is Relu of the normalisation alone.
  Status fuse_gradient(NodeId id) {
    const Node gradient = graph_.node(id);
    if (!is_trained_norm(gradient, "FusedBatchNormGradV3")) return absl::OkStatus();
    const Endpoint passed = gradient.inputs[0];
    const Node cut = graph_.node(passed.node);
    if (!is_bare(cut, "ReluGrad") || uses_.only_reader(passed) != id) return absl::OkStatus();
    const Endpoint y = cut.inputs[1];
    const Node& norm = graph_.node(y.node);
    const bool fits =
        norm.is("_FusedBatchNormEx") && y.index == 0 &&
        norm.attrs.get<int64_t>("num_side_inputs") == 0 && norm.inputs[0] == gradient.inputs[1] &&
        norm.inputs[1] == gradient.inputs[2] && gradient.inputs[3] == Endpoint{y.node, 3} &&
        gradient.inputs[4] == Endpoint{y.node, 4} &&
        norm.attrs.get<float>("epsilon") == gradient.attrs.get<float>("epsilon") &&
        shapes_.equal(cut.inputs[0], passed);
    if (!fits) return absl::OkStatus();
    std::vector<Endpoint> inputs = gradient.inputs;
    inputs[0] = cut.inputs[0];
    inputs.push_back(norm.inputs[2]);
    inputs.push_back(y);
    AttrMap attrs{{"T", gradient.outputs[0].dtype},
                  {"U", DType::kFloat},
                  {"epsilon", gradient.attrs.get<float>("epsilon")}};
    TENON_ASSIGN_OR_RETURN(const NodeId fused,
                           graph_.add("_FusedBatchNormGradEx", cat(gradient.name, "/fused"),
                                      std::move(inputs), std::move(attrs)));
    context_.note("batch normalisation: ", gradient.name, " with ReluGrad");
    for (int32_t i = 0; i < static_cast<int32_t>(gradient.outputs.size()); ++i) {
      graph_.node(fused).outputs[static_cast<size_t>(i)].shape = graph_.value({id, i}).shape;
      uses_.replace_value({id, i}, {fused, i});
    }
    uses_.replace_control(id, fused);
    uses_.remove_if_unused(id);
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  Uses uses_;
  const SymbolicShapes shapes_;
  std::vector<size_t> rank_;  // in the order that the graph had
};

}  // namespace

Status fuse_batch_norm(Graph& graph, const PassContext& context) {
  if (!context.wants("_FusedBatchNormEx") || !context.wants("_FusedBatchNormGradEx")) {
    return absl::OkStatus();
  }
  bool any = false;
  for (NodeId id = 0; id < graph.size(); ++id) {
    any |= graph.alive(id) && graph.node(id).is("FusedBatchNormV3");
  }
  if (!any) return absl::OkStatus();
  TENON_ASSIGN_OR_RETURN(SymbolicShapes shapes, SymbolicShapes::analyze(graph));
  return BatchNormFuser(graph, context, std::move(shapes)).run();
}

}  // namespace tenon
