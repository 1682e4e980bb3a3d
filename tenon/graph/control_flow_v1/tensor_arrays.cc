#include "tenon/graph/control_flow_v1/tensor_arrays.h"

#include <algorithm>

#include "tenon/graph/import_ops.h"
#include "tenon/graph/verifier.h"

namespace tenon {
namespace {

bool is_one_of(const Node& node, std::span<const std::string_view> ops) {
  return node.op && std::find(ops.begin(), ops.end(), node.op->name()) != ops.end();
}

// Ops that hand their input on, whatever it is.
constexpr std::string_view kHandOn[] = {"Enter",  "Exit",  "NextIteration",
                                        "Switch", "Merge", "Identity"};

bool is_tensor_array_op(const Node& node) {
  return exists_only_during_import(*node.op) && node.op->name().starts_with("TensorArray");
}

// Makes the ops that hand a flow on carry variants.
Status retype_flows(Graph& graph) {
  std::vector<std::vector<NodeId>> users(static_cast<size_t>(graph.size()));
  std::vector<NodeId> stack;
  for (NodeId id = 0; id < graph.size(); ++id) {
    for (Endpoint input : graph.node(id).inputs) {
      users[static_cast<size_t>(input.node)].push_back(id);
    }
    if (graph.alive(id) && is_tensor_array_op(graph.node(id))) stack.push_back(id);
  }
  while (!stack.empty()) {
    const NodeId source = stack.back();
    stack.pop_back();
    for (NodeId id : users[static_cast<size_t>(source)]) {
      Node& user = graph.node(id);
      const bool takes_flow = std::any_of(user.inputs.begin(), user.inputs.end(), [&](Endpoint e) {
        return e.node == source && graph.value(e).dtype == DType::kVariant;
      });
      if (!takes_flow || is_tensor_array_op(user)) continue;
      if (!is_one_of(user, kHandOn)) {
        return unimplemented(describe(user), " takes the flow of the TensorArray of ",
                             describe(graph.node(source)),
                             ", which only TensorArray and control flow ops can");
      }
      if (user.attrs.get<DType>("T") == DType::kVariant) continue;
      user.attrs.set("T", DType::kVariant);
      const std::vector<DType> dtypes = user.op->output_dtypes(user.attrs);
      for (size_t i = 0; i < dtypes.size(); ++i) user.outputs[i].dtype = dtypes[i];
      stack.push_back(id);
    }
  }
  for (const Endpoint& result : graph.results) {
    const Node& node = graph.node(result.node);
    if (graph.value(result).dtype == DType::kVariant &&
        (is_tensor_array_op(node) || is_one_of(node, kHandOn))) {
      return unimplemented("the flow of a TensorArray, from ", describe(node), ", is asked for");
    }
  }
  return absl::OkStatus();
}

// The TensorArrayV3 that made the handle that `user` takes.
StatusOr<NodeId> array_of(const Graph& graph, const Node& user) {
  constexpr int kLongestWay = 256;  // as many loops in one another would be fewer
  NodeId id = user.inputs[0].node;
  for (int steps = 0; steps < kLongestWay; ++steps) {
    const Node& node = graph.node(id);
    if (node.is("TensorArrayV3")) return id;
    if (!is_one_of(node, kHandOn) || node.is("Merge")) break;
    id = node.inputs[0].node;
  }
  return unimplemented(describe(user), " uses a TensorArray whose TensorArrayV3 cannot be found");
}

// Turns one TensorArray op into the TensorList op whose outputs are in the same places.
class Lowering {
 public:
  Lowering(Graph& graph, NodeId id) : graph_(graph), id_(id) {}

  Status run();
  Status make_list();

 private:
  using Rewrite = Status (Lowering::*)();
  struct Row {
    std::string_view op;
    Rewrite rewrite;
  };
  static const Row kRows[];

  Status write();
  Status read();
  Status gather();
  Status scatter();
  Status concat();
  Status split();
  Status size();
  Status close();

  Endpoint input(size_t index) const { return graph_.node(id_).inputs[index]; }
  template <class T>
  T attr(std::string_view name) const {
    return graph_.node(id_).attrs.get<T>(name);
  }
  StatusOr<const Node*> array() const {
    TENON_ASSIGN_OR_RETURN(const NodeId id, array_of(graph_, graph_.node(id_)));
    return &graph_.node(id);
  }
  StatusOr<Endpoint> constant(Tensor value);
  StatusOr<Endpoint> shape_constant(const PartialShape& shape);
  Status become(std::string_view op, std::vector<Endpoint> inputs, AttrMap attrs);

  Graph& graph_;
  NodeId id_;
};

StatusOr<Endpoint> Lowering::constant(Tensor value) {
  const DType dtype = value.dtype();
  TENON_ASSIGN_OR_RETURN(const NodeId id,
                         graph_.add("Const", cat(graph_.node(id_).name, "/shape"), {},
                                    {{"dtype", dtype}, {"value", std::move(value)}}));
  return Endpoint{id, 0};
}

// As the TensorList ops take shapes: a vector, or the scalar -1.
StatusOr<Endpoint> Lowering::shape_constant(const PartialShape& shape) {
  if (!shape.has_rank()) return constant(Tensor::scalar<int32_t>(-1));
  std::vector<int32_t> dims;
  for (int64_t dim : shape.dims()) {
    if (dim > std::numeric_limits<int32_t>::max()) {
      return invalid_argument(describe(graph_.node(id_)), " has elements of shape ", shape);
    }
    dims.push_back(static_cast<int32_t>(dim));
  }
  return constant(Tensor::vector<int32_t>(dims));
}

Status Lowering::become(std::string_view op, std::vector<Endpoint> inputs, AttrMap attrs) {
  Node& node = graph_.node(id_);
  const OpDef* def = OpRegistry::global().find(op);
  if (!def) return unimplemented(describe(node), " needs op ", op, ", which is not implemented");
  if (Status status = def->complete_attrs(attrs); !status.ok()) {
    return with_context(status, describe(node));
  }
  node.op = def;
  node.inputs = std::move(inputs);
  node.attrs = std::move(attrs);
  node.outputs.clear();
  for (DType dtype : def->output_dtypes(node.attrs)) {
    node.outputs.push_back({dtype, PartialShape(), std::nullopt});
  }
  return absl::OkStatus();
}

Status Lowering::write() {
  TENON_ASSIGN_OR_RETURN(const Node* made, array());
  return become("TensorListSetItem", {input(3), input(1), input(2)},
                {{"element_dtype", attr<DType>("T")},
                 {"resize_if_index_out_of_bounds", made->attrs.get<bool>("dynamic_size")}});
}

Status Lowering::read() {
  TENON_ASSIGN_OR_RETURN(const Node* made, array());
  const PartialShape element = made->attrs.get<PartialShape>("element_shape");
  TENON_ASSIGN_OR_RETURN(const Endpoint shape, shape_constant(element));
  return become("TensorListGetItem", {input(2), input(1), shape},
                {{"element_dtype", attr<DType>("dtype")}, {"Tshape", graph_.value(shape).dtype}});
}

Status Lowering::gather() {
  TENON_ASSIGN_OR_RETURN(const Endpoint shape, shape_constant(attr<PartialShape>("element_shape")));
  return become("TensorListGather", {input(2), input(1), shape},
                {{"element_dtype", attr<DType>("dtype")}});
}

Status Lowering::scatter() {
  return become("TensorListScatterIntoExistingList", {input(3), input(2), input(1)},
                {{"element_dtype", attr<DType>("T")}});
}

Status Lowering::concat() {
  PartialShape element;
  if (const auto rest = attr<PartialShape>("element_shape_except0"); rest.has_rank()) {
    std::vector<int64_t> dims = {-1};
    dims.insert(dims.end(), rest.dims().begin(), rest.dims().end());
    element = PartialShape(dims);
  }
  TENON_ASSIGN_OR_RETURN(const Endpoint shape, shape_constant(element));
  TENON_ASSIGN_OR_RETURN(const Endpoint leading, constant(Tensor::vector<int64_t>({})));
  return become("TensorListConcatV2", {input(1), shape, leading},
                {{"element_dtype", attr<DType>("dtype")}, {"shape_type", DType::kInt32}});
}

// TensorFlow writes the pieces into the array that is there; all its elements are replaced.
Status Lowering::split() {
  TENON_ASSIGN_OR_RETURN(const Node* made, array());
  const PartialShape element = made->attrs.get<PartialShape>("element_shape");
  TENON_ASSIGN_OR_RETURN(const Endpoint shape, shape_constant(element));
  return become("TensorListSplit", {input(1), shape, input(2)},
                {{"element_dtype", attr<DType>("T")}, {"shape_type", DType::kInt32}});
}

Status Lowering::size() { return become("TensorListLength", {input(1)}, {}); }

Status Lowering::close() { return become("NoOp", {}, {}); }

const Lowering::Row Lowering::kRows[] = {
    {"TensorArrayWriteV3", &Lowering::write},   {"TensorArrayReadV3", &Lowering::read},
    {"TensorArrayGatherV3", &Lowering::gather}, {"TensorArrayScatterV3", &Lowering::scatter},
    {"TensorArrayConcatV3", &Lowering::concat}, {"TensorArraySplitV3", &Lowering::split},
    {"TensorArraySizeV3", &Lowering::size},     {"TensorArrayCloseV3", &Lowering::close},
};

Status Lowering::run() {
  for (const Row& row : kRows) {
    if (graph_.node(id_).is(row.op)) return (this->*row.rewrite)();
  }
  return absl::OkStatus();
}

// Of TensorArrayV3, after all that look its attributes up. Its only output is the list: what took
// output 1 takes output 0; what only handed the handle on is dead by then.
Status Lowering::make_list() {
  const PartialShape element = attr<PartialShape>("element_shape");
  TENON_ASSIGN_OR_RETURN(const Endpoint shape, shape_constant(element));
  return become("TensorListReserve", {shape, input(0)},
                {{"element_dtype", attr<DType>("dtype")}, {"shape_type", DType::kInt32}});
}

Status lower_arrays(Graph& graph) {
  std::vector<bool> is_array(static_cast<size_t>(graph.size()));
  for (size_t i = 0; i < is_array.size(); ++i) {
    const auto id = static_cast<NodeId>(i);
    is_array[i] = graph.alive(id) && graph.node(id).is("TensorArrayV3");
    if (is_array[i]) TENON_RETURN_IF_ERROR(Lowering(graph, id).make_list());
  }
  for (NodeId id = 0; id < graph.size(); ++id) {
    for (Endpoint& input : graph.node(id).inputs) {
      const auto source = static_cast<size_t>(input.node);
      if (source < is_array.size() && is_array[source]) input.index = 0;
    }
  }
  return absl::OkStatus();
}

}  // namespace

Status lower_tensor_arrays(Graph& graph) {
  TENON_RETURN_IF_ERROR(retype_flows(graph));
  TENON_RETURN_IF_ERROR(verify_nodes(graph));
  const NodeId size = graph.size();
  for (NodeId id = 0; id < size; ++id) {
    if (graph.alive(id) && is_tensor_array_op(graph.node(id))) {
      TENON_RETURN_IF_ERROR(Lowering(graph, id).run());
    }
  }
  return lower_arrays(graph);
}

}  // namespace tenon
