// Inference batch normalisation is y * scale + offset with constants: the scale goes into the
// weights of the convolution or matmul before it, and two constant offsets become one.
#include "tenon/core/node_prepare.h"
#include "tenon/graph/builder.h"
#include "tenon/passes/pass.h"
#include "tenon/passes/uses.h"

namespace tenon {
namespace {

// The last dimension of a float constant when it has no other above 1: one value a channel.
int64_t channels_of(const Tensor* constant) {
  if (!constant || constant->dtype() != DType::kFloat || constant->rank() == 0) return -1;
  const int64_t last = constant->dim(constant->rank() - 1);
  return constant->num_elements() == last ? last : -1;
}

class BatchNormFolder {
 public:
  BatchNormFolder(Graph& graph, const PassContext& context)
      : graph_(graph), context_(context), uses_(graph) {}

  // root -> [BiasAdd] -> Mul by a constant per channel.
  Status fold_scale(NodeId root_id) {
    const Node root = graph_.node(root_id);
    if (root.outputs[0].dtype != DType::kFloat) return absl::OkStatus();
    const Tensor* weights = graph_.constant(root.inputs[1]);
    if (!weights || root.attrs.get_or<bool>("transpose_b", false)) return absl::OkStatus();
    const int64_t channels = weights->dim(weights->rank() - 1);
    Endpoint product{root_id, 0};
    Endpoint bias;
    NodeId reader = uses_.only_reader(product);
    NodeId bias_node = -1;
    if (reader >= 0 && graph_.node(reader).is("BiasAdd")) {
      bias_node = reader;
      bias = graph_.node(reader).inputs[1];
      if (channels_of(graph_.constant(bias)) != channels) return absl::OkStatus();
      reader = uses_.only_reader({reader, 0});
    }
    if (reader < 0 || !graph_.node(reader).is("Mul")) return absl::OkStatus();
    const Node scale_node = graph_.node(reader);
    const Endpoint before = bias_node >= 0 ? Endpoint{bias_node, 0} : product;
    const Endpoint scale = scale_node.inputs[scale_node.inputs[0] == before ? 1 : 0];
    if (channels_of(graph_.constant(scale)) != channels) return absl::OkStatus();
    return apply_scale(root, bias, scale, {reader, 0});
  }

 private:
  Status apply_scale(const Node& root, Endpoint bias, Endpoint scale, Endpoint end) {
    GraphBuilder builder(graph_);
    const Endpoint row = builder.reshape(scale, std::vector<int64_t>{-1});
    std::vector<Endpoint> inputs = root.inputs;
    inputs[1] = builder.mul(root.inputs[1], row);
    TENON_RETURN_IF_ERROR(builder.status());
    TENON_ASSIGN_OR_RETURN(const NodeId scaled,
                           graph_.add(root.op->name(), cat(root.name, "/scaled"), inputs,
                                      root.attrs, root.control_inputs));
    Endpoint result{scaled, 0};
    if (bias) result = builder.op("BiasAdd", {result, builder.mul(bias, row)});
    TENON_RETURN_IF_ERROR(builder.status());
    context_.note("batch norm: scale of ", root.name, " is in its weights");
    graph_.replace_uses(end, result);
    return absl::OkStatus();
  }

  Graph& graph_;
  const PassContext& context_;
  const Uses uses_;
};

// FusedBatchNorm in inference mode with constant statistics becomes x * scale + offset.
Status expand_inference_batch_norm(Graph& graph, NodeId id) {
  const Node norm = graph.node(id);
  if (norm.attrs.get<bool>("is_training") || norm.attrs.get<std::string>("data_format") != "NHWC") {
    return absl::OkStatus();
  }
  for (size_t i = 1; i < norm.inputs.size(); ++i) {
    if (!graph.constant(norm.inputs[i])) return absl::OkStatus();
  }
  if (norm.outputs[0].dtype != DType::kFloat) return absl::OkStatus();
  const Uses uses(graph);
  for (int32_t i = 1; i < static_cast<int32_t>(norm.outputs.size()); ++i) {
    if (!uses.of({id, i}).empty()) return absl::OkStatus();
  }
  GraphBuilder b(graph);
  const Endpoint epsilon = b.scalar(norm.attrs.get<float>("epsilon"));
  const Endpoint scale = b.mul(norm.inputs[1], b.op("Rsqrt", {b.add(norm.inputs[4], epsilon)}));
  const Endpoint offset = b.sub(norm.inputs[2], b.mul(norm.inputs[3], scale));
  const Endpoint result = b.add(b.mul(norm.inputs[0], scale), offset);
  TENON_RETURN_IF_ERROR(b.status());
  graph.replace_uses({id, 0}, result);
  return absl::OkStatus();
}

}  // namespace

Status fold_batch_norm(Graph& graph, const PassContext& context) {
  const NodeId nodes = graph.size();
  for (NodeId id = 0; id < nodes; ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (node.is("FusedBatchNorm") || node.is("FusedBatchNormV2") || node.is("FusedBatchNormV3")) {
      TENON_RETURN_IF_ERROR(expand_inference_batch_norm(graph, id));
    }
  }
  TENON_RETURN_IF_ERROR(fold_constants(graph, context));
  BatchNormFolder folder(graph, context);
  const NodeId count = graph.size();
  for (NodeId id = 0; id < count; ++id) {
    if (!graph.alive(id)) continue;
    const Node& node = graph.node(id);
    if (node.is("MatMul") || node.is("Conv2D")) TENON_RETURN_IF_ERROR(folder.fold_scale(id));
  }
  return absl::OkStatus();
}

}  // namespace tenon
