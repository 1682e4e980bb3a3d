#include "tenon/keras/optimizers/weight_gradient.h"

#include "tenon/graph/gradient.h"
#include "tenon/graph/uses.h"

namespace tenon::keras {

namespace {

bool looks_up_rows(const Graph& graph, const Node& node, Endpoint weight) {
  if (node.op->name() != "GatherV2" || node.inputs[0] != weight || node.inputs[1] == weight) {
    return false;
  }
  const Tensor* axis = graph.constant(node.inputs[2]);
  return axis && integer_at(*axis, 0) == 0 && node.attrs.get<int64_t>("batch_dims") == 0;
}

// The nodes that look up rows of `weight`, or of what it is cast to. False if it is read otherwise.
bool find_lookups(Uses& uses, const Graph& graph, Endpoint weight, std::vector<NodeId>& lookups) {
  std::vector<NodeId> readers;
  uses.for_each_reader(weight, [&](NodeId id) { readers.push_back(id); });
  for (const NodeId id : readers) {
    if (id < 0) return false;
    const Node& node = graph.node(id);
    if (node.op->name() == "Cast" && is_floating(graph.value({id, 0}).dtype)) {
      if (!find_lookups(uses, graph, {id, 0}, lookups)) return false;
    } else if (looks_up_rows(graph, node, weight)) {
      lookups.push_back(id);
    } else {
      return false;
    }
  }
  return true;
}

// The gradients of several lookups, one after the other.
WeightGradient join_lookups(GraphBuilder& g, std::span<const NodeId> lookups,
                            std::span<const Endpoint> gradients, const Weight& weight) {
  std::vector<int64_t> form(weight.shape.dims().begin(), weight.shape.dims().end());
  form[0] = -1;
  std::vector<Endpoint> values, rows;
  for (size_t i = 0; i < lookups.size(); ++i) {
    if (!gradients[i]) continue;
    values.push_back(g.cast(g.reshape(gradients[i], form), weight.dtype));
    const Endpoint looked_up = g.graph().node(lookups[i]).inputs[1];
    rows.push_back(g.cast(g.reshape(looked_up, g.integers({-1})), DType::kInt64));
  }
  if (values.empty()) return {};
  if (values.size() == 1) return {values[0], rows[0]};
  return {g.concat(values, 0), g.concat(rows, 0)};
}

}  // namespace

StatusOr<std::vector<WeightGradient>> weight_gradients(Trace& trace, Endpoint loss,
                                                       std::span<Weight* const> weights) {
  GraphBuilder& g = trace.build();
  std::vector<std::vector<NodeId>> lookups(weights.size());
  std::vector<Endpoint> wanted;
  {
    Uses uses(g.graph());
    for (size_t i = 0; i < weights.size(); ++i) {
      const Endpoint weight = trace.read(*weights[i]);
      const bool has_rows = weights[i]->shape.num_elements() > 0 && weights[i]->shape.rank() > 0;
      if (!has_rows || !find_lookups(uses, g.graph(), weight, lookups[i])) lookups[i].clear();
      if (lookups[i].empty()) wanted.push_back(weight);
      for (const NodeId id : lookups[i]) wanted.push_back({id, 0});
    }
  }
  TENON_RETURN_IF_ERROR(g.status());
  const Endpoint losses[] = {loss};
  TENON_ASSIGN_OR_RETURN(const std::vector<Endpoint> found,
                         gradients(g.graph(), losses, {}, wanted));
  std::vector<WeightGradient> result;
  std::span<const Endpoint> rest(found);
  for (size_t i = 0; i < weights.size(); ++i) {
    const size_t count = std::max<size_t>(lookups[i].size(), 1);
    result.push_back(lookups[i].empty()
                         ? WeightGradient{rest[0], {}}
                         : join_lookups(g, lookups[i], rest.first(count), *weights[i]));
    rest = rest.subspan(count);
  }
  return result;
}

Endpoint sum_rows(GraphBuilder& g, const WeightGradient& gradient, const Weight& weight) {
  if (!gradient || !gradient.rows) return gradient.values;
  return g.op("UnsortedSegmentSum",
              {gradient.values, gradient.rows, g.scalar<int64_t>(weight.shape[0])});
}

}  // namespace tenon::keras
