// Where values enter a graph: _Arg (an argument of a function, filled by the runtime), Placeholder
// (TensorFlow 1's, which importers turn into _Arg when it is fed).
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status argument_shape(ShapeContext& c) {
  c.set_output(0, c.attr<PartialShape>("shape"));
  return absl::OkStatus();
}

StatusOr<Kernel> make_arg(Prepare&) {
  return Kernel([](KernelRun&) { return absl::OkStatus(); });
}

StatusOr<Kernel> make_placeholder(Prepare& p) {
  return Kernel(
      [error = invalid_argument("You must feed a value for placeholder tensor '", p.node_name(),
                                "' with dtype ", p.output_dtype(0))](KernelRun&) { return error; });
}

}  // namespace

TENON_OP(_Arg) = {
    .inputs = "",
    .outputs = "output: T",
    .attrs = "T: type; index: int >= 0; shape: shape = unknown",
    .supplies_outputs = true,
    .shape = argument_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_arg},
};

TENON_OP(Placeholder) = {
    .inputs = "",
    .outputs = "output: dtype",
    .attrs = "dtype: type; shape: shape = unknown",
    .shape = argument_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_placeholder},
};

}  // namespace tenon
