// NodePrepare: a Prepare over plain vectors, and the search for the first factory that accepts.
#pragma once

#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"

namespace tenon {

class NodePrepare : public Prepare {
 public:
  struct Input {
    DType dtype = DType::kInvalid;
    Shape shape;
    const Tensor* constant = nullptr;
    bool frozen = false;
  };
  struct Output {
    DType dtype = DType::kInvalid;
    PartialShape shape;
  };

  // `op`, `attrs` and `name` must outlive the object.
  NodePrepare(const OpDef& op, const AttrMap& attrs, std::string_view name)
      : op_(op), attrs_(attrs), name_(name) {}

  std::vector<Input> inputs;
  std::vector<Output> outputs;
  int team_threads = 1;
  Precision compute_precision = Precision::kFloat32;
  ResourceStore* resource_store = nullptr;
  ResourceStore* stream_store = nullptr;  // null: resource_store

  // Filled by the factory.
  size_t scratch_bytes = 0;
  std::vector<std::pair<int, int>> overwrites;  // (input, output)
  std::vector<int> packed_only;                 // inputs that it reads in a packed form alone

  // The kernel of the first of `count` factories that accepts: `make(i)` calls the i-th with this
  // Prepare. UNIMPLEMENTED joins the reasons of all.
  StatusOr<Kernel> first_accepted(size_t count, FunctionRef<StatusOr<Kernel>(size_t)> make);

  const OpDef& op() const override { return op_; }
  std::string_view node_name() const override { return name_; }
  const AttrMap& attrs() const override { return attrs_; }
  int num_inputs() const override { return static_cast<int>(inputs.size()); }
  DType input_dtype(int i) const override { return inputs[static_cast<size_t>(i)].dtype; }
  const Shape& input_shape(int i) const override { return inputs[static_cast<size_t>(i)].shape; }
  int num_outputs() const override { return static_cast<int>(outputs.size()); }
  DType output_dtype(int i) const override { return outputs[static_cast<size_t>(i)].dtype; }
  const PartialShape& output_shape(int i) const override {
    return outputs[static_cast<size_t>(i)].shape;
  }
  const Tensor* constant(int i) const override { return inputs[static_cast<size_t>(i)].constant; }
  bool frozen(int i) const override { return inputs[static_cast<size_t>(i)].frozen; }
  int team() const override { return team_threads; }
  Precision precision() const override { return compute_precision; }
  ResourceStore* resources() const override { return resource_store; }
  ResourceStore* streams() const override { return stream_store ? stream_store : resource_store; }
  void reserve_scratch(size_t bytes) override { scratch_bytes = std::max(scratch_bytes, bytes); }
  void may_overwrite(int input, int output) override { overwrites.emplace_back(input, output); }

  // Packs anew each time; the runtime's NodePrepare shares packed copies.
  StatusOr<Ref<Buffer>> packed(int index, std::string_view layout,
                               FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) override;
  // INTERNAL: only the runtime can run functions.
  StatusOr<std::shared_ptr<FunctionRunner>> function(std::string_view name, int index) override;

 private:
  bool has_nothing_to_compute() const;

  const OpDef& op_;
  const AttrMap& attrs_;
  std::string_view name_;
};

// Runs one op on the CPU and returns its outputs, for constant folding. Inputs are in host memory;
// `output_shapes` come from the op's shape function.
StatusOr<std::vector<Tensor>> evaluate(const OpDef& op, const AttrMap& attrs,
                                       std::string_view node_name, std::span<const Tensor> inputs,
                                       std::span<const PartialShape> output_shapes,
                                       ResourceStore* resources);

}  // namespace tenon
