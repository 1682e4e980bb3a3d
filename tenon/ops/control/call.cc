// PartitionedCall and StatefulPartitionedCall: calls of functions. The inliner replaces them; the
// kernel runs those it leaves.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/control/branch_gradient.h"
#include "tenon/ops/control/function_call.h"

namespace tenon {
namespace {

Status call_shape(ShapeContext& c) {
  std::vector<PartialShape> shapes = c.function_results("f", 0);
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.set_output(i, std::move(shapes[static_cast<size_t>(i)]));
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_call(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const FunctionCall call, FunctionCall::make(p, "f", 0));
  return Kernel([call](KernelRun& r) { return call.run_to_outputs(r); });
}

Status call_gradient(Gradient& g) {
  const FunctionAttr function = g.attr<FunctionAttr>("f");
  return branch_gradient(
      g, {&function, 1}, 0, [](std::span<const FunctionAttr> backward, bool pure) {
        return BranchOp{pure ? "PartitionedCall" : "StatefulPartitionedCall", {{"f", backward[0]}}};
      });
}

}  // namespace

TENON_OP(PartitionedCall) = {
    .inputs = "args: Tin",
    .outputs = "output: Tout",
    .attrs =
        "Tin: list(type) >= 0; Tout: list(type) >= 0; f: func; config: string = ''; "
        "config_proto: string = ''; executor_type: string = ''",
    .supplies_outputs = true,
    .shape = call_shape,
    .gradient = call_gradient,
    .kernels = {make_call},
};

TENON_OP(StatefulPartitionedCall) = {
    .inputs = "args: Tin",
    .outputs = "output: Tout",
    .attrs =
        "Tin: list(type) >= 0; Tout: list(type) >= 0; f: func; config: string = ''; "
        "config_proto: string = ''; executor_type: string = ''",
    .effect = Effect::kCall,
    .supplies_outputs = true,
    .shape = call_shape,
    .gradient = call_gradient,
    .kernels = {make_call},
};

}  // namespace tenon
