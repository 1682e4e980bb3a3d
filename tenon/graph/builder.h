// GraphBuilder: adds ops to a Graph with little writing, for layers, losses, optimizers and
// gradients.
//
// The first error sticks: later calls do nothing and return an invalid Endpoint, and status()
// reports it, so that a chain of ops needs one check at its end.
#pragma once

#include "tenon/graph/graph.h"

namespace tenon {

class GraphBuilder {
 public:
  explicit GraphBuilder(Graph& graph) : graph_(&graph) {}

  Graph& graph() { return *graph_; }
  const Status& status() const { return status_; }
  // Records `status` if it is the first error.
  void fail(const Status& status) {
    if (status_.ok()) status_ = status;
  }

  // Adds one op; returns its first output. Attributes of kind type that follow from the inputs
  // ("T", "Tidx", "N", ...) are filled in when they are not given.
  Endpoint op(std::string_view name, std::vector<Endpoint> inputs, AttrMap attrs = {});
  // As op(), all outputs.
  std::vector<Endpoint> ops(std::string_view name, std::vector<Endpoint> inputs,
                            AttrMap attrs = {});
  // As op(), the node itself (for ops without outputs); -1 after an error.
  NodeId node(std::string_view name, std::vector<Endpoint> inputs, AttrMap attrs = {});

  Endpoint constant(Tensor value);
  template <class T>
  Endpoint scalar(T value) {
    return constant(Tensor::scalar<T>(value));
  }
  // `value` as a scalar of floating or integer `dtype`.
  Endpoint scalar_of(DType dtype, double value);
  Endpoint integers(std::span<const int64_t> values);  // int32, 1-D
  Endpoint integers(std::initializer_list<int64_t> values) {
    return integers(std::span<const int64_t>(values.begin(), values.size()));
  }

  Endpoint arg(std::string_view name, DType dtype, PartialShape shape);

  DType dtype(Endpoint e) const { return e ? graph_->value(e).dtype : DType::kInvalid; }
  const PartialShape& shape(Endpoint e) const;

  // The ops that are written most.
  Endpoint add(Endpoint a, Endpoint b) { return op("AddV2", {a, b}); }
  Endpoint sub(Endpoint a, Endpoint b) { return op("Sub", {a, b}); }
  Endpoint mul(Endpoint a, Endpoint b) { return op("Mul", {a, b}); }
  Endpoint div(Endpoint a, Endpoint b) { return op("RealDiv", {a, b}); }
  Endpoint neg(Endpoint a) { return op("Neg", {a}); }
  Endpoint matmul(Endpoint a, Endpoint b, bool transpose_a = false, bool transpose_b = false);
  Endpoint cast(Endpoint a, DType dtype);
  Endpoint reshape(Endpoint a, Endpoint shape) { return op("Reshape", {a, shape}); }
  Endpoint reshape(Endpoint a, std::span<const int64_t> dims) { return reshape(a, integers(dims)); }
  // `parts` one after the other along `axis`.
  Endpoint concat(std::vector<Endpoint> parts, int64_t axis);
  // Parts of `a` along axis 0, counted from its end where negative, as Python's a[begin:end],
  // a[begin:] and a[index].
  Endpoint slice(Endpoint a, int64_t begin, int64_t end);
  Endpoint slice(Endpoint a, int64_t begin);
  Endpoint element(Endpoint a, int64_t index);
  // What only a run knows for sure, int32: all of a's dimensions, and the one of `axis`, a scalar.
  Endpoint shape_of(Endpoint a);
  Endpoint dim(Endpoint a, int64_t axis) { return element(shape_of(a), axis); }
  Endpoint sum(Endpoint a, std::span<const int64_t> axes, bool keep_dims = false);
  Endpoint mean(Endpoint a, std::span<const int64_t> axes, bool keep_dims = false);
  Endpoint zeros_like(Endpoint a) { return op("ZerosLike", {a}); }

 private:
  Graph* graph_;
  Status status_;
};

// Completes `attrs` with the type and length attributes that follow from the inputs' dtypes.
void infer_type_attrs(const OpDef& op, std::span<const DType> inputs, AttrMap& attrs);

}  // namespace tenon
