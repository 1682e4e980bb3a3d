// Nodes that only order others: NoOp, ControlTrigger.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_no_op(Prepare&) {
  return Kernel([](KernelRun&) { return absl::OkStatus(); });
}

}  // namespace

TENON_OP(NoOp) = {
    .inputs = "",
    .outputs = "",
    .shape = no_outputs,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_no_op},
};

TENON_OP(ControlTrigger) = {
    .inputs = "",
    .outputs = "",
    .shape = no_outputs,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_no_op},
};

}  // namespace tenon
