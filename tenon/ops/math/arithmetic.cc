// Binary arithmetic. Gradients: tensorflow/python/ops/math_grad.py.
#include <cmath>

#include "tenon/ops/math/elementwise.h"
#include "tenon/ops/math/string_binary.h"

namespace tenon {

using kernels::BinaryOp;

namespace {

struct AddFormula {
  BinaryGradients operator()(BinaryValues v) const { return {v.dy, v.dy}; }
};
struct DivFormula {
  BinaryGradients operator()(BinaryValues v) const {
    const Value a = conj(v.a), b = conj(v.b);
    return {v.dy / b, v.dy * ((-a / b) / b)};
  }
};
// Where a (b) wins gets dy; a tie is a's.
BinaryGradients share_by(BinaryValues v, std::string_view a_wins) {
  const Value mask = apply(a_wins, v.a, v.b);
  const Value zero = zeros_like(v.dy);
  return {select(mask, v.dy, zero), select(mask, zero, v.dy)};
}
struct ModFormula {
  BinaryGradients operator()(BinaryValues v) const {
    return {v.dy, v.dy * -apply("FloorDiv", v.a, v.b)};
  }
};

// y log(x) is taken as 0 where x is not in the logarithm's domain, as TensorFlow does.
struct PowFormula {
  BinaryGradients operator()(BinaryValues v) const {
    const Value a = conj(v.a), b = conj(v.b), y = conj(v.y);
    const Value zero = zeros_like(a);
    const Value in_domain =
        is_complex(a.dtype()) ? apply("NotEqual", a, zero) : apply("Greater", a, zero);
    const Value safe = select(in_domain, a, apply("OnesLike", a));
    const Value log = select(in_domain, apply("Log", safe), zero);
    return {v.dy * b * apply("Pow", a, b - 1.0), v.dy * y * log};
  }
};

// The quotient, rounded towards zero.
StatusOr<Kernel> make_truncate_div(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(Kernel divide, make_binary_kernel(p, BinaryOp::kDiv));
  if (is_integer(p.input_dtype(0))) return divide;
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [divide](KernelRun& r) -> Status {
      TENON_RETURN_IF_ERROR(divide(r));
      T* y = r.out<T>(0);
      for (int64_t i = 0; i < r.output(0).num_elements(); ++i) {
        if constexpr (std::is_same_v<T, double>) {
          y[i] = std::trunc(y[i]);
        } else {
          y[i] = static_cast<T>(std::trunc(static_cast<float>(y[i])));
        }
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("TruncateDiv has no CPU kernel for dtype ", p.input_dtype(0));
  return kernel;
}

}  // namespace

TENON_OP(Add) = {
    .inputs = "x: T, y: T",
    .outputs = "z: T",
    .attrs = "T: {floating, complex, uint8, int8, int16, int32, int64, string}",
    .shape = broadcast_inputs,
    .rows = Rows::kIndependent,
    .gradient = binary_gradient<AddFormula>,
    .loop = BinaryOp::kAdd,
    .kernels = {make_binary<BinaryOp::kAdd>, make_string_add},
};
TENON_OP(AddV2) = binary<BinaryOp::kAdd>("T: {numeric}", AddFormula{});
TENON_OP(Sub) = binary<BinaryOp::kSub>("T: {numeric}", [](BinaryValues v) {
  return BinaryGradients{v.dy, -v.dy};
});
TENON_OP(Mul) = binary<BinaryOp::kMul>("T: {numeric}", [](BinaryValues v) {
  return BinaryGradients{v.dy * conj(v.b), v.dy * conj(v.a)};
});
TENON_OP(Div) = binary<BinaryOp::kDiv>("T: {numeric}", DivFormula{});
TENON_OP(RealDiv) = binary<BinaryOp::kDiv>("T: {numeric}", DivFormula{});
TENON_OP(TruncateDiv) = {
    .inputs = "x: T, y: T",
    .outputs = "z: T",
    .attrs = "T: {numeric}",
    .shape = broadcast_inputs,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_truncate_div},
};
TENON_OP(FloorDiv) = binary<BinaryOp::kFloorDiv>("T: {numeric}", no_gradient);
TENON_OP(FloorMod) = binary<BinaryOp::kFloorMod>("T: {real}", ModFormula{});
TENON_OP(Mod) = binary<BinaryOp::kTruncateMod>("T: {floating, int32, int64}", no_gradient);
TENON_OP(TruncateMod) = binary<BinaryOp::kTruncateMod>("T: {floating, int32, int64}", no_gradient);
TENON_OP(DivNoNan) = binary<BinaryOp::kDivNoNan>("T: {floating, complex}", [](BinaryValues v) {
  const Value a = conj(v.a), b = conj(v.b);
  return BinaryGradients{apply("DivNoNan", v.dy, b),
                         v.dy * apply("DivNoNan", apply("DivNoNan", -a, b), b)};
});
TENON_OP(MulNoNan) = binary<BinaryOp::kMulNoNan>("T: {floating, complex}", [](BinaryValues v) {
  return BinaryGradients{apply("MulNoNan", v.dy, v.b), apply("MulNoNan", v.a, v.dy)};
});
TENON_OP(Maximum) = binary<BinaryOp::kMaximum>("T: {real}", [](BinaryValues v) {
  return share_by(v, "GreaterEqual");
});
TENON_OP(Minimum) = binary<BinaryOp::kMinimum>("T: {real}", [](BinaryValues v) {
  return share_by(v, "LessEqual");
});
TENON_OP(SquaredDifference) = binary<BinaryOp::kSquaredDifference>(
    "T: {floating, complex, int32, int64}", [](BinaryValues v) {
      const Value da = (2.0 * v.dy) * (v.a - v.b);
      return BinaryGradients{da, -da};
    });
TENON_OP(Pow) = binary<BinaryOp::kPow>("T: {floating, complex, int8, int16, int32, int64}",
                                       PowFormula{});
TENON_OP(Atan2) = binary<BinaryOp::kAtan2>(
    "T: {floating}",
    [](BinaryValues v) {
      const Value inverse = v.dy / (square(v.b) + square(v.a));
      return BinaryGradients{v.b * inverse, -v.a * inverse};
    },
    "y: T, x: T");
TENON_OP(Xlogy) = binary<BinaryOp::kXlogy>("T: {floating, complex}", [](BinaryValues v) {
  const Value not_zero_x = cast(apply("NotEqual", v.a, v.a.like(0)), v.a.dtype());
  return BinaryGradients{apply("Xlogy", not_zero_x, v.b) * v.dy, apply("Xdivy", v.a, v.b) * v.dy};
});
TENON_OP(Xlog1py) = binary<BinaryOp::kXlog1py>("T: {floating, complex}", [](BinaryValues v) {
  const Value not_zero_x = cast(apply("NotEqual", v.a, v.a.like(0)), v.a.dtype());
  return BinaryGradients{apply("Xlog1py", not_zero_x, v.b) * v.dy,
                         apply("Xdivy", v.a, v.b + 1.0) * v.dy};
});
TENON_OP(Xdivy) = binary<BinaryOp::kXdivy>("T: {floating, complex}", [](BinaryValues v) {
  const Value not_zero_x = cast(apply("NotEqual", v.a, v.a.like(0)), v.a.dtype());
  return BinaryGradients{apply("Xdivy", not_zero_x, v.b) * v.dy,
                         apply("Xdivy", -v.a, square(v.b)) * v.dy};
});

}  // namespace tenon
