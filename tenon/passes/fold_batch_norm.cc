// Inference batch normalisation is y * scale + offset with constants: the scale goes into the
// weights of the convolution or matmul before it, and two constant offsets become one.
#include <cmath>

#include "tenon/graph/builder.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// Whether `constant` is float and broadcasts along the last of `channels` alone: it has no other
// dimension above 1, and no more dimensions than `rank`.
bool is_row(const Tensor* constant, int64_t channels, int rank) {
  return constant && constant->dtype() == DType::kFloat && constant->rank() > 0 &&
         constant->rank() <= rank && constant->dim(constant->rank() - 1) == channels &&
         constant->num_elements() == channels;
}

// values * row, along the last dimension; nullopt when a product is infinite or none: an input of 0
// would no longer give 0.
std::optional<Tensor> scaled(const Tensor& values, const Tensor& row) {
  Tensor product(DType::kFloat, values.shape());
  const float* const in = values.data<float>();
  const float* const scale = row.data<float>();
  float* const out = product.mutable_data<float>();
  const int64_t count = values.num_elements(), channels = row.num_elements();
  bool finite = true;
  for (int64_t at = 0; at < count; at += channels) {
    for (int64_t c = 0; c < channels; ++c) {
      out[at + c] = in[at + c] * scale[c];
      finite &= std::isfinite(out[at + c]);
    }
  }
  return finite ? std::optional(std::move(product)) : std::nullopt;
}

class BatchNormFolder {
 public:
  BatchNormFolder(Graph& graph, const PassContext& context)
      : graph_(graph), context_(context), uses_(graph) {}

  // FusedBatchNorm in inference mode with constant statistics becomes x * scale + offset.
  Status expand(NodeId id) {
    const Node norm = graph_.node(id);
    if (!may_expand(id, norm)) return absl::OkStatus();
    const int64_t channels = graph_.constant(norm.inputs[1])->num_elements();
    const float* inputs[5];
    for (size_t i = 1; i < 5; ++i) inputs[i] = graph_.constant(norm.inputs[i])->data<float>();
    const float epsilon = norm.attrs.get<float>("epsilon");
    Tensor scale(DType::kFloat, Shape{channels}), offset(DType::kFloat, Shape{channels});
    for (int64_t c = 0; c < channels; ++c) {
      const float factor = inputs[1][c] / std::sqrt(inputs[4][c] + epsilon);
      scale.mutable_data<float>()[c] = factor;
      offset.mutable_data<float>()[c] = inputs[2][c] - inputs[3][c] * factor;
      // What is no number must come out where it came out before.
      if (!std::isfinite(factor) || !std::isfinite(offset.data<float>()[c])) {
        return absl::OkStatus();
      }
    }
    GraphBuilder b(graph_);
    const Endpoint result =
        b.add(b.mul(norm.inputs[0], b.constant(std::move(scale))), b.constant(std::move(offset)));
    TENON_RETURN_IF_ERROR(b.status());
    uses_.replace_value({id, 0}, result);
    uses_.remove_if_unused(id);
    return absl::OkStatus();
  }

  // root -> [BiasAdd] -> Mul by a constant per channel.
  Status fold_scale(NodeId root) {
    const Node& node = graph_.node(root);
    const Tensor* weights = graph_.constant(node.inputs[1]);
    if (!weights || weights->dtype() != DType::kFloat || weights->num_elements() == 0 ||
        node.attrs.get_or<bool>("transpose_b", false) || !is_channels_last(node)) {
      return absl::OkStatus();
    }
    int64_t channels = weights->dim(weights->rank() - 1);
    if (node.is("DepthwiseConv2dNative")) channels *= weights->dim(weights->rank() - 2);
    const int rank = graph_.value({root, 0}).shape.rank();
    Endpoint end{root, 0};
    const Tensor* bias = nullptr;
    NodeId reader = next(end);
    if (reader >= 0 && graph_.node(reader).is("BiasAdd") && is_channels_last(graph_.node(reader))) {
      bias = graph_.constant(graph_.node(reader).inputs[1]);
      if (!is_row(bias, channels, rank)) return absl::OkStatus();
      end = {reader, 0};
      reader = next(end);
    }
    if (reader < 0 || !graph_.node(reader).is("Mul")) return absl::OkStatus();
    const std::vector<Endpoint>& factors = graph_.node(reader).inputs;
    const Tensor* scale = graph_.constant(factors[factors[0] == end ? 1 : 0]);
    if (!is_row(scale, channels, rank)) return absl::OkStatus();
    return apply_scale(root, *weights, bias, *scale, {reader, 0});
  }

 private:
  static bool is_channels_last(const Node& node) {
    return node.attrs.get_or<std::string>("data_format", "NHWC") == "NHWC";
  }

  // The one node that reads `value`, where it can be computed in one with what makes the value.
  NodeId next(Endpoint value) {
    const NodeId id = uses_.is_waited_for(value.node) ? -1 : uses_.only_reader(value);
    return id >= 0 && graph_.node(id).control_inputs.empty() ? id : -1;
  }

  bool may_expand(NodeId id, const Node& norm) {
    const PartialShape& x = graph_.value(norm.inputs[0]).shape;
    if (norm.attrs.get<bool>("is_training") || !is_channels_last(norm) ||
        norm.outputs[0].dtype != DType::kFloat || !norm.control_inputs.empty() ||
        uses_.is_waited_for(id) || !x.has_rank() || x.rank() != 4) {
      return false;
    }
    for (size_t i = 1; i < norm.inputs.size(); ++i) {
      const Tensor* constant = graph_.constant(norm.inputs[i]);
      if (!is_row(constant, x[3], 1)) return false;
    }
    for (int32_t i = 1; i < static_cast<int32_t>(norm.outputs.size()); ++i) {
      if (uses_.is_read({id, i})) return false;
    }
    return true;
  }

  Status apply_scale(NodeId root, const Tensor& weights, const Tensor* bias, const Tensor& scale,
                     Endpoint end) {
    std::optional<Tensor> new_weights = scaled(weights, scale);
    std::optional<Tensor> new_bias = bias ? scaled(*bias, scale) : std::nullopt;
    if (!new_weights || (bias && !new_bias)) return absl::OkStatus();
    const Node node = graph_.node(root);
    GraphBuilder builder(graph_);
    const std::vector<Endpoint> inputs{node.inputs[0], builder.constant(*std::move(new_weights))};
    TENON_RETURN_IF_ERROR(builder.status());
    TENON_ASSIGN_OR_RETURN(const NodeId product,
                           graph_.add(node.op->name(), cat(node.name, "/scaled"), inputs,
                                      node.attrs, node.control_inputs));
    Endpoint result{product, 0};
    if (bias) result = builder.op("BiasAdd", {result, builder.constant(*std::move(new_bias))});
    TENON_RETURN_IF_ERROR(builder.status());
    context_.note("batch norm: scale of ", node.name, " is in its weights");
    uses_.replace_value(end, result);
    uses_.replace_control(end.node, result.node);
    uses_.remove_if_unused(end.node);
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  Uses uses_;
};

}  // namespace

Status fold_batch_norm(Graph& graph, const PassContext& context) {
  BatchNormFolder folder(graph, context);
  NodeId count = graph.size();
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = graph.node(id);
    if (node.is("FusedBatchNorm") || node.is("FusedBatchNormV2") || node.is("FusedBatchNormV3")) {
      TENON_RETURN_IF_ERROR(folder.expand(id));
    }
  }
  count = graph.size();
  for (NodeId id = 0; id < count; ++id) {
    const Node& node = graph.node(id);
    if (!node.is("MatMul") && !node.is("Conv2D") && !node.is("DepthwiseConv2dNative")) continue;
    if (node.outputs[0].dtype == DType::kFloat) TENON_RETURN_IF_ERROR(folder.fold_scale(id));
  }
  return absl::OkStatus();
}

}  // namespace tenon
