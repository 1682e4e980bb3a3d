#include "tenon/lite/writer/loops.h"

#include "tenon/graph/builder.h"
#include "tenon/graph/function_library.h"
#include "tenon/graph/specialize.h"
#include "tenon/graph/uses.h"

namespace tenon::lite {
namespace {

constexpr NamedPass kWithinLoops[] = {
    {"inline_functions", inline_functions},
    {"freeze_variables", freeze_variables},
    {"fold_constants", fold_constants},
    {"simplify_arithmetic", simplify_arithmetic},
    {"eliminate_common_subexpressions", eliminate_common_subexpressions},
    {"fold_batch_norm", fold_batch_norm},
    {"fuse_bias_activation", fuse_bias_activation},
    {"remove_dead_nodes", remove_dead_nodes},
};

// The ops on lists, on tensors: element i of the list is row i.
Endpoint row_of(GraphBuilder& b, Endpoint rows, Endpoint index) {
  return b.op("GatherV2", {rows, index, b.scalar<int32_t>(0)});
}
Endpoint one_row(GraphBuilder& b, Endpoint item) {
  return b.op("ExpandDims", {item, b.scalar<int32_t>(0)});
}
Endpoint with_row(GraphBuilder& b, Endpoint rows, Endpoint index, Endpoint item) {
  if (!b.shape(item).has_rank()) {
    b.fail(unimplemented("it sets an element of unknown rank"));
    return {};
  }
  const std::vector<int64_t> zeros(static_cast<size_t>(b.shape(item).rank()), 0);
  const int64_t vector[] = {1};
  Endpoint at = b.reshape(index, vector);
  if (!zeros.empty()) at = b.concat({at, b.cast(b.integers(zeros), b.dtype(index))}, 0);
  return b.op("XlaDynamicUpdateSlice", {rows, one_row(b, item), at});
}

// What `node`, whose inputs are `in` (tensors for lists), gives as ops on tensors. Empty: it has no
// such form.
std::vector<Endpoint> on_rows(GraphBuilder& b, const Node& node, const std::vector<Endpoint>& in) {
  if (node.is("Identity") || node.is("TensorListStack")) return {in[0]};
  if (node.is("TensorListGetItem")) return {row_of(b, in[0], in[1])};
  if (node.is("TensorListSetItem")) return {with_row(b, in[0], in[1], in[2])};
  if (node.is("TensorListPushBack")) {
    return {b.concat({in[0], one_row(b, in[1])}, 0)};
  }
  if (node.is("TensorListPopBack")) return {b.slice(in[0], 0, -1), b.element(in[0], -1)};
  if (node.is("TensorListLength")) return {b.dim(in[0], 0)};
  return {};
}

bool is_list(const ValueInfo& value) { return value.dtype == DType::kVariant; }

Status no_tensor(const Node& node) {
  return unimplemented("TensorFlow Lite has no lists of tensors, and that of ", describe(node),
                       " cannot be a tensor");
}

class LoopLowering {
 public:
  LoopLowering(Graph& graph, NodeId id, const PassContext& context)
      : graph_(graph), id_(id), node_(graph.node(id)), context_(context), b_(graph) {}

  StatusOr<NodeId> run() {
    TENON_ASSIGN_OR_RETURN(body_,
                           find_function(graph_, node_.attrs.get<FunctionAttr>("body").name));
    TENON_ASSIGN_OR_RETURN(condition_,
                           find_function(graph_, node_.attrs.get<FunctionAttr>("cond").name));
    TENON_RETURN_IF_ERROR(find_items());
    std::vector<Endpoint> inputs = node_.inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!is_list(graph_.value(inputs[i]))) continue;
      TENON_ASSIGN_OR_RETURN(inputs[i], first_rows(i));
    }
    TENON_RETURN_IF_ERROR(b_.status());
    return replace(std::move(inputs));
  }

 private:
  Endpoint through_identities(const Graph& graph, Endpoint value) const {
    while (graph.node(value.node).is("Identity")) value = graph.node(value.node).inputs[0];
    return value;
  }

  // Which value of the body becomes an element of the list that is argument i.
  Status find_items() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, body_->topological_order());
    std::map<Endpoint, size_t> lists;
    for (size_t i = 0; i < body_->args.size(); ++i) lists[{body_->args[i], 0}] = i;
    items_.resize(body_->args.size());
    for (NodeId id : order) {
      const Node& node = body_->node(id);
      if (node.inputs.empty() || node.outputs.empty() || !is_list(node.outputs[0])) continue;
      const auto list = lists.find(node.inputs[0]);
      if (list == lists.end()) continue;
      lists[{id, 0}] = list->second;
      if (node.is("TensorListSetItem")) items_[list->second] = node.inputs[2];
      if (node.is("TensorListPushBack")) items_[list->second] = node.inputs[1];
    }
    return absl::OkStatus();
  }

  // The tensor of list `i` when the loop begins.
  StatusOr<Endpoint> first_rows(size_t i) {
    const Endpoint list = through_identities(graph_, node_.inputs[i]);
    const Node source = graph_.node(list.node);
    if (source.is("TensorListFromTensor")) return source.inputs[0];
    const bool reserves = source.is("TensorListReserve");
    if ((!reserves && !source.is("EmptyTensorList")) || !items_[i]) return no_tensor(source);
    const int64_t vector[] = {1};
    const Endpoint count =
        reserves ? b_.reshape(b_.cast(source.inputs[1], DType::kInt32), vector) : b_.integers({0});
    TENON_ASSIGN_OR_RETURN(const Endpoint dims, item_dims(items_[i]));
    const Endpoint shape = b_.concat({count, dims}, 0);
    return b_.op("Fill", {shape, b_.scalar_of(body_->value(items_[i]).dtype, 0)});
  }

  // The dimensions of what the body puts into a list: known, or those of a state that has the same
  // value after an iteration, for states keep their shapes.
  StatusOr<Endpoint> item_dims(Endpoint item) {
    const PartialShape& shape = body_->value(item).shape;
    if (shape.is_fully_known()) return b_.integers(shape.dims());
    const Endpoint value = through_identities(*body_, item);
    for (size_t k = 0; k < body_->results.size(); ++k) {
      if (through_identities(*body_, body_->results[k]) != value) continue;
      return b_.shape_of(node_.inputs[k]);
    }
    return unimplemented(describe(node_), " collects elements of shape ", shape,
                         ", which nothing outside it has");
  }

  // `function` with tensors of `values` as arguments.
  StatusOr<std::string> lowered(const Graph& function, const std::vector<ValueInfo>& values) {
    Graph made(graph_.library());
    GraphBuilder b(made);
    std::map<Endpoint, Endpoint> now;
    for (size_t i = 0; i < values.size(); ++i) {
      now[{function.args[i], 0}] = b.arg(cat("state_", i), values[i].dtype, values[i].shape);
    }
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, function.topological_order());
    for (NodeId id : order) {
      const Node& node = function.node(id);
      if (node.is("_Arg")) continue;
      std::vector<Endpoint> inputs;
      bool lists = false;
      for (Endpoint input : node.inputs) {
        lists |= is_list(function.value(input));
        inputs.push_back(now.at(input));
      }
      std::vector<Endpoint> outputs;
      if (lists) {
        outputs = on_rows(b, node, inputs);
        if (outputs.empty()) return no_tensor(node);
      } else {
        TENON_ASSIGN_OR_RETURN(const NodeId copy,
                               made.add(node.op->name(), node.name, std::move(inputs), node.attrs));
        for (int32_t k = 0; k < static_cast<int32_t>(node.outputs.size()); ++k) {
          outputs.push_back({copy, k});
        }
      }
      TENON_RETURN_IF_ERROR(with_context(b.status(), describe(node)));
      for (size_t k = 0; k < outputs.size(); ++k) now[{id, static_cast<int32_t>(k)}] = outputs[k];
    }
    for (size_t k = 0; k < function.results.size(); ++k) {
      made.results.push_back(now.at(function.results[k]));
      made.result_names.push_back(cat("result_", k));
    }
    TENON_RETURN_IF_ERROR(run_passes(kWithinLoops, made, context_));
    const std::string name = graph_.library()->unique_name(cat(node_.name, "/tensors"));
    graph_.library()->add(name, std::move(made));
    return name;
  }

  StatusOr<NodeId> replace(std::vector<Endpoint> inputs) {
    std::vector<ValueInfo> values;
    std::vector<DType> dtypes;
    for (size_t i = 0; i < inputs.size(); ++i) {
      ValueInfo value = graph_.value(inputs[i]);
      if (is_list(graph_.value(node_.inputs[i]))) {
        value.shape = list_shape(i, value.shape);
      } else {
        value.shape = common_shape(value.shape, body_->value({body_->args[i], 0}).shape);
      }
      dtypes.push_back(value.dtype);
      values.push_back(std::move(value));
    }
    AttrMap attrs = {{"T", dtypes}};
    TENON_ASSIGN_OR_RETURN(const std::string body, lowered(*body_, values));
    TENON_ASSIGN_OR_RETURN(const std::string condition, lowered(*condition_, values));
    attrs.set("body", FunctionAttr{body, nullptr});
    attrs.set("cond", FunctionAttr{condition, nullptr});
    Uses uses(graph_);
    TENON_ASSIGN_OR_RETURN(const NodeId made, graph_.add("StatelessWhile", node_.name,
                                                         std::move(inputs), std::move(attrs)));
    for (size_t i = 0; i < node_.outputs.size(); ++i) {
      const Endpoint before{id_, static_cast<int32_t>(i)}, after{made, before.index};
      graph_.value(after).shape = values[i].shape;
      if (is_list(node_.outputs[i])) {
        TENON_RETURN_IF_ERROR(read_rows(uses, before, after));
      } else {
        uses.replace_value(before, after);
      }
    }
    uses.remove_if_unused(id_);
    return made;
  }

  // The number of rows may change, their shape does not.
  PartialShape list_shape(size_t i, const PartialShape& first) const {
    std::vector<int64_t> dims = {-1};
    const PartialShape item = items_[i] ? body_->value(items_[i]).shape : PartialShape();
    if (item.has_rank()) {
      dims.insert(dims.end(), item.dims().begin(), item.dims().end());
    } else if (first.has_rank()) {
      dims.insert(dims.end(), first.dims().begin() + 1, first.dims().end());
    } else {
      return PartialShape();
    }
    return PartialShape(dims);
  }

  // Whoever reads the list that the loop gives reads its tensor.
  Status read_rows(Uses& uses, Endpoint list, Endpoint rows) {
    std::vector<NodeId> readers;
    uses.for_each_reader(list, [&](NodeId reader) { readers.push_back(reader); });
    for (NodeId reader : readers) {
      if (!graph_.alive(reader)) continue;  // it reads the list twice
      const Node node = graph_.node(reader);
      std::vector<Endpoint> in = node.inputs;
      in[0] = rows;
      const std::vector<Endpoint> outputs = on_rows(b_, node, in);
      if (outputs.empty() || node.is("TensorListPushBack")) return no_tensor(node);
      TENON_RETURN_IF_ERROR(with_context(b_.status(), describe(node)));
      for (size_t k = 0; k < outputs.size(); ++k) {
        const Endpoint output{reader, static_cast<int32_t>(k)};
        if (is_list(node.outputs[k])) {
          TENON_RETURN_IF_ERROR(read_rows(uses, output, outputs[k]));
        } else {
          uses.replace_value(output, outputs[k]);
        }
      }
      uses.remove_if_unused(reader);
    }
    return absl::OkStatus();
  }

  Graph& graph_;
  const NodeId id_;
  const Node node_;
  const PassContext& context_;
  GraphBuilder b_;
  std::shared_ptr<const Graph> body_, condition_;
  std::vector<Endpoint> items_;  // by argument; of no list: none
};

}  // namespace

StatusOr<NodeId> lists_to_tensors(Graph& graph, NodeId id, const PassContext& context) {
  return LoopLowering(graph, id, context).run();
}

}  // namespace tenon::lite
