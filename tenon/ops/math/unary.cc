// Functions of one real or complex argument. Gradients: tensorflow/python/ops/math_grad.py.
#include <cstring>
#include <numbers>

#include "tenon/ops/math/elementwise.h"

namespace tenon {

using kernels::UnaryOp;

namespace {

struct ReciprocalFormula {
  Value operator()(UnaryValues v) const { return apply("ReciprocalGrad", v.y, v.dy); }
};

// TensorFlow's kernel for integers gives 0 whatever the number.
StatusOr<Kernel> make_round_integer(Prepare& p) {
  if (!is_integer(p.input_dtype(0))) {
    return unimplemented("Round has no CPU kernel for dtype ", p.input_dtype(0));
  }
  return Kernel([](KernelRun& r) {
    Tensor& y = r.output(0);
    if (y.num_bytes() > 0) std::memset(y.mutable_raw(), 0, y.num_bytes());
    return absl::OkStatus();
  });
}

// dy times a constant times exp(sign * x^2): the error function's family.
Value times_gauss(UnaryValues v, double factor) {
  return v.dy * (factor * apply("Exp", -square(v.x)));
}

}  // namespace

TENON_OP(Neg) = unary<UnaryOp::kNeg>("T: {floating, complex, int8, int16, int32, int64}",
                                     [](UnaryValues v) { return -v.dy; });
TENON_OP(Abs) = unary<UnaryOp::kAbs>("T: {floating, int8, int16, int32, int64}",
                                     [](UnaryValues v) { return v.dy * apply("Sign", v.x); });
TENON_OP(Square) = unary<UnaryOp::kSquare>("T: {numeric}",
                                           [](UnaryValues v) { return v.dy * (2.0 * conj(v.x)); });
TENON_OP(Sqrt) = unary<UnaryOp::kSqrt>("T: {floating, complex}",
                                       [](UnaryValues v) { return apply("SqrtGrad", v.y, v.dy); });
TENON_OP(Rsqrt) = unary<UnaryOp::kRsqrt>("T: {floating, complex}", [](UnaryValues v) {
  return apply("RsqrtGrad", v.y, v.dy);
});
TENON_OP(Reciprocal) = unary<UnaryOp::kReciprocal>(
    "T: {floating, complex, int8, int16, int32, int64}", ReciprocalFormula{});
TENON_OP(Inv) = unary<UnaryOp::kReciprocal>("T: {floating, complex, int8, int16, int32, int64}",
                                            ReciprocalFormula{});
TENON_OP(Exp) = unary<UnaryOp::kExp>("T: {floating, complex}",
                                     [](UnaryValues v) { return v.dy * conj(v.y); });
TENON_OP(Expm1) = unary<UnaryOp::kExpm1>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Exp", conj(v.x));
});
TENON_OP(Log) = unary<UnaryOp::kLog>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Reciprocal", conj(v.x));
});
TENON_OP(Log1p) = unary<UnaryOp::kLog1p>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Reciprocal", 1.0 + conj(v.x));
});
TENON_OP(Tanh) = unary<UnaryOp::kTanh>("T: {floating, complex}", [](UnaryValues v) {
  return apply("TanhGrad", conj(v.y), v.dy);
});
TENON_OP(Sigmoid) = unary<UnaryOp::kSigmoid>("T: {floating, complex}", [](UnaryValues v) {
  return apply("SigmoidGrad", conj(v.y), v.dy);
});
TENON_OP(Erf) = unary<UnaryOp::kErf>("T: {floating}", [](UnaryValues v) {
  return times_gauss(v, 2.0 * std::numbers::inv_sqrtpi);
});
TENON_OP(Erfc) = unary<UnaryOp::kErfc>("T: {floating}", [](UnaryValues v) {
  return times_gauss(v, -2.0 * std::numbers::inv_sqrtpi);
});
TENON_OP(Erfinv) = unary<UnaryOp::kErfinv>("T: {floating}", [](UnaryValues v) {
  constexpr double kHalfRootPi = 0.88622692545275801365;
  return v.dy * kHalfRootPi * apply("Exp", square(v.y));
});
TENON_OP(Ndtri) = unary<UnaryOp::kNdtri>("T: {floating}", [](UnaryValues v) {
  constexpr double kRootTwoPi = 2.50662827463100050242;
  return v.dy * kRootTwoPi * apply("Exp", square(v.y) * 0.5);
});
TENON_OP(Lgamma) = unary<UnaryOp::kLgamma>("T: {floating}", [](UnaryValues v) {
  return v.dy * apply("Digamma", v.x);
});
TENON_OP(Digamma) = unary<UnaryOp::kDigamma>("T: {floating}", [](UnaryValues v) {
  return v.dy * apply("Polygamma", v.x.like(1), v.x);
});

TENON_OP(Sin) = unary<UnaryOp::kSin>("T: {floating, complex}",
                                     [](UnaryValues v) { return v.dy * apply("Cos", conj(v.x)); });
TENON_OP(Cos) = unary<UnaryOp::kCos>("T: {floating, complex}",
                                     [](UnaryValues v) { return -v.dy * apply("Sin", conj(v.x)); });
TENON_OP(Tan) = unary<UnaryOp::kTan>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * square(apply("Reciprocal", apply("Cos", conj(v.x))));
});
TENON_OP(Asin) = unary<UnaryOp::kAsin>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Reciprocal", apply("Sqrt", 1.0 - square(conj(v.x))));
});
TENON_OP(Acos) = unary<UnaryOp::kAcos>("T: {floating, complex}", [](UnaryValues v) {
  return -v.dy * apply("Reciprocal", apply("Sqrt", 1.0 - square(conj(v.x))));
});
TENON_OP(Atan) = unary<UnaryOp::kAtan>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Reciprocal", 1.0 + square(conj(v.x)));
});
TENON_OP(Sinh) = unary<UnaryOp::kSinh>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Cosh", conj(v.x));
});
TENON_OP(Cosh) = unary<UnaryOp::kCosh>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Sinh", conj(v.x));
});
TENON_OP(Asinh) = unary<UnaryOp::kAsinh>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy / apply("Cosh", conj(v.y));
});
TENON_OP(Acosh) = unary<UnaryOp::kAcosh>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy / apply("Sinh", conj(v.y));
});
TENON_OP(Atanh) = unary<UnaryOp::kAtanh>("T: {floating, complex}", [](UnaryValues v) {
  return v.dy * apply("Reciprocal", 1.0 - square(conj(v.x)));
});

TENON_OP(Floor) = unary<UnaryOp::kFloor>("T: {floating}", no_gradient);
TENON_OP(Ceil) = unary<UnaryOp::kCeil>("T: {floating}", no_gradient);
TENON_OP(Rint) = unary<UnaryOp::kRint>("T: {floating}", no_gradient);
TENON_OP(Round) = {
    .inputs = "x: T",
    .outputs = "y: T",
    .attrs = "T: {floating, complex, int8, int16, int32, int64}",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .loop = UnaryOp::kRint,
    .kernels = {make_unary<UnaryOp::kRint>, make_round_integer},
};
TENON_OP(Sign) = unary<UnaryOp::kSign>("T: {floating, complex, int8, int16, int32, int64}",
                                       [](UnaryValues v) { return zeros_like(v.x); });
TENON_OP(IsNan) = unary<UnaryOp::kIsNan>("T: {floating}", no_gradient, "x: T", "y: bool");
TENON_OP(IsInf) = unary<UnaryOp::kIsInf>("T: {floating}", no_gradient, "x: T", "y: bool");
TENON_OP(IsFinite) = unary<UnaryOp::kIsFinite>("T: {floating}", no_gradient, "x: T", "y: bool");
TENON_OP(LogicalNot) = unary<UnaryOp::kLogicalNot>("", no_gradient, "x: bool", "y: bool");
TENON_OP(Invert) = unary<UnaryOp::kInvert>("T: {integer}", no_gradient);

}  // namespace tenon
