// Local identities. Each rule looks at one node and says which value stands for its output; rules
// that would change a bit of any result (x + 0 for x = -0, x - x for NaN) are left out, but for
// divisions by constants, which TensorFlow's own optimizer changes so.
#include <cmath>
#include <limits>

#include "tenon/graph/builder.h"
#include "tenon/graph/uses.h"
#include "tenon/passes/pass.h"

namespace tenon {
namespace {

// Every element of a numeric constant equals `value`; 0 is not -0, which x - -0 would show.
bool is_all(const Tensor* tensor, double value) {
  if (!tensor || tensor->num_elements() == 0) return false;
  bool all = false;
  visit<RealTypes>(tensor->dtype(), [&]<class T>() {
    const auto elements = tensor->span<T>();
    all = std::all_of(elements.begin(), elements.end(), [&](T x) {
      const double element = static_cast<double>(x);
      return element == value && std::signbit(element) == std::signbit(value);
    });
  });
  return all;
}

// The other operand when one of them is a constant `value` that does not widen the shape.
Endpoint other_operand(const Graph& graph, const Node& node, double value, bool both_sides) {
  for (size_t side : {size_t{1}, size_t{0}}) {
    if (side == 0 && !both_sides) continue;
    const Endpoint other = node.inputs[1 - side];
    if (!is_all(graph.constant(node.inputs[side]), value)) continue;
    const PartialShape& shape = graph.value(other).shape;
    if (shape.has_rank() && shape == node.outputs[0].shape) return other;
  }
  return {};
}

// A node that a rule may look through: nothing would be waited for any more.
bool is_free(const Node& node, std::string_view op) {
  return node.is(op) && node.control_inputs.empty();
}

using Rule = Endpoint (*)(Graph&, GraphBuilder&, const Node&);

// x * 1, x / 1.
Endpoint multiplied_by_one(Graph& graph, GraphBuilder&, const Node& node) {
  if (node.is("Mul")) return other_operand(graph, node, 1.0, true);
  if (node.is("RealDiv") || node.is("Div")) return other_operand(graph, node, 1.0, false);
  return {};
}

// x - 0 (x + 0 is not x for x = -0).
Endpoint minus_zero(Graph& graph, GraphBuilder&, const Node& node) {
  return node.is("Sub") ? other_operand(graph, node, 0.0, false) : Endpoint{};
}

// 1 / x of every element, rounded to its dtype; nothing where one of them has no normal reciprocal.
template <class T>
std::optional<Tensor> reciprocals(const Tensor& x) {
  using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;
  Tensor y(x.dtype(), x.shape());
  T* at = y.mutable_data<T>();
  for (const T element : x.span<T>()) {
    *at = static_cast<T>(Real{1} / static_cast<Real>(element));
    if (!std::isnormal(static_cast<Real>(*at))) return std::nullopt;
    ++at;
  }
  return y;
}

// x / c is x * (1 / c), as TensorFlow runs the functions of a SavedModel: what is rounded
// to a size or an index next must not fall on the other side.
Endpoint division_by_constant(Graph& graph, GraphBuilder& builder, const Node& node) {
  if (!node.is("RealDiv") && !node.is("Div")) return {};
  const Tensor* divisor = graph.constant(node.inputs[1]);
  if (!divisor || divisor->num_elements() == 0) return {};
  std::optional<Tensor> factor;
  visit<FloatTypes>(divisor->dtype(), [&]<class T>() { factor = reciprocals<T>(*divisor); });
  return factor ? builder.mul(node.inputs[0], builder.constant(*std::move(factor))) : Endpoint{};
}

Endpoint identity(Graph&, GraphBuilder&, const Node& node) {
  const bool plain = node.is("Identity") || node.is("StopGradient") || node.is("PreventGradient") ||
                     node.is("Snapshot");
  return plain ? node.inputs[0] : Endpoint{};
}

Endpoint cast_to_same(Graph& graph, GraphBuilder&, const Node& node) {
  if (!node.is("Cast")) return {};
  return graph.value(node.inputs[0]).dtype == node.outputs[0].dtype ? node.inputs[0] : Endpoint{};
}

// Two transposes in a row are one; transposes that cancel are none.
Endpoint transpose_of_transpose(Graph& graph, GraphBuilder& builder, const Node& node) {
  if (!node.is("Transpose")) return {};
  const Tensor* outer = graph.constant(node.inputs[1]);
  const Node& before = graph.node(node.inputs[0].node);
  if (!outer || !is_free(before, "Transpose")) return {};
  const Tensor* inner = graph.constant(before.inputs[1]);
  if (!inner || inner->num_elements() != outer->num_elements()) return {};
  std::vector<int64_t> joined;
  bool cancels = true;
  for (int64_t axis : integers_of(*outer)) {
    if (axis < 0 || axis >= inner->num_elements()) return {};
    joined.push_back(integer_at(*inner, axis));
    cancels &= joined.back() == static_cast<int64_t>(joined.size()) - 1;
  }
  const Endpoint source = before.inputs[0];
  return cancels ? source : builder.op("Transpose", {source, builder.integers(joined)});
}

// A reshape of a reshape reads the first one's input.
Endpoint reshape_of_reshape(Graph& graph, GraphBuilder& builder, const Node& node) {
  if (!node.is("Reshape")) return {};
  const Node& before = graph.node(node.inputs[0].node);
  if (!is_free(before, "Reshape")) return {};
  return builder.op("Reshape", {before.inputs[0], node.inputs[1]});
}

Endpoint reshape_to_same(Graph& graph, GraphBuilder&, const Node& node) {
  if (!node.is("Reshape")) return {};
  const PartialShape& from = graph.value(node.inputs[0]).shape;
  return from.is_fully_known() && from == node.outputs[0].shape ? node.inputs[0] : Endpoint{};
}

// Is `value` Shape(x)[0]?
bool is_first_dimension_of(const Graph& graph, Endpoint value, Endpoint x) {
  const Node& slice = graph.node(value.node);
  if (!is_free(slice, "StridedSlice")) return false;
  const Node& shape = graph.node(slice.inputs[0].node);
  if (!is_free(shape, "Shape") || shape.inputs[0] != x) return false;
  const auto is = [&](size_t input, int64_t wanted) {
    const Tensor* constant = graph.constant(slice.inputs[input]);
    return constant && constant->num_elements() == 1 && integer_at(*constant, 0) == wanted;
  };
  return is(1, 0) && is(3, 1) && slice.attrs.get<int64_t>("shrink_axis_mask") == 1 &&
         slice.attrs.get<int64_t>("begin_mask") == 0 &&
         slice.attrs.get<int64_t>("new_axis_mask") == 0 &&
         slice.attrs.get<int64_t>("ellipsis_mask") == 0;
}

int64_t row_elements(const PartialShape& shape) {
  if (!shape.has_rank() || shape.rank() == 0) return -1;
  int64_t count = 1;
  for (int64_t dim : shape.dims().subspan(1)) {
    if (dim < 0 || (dim > 0 && count > std::numeric_limits<int32_t>::max() / dim)) return -1;
    count *= dim;
  }
  return count;
}

// Keras' reshaping layers ask for [Shape(x)[0], constants ...], one of which may be -1. Where a row
// of x has as many elements as they say, that is [-1, constants ...], which needs no shape at run
// time and shows that rows stay rows.
Endpoint reshape_of_rows(Graph& graph, GraphBuilder& builder, const Node& node) {
  if (!node.is("Reshape")) return {};
  const Node& shape = graph.node(node.inputs[1].node);
  const Endpoint x = node.inputs[0];
  if (!is_free(shape, "Pack") || !is_first_dimension_of(graph, shape.inputs[0], x)) return {};
  const int64_t elements = row_elements(graph.value(x).shape);
  if (elements <= 0) return {};
  std::vector<int64_t> dims = {-1};
  int64_t left = elements;  // for a dimension of -1
  int64_t* open = nullptr;
  dims.reserve(shape.inputs.size());
  for (size_t i = 1; i < shape.inputs.size(); ++i) {
    const Tensor* dim = graph.constant(shape.inputs[i]);
    if (!dim || dim->num_elements() != 1) return {};
    dims.push_back(integer_at(*dim, 0));
    if (dims.back() == -1 && !open) {
      open = &dims.back();
    } else if (dims.back() <= 0 || left % dims.back() != 0) {
      return {};
    } else {
      left /= dims.back();
    }
  }
  if (open) *open = std::exchange(left, 1);
  return left == 1 ? builder.reshape(x, std::span<const int64_t>(dims)) : Endpoint{};
}

// Max pooling after a relu: a window's gradient goes to a cell that equals the window's maximum,
// and the relu lets it through where that is positive. So it may be asked of the maxima, before
// they are spread: a quarter of the values for a 2x2 window.
Endpoint relu_gradient_of_pooling(Graph& graph, GraphBuilder& builder, const Node& node) {
  if (!node.is("ReluGrad")) return {};
  const Node pooling = graph.node(node.inputs[0].node);
  if (!is_free(pooling, "MaxPoolGrad") || pooling.inputs[0] != node.inputs[1]) return {};
  const Endpoint gated = builder.op("ReluGrad", {pooling.inputs[2], pooling.inputs[1]});
  return builder.op("MaxPoolGrad", {pooling.inputs[0], pooling.inputs[1], gated}, pooling.attrs);
}

// A convolution and its filter's gradient pad by themselves, without a copy of their input.
Endpoint convolution_of_padded(Graph& graph, GraphBuilder&, const Node& node) {
  const bool is_convolution = node.is("Conv2D") || node.is("Conv2DBackpropFilter") ||
                              node.is("DepthwiseConv2dNative") ||
                              node.is("DepthwiseConv2dNativeBackpropFilter");
  if (!is_convolution) return {};
  const Node& pad = graph.node(node.inputs[0].node);
  const bool pads_zeros =
      is_free(pad, "Pad") || (is_free(pad, "PadV2") && is_all(graph.constant(pad.inputs[2]), 0.0));
  const std::string padding = node.attrs.get<std::string>("padding");
  if (!pads_zeros || padding == "SAME") return {};
  const Tensor* const added = graph.constant(pad.inputs[1]);
  if (!added || added->num_elements() != 8) return {};
  std::vector<int64_t> paddings(8, 0);
  if (padding == "EXPLICIT") paddings = node.attrs.get<std::vector<int64_t>>("explicit_paddings");
  if (paddings.size() != 8) return {};
  const size_t channels = node.attrs.get<std::string>("data_format") == "NHWC" ? 6 : 2;
  for (size_t i = 0; i < 8; ++i) {
    const int64_t more = integer_at(*added, static_cast<int64_t>(i));
    const bool may_pad = i >= 2 && i / 2 != channels / 2;
    if (more < 0 || more > std::numeric_limits<int32_t>::max() || (more > 0 && !may_pad)) return {};
    paddings[i] += more;
  }
  AttrMap attrs = node.attrs;
  attrs.set("padding", std::string("EXPLICIT"));
  attrs.set("explicit_paddings", std::move(paddings));
  std::vector<Endpoint> inputs = node.inputs;
  inputs[0] = pad.inputs[0];
  const StatusOr<NodeId> convolution =
      graph.add(node.op->name(), cat(node.name, "/padded"), std::move(inputs), std::move(attrs));
  return convolution.ok() ? Endpoint{*convolution, 0} : Endpoint{};
}

constexpr Rule kRules[] = {multiplied_by_one,     minus_zero,
                           division_by_constant,  identity,
                           cast_to_same,          relu_gradient_of_pooling,
                           convolution_of_padded, transpose_of_transpose,
                           reshape_of_reshape,    reshape_of_rows,
                           reshape_to_same};

// Keras' swish and other functions with a gradient of their own end in an IdentityN.
void pass_through(Graph& graph, Uses& uses, NodeId id) {
  const std::vector<Endpoint> inputs = graph.node(id).inputs;
  for (size_t i = 0; i < inputs.size(); ++i) {
    uses.replace_value({id, static_cast<int32_t>(i)}, inputs[i]);
  }
  uses.remove_if_unused(id);
}

}  // namespace

Status simplify_arithmetic(Graph& graph, const PassContext& context) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  Uses uses(graph);
  bool replaced = false;
  for (NodeId id : order) {
    // What stands for a value may say more of its shape. Shapes that do not go together are told
    // when the node runs, if it runs.
    if (!graph.alive(id) || (replaced && !graph.infer(id).ok())) continue;
    // What a node waits for, those who read it wait for too.
    if (!graph.node(id).control_inputs.empty()) continue;
    if (graph.node(id).is("IdentityN") && !uses.is_waited_for(id)) {
      pass_through(graph, uses, id);
      replaced = true;
      continue;
    }
    for (Rule rule : kRules) {
      const Node node = graph.node(id);
      GraphBuilder builder(graph);
      const Endpoint replacement = rule(graph, builder, node);
      if (!replacement || !builder.status().ok()) continue;
      context.note("arithmetic: ", node.name, " (", node.op->name(), ") is ",
                   graph.node(replacement.node).name);
      uses.replace_value({id, 0}, replacement);
      uses.replace_control(id, replacement.node);
      uses.remove_if_unused(id);
      replaced = true;
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace tenon
