// Gradient ops of unary functions: (y, dy) -> dx. Their own gradients make second derivatives:
// tensorflow/python/ops/math_grad.py (_TanhGradGrad and its like).
#include "tenon/ops/math/elementwise.h"

namespace tenon {

using kernels::BinaryOp;

namespace {

// In BinaryValues, a is y (the forward result), b is its upstream gradient, dy this op's.
struct ReciprocalGradFormula {
  BinaryGradients operator()(BinaryValues v) const {
    const Value a = conj(v.a);
    return {(conj(v.dy) * -2.0) * v.b * a, apply("ReciprocalGrad", a, v.dy)};
  }
};

template <BinaryOp op, class Formula>
constexpr OpDecl gradient_op(Formula formula) {
  return binary_same_shape<op>("T: {floating, complex}", formula, "y: T, dy: T", "z: T");
}

}  // namespace

TENON_OP(TanhGrad) = gradient_op<BinaryOp::kTanhGrad>([](BinaryValues v) {
  const Value a = conj(v.a);
  return BinaryGradients{(v.dy * -2.0) * conj(v.b) * a, apply("TanhGrad", a, v.dy)};
});
TENON_OP(SigmoidGrad) = gradient_op<BinaryOp::kSigmoidGrad>([](BinaryValues v) {
  const Value a = conj(v.a);
  const Value gb = v.dy * conj(v.b);
  return BinaryGradients{gb - (2.0 * gb) * a, apply("SigmoidGrad", a, v.dy)};
});
TENON_OP(SqrtGrad) = gradient_op<BinaryOp::kSqrtGrad>([](BinaryValues v) {
  const Value ga = v.dy / v.a;
  return BinaryGradients{-conj(ga) * v.y, 0.5 * ga};
});
TENON_OP(RsqrtGrad) = gradient_op<BinaryOp::kRsqrtGrad>([](BinaryValues v) {
  const Value ca = conj(v.a);
  return BinaryGradients{((-1.5 * conj(v.dy)) * v.b) * square(ca), apply("RsqrtGrad", ca, v.dy)};
});
TENON_OP(InvGrad) = gradient_op<BinaryOp::kReciprocalGrad>(ReciprocalGradFormula{});
TENON_OP(ReciprocalGrad) = gradient_op<BinaryOp::kReciprocalGrad>(ReciprocalGradFormula{});

}  // namespace tenon
