// Binary arithmetic. Gradients: tensorflow/python/ops/math_grad.py.
#include "tenon/ops/math/elementwise.h"

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
// Where a (b) wins gets dy; TensorFlow gives ties to a.
template <bool is_maximum>
struct ExtremumFormula {
  BinaryGradients operator()(BinaryValues v) const {
    const Value wins = apply(is_maximum ? "GreaterEqual" : "LessEqual", v.a, v.b);
    const Value zero = zeros_like(v.dy);
    return {select(wins, v.dy, zero), select(wins, zero, v.dy)};
  }
};

}  // namespace

TENON_OP(Add) = binary<BinaryOp::kAdd>(
    "T: {floating, complex, uint8, int8, int16, int32, int64, string}", AddFormula{});
TENON_OP(AddV2) = binary<BinaryOp::kAdd>("T: {numeric}", AddFormula{});
TENON_OP(Sub) = binary<BinaryOp::kSub>("T: {numeric}", [](BinaryValues v) {
  return BinaryGradients{v.dy, -v.dy};
});
TENON_OP(Mul) = binary<BinaryOp::kMul>("T: {numeric}", [](BinaryValues v) {
  return BinaryGradients{v.dy * conj(v.b), v.dy * conj(v.a)};
});

}  // namespace tenon
