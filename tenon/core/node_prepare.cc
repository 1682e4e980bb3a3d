#include "tenon/core/node_prepare.h"

#include "tenon/base/float_mode.h"
#include "tenon/base/out_of_memory.h"
#include "tenon/core/device.h"

namespace tenon {
namespace {

// More elements than memory holds: only a tensor without elements may have these dimensions.
constexpr int64_t kSpan = int64_t{1} << 40;

bool spans_more_than_memory(const Shape& shape) {
  int64_t span = 1;
  for (int64_t dim : shape.dims()) {
    if (dim != 0 && (__builtin_mul_overflow(span, dim, &span) || span > kSpan)) return true;
  }
  return false;
}

}  // namespace

// Tensors without elements may have dimensions whose products, over several tensors, do not fit in
// int64. Where nothing is to be computed of them, no kernel sees them.
bool NodePrepare::has_nothing_to_compute() const {
  if (op_.decl().effect != Effect::kNone || op_.decl().sets_outputs() || outputs.empty()) {
    return false;
  }
  bool spans = false;
  for (const Output& output : outputs) {
    if (output.shape.num_elements() != 0) return false;
    spans |= spans_more_than_memory(output.shape.to_shape());
  }
  for (const Input& input : inputs) spans |= spans_more_than_memory(input.shape);
  return spans;
}

StatusOr<Kernel> NodePrepare::first_accepted(size_t count,
                                             FunctionRef<StatusOr<Kernel>(size_t)> make) {
  if (has_nothing_to_compute()) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  std::string reasons;
  for (size_t i = 0; i < count; ++i) {
    scratch_bytes = 0;
    overwrites.clear();
    packed_only.clear();
    StatusOr<Kernel> kernel = make(i);
    if (kernel.ok()) return kernel;
    if (kernel.status().code() != absl::StatusCode::kUnimplemented) {
      return with_context(kernel.status(), cat("node '", name_, "' (op ", op_.name(), ")"));
    }
    if (!reasons.empty()) reasons += "; ";
    reasons += message_of(kernel.status());
  }
  std::vector<std::string> found;
  for (const Input& input : inputs) found.push_back(cat(input.dtype, input.shape));
  return unimplemented("node '", name_, "' (op ", op_.name(), ") has no kernel for inputs ",
                       join(found, ", "), reasons.empty() ? "" : ": ", reasons);
}

StatusOr<Ref<Buffer>> NodePrepare::packed(int index, std::string_view,
                                          FunctionRef<StatusOr<Ref<Buffer>>(const Tensor&)> pack) {
  return pack(*constant(index));
}

StatusOr<std::shared_ptr<FunctionRunner>> NodePrepare::function(std::string_view name, int) {
  return internal("attribute '", name, "' of node '", name_, "' cannot be run here");
}

namespace {
class HeapRun final : public KernelRun {
 public:
  using KernelRun::KernelRun;
  StatusOr<Tensor> allocate(DType dtype, const Shape& shape) override {
    return Tensor::allocate(dtype, shape);
  }
};
}  // namespace

namespace {
StatusOr<std::vector<Tensor>> evaluate_node(const OpDef& op, const AttrMap& attrs,
                                            std::string_view node_name,
                                            std::span<const Tensor> inputs,
                                            std::span<const PartialShape> output_shapes,
                                            ResourceStore* resources) {
  NodePrepare prepare(op, attrs, node_name);
  prepare.resource_store = resources;
  std::vector<Tensor> copies(inputs.begin(), inputs.end());
  std::vector<Tensor*> in;
  for (Tensor& input : copies) {
    prepare.inputs.push_back({input.dtype(), input.shape(), &input, false});
    in.push_back(&input);
  }
  const std::vector<DType> dtypes = op.output_dtypes(attrs);
  std::vector<Tensor> outputs(dtypes.size());
  std::vector<Tensor*> out;
  for (size_t i = 0; i < dtypes.size(); ++i) {
    prepare.outputs.push_back({dtypes[i], output_shapes[i]});
    if (!op.decl().sets_outputs() && output_shapes[i].is_fully_known()) {
      TENON_ASSIGN_OR_RETURN(outputs[i], Tensor::allocate(dtypes[i], output_shapes[i].to_shape()));
    } else {
      outputs[i] = Tensor(dtypes[i], Shape{0});
    }
    out.push_back(&outputs[i]);
  }
  TENON_ASSIGN_OR_RETURN(Kernel kernel, cpu_device()->make_kernel(prepare));
  const Ref<Buffer> scratch = Buffer::host(prepare.scratch_bytes);
  if (!scratch) return resource_exhausted("out of memory while folding node '", node_name, "'");
  RunContext context{.resources = resources};
  HeapRun run(in.data(), static_cast<int>(in.size()), out.data(), static_cast<int>(out.size()),
              scratch->data(), context);
  const FlushSubnormals flush;
  if (Status status = kernel(run); !status.ok()) {
    return with_context(status, cat("node '", node_name, "' (op ", op.name(), ")"));
  }
  return outputs;
}
}  // namespace

StatusOr<std::vector<Tensor>> evaluate(const OpDef& op, const AttrMap& attrs,
                                       std::string_view node_name, std::span<const Tensor> inputs,
                                       std::span<const PartialShape> output_shapes,
                                       ResourceStore* resources) {
  return or_out_of_memory(
      [&] { return evaluate_node(op, attrs, node_name, inputs, output_shapes, resources); });
}

}  // namespace tenon
