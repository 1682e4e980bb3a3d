// Ops that give their input on.
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/array/elements.h"

namespace tenon {
namespace {

Status identity_shape(ShapeContext& c) {
  for (int i = 0; i < c.num_outputs(); ++i) {
    c.set_output(i, c.input(i));
    if (const HandleInfo* handle = c.handle(i)) c.set_handle(i, *handle);
  }
  return absl::OkStatus();
}

Status identity_gradient(Gradient& g) {
  for (int i = 0; i < g.num_outputs(); ++i) {
    if (g.has_dy(i)) g.set_dx(i, g.dy(i));
  }
  return absl::OkStatus();
}

Status prevent_gradient(Gradient& g) {
  return invalid_argument("the gradient was stopped: ", g.attr<std::string>("message"));
}

StatusOr<Kernel> make_identity_n(Prepare& p) {
  std::vector<size_t> bytes;
  for (int i = 0; i < p.num_inputs(); ++i) {
    bytes.push_back(static_cast<size_t>(p.input_shape(i).num_elements()) *
                    size_of(p.input_dtype(i)));
  }
  return [bytes](KernelRun& r) {
    for (int i = 0; i < r.num_inputs(); ++i) {
      if (bytes[static_cast<size_t>(i)] == 0) continue;
      std::memcpy(r.output(i).mutable_raw(), r.input(i).raw(), bytes[static_cast<size_t>(i)]);
      own_elements(r, i, i);
    }
    return absl::OkStatus();
  };
}

Status ensure_shape(ShapeContext& c) {
  const PartialShape& wanted = c.attr<PartialShape>("shape");
  const StatusOr<PartialShape> shape = PartialShape::merge(c.input(0), wanted);
  if (!shape.ok()) {
    return invalid_argument("Shape of tensor ", c.input(0),
                            " is not compatible with expected shape ", wanted);
  }
  c.set_output(0, *shape);
  return absl::OkStatus();
}

Status placeholder_with_default_shape(ShapeContext& c) {
  const PartialShape& wanted = c.attr<PartialShape>("shape");
  const StatusOr<PartialShape> shape = PartialShape::merge(c.input(0), wanted);
  if (!shape.ok()) {
    return invalid_argument("the default has shape ", c.input(0), ", attribute 'shape' is ",
                            wanted);
  }
  c.set_output(0, *shape);
  return absl::OkStatus();
}

// The declaration that all single-input ops of this file share.
constexpr OpDecl pass_through(ArgsText inputs, ArgsText outputs, AttrsText attrs, ShapeFn shape,
                              GradientFn gradient) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .view_of = 0,
      .shape = shape,
      .rows = Rows::kIndependent,
      .gradient = gradient,
      .kernels = {make_view},
  };
}

#define TENON_COPY_ATTRS "T: type; tensor_name: string = ''; debug_ops_spec: list(string) = []"

}  // namespace

TENON_OP(Identity) = pass_through("input: T", "output: T", "T: type", identity_shape,
                                  identity_gradient);
TENON_OP(Snapshot) = pass_through("input: T", "output: T", "T: type", identity_shape,
                                  identity_gradient);
TENON_OP(GuaranteeConst) = pass_through("input: T", "output: T", "T: type", identity_shape,
                                        identity_gradient);
TENON_OP(StopGradient) = pass_through("input: T", "output: T", "T: type", identity_shape,
                                      not_differentiable);
TENON_OP(PreventGradient) = pass_through("input: T", "output: T", "T: type; message: string = ''",
                                         identity_shape, prevent_gradient);
TENON_OP(DebugGradientIdentity) = pass_through("input: T", "output: T", "T: type", identity_shape,
                                               identity_gradient);
// Where TensorFlow's debuggers look; there is none, so values pass.
TENON_OP(Copy) = pass_through("input: T", "output: T", TENON_COPY_ATTRS, identity_shape,
                              not_differentiable);
TENON_OP(CopyHost) = pass_through("input: T", "output: T", TENON_COPY_ATTRS, identity_shape,
                                  not_differentiable);
TENON_OP(DebugIdentity) = pass_through(
    "input: T", "output: T",
    "T: type; device_name: string = ''; tensor_name: string = ''; debug_urls: list(string) = []; "
    "gated_grpc: bool = false",
    identity_shape, not_differentiable);
TENON_OP(DebugIdentityV2) = pass_through(
    "input: T", "output: T",
    "T: type; tfdbg_context_id: string = ''; op_name: string = ''; output_slot: int = -1; "
    "tensor_debug_mode: int = -1; debug_urls: list(string) = []; circular_buffer_size: int = 1000; "
    "tfdbg_run_id: string = ''",
    identity_shape, identity_gradient);
TENON_OP(DebugIdentityV3) = pass_through(
    "input: T", "output: T",
    "T: type; device_name: string = ''; tensor_name: string = ''; io_of_node: string = ''; "
    "is_input: bool = false; io_index: int = -1; debug_urls: list(string) = []; gated_grpc: bool = "
    "false",
    identity_shape, not_differentiable);
#undef TENON_COPY_ATTRS

TENON_OP(EnsureShape) = pass_through("input: T", "output: T", "shape: shape; T: type", ensure_shape,
                                     identity_gradient);
TENON_OP(PlaceholderWithDefault) = pass_through("input: dtype", "output: dtype",
                                                "dtype: type; shape: shape",
                                                placeholder_with_default_shape, identity_gradient);

TENON_OP(IdentityN) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: list(type) >= 1",
    .shape = identity_shape,
    .rows = Rows::kIndependent,
    .gradient = identity_gradient,
    .kernels = {make_identity_n},
};

}  // namespace tenon
