// Gradient: what an op's gradient function sees. It reads inputs, outputs and dy of the forward
// node and adds graph ops that compute dx. gradients() walks the graph backwards and calls it node
// by node.
#pragma once

#include "tenon/graph/builder.h"

namespace tenon {

class Gradient {
 public:
  Gradient(Graph& graph, NodeId forward, std::vector<Endpoint> dy);

  GraphBuilder& build() { return builder_; }
  Graph& graph() { return builder_.graph(); }
  const Node& forward() const { return graph_->node(forward_); }
  template <class T>
  T attr(std::string_view name) const {
    return forward().attrs.get<T>(name);
  }

  int num_inputs() const { return static_cast<int>(forward().inputs.size()); }
  int num_outputs() const { return static_cast<int>(forward().outputs.size()); }
  Endpoint input(int index) const { return forward().inputs[static_cast<size_t>(index)]; }
  Endpoint output(int index) const { return {forward_, index}; }
  DType input_dtype(int index) const { return graph_->value(input(index)).dtype; }
  PartialShape input_shape(int index) const { return graph_->value(input(index)).shape; }

  // Gradient of the loss with respect to output `index`; zeros when none flows into it.
  Endpoint dy(int index = 0);
  bool has_dy(int index) const { return static_cast<bool>(dy_[static_cast<size_t>(index)]); }

  // Sets the gradient with respect to input `index`. Inputs that are not set get none.
  void set_dx(int index, Endpoint dx) { dx_[static_cast<size_t>(index)] = dx; }

  // Sums `dx`, which has the broadcast shape, down to the shape of input `index` and sets it.
  void set_dx_broadcast(int index, Endpoint dx);

  const std::vector<Endpoint>& dx() const { return dx_; }

 private:
  GraphBuilder builder_;
  const Graph* graph_;
  NodeId forward_;
  std::vector<Endpoint> dy_;
  std::vector<Endpoint> dx_;
};

// Adds to `graph` the nodes that compute d(sum of dys[i] * ys[i]) / d(xs[j]) and returns one
// endpoint for each x; an invalid Endpoint where no gradient flows. `dys` may be empty: ones.
// Contributions to one value are added in the order of the nodes that read it, so equal graphs give
// equal bits. Calls of functions must have been inlined (passes/inline.h). UNIMPLEMENTED names an
// op on the way that has no gradient function although TensorFlow's has one.
StatusOr<std::vector<Endpoint>> gradients(Graph& graph, std::span<const Endpoint> ys,
                                          std::span<const Endpoint> dys,
                                          std::span<const Endpoint> xs);

}  // namespace tenon
