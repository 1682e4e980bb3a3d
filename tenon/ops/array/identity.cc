// Ops that give their input on.
#include "tenon/core/shape_context.h"
#include "tenon/graph/function_copy.h"
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

// What Python's custom_gradient writes: an IdentityN of a function's results, of what its gradient
// is with respect to ("sources") and of what its gradient function reads. That function takes the
// gradients of the results and what it reads; its results are the gradients of the sources that
// _gradient_of numbers.
Status custom_gradient(Gradient& g, const FunctionAttr& function) {
  const auto* results = g.forward().attrs.get_if<int64_t>("_gradient_results");
  const auto* sources = g.forward().attrs.get_if<int64_t>("_gradient_sources");
  const auto* of = g.forward().attrs.get_if<std::vector<int64_t>>("_gradient_of");
  if (!results || !sources || !of || *results < 0 || *results > g.num_inputs() || *sources < 0 ||
      *sources > g.num_inputs() - *results) {
    return invalid_argument("the gradient function ", function.name,
                            " is given without what it is the gradient of");
  }
  const int first_source = static_cast<int>(*results);
  std::vector<Endpoint> args;
  for (int i = 0; i < first_source; ++i) args.push_back(g.dy(i));
  for (int i = first_source + static_cast<int>(*sources); i < g.num_inputs(); ++i) {
    args.push_back(g.input(i));
  }
  TENON_ASSIGN_OR_RETURN(const auto body, find_function(g.graph(), function.name));
  bool fits = body->args.size() == args.size() && body->results.size() == of->size();
  for (size_t i = 0; fits && i < args.size(); ++i) {
    fits = body->value({body->args[i], 0}).dtype == g.graph().value(args[i]).dtype;
  }
  for (int64_t source : *of) fits = fits && source >= 0 && source < *sources;
  if (!fits) {
    return invalid_argument("the gradient function ", function.name, " does not fit its node");
  }
  TENON_ASSIGN_OR_RETURN(const FunctionCopy copy,
                         copy_function(g.graph(), *body, args, {.infer = true}));
  for (size_t i = 0; i < of->size(); ++i) {
    g.set_dx(first_source + static_cast<int>((*of)[i]), copy.results[i]);
  }
  return absl::OkStatus();
}

Status identity_n_gradient(Gradient& g) {
  if (const auto* error = g.forward().attrs.get_if<std::string>("_gradient_error")) {
    return invalid_argument(*error);
  }
  const auto* function = g.forward().attrs.get_if<FunctionAttr>("_gradient_function");
  return function ? custom_gradient(g, *function) : identity_gradient(g);
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
    .gradient = identity_n_gradient,
    .kernels = {make_identity_n},
};

}  // namespace tenon
