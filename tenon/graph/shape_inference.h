// NodeShapes: a ShapeContext over plain vectors, for planning (Graph) and binding (runtime) alike.
#pragma once

#include "tenon/core/shape_context.h"

namespace tenon {

class FunctionLibrary;
class Graph;
struct Node;

class NodeShapes final : public ShapeContext {
 public:
  struct Input {
    DType dtype = DType::kInvalid;
    PartialShape shape;
    const Tensor* constant = nullptr;
    const HandleInfo* handle = nullptr;
  };

  // Views of `op` and `attrs` must outlive the object; `library` may be null.
  NodeShapes(const OpDef& op, const AttrMap& attrs, FunctionLibrary* library);

  std::vector<Input> inputs;
  std::vector<PartialShape> outputs;
  std::vector<std::optional<HandleInfo>> handles;
  bool symbolic = false;  // dimensions below -1 are symbols (symbolic_shapes.h), not errors

  // Runs the op's shape function; errors carry the op's name. Outputs whose dimensions are known
  // pass Shape::check().
  Status infer();

  const OpDef& op() const override { return op_; }
  const AttrMap& attrs() const override { return attrs_; }
  int num_inputs() const override { return static_cast<int>(inputs.size()); }
  DType input_dtype(int i) const override { return inputs[static_cast<size_t>(i)].dtype; }
  const PartialShape& input(int i) const override { return inputs[static_cast<size_t>(i)].shape; }
  const Tensor* constant(int i) const override { return inputs[static_cast<size_t>(i)].constant; }
  const HandleInfo* handle(int i) const override { return inputs[static_cast<size_t>(i)].handle; }
  int num_outputs() const override { return static_cast<int>(outputs.size()); }
  void set_output(int i, PartialShape shape) override {
    outputs[static_cast<size_t>(i)] = std::move(shape);
  }
  void set_handle(int i, HandleInfo handle) override {
    handles[static_cast<size_t>(i)] = std::move(handle);
  }
  std::vector<PartialShape> function_results(std::string_view name, int first_input) override;

 private:
  Status check_output(size_t index) const;

  const OpDef& op_;
  const AttrMap& attrs_;
  FunctionLibrary* library_;
};

// What the shape function of `node` sees. `graph` must outlive it, unchanged.
NodeShapes shapes_of(const Graph& graph, const Node& node);

}  // namespace tenon
