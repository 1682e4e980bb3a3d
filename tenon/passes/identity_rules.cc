// Local identities. Rules that would change a bit of any result (x + 0 for x = -0, x - x for NaN)
// are left out, but for divisions by constants, which TensorFlow's own optimizer changes so.
#include <cmath>
#include <limits>

#include "tenon/passes/rewrite.h"

namespace tenon {
namespace {

using Values = std::vector<Endpoint>;

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
Values other_operand(const Match& m, double value, bool both_sides) {
  const Node& node = m.root();
  for (size_t side : {size_t{1}, size_t{0}}) {
    if (side == 0 && !both_sides) continue;
    const Endpoint other = node.inputs[1 - side];
    if (!is_all(m.graph().constant(node.inputs[side]), value)) continue;
    const PartialShape& shape = m.graph().value(other).shape;
    if (shape.has_rank() && shape == node.outputs[0].shape) return {other};
  }
  return {};
}

// A node that a rule may look through: nothing would be waited for any more.
bool is_free(const Node& node, std::string_view op) {
  return node.is(op) && node.control_inputs.empty();
}

// x * 1, x / 1.
Values one(Match& m) { return other_operand(m, 1.0, m.root().is("Mul")); }

// x - 0 (x + 0 is not x for x = -0).
Values minus_zero(Match& m) { return other_operand(m, 0.0, false); }

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
Values division_by_constant(Match& m) {
  const Tensor* divisor = m.constant("c");
  if (!divisor || divisor->num_elements() == 0) return {};
  std::optional<Tensor> factor;
  visit<FloatTypes>(divisor->dtype(), [&]<class T>() { factor = reciprocals<T>(*divisor); });
  if (!factor) return {};
  return {m.builder().mul(m["x"], m.builder().constant(*std::move(factor)))};
}

// Keras' swish and other functions with a gradient of their own end in an IdentityN.
Values inputs_of_identity(Match& m) { return m.root().inputs; }

Values cast_to_same(Match& m) {
  if (m.graph().value(m["x"]).dtype != m.root().outputs[0].dtype) return {};
  return {m["x"]};
}

// Two transposes in a row are one; transposes that cancel are none.
Values transpose_of_transpose(Match& m) {
  const Tensor* outer = m.constant("outer");
  const Tensor* inner = m.constant("inner");
  if (!outer || !inner || inner->num_elements() != outer->num_elements()) return {};
  std::vector<int64_t> joined;
  bool cancels = true;
  for (int64_t axis : integers_of(*outer)) {
    if (axis < 0 || axis >= inner->num_elements()) return {};
    joined.push_back(integer_at(*inner, axis));
    cancels &= joined.back() == static_cast<int64_t>(joined.size()) - 1;
  }
  if (cancels) return {m["x"]};
  return {m.builder().op("Transpose", {m["x"], m.builder().integers(joined)})};
}

// A reshape of a reshape reads the first one's input.
Values reshape_of_reshape(Match& m) { return {m.builder().op("Reshape", {m["x"], m["shape"]})}; }

Values reshape_to_same(Match& m) {
  const PartialShape& from = m.shape("x");
  if (!from.is_fully_known() || !(from == m.root().outputs[0].shape)) return {};
  return {m["x"]};
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
Values reshape_of_rows(Match& m) {
  const Node& shape = m.node("shape");
  if (shape.inputs.empty() || !is_first_dimension_of(m.graph(), shape.inputs[0], m["x"])) return {};
  const int64_t elements = row_elements(m.shape("x"));
  if (elements <= 0) return {};
  std::vector<int64_t> dims = {-1};
  int64_t left = elements;  // for a dimension of -1
  int64_t* open = nullptr;
  dims.reserve(shape.inputs.size());
  for (size_t i = 1; i < shape.inputs.size(); ++i) {
    const Tensor* dim = m.graph().constant(shape.inputs[i]);
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
  if (left != 1) return {};
  return {m.builder().reshape(m["x"], std::span<const int64_t>(dims))};
}

// Max pooling after a relu: a window's gradient goes to a cell that equals the window's maximum,
// and the relu lets it through where that is positive. So it may be asked of the maxima, before
// they are spread: a quarter of the values for a 2x2 window.
Values relu_gradient_of_pooling(Match& m) {
  const Node pooling = m.node("spread");
  GraphBuilder& b = m.builder();
  const Endpoint gated = b.op("ReluGrad", {pooling.inputs[2], pooling.inputs[1]});
  return {b.op("MaxPoolGrad", {pooling.inputs[0], pooling.inputs[1], gated}, pooling.attrs)};
}

// A convolution and its filter's gradient pad by themselves, without a copy of their input.
Values convolution_of_padded(Match& m) {
  const Node& node = m.root();
  const Node& pad = m.node("pad");
  const bool pads_zeros = pad.is("Pad") || is_all(m.graph().constant(pad.inputs[2]), 0.0);
  const std::string padding = node.attrs.get<std::string>("padding");
  if (!pads_zeros || padding == "SAME") return {};
  const Tensor* const added = m.graph().constant(pad.inputs[1]);
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
  const std::string name = cat(node.name, "/padded");
  return {{m.add(node.op->name(), name, std::move(inputs), std::move(attrs)), 0}};
}

constexpr Rule kIdentityRows[] = {
    {"one", "Mul|RealDiv|Div(a, b)", one},
    {"minus zero", "Sub(a, b)", minus_zero},
    {"division by constant", "RealDiv|Div(x, c)", division_by_constant},
    {"identity", "Identity|IdentityN|StopGradient|PreventGradient|Snapshot", inputs_of_identity},
    {"cast to same", "Cast(x)", cast_to_same},
    {"relu gradient of pooling", "ReluGrad(spread=MaxPoolGrad(x, ...), x)",
     relu_gradient_of_pooling},
    {"convolution of padded",
     "Conv2D|Conv2DBackpropFilter|DepthwiseConv2dNative|DepthwiseConv2dNativeBackpropFilter"
     "(pad=Pad|PadV2, ...)",
     convolution_of_padded},
    {"transpose of transpose", "Transpose(Transpose(x, inner), outer)", transpose_of_transpose},
    {"reshape of reshape", "Reshape(Reshape(x, before), shape)", reshape_of_reshape},
    {"reshape of rows", "Reshape(x, shape=Pack)", reshape_of_rows},
    {"reshape to same", "Reshape(x, shape)", reshape_to_same},
};

}  // namespace

const RuleTable kIdentityRules{.name = "identity", .rules = kIdentityRows, .infers = true};

Status simplify_arithmetic(Graph& graph, const PassContext& context) {
  return rewrite(graph, context, kIdentityRules);
}

}  // namespace tenon
