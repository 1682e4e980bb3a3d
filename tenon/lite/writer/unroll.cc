#include "tenon/lite/writer/unroll.h"

#include <set>

#include "tenon/graph/builder.h"
#include "tenon/graph/function_copy.h"
#include "tenon/graph/uses.h"
#include "tenon/lite/writer/loops.h"

namespace tenon::lite {
namespace {

constexpr int kMostIterations = 1024;
constexpr NodeId kMostNodes = 500'000;

struct Loop {
  std::shared_ptr<const Graph> body, condition;
};

StatusOr<Loop> loop_of(const Graph& graph, const Node& node) {
  Loop loop;
  TENON_ASSIGN_OR_RETURN(loop.body,
                         find_function(graph, node.attrs.get<FunctionAttr>("body").name));
  TENON_ASSIGN_OR_RETURN(loop.condition,
                         find_function(graph, node.attrs.get<FunctionAttr>("cond").name));
  return loop;
}

// How often the loop runs, found by running what of its state is constant; kNotConstant where that
// does not say it.
constexpr int kNotConstant = -1;
StatusOr<int> count_iterations(const Graph& graph, const Node& node, const Loop& loop,
                               const PassContext& context) {
  std::vector<Tensor> known(node.inputs.size());
  for (size_t i = 0; i < known.size(); ++i) {
    if (const Tensor* constant = graph.constant(node.inputs[i])) known[i] = *constant;
  }
  for (int count = 0; count <= kMostIterations; ++count) {
    Graph step(graph.library());
    GraphBuilder b(step);
    std::vector<Endpoint> args;
    for (size_t i = 0; i < known.size(); ++i) {
      const ValueInfo& value = graph.value(node.inputs[i]);
      args.push_back(known[i].has_value() ? b.constant(known[i])
                                          : b.arg(cat("state_", i), value.dtype, value.shape));
    }
    TENON_RETURN_IF_ERROR(b.status());
    FunctionCopyOptions options;
    options.results_only = true;
    TENON_ASSIGN_OR_RETURN(const FunctionCopy more,
                           copy_function(step, *loop.condition, args, options));
    TENON_ASSIGN_OR_RETURN(const FunctionCopy next, copy_function(step, *loop.body, args, options));
    step.results = more.results;
    step.results.insert(step.results.end(), next.results.begin(), next.results.end());
    TENON_RETURN_IF_ERROR(fold_constants(step, context));
    const Tensor* condition = step.constant(step.results[0]);
    if (!condition || condition->dtype() != DType::kBool) break;
    if (!*condition->data<bool>()) return count;
    for (size_t i = 0; i < known.size(); ++i) {
      const Tensor* constant = step.constant(step.results[i + 1]);
      known[i] = constant ? *constant : Tensor();
    }
  }
  return kNotConstant;
}

// The node that stays in its place, -1 for none.
StatusOr<NodeId> unroll(Graph& graph, NodeId id, const PassContext& context) {
  Uses uses(graph);
  const Node node = graph.node(id);
  TENON_ASSIGN_OR_RETURN(const Loop loop, loop_of(graph, node));
  TENON_ASSIGN_OR_RETURN(const int count, count_iterations(graph, node, loop, context));
  if (count == kNotConstant) return lists_to_tensors(graph, id, context);
  std::vector<Endpoint> state = node.inputs;
  for (int i = 0; i < count; ++i) {
    const std::string prefix = cat(node.name, "/", i);
    FunctionCopyOptions options;
    options.prefix = prefix;
    options.results_only = true;
    options.infer = true;
    TENON_ASSIGN_OR_RETURN(FunctionCopy copy, copy_function(graph, *loop.body, state, options));
    state = std::move(copy.results);
    if (graph.size() > kMostNodes) {
      return resource_exhausted(describe(node), " written out takes more than ", kMostNodes,
                                " nodes");
    }
  }
  for (size_t i = 0; i < state.size(); ++i) {
    uses.replace_value({id, static_cast<int32_t>(i)}, state[i]);
  }
  uses.remove_if_unused(id);
  return -1;
}

// One dimension of a value, where it is known though others are not. Shapes are inferred again
// first: behind a loop that was written out more is known.
Status fold_dimensions(Graph& graph, std::span<const NodeId> order) {
  Uses uses(graph);
  GraphBuilder b(graph);
  for (NodeId id : order) {
    if (!graph.alive(id)) continue;
    if (const Status inferred = graph.infer(id); !inferred.ok())
      continue;  // told when it is written
    const Node& node = graph.node(id);
    if (!node.is("StridedSlice") || node.attrs.get_or<int64_t>("shrink_axis_mask", 0) != 1)
      continue;
    const Node& source = graph.node(node.inputs[0].node);
    const Tensor* begin = graph.constant(node.inputs[1]);
    if (!source.is("Shape") || !begin || begin->num_elements() != 1) continue;
    const PartialShape& shape = graph.value(source.inputs[0]).shape;
    const int64_t at = integer_at(*begin, 0);
    if (!shape.has_rank() || at < 0 || at >= shape.rank()) continue;
    const int64_t size = shape[static_cast<int>(at)];
    if (size < 0) continue;
    const DType dtype = node.outputs[0].dtype;
    uses.replace_value({id, 0}, b.scalar_of(dtype, static_cast<double>(size)));
  }
  return b.status();
}

bool is_loop(const Node& node) { return node.is("While") || node.is("StatelessWhile"); }

// Lists as the values that they hold.
class ListResolver {
 public:
  explicit ListResolver(Graph& graph) : graph_(graph), b_(graph), uses_(graph) {}

  Status run() {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph_.topological_order());
    std::vector<NodeId> resolved;
    for (NodeId id : order) {
      if (!graph_.alive(id)) continue;
      const Node node = graph_.node(id);
      if (is_loop(node) || is_for_loops(id, node)) continue;  // those that are looked at next
      const bool takes = std::any_of(node.inputs.begin(), node.inputs.end(),
                                     [&](Endpoint e) { return lists_.contains(e); });
      if (!takes && !makes_list(node)) continue;
      if (!resolve(id, node)) {
        return unimplemented("TensorFlow Lite has no lists of tensors, and ", describe(node),
                             " does not say which elements it takes");
      }
      TENON_RETURN_IF_ERROR(b_.status());
      resolved.push_back(id);
    }
    for (size_t i = resolved.size(); i-- > 0;) {
      if (graph_.alive(resolved[i])) uses_.remove_if_unused(resolved[i]);
    }
    return absl::OkStatus();
  }

 private:
  using List = std::vector<Endpoint>;

  static bool makes_list(const Node& node) {
    return node.is("TensorListFromTensor") || node.is("EmptyTensorList") ||
           node.is("TensorListReserve");
  }

  bool is_for_loops(NodeId id, const Node& node) {
    return makes_list(node) && uses_.is_read_only_among({id, 0}, [&](NodeId reader) {
      return is_loop(graph_.node(reader));
    });
  }

  const List* list(const Node& node) const {
    const auto it = lists_.find(node.inputs[0]);
    return it == lists_.end() ? nullptr : &it->second;
  }
  // A constant index below `size`; -1 for others.
  int64_t index_of(Endpoint index, size_t size) const {
    const Tensor* constant = graph_.constant(index);
    if (!constant || constant->num_elements() != 1) return -1;
    const int64_t value = integer_at(*constant, 0);
    return value >= 0 && value < static_cast<int64_t>(size) ? value : -1;
  }

  bool resolve(NodeId id, const Node& node) {
    if (node.is("TensorListFromTensor")) {
      const PartialShape shape = graph_.value(node.inputs[0]).shape;
      if (!shape.has_rank() || shape.rank() < 1 || shape[0] < 0) return false;
      lists_[{id, 0}] = b_.ops("Unpack", {node.inputs[0]}, {{"num", shape[0]}});
      return true;
    }
    if (node.is("EmptyTensorList")) {
      lists_[{id, 0}] = {};
      return true;
    }
    if (node.is("TensorListReserve")) {
      const Tensor* count = graph_.constant(node.inputs[1]);
      if (!count || integer_at(*count, 0) < 0 || integer_at(*count, 0) > kMostNodes) return false;
      lists_[{id, 0}] = List(static_cast<size_t>(integer_at(*count, 0)));
      return true;
    }
    const List* given = list(node);
    if (!given) return false;
    List now = *given;
    if (node.is("Identity")) {
      lists_[{id, 0}] = std::move(now);
    } else if (node.is("TensorListPushBack")) {
      now.push_back(node.inputs[1]);
      lists_[{id, 0}] = std::move(now);
    } else if (node.is("TensorListPopBack")) {
      if (now.empty() || !now.back()) return false;
      uses_.replace_value({id, 1}, now.back());
      now.pop_back();
      lists_[{id, 0}] = std::move(now);
    } else if (node.is("TensorListSetItem")) {
      const int64_t at = index_of(node.inputs[1], now.size());
      if (at < 0) return false;
      now[static_cast<size_t>(at)] = node.inputs[2];
      lists_[{id, 0}] = std::move(now);
    } else if (node.is("TensorListGetItem")) {
      const int64_t at = index_of(node.inputs[1], now.size());
      if (at < 0 || !now[static_cast<size_t>(at)]) return false;
      uses_.replace_value({id, 0}, now[static_cast<size_t>(at)]);
    } else if (node.is("TensorListStack")) {
      if (now.empty() || !std::all_of(now.begin(), now.end(), [](Endpoint e) { return bool(e); })) {
        return false;
      }
      uses_.replace_value({id, 0}, b_.op("Pack", now, {{"axis", int64_t{0}}}));
    } else if (node.is("TensorListLength")) {
      uses_.replace_value({id, 0}, b_.scalar(static_cast<int32_t>(now.size())));
    } else {
      return false;
    }
    return true;
  }

  Graph& graph_;
  GraphBuilder b_;
  Uses uses_;
  std::map<Endpoint, List> lists_;
};

}  // namespace

Status unroll_loops(Graph& graph, const PassContext& context) {
  std::set<NodeId> kept;
  for (;;) {
    TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
    TENON_RETURN_IF_ERROR(fold_dimensions(graph, order));
    TENON_RETURN_IF_ERROR(remove_dead_nodes(graph, context));
    TENON_RETURN_IF_ERROR(fold_constants(graph, context));
    const auto loop = std::find_if(order.begin(), order.end(), [&](NodeId id) {
      return graph.alive(id) && is_loop(graph.node(id)) && !kept.contains(id);
    });
    if (loop == order.end()) return absl::OkStatus();
    TENON_ASSIGN_OR_RETURN(const NodeId stays, unroll(graph, *loop, context));
    if (stays >= 0) kept.insert(stays);
    TENON_RETURN_IF_ERROR(remove_dead_nodes(graph, context));
    TENON_RETURN_IF_ERROR(fold_constants(graph, context));
    TENON_RETURN_IF_ERROR(ListResolver(graph).run());
  }
}

}  // namespace tenon::lite
