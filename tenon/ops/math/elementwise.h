// Element-wise ops as rows of a table:
//   TENON_OP(Exp) = unary<UnaryOp::kExp>("T: {floating, complex}", [](UnaryValues v) {
//     return v.dy * conj(v.y);
//   });
#pragma once

#include "tenon/core/shape_context.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/math/value.h"

namespace tenon {

// The kernel of `op` on input 0; UNIMPLEMENTED when there is none for its dtype.
StatusOr<Kernel> make_unary_kernel(Prepare& p, kernels::UnaryOp op);

// The kernel of `op` on inputs `a` and `b`, which broadcast. Integer division by zero is
// INVALID_ARGUMENT, in TruncateDiv and TruncateMod INTERNAL, as in TensorFlow; negative powers of
// integers are INVALID_ARGUMENT.
StatusOr<Kernel> make_binary_kernel(Prepare& p, kernels::BinaryOp op);

// Shape function of ops whose two inputs must have one shape.
Status same_shape_inputs(ShapeContext& c);

template <kernels::UnaryOp op>
StatusOr<Kernel> make_unary(Prepare& p) {
  return make_unary_kernel(p, op);
}
template <kernels::BinaryOp op>
StatusOr<Kernel> make_binary(Prepare& p) {
  return make_binary_kernel(p, op);
}

struct NoGradient {};  // in place of a formula: not differentiable
inline constexpr NoGradient no_gradient;

template <class Formula>
constexpr GradientFn unary_gradient_of() {
  if constexpr (std::is_same_v<Formula, NoGradient>) {
    return not_differentiable;
  } else {
    return unary_gradient<Formula>;
  }
}
template <class Formula>
constexpr GradientFn binary_gradient_of() {
  if constexpr (std::is_same_v<Formula, NoGradient>) {
    return not_differentiable;
  } else {
    return binary_gradient<Formula>;
  }
}

template <kernels::UnaryOp op, class Formula>
constexpr OpDecl unary(AttrsText attrs, Formula, ArgsText inputs = "x: T",
                       ArgsText outputs = "y: T") {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .shape = same_as_input<0>,
      .rows = Rows::kIndependent,
      .gradient = unary_gradient_of<Formula>(),
      .loop = op,
      .kernels = {make_unary<op>},
  };
}

template <kernels::BinaryOp op, class Formula>
constexpr OpDecl binary(AttrsText attrs, Formula, ArgsText inputs = "x: T, y: T",
                        ArgsText outputs = "z: T") {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .shape = broadcast_inputs,
      .rows = Rows::kIndependent,
      .gradient = binary_gradient_of<Formula>(),
      .loop = op,
      .kernels = {make_binary<op>},
  };
}

// As binary(), for inputs of equal shape (gradient ops).
template <kernels::BinaryOp op, class Formula>
constexpr OpDecl binary_same_shape(AttrsText attrs, Formula formula, ArgsText inputs,
                                   ArgsText outputs) {
  OpDecl decl = binary<op>(attrs, formula, inputs, outputs);
  decl.shape = same_shape_inputs;
  return decl;
}

}  // namespace tenon
