#include "tenon/graph/gradient.h"

namespace tenon {

Gradient::Gradient(Graph& graph, NodeId forward, std::vector<Endpoint> dy)
    : builder_(graph),
      graph_(&graph),
      forward_(forward),
      dy_(std::move(dy)),
      dx_(graph.node(forward).inputs.size()) {}

Endpoint Gradient::dy(int index) {
  Endpoint& dy = dy_[static_cast<size_t>(index)];
  if (!dy) dy = builder_.zeros_like(output(index));
  return dy;
}

void Gradient::set_dx_broadcast(int index, Endpoint dx) {
  const PartialShape& wide = builder_.shape(dx);
  const PartialShape narrow = input_shape(index);
  if (narrow.is_fully_known() && wide == narrow) return set_dx(index, dx);
  if (narrow.is_fully_known() && wide.has_rank()) {
    std::vector<int64_t> axes;
    bool decided = true;
    for (int axis = 0; axis < wide.rank(); ++axis) {
      const int own = axis - (wide.rank() - narrow.rank());
      if (own < 0 || (narrow[own] == 1 && wide[axis] != 1)) axes.push_back(axis);
      // A dimension above 1 of the narrow side is the wide side's too.
      decided &= own < 0 || narrow[own] == 1 || wide[axis] < 0 || wide[axis] == narrow[own];
    }
    if (decided) {
      Endpoint sum = axes.empty() ? dx : builder_.sum(dx, axes);
      if (narrow.rank() > 0 && !(builder_.shape(sum) == narrow)) {
        sum = builder_.reshape(sum, narrow.dims());
      }
      return set_dx(index, sum);
    }
  }
  const Endpoint own_shape = builder_.shape_of(input(index));
  const std::vector<Endpoint> axes =
      builder_.ops("BroadcastGradientArgs", {own_shape, builder_.shape_of(dx)});
  if (axes.empty()) return;
  const Endpoint sum = builder_.op("Sum", {dx, axes[0]}, {{"keep_dims", false}});
  set_dx(index, builder_.reshape(sum, own_shape));
}

namespace {

// Nodes on a path from one of `xs` to one of `ys`, where gradients can flow.
std::vector<bool> nodes_between(const Graph& graph, const std::vector<NodeId>& order,
                                std::span<const Endpoint> ys, std::span<const Endpoint> xs) {
  std::vector<bool> from_x(static_cast<size_t>(graph.size()));
  std::vector<bool> to_y(static_cast<size_t>(graph.size()));
  for (Endpoint x : xs) from_x[static_cast<size_t>(x.node)] = true;
  for (NodeId id : order) {
    for (Endpoint input : graph.node(id).inputs) {
      if (from_x[static_cast<size_t>(input.node)]) from_x[static_cast<size_t>(id)] = true;
    }
  }
  for (Endpoint y : ys) to_y[static_cast<size_t>(y.node)] = true;
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    if (!to_y[static_cast<size_t>(*it)]) continue;
    for (Endpoint input : graph.node(*it).inputs) to_y[static_cast<size_t>(input.node)] = true;
  }
  std::vector<bool> between(from_x.size());
  for (size_t i = 0; i < between.size(); ++i) between[i] = from_x[i] && to_y[i];
  return between;
}

// Gradients that have arrived at each output so far, in order of arrival.
class Arrived {
 public:
  void add(Endpoint value, Endpoint gradient) { parts_[value].push_back(gradient); }

  // Their sum; an invalid Endpoint when there are none.
  Endpoint sum(GraphBuilder& builder, Endpoint value) {
    const auto it = parts_.find(value);
    if (it == parts_.end()) return {};
    std::vector<Endpoint>& parts = it->second;
    if (parts.size() > 1) parts = {builder.op("AddN", parts)};
    return parts[0];
  }

 private:
  std::map<Endpoint, std::vector<Endpoint>> parts_;
};

Status differentiate_node(Graph& graph, NodeId id, Arrived& arrived) {
  GraphBuilder builder(graph);
  std::vector<Endpoint> dy;
  bool any = false;
  for (size_t i = 0; i < graph.node(id).outputs.size(); ++i) {
    dy.push_back(arrived.sum(builder, {id, static_cast<int32_t>(i)}));
    any |= static_cast<bool>(dy.back());
  }
  TENON_RETURN_IF_ERROR(builder.status());
  const auto function = graph.node(id).op->decl().gradient.function;
  if (!any || !function) return absl::OkStatus();
  // A gradient may give the forward node more inputs (While's lists); they take no part.
  const std::vector<Endpoint> inputs = graph.node(id).inputs;
  Gradient gradient(graph, id, std::move(dy));
  Status status = function(gradient);
  if (status.ok()) status = gradient.build().status();
  if (!status.ok()) {
    return with_context(status, cat("gradient of ", describe(graph.node(id))));
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (gradient.dx()[i]) arrived.add(inputs[i], gradient.dx()[i]);
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<std::vector<Endpoint>> gradients(Graph& graph, std::span<const Endpoint> ys,
                                          std::span<const Endpoint> dys,
                                          std::span<const Endpoint> xs) {
  TENON_ASSIGN_OR_RETURN(const std::vector<NodeId> order, graph.topological_order());
  const std::vector<bool> between = nodes_between(graph, order, ys, xs);
  GraphBuilder builder(graph);
  Arrived arrived;
  for (size_t i = 0; i < ys.size(); ++i) {
    Endpoint dy = i < dys.size() ? dys[i] : Endpoint{};
    if (!dy) dy = builder.op("OnesLike", {ys[i]});
    arrived.add(ys[i], dy);
  }
  TENON_RETURN_IF_ERROR(builder.status());
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    if (!between[static_cast<size_t>(*it)]) continue;
    TENON_RETURN_IF_ERROR(differentiate_node(graph, *it, arrived));
  }
  std::vector<Endpoint> result;
  for (Endpoint x : xs) result.push_back(arrived.sum(builder, x));
  TENON_RETURN_IF_ERROR(builder.status());
  return result;
}

}  // namespace tenon
