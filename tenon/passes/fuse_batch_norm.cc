// What stands around a batch normalisation in training - a bias before it, an addition and a Relu
// behind it - is computed with it, and the Relu's gradient with the normalisation's: each a pass
// over memory less.
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

bool reads_shape_alone(const Node& node) { return node.op && node.op->decl().needs_only_shapes; }

class BatchNormFuser {
 public:
  BatchNormFuser(Graph& graph, const PassContext& context, SymbolicShapes shapes)
      : graph_(graph), context_(context), uses_(graph), shapes_(std::move(shapes)) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    rank_.assign(static_cast<size_t>(graph_.size()), 0);
    for (size_t i = 0; i < order.size(); ++i) rank_[static_cast<size_t>(order[i])] = i;
    for (NodeId id : order) {
      if (graph_.alive(id)) TENON_RETURN_IF_ERROR(fuse_norm(id));
    }
    for (NodeId id : order) {
      if (graph_.alive(id)) TENON_RETURN_IF_ERROR(fuse_gradient(id));
    }
    // Nobody reads their elements any more.
    for (const auto& [sum, parts] : biased_) {
      uses_.replace_value(sum, parts.value);
      uses_.remove_if_unused(sum.node);
    }
    return absl::OkStatus();
  }

 private:
  // What BiasAdd adds.
  struct Biased {
    Endpoint value, bias;
  };
  // Relu(y), or Relu(y + side).
  struct Behind {
    NodeId relu = -1, add = -1;
    Endpoint side;
  };

  size_t rank_of(NodeId id) const { return rank_[static_cast<size_t>(id)]; }

  // The one node that reads elements of `value`; -1 when there are more, or none.
  NodeId only_reader_of_elements(Endpoint value) {
    NodeId found = -1;
    const bool one = uses_.is_read_only_among(value, [&](NodeId reader) {
      if (reads_shape_alone(graph_.node(reader))) return true;
      const bool first = found < 0;
      found = reader;
      return first;
    });
    return one ? found : -1;
  }

  // Is `sum` a BiasAdd whose elements only normalisations and their gradients read, as their x?
  std::optional<Biased> find_bias(Endpoint sum) {
    const Node& add = graph_.node(sum.node);
    if (!is_bare(add, "BiasAdd") || uses_.is_waited_for(sum.node) ||
        add.attrs.get_or<std::string>("data_format", "NHWC") != "NHWC") {
      return std::nullopt;
    }
    const bool all = uses_.is_read_only_among(sum, [&](NodeId id) {
      const Node& reader = graph_.node(id);
      if (reads_shape_alone(reader) || is_trained_norm(reader, "FusedBatchNormV3")) return true;
      return is_trained_norm(reader, "FusedBatchNormGradV3") && reader.inputs[1] == sum &&
             reader.inputs[0] != sum;
    });
    return all ? std::optional(Biased{add.inputs[0], add.inputs[1]}) : std::nullopt;
  }

  // The fused node stands where the normalisation stood: what is added is there before.
  Behind find_behind(NodeId norm) {
    const Endpoint y{norm, 0};
    const NodeId reader = only_reader_of_elements(y);
    if (reader < 0) return {};
    if (is_bare(graph_.node(reader), "Relu")) return {reader, -1, {}};
    const Node& add = graph_.node(reader);
    if (!is_bare(add, "AddV2") && !is_bare(add, "Add")) return {};
    const Endpoint side = add.inputs[add.inputs[0] == y ? 1 : 0];
    const NodeId relu = only_reader_of_elements({reader, 0});
    if (relu < 0 || !is_bare(graph_.node(relu), "Relu") || rank_of(side.node) >= rank_of(norm) ||
        !shapes_.equal(y, side)) {
      return {};
    }
    return {relu, reader, side};
  }

  Status fuse_norm(NodeId id) {
    const Node norm = graph_.node(id);
    if (!is_trained_norm(norm, "FusedBatchNormV3")) return absl::OkStatus();
    const Endpoint x = norm.inputs[0];
    if (!biased_.contains(x)) {
      if (const std::optional<Biased> parts = find_bias(x)) biased_[x] = *parts;
    }
    const bool biased = biased_.contains(x);
    const Behind behind = find_behind(id);
    if (!biased && behind.relu < 0) return absl::OkStatus();
    std::vector<Endpoint> inputs = norm.inputs;
    if (behind.add >= 0) inputs.push_back(behind.side);
    take_bias(x, inputs, 0);
    AttrMap attrs{{"T", norm.outputs[0].dtype},
                  {"U", DType::kFloat},
                  {"epsilon", norm.attrs.get<float>("epsilon")},
                  {"exponential_avg_factor", norm.attrs.get<float>("exponential_avg_factor")},
                  {"num_side_inputs", int64_t{behind.add >= 0}},
                  {"num_biases", int64_t{biased}},
                  {"activation_mode", std::string(behind.relu >= 0 ? "Relu" : "Identity")},
                  {"is_training", true}};
    TENON_ASSIGN_OR_RETURN(const NodeId fused,
                           graph_.add("_FusedBatchNormEx", cat(norm.name, "/fused"),
                                      std::move(inputs), std::move(attrs)));
    rank_.resize(static_cast<size_t>(graph_.size()), rank_of(id));
    context_.note("batch normalisation: ", norm.name, biased ? " with BiasAdd" : "",
                  behind.add >= 0 ? " with AddV2" : "", behind.relu >= 0 ? " with Relu" : "");
    stand_in(behind.relu >= 0 ? behind.relu : id, 0, fused);
    for (int32_t i = 1; i < static_cast<int32_t>(norm.outputs.size()); ++i) stand_in(id, i, fused);
    // Shapes that were asked of what is gone are x's.
    for (const NodeId gone : {behind.relu, behind.add, id}) {
      if (gone < 0) continue;
      uses_.replace_control(gone, fused);
      uses_.remove_if_unused(gone);
      if (graph_.alive(gone)) uses_.replace_value({gone, 0}, graph_.node(fused).inputs[0]);
      if (graph_.alive(gone)) uses_.remove_if_unused(gone);
    }
    return absl::OkStatus();
  }

  // Where x is biased, `inputs` get what it is the sum of.
  void take_bias(Endpoint x, std::vector<Endpoint>& inputs, size_t place_of_x) {
    const auto it = biased_.find(x);
    if (it == biased_.end()) return;
    inputs[place_of_x] = it->second.value;
    inputs.push_back(it->second.bias);
  }

  // Output `index` of `fused` is what that of `id` was.
  void stand_in(NodeId id, int32_t index, NodeId fused) {
    graph_.node(fused).outputs[static_cast<size_t>(index)].shape = shapes_.shape_of({id, index});
    if (index == 0) shapes_.is_same({fused, 0}, {id, 0});
    uses_.replace_value({id, index}, {fused, index});
  }

  // Is it ReluGrad(dy, y) for the gradient `id` alone, where y is the Relu of its normalisation?
  bool is_cut(const Node& gradient, NodeId id) {
    const Endpoint passed = gradient.inputs[0];
    const Node& cut = graph_.node(passed.node);
    if (!is_bare(cut, "ReluGrad") || only_reader_of_elements(passed) != id) return false;
    const Endpoint y = cut.inputs[1];
    const Node& norm = graph_.node(y.node);
    if (!norm.is("_FusedBatchNormEx") || y.index != 0) return false;
    const auto parts = biased_.find(gradient.inputs[1]);
    const bool biased = parts != biased_.end();
    return norm.attrs.get<std::string>("activation_mode") == "Relu" &&
           norm.attrs.get<int64_t>("num_side_inputs") == 0 &&
           norm.attrs.get<int64_t>("num_biases") == biased &&
           norm.inputs[0] == (biased ? parts->second.value : gradient.inputs[1]) &&
           (!biased || norm.inputs[5] == parts->second.bias) &&
           norm.inputs[1] == gradient.inputs[2] && gradient.inputs[3] == Endpoint{y.node, 3} &&
           gradient.inputs[4] == Endpoint{y.node, 4} &&
           norm.attrs.get<float>("epsilon") == gradient.attrs.get<float>("epsilon") &&
           shapes_.equal(cut.inputs[0], passed);
  }

  Status fuse_gradient(NodeId id) {
    const Node gradient = graph_.node(id);
    if (!is_trained_norm(gradient, "FusedBatchNormGradV3")) return absl::OkStatus();
    const bool biased = biased_.contains(gradient.inputs[1]);
    const bool cuts = is_cut(gradient, id);
    if (!biased && !cuts) return absl::OkStatus();
    std::vector<Endpoint> inputs = gradient.inputs;
    const Node cut = graph_.node(gradient.inputs[0].node);
    inputs.push_back(cuts ? graph_.node(cut.inputs[1].node).inputs[2] : gradient.inputs[2]);
    if (cuts) {
      inputs[0] = cut.inputs[0];
      inputs.push_back(cut.inputs[1]);
    }
    take_bias(gradient.inputs[1], inputs, 1);
    AttrMap attrs{{"T", gradient.outputs[0].dtype},
                  {"U", DType::kFloat},
                  {"epsilon", gradient.attrs.get<float>("epsilon")},
                  {"num_relus", int64_t{cuts}},
                  {"num_biases", int64_t{biased}}};
    TENON_ASSIGN_OR_RETURN(const NodeId fused,
                           graph_.add("_FusedBatchNormGradEx", cat(gradient.name, "/fused"),
                                      std::move(inputs), std::move(attrs)));
    context_.note("batch normalisation: ", gradient.name, biased ? " with BiasAdd" : "",
                  cuts ? " with ReluGrad" : "");
    for (int32_t i = 0; i < static_cast<int32_t>(gradient.outputs.size()); ++i) {
      stand_in(id, i, fused);
    }
    uses_.replace_control(id, fused);
    uses_.remove_if_unused(id);
    if (cuts && graph_.alive(gradient.inputs[0].node)) {
      uses_.replace_value(gradient.inputs[0], cut.inputs[0]);
      uses_.remove_if_unused(gradient.inputs[0].node);
    }
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  Uses uses_;
  SymbolicShapes shapes_;
  std::vector<size_t> rank_;  // in an order of the graph, which replacements keep
  std::map<Endpoint, Biased> biased_;
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
