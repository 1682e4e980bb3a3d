// NodeContext: what the writing of one node sees, and the vocabulary it is written in.
//
// A node writer is a function from a node of the Graph to operators of TensorFlow Lite; the files
// write_*.cc hold them as rows by op. Errors stick, as in GraphBuilder: later calls do nothing
// that matters.
#pragma once

#include "tenon/graph/graph.h"
#include "tenon/lite/writer/lite_model.h"

namespace tenon::lite {

// A subgraph under construction: the tensors that stand for the graph's values.
class SubgraphScope {
 public:
  virtual ~SubgraphScope() = default;
  // The tensor of a value that was written or is constant.
  virtual int tensor(Endpoint value) = 0;
  virtual void set_tensor(Endpoint value, int tensor) = 0;
  // The value of a variable that nobody writes; empty for others.
  virtual Tensor frozen_variable(Endpoint handle) = 0;
  // Writes a function of the graph as a subgraph of its own.
  virtual StatusOr<int> subgraph(const FunctionAttr& function) = 0;
};

class NodeContext {
 public:
  NodeContext(SubgraphScope& scope, LiteModel& model, int subgraph, const Graph& graph, NodeId id)
      : scope_(scope), model_(model), subgraph_(subgraph), graph_(graph), id_(id) {}

  const Graph& graph() const { return graph_; }
  const Node& node() const { return graph_.node(id_); }
  SubgraphScope& scope() { return scope_; }
  const Status& status() const { return status_; }
  void fail(const Status& status) {
    if (status_.ok()) status_ = status;
  }

  int num_inputs() const { return static_cast<int>(node().inputs.size()); }
  Endpoint input(int i) const { return node().inputs[static_cast<size_t>(i)]; }
  int in(int i) { return scope_.tensor(input(i)); }
  // Null where it is not constant.
  const Tensor* constant(int i) const { return graph_.constant(input(i)); }
  // As int32, as LiteRT's kernels want shapes, axes and the like.
  int in_int32(int i);
  DType in_dtype(int i) const { return graph_.value(input(i)).dtype; }
  const PartialShape& in_shape(int i) const { return graph_.value(input(i)).shape; }
  DType out_dtype(int i = 0) const { return node().outputs[static_cast<size_t>(i)].dtype; }
  const PartialShape& out_shape(int i = 0) const {
    return node().outputs[static_cast<size_t>(i)].shape;
  }
  // A constant's only element; fails where there is none.
  int64_t scalar(int i);
  template <class T>
  T attr(std::string_view name, T otherwise) const {
    return node().attrs.get_or<T>(name, std::move(otherwise));
  }

  // The tensor of output `i`, made when it is first asked for.
  int out(int i = 0);
  std::vector<int> all_inputs();
  std::vector<int> all_outputs();
  // Output `i` is `tensor`.
  void alias(int i, int tensor) { scope_.set_tensor({id_, i}, tensor); }
  int temporary(DType dtype, const PartialShape& shape);
  int constant_tensor(const Tensor& value);
  int ints(std::span<const int64_t> values);
  int ints(std::initializer_list<int64_t> values) {
    return ints(std::span<const int64_t>(values.begin(), values.size()));
  }
  int float_scalar(float value) { return constant_tensor(Tensor::scalar<float>(value)); }
  // `count` float zeros, the bias that TensorFlow Lite's layers want where there is none.
  int no_bias(int64_t count);

  void emit(int builtin, std::vector<int> inputs, std::vector<int> outputs) {
    add(builtin, std::move(inputs), std::move(outputs));
  }
  template <class Options>
  void emit(int builtin, std::vector<int> inputs, std::vector<int> outputs, Options options) {
    add(builtin, std::move(inputs), std::move(outputs)).builtin_options.Set(std::move(options));
  }
  // One operator with one result, a new tensor.
  template <class... Options>
  int chain(int builtin, std::vector<int> inputs, const PartialShape& shape, DType dtype,
            Options... options) {
    const int result = temporary(dtype, shape);
    emit(builtin, std::move(inputs), {result}, std::move(options)...);
    return result;
  }
  // `tensor` with its axes in another order; computed here where it is constant.
  int transposed(int i, std::span<const int> permutation);
  // Of a constant, then under another shape.
  int transposed_constant(int i, std::span<const int> permutation, const Shape& shape);

 private:
  schema::OperatorT& add(int builtin, std::vector<int> inputs, std::vector<int> outputs);
  std::string new_name();

  SubgraphScope& scope_;
  LiteModel& model_;
  int subgraph_;
  const Graph& graph_;
  NodeId id_;
  std::map<int, int> outputs_;
  int names_ = 0;
  Status status_;
};

// The writer of a node that TensorFlow Lite has with the same inputs and outputs, and no options.
template <int builtin>
void write_as(NodeContext& c) {
  c.emit(builtin, c.all_inputs(), c.all_outputs());
}

struct NodeWriter {
  std::string_view op;
  void (*write)(NodeContext& c);
};

std::span<const NodeWriter> elementwise_writers();
std::span<const NodeWriter> product_writers();
std::span<const NodeWriter> array_writers();

// "SAME" is 0, "VALID" 1.
inline int8_t padding_number(const std::string& padding) { return padding == "SAME" ? 0 : 1; }

}  // namespace tenon::lite
