#include "tenon/graph/builder.h"

namespace tenon {

void infer_type_attrs(const OpDef& op, std::span<const DType> inputs, AttrMap& attrs) {
  // An argument that repeats takes what the fixed ones leave; one such argument can be resolved.
  size_t fixed = 0;
  for (const ArgDef& arg : op.inputs()) {
    fixed += arg.number_attr.empty() && arg.type_list_attr.empty();
  }
  size_t at = 0;
  for (const ArgDef& arg : op.inputs()) {
    if (at > inputs.size()) return;
    size_t count = 1;
    if (!arg.number_attr.empty()) {
      const int64_t* given = attrs.get_if<int64_t>(arg.number_attr);
      count = given ? static_cast<size_t>(*given) : inputs.size() - std::min(inputs.size(), fixed);
      if (!given) attrs.set(arg.number_attr, static_cast<int64_t>(count));
    } else if (!arg.type_list_attr.empty()) {
      const auto* given = attrs.get_if<std::vector<DType>>(arg.type_list_attr);
      count = given ? given->size() : inputs.size() - std::min(inputs.size(), fixed);
      if (!given) {
        const auto rest = inputs.subspan(at, std::min(count, inputs.size() - at));
        attrs.set(arg.type_list_attr, std::vector<DType>(rest.begin(), rest.end()));
      }
    }
    if (!arg.type_attr.empty() && !attrs.find(arg.type_attr) && at < inputs.size() && count > 0) {
      attrs.set(arg.type_attr, inputs[at]);
    }
    at += count;
  }
}

NodeId GraphBuilder::node(std::string_view name, std::vector<Endpoint> inputs, AttrMap attrs) {
  if (!status_.ok()) return -1;
  const OpDef* op = OpRegistry::global().find(name);
  if (!op) {
    fail(OpRegistry::global().missing(name));
    return -1;
  }
  std::vector<DType> dtypes;
  for (Endpoint input : inputs) {
    if (!input) {
      fail(internal("op ", name, " was given an input that does not exist"));
      return -1;
    }
    dtypes.push_back(dtype(input));
  }
  infer_type_attrs(*op, dtypes, attrs);
  StatusOr<NodeId> id = graph_->add(name, "", std::move(inputs), std::move(attrs));
  if (!id.ok()) {
    fail(id.status());
    return -1;
  }
  return *id;
}

Endpoint GraphBuilder::op(std::string_view name, std::vector<Endpoint> inputs, AttrMap attrs) {
  return {node(name, std::move(inputs), std::move(attrs)), 0};
}

std::vector<Endpoint> GraphBuilder::ops(std::string_view name, std::vector<Endpoint> inputs,
                                        AttrMap attrs) {
  const NodeId id = node(name, std::move(inputs), std::move(attrs));
  std::vector<Endpoint> outputs;
  if (id < 0) return outputs;
  for (size_t i = 0; i < graph_->node(id).outputs.size(); ++i) {
    outputs.push_back({id, static_cast<int32_t>(i)});
  }
  return outputs;
}

Endpoint GraphBuilder::constant(Tensor value) {
  const DType dtype = value.dtype();
  return op("Const", {}, {{"dtype", dtype}, {"value", std::move(value)}});
}

Endpoint GraphBuilder::scalar_of(DType dtype, double value) {
  Tensor scalar(dtype, Shape());
  const bool real = visit<RealTypes>(dtype, [&]<class T>() {
    if constexpr (requires { T(static_cast<float>(value)).bits; }) {
      *scalar.mutable_data<T>() = T(static_cast<float>(value));
    } else {
      *scalar.mutable_data<T>() = static_cast<T>(value);
    }
  });
  const bool complex = visit<TypeList<std::complex<float>, std::complex<double>>>(
      dtype, [&]<class T>() { *scalar.mutable_data<T>() = T(value); });
  if (!real && !complex) fail(invalid_argument("a ", dtype, " cannot hold the number ", value));
  return constant(std::move(scalar));
}

Endpoint GraphBuilder::integers(std::span<const int64_t> values) {
  std::vector<int32_t> narrow(values.begin(), values.end());
  return constant(Tensor::vector<int32_t>(narrow));
}

Endpoint GraphBuilder::arg(std::string_view name, DType dtype, PartialShape shape) {
  if (!status_.ok()) return {};
  const int64_t index = static_cast<int64_t>(graph_->args.size());
  StatusOr<NodeId> id =
      graph_->add("_Arg", name, {}, {{"T", dtype}, {"index", index}, {"shape", std::move(shape)}});
  if (!id.ok()) {
    fail(id.status());
    return {};
  }
  graph_->args.push_back(*id);
  return {*id, 0};
}

const PartialShape& GraphBuilder::shape(Endpoint e) const {
  static const PartialShape unknown;
  return e ? graph_->value(e).shape : unknown;
}

Endpoint GraphBuilder::matmul(Endpoint a, Endpoint b, bool transpose_a, bool transpose_b) {
  return op("MatMul", {a, b}, {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}});
}

Endpoint GraphBuilder::cast(Endpoint a, DType to) {
  return dtype(a) == to ? a : op("Cast", {a}, {{"DstT", to}});
}

Endpoint GraphBuilder::concat(std::vector<Endpoint> parts, int64_t axis) {
  parts.push_back(scalar(static_cast<int32_t>(axis)));
  return op("ConcatV2", std::move(parts));
}

Endpoint GraphBuilder::slice(Endpoint a, int64_t begin, int64_t end) {
  return op("StridedSlice", {a, integers({begin}), integers({end}), integers({1})});
}

Endpoint GraphBuilder::slice(Endpoint a, int64_t begin) {
  return op("StridedSlice", {a, integers({begin}), integers({0}), integers({1})},
            {{"end_mask", int64_t{1}}});
}

Endpoint GraphBuilder::element(Endpoint a, int64_t index) {
  return op("StridedSlice", {a, integers({index}), integers({index + 1}), integers({1})},
            {{"shrink_axis_mask", int64_t{1}}});
}

Endpoint GraphBuilder::shape_of(Endpoint a) {
  return op("Shape", {a}, {{"out_type", DType::kInt32}});
}

Endpoint GraphBuilder::sum(Endpoint a, std::span<const int64_t> axes, bool keep_dims) {
  return op("Sum", {a, integers(axes)}, {{"keep_dims", keep_dims}});
}

Endpoint GraphBuilder::mean(Endpoint a, std::span<const int64_t> axes, bool keep_dims) {
  return op("Mean", {a, integers(axes)}, {{"keep_dims", keep_dims}});
}

}  // namespace tenon
