// _FusedElementwise: a chain of element-wise operations in one pass over memory. Made by a pass;
// the program stands in attributes (tenon/kernels/fused_program.h). _FusedMixedElementwise is the
// same with float16, bfloat16, casts and truth values among its values: devices are asked for each.
#include "tenon/kernels/fused_elementwise.h"

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/fused_program.h"

namespace tenon {
namespace {

// All inputs broadcast against each other; every output has that shape.
Status fused_elementwise_shape(ShapeContext& c) {
  PartialShape shape = c.input(0);
  for (int i = 1; i < c.num_inputs(); ++i) {
    TENON_ASSIGN_OR_RETURN(shape, broadcast_shapes(shape, c.input(i)));
  }
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, shape);
  return absl::OkStatus();
}

// How an input of `shape` is read over [rows, columns]; UNIMPLEMENTED when it is spread otherwise.
StatusOr<kernels::FusedKind> fused_kind(const Shape& shape, const Shape& output) {
  if (shape == output) return kernels::FusedKind::kFull;
  const int64_t count = shape.num_elements();
  if (count == 1) return kernels::FusedKind::kScalar;
  const int64_t columns = output.rank() == 0 ? 1 : output[output.rank() - 1];
  if (shape[shape.rank() - 1] == columns && count == columns) return kernels::FusedKind::kRow;
  if (shape.rank() == output.rank() && shape[shape.rank() - 1] == 1 &&
      shape.product(0, shape.rank() - 1) == output.product(0, output.rank() - 1)) {
    return kernels::FusedKind::kColumn;
  }
  if (count == output.num_elements()) return kernels::FusedKind::kFull;
  return unimplemented("an input of shape ", shape, " in a fused loop over ", output);
}

constexpr size_t kMostFusedPointers = 64;

Status no_fused_gradient(Gradient&) { return internal("gradients are taken before ops are fused"); }

StatusOr<Kernel> make_fused_elementwise(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(kernels::FusedProgram program, kernels::read_fused_program(p.attrs()));
  if (static_cast<int>(program.outputs.size()) != p.num_outputs()) {
    return invalid_argument("the program has ", program.outputs.size(), " outputs, the node ",
                            p.num_outputs());
  }
  if (static_cast<size_t>(std::max(p.num_inputs(), p.num_outputs())) > kMostFusedPointers) {
    return unimplemented("a fused loop over more than ", kMostFusedPointers, " tensors");
  }
  const Shape output = p.output_shape(0).to_shape();
  for (int i = 0; i < p.num_inputs(); ++i) {
    TENON_ASSIGN_OR_RETURN(const kernels::FusedKind kind, fused_kind(p.input_shape(i), output));
    program.inputs.push_back({kind, p.input_dtype(i)});
    if (kind == kernels::FusedKind::kFull && p.num_outputs() == 1 &&
        size_of(p.input_dtype(i)) == size_of(p.output_dtype(0))) {
      p.may_overwrite(i, 0);
    }
  }
  for (int i = 0; i < p.num_outputs(); ++i) {
    program.outputs[static_cast<size_t>(i)].dtype = p.output_dtype(i);
  }
  TENON_ASSIGN_OR_RETURN(kernels::FusedElementwise compiled,
                         kernels::FusedElementwise::compile(program));
  auto loop = std::make_shared<const kernels::FusedElementwise>(std::move(compiled));
  const int64_t columns = output.rank() == 0 ? 1 : output[output.rank() - 1];
  const int64_t rows = output.rank() == 0 ? 1 : output.product(0, output.rank() - 1);
  return Kernel([loop, rows, columns](KernelRun& r) {
    std::array<const void*, kMostFusedPointers> inputs;
    std::array<void*, kMostFusedPointers> outputs;
    const size_t num_inputs = static_cast<size_t>(r.num_inputs());
    const size_t num_outputs = static_cast<size_t>(r.num_outputs());
    for (size_t i = 0; i < num_inputs; ++i) inputs[i] = r.input(static_cast<int>(i)).raw();
    for (size_t i = 0; i < num_outputs; ++i) {
      outputs[i] = r.output(static_cast<int>(i)).mutable_raw();
    }
    loop->run({inputs.data(), num_inputs}, {outputs.data(), num_outputs}, rows, columns);
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(_FusedElementwise) = {
    .inputs = "args: Tin",
    .outputs = "results: Tout",
    .attrs =
        "Tin: list({float, bool}) >= 1; Tout: list({float, bool}) >= 1; "
        "constants: list(float) = []; instructions: list(int); outputs: list(int)",
    .shape = fused_elementwise_shape,
    .rows = Rows::kIndependent,
    .gradient = no_fused_gradient,
    .kernels = {make_fused_elementwise},
};

TENON_OP(_FusedMixedElementwise) = {
    .inputs = "args: Tin",
    .outputs = "results: Tout",
    .attrs =
        "Tin: list({float, half, bfloat16, bool, int32, int64}) >= 1; "
        "Tout: list({float, half, bfloat16, bool}) >= 1; "
        "constants: list(float) = []; instructions: list(int); outputs: list(int)",
    .shape = fused_elementwise_shape,
    .rows = Rows::kIndependent,
    .gradient = no_fused_gradient,
    .kernels = {make_fused_elementwise},
};

}  // namespace tenon
