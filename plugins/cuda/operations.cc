#include "plugins/cuda/operations.h"

namespace plugin::cuda {
namespace {

constexpr int F = Operation::kFloats, I = Operation::kIntegers, B = Operation::kTruth;

constexpr Operation unary(const char* op, const char* function, int types = F,
                          bool gives_truth = false) {
  return {op, function, 1, types, gives_truth};
}
constexpr Operation binary(const char* op, const char* function, int types = F) {
  return {op, function, 2, types};
}
constexpr Operation division(const char* op, const char* function) {
  return {op, function, 2, F | I, false, false, true};
}
constexpr Operation comparison(const char* op, const char* function, int types = F | I) {
  return {op, function, 2, types, true};
}

constexpr Operation kOperations[] = {
    unary("Neg", "op_Neg", F | I),
    unary("Abs", "op_Abs", F | I),
    unary("Sign", "op_Sign", F | I),
    unary("Square", "op_Square", F | I),
    unary("Sqrt", "op_Sqrt"),
    unary("Rsqrt", "op_Rsqrt"),
    unary("Reciprocal", "op_Reciprocal"),
    unary("Inv", "op_Reciprocal"),
    unary("Exp", "op_Exp"),
    unary("Expm1", "op_Expm1"),
    unary("Log", "op_Log"),
    unary("Log1p", "op_Log1p"),
    unary("Tanh", "op_Tanh"),
    unary("Sigmoid", "op_Sigmoid"),
    unary("Erf", "op_Erf"),
    unary("Erfc", "op_Erfc"),
    unary("Erfinv", "op_Erfinv"),
    unary("Ndtri", "op_Ndtri"),
    unary("Lgamma", "op_Lgamma"),
    unary("Sin", "op_Sin"),
    unary("Cos", "op_Cos"),
    unary("Tan", "op_Tan"),
    unary("Asin", "op_Asin"),
    unary("Acos", "op_Acos"),
    unary("Atan", "op_Atan"),
    unary("Sinh", "op_Sinh"),
    unary("Cosh", "op_Cosh"),
    unary("Asinh", "op_Asinh"),
    unary("Acosh", "op_Acosh"),
    unary("Atanh", "op_Atanh"),
    unary("Floor", "op_Floor"),
    unary("Ceil", "op_Ceil"),
    unary("Rint", "op_Round"),
    unary("Round", "op_Round"),
    unary("IsNan", "op_IsNan", F, true),
    unary("IsInf", "op_IsInf", F, true),
    unary("IsFinite", "op_IsFinite", F, true),
    unary("LogicalNot", "op_LogicalNot", B, true),
    unary("Invert", "op_Invert", I),
    unary("Relu", "op_Relu", F | I),
    unary("Relu6", "op_Relu6", F | I),
    unary("Elu", "op_Elu"),
    unary("Selu", "op_Selu"),
    unary("Softplus", "op_Softplus"),
    unary("Softsign", "op_Softsign"),
    unary("Swish", "op_Swish"),
    unary("GeluExact", "op_GeluExact"),
    unary("GeluApproximate", "op_GeluApproximate"),
    binary("Add", "op_AddV2", F | I),
    binary("AddV2", "op_AddV2", F | I),
    binary("Sub", "op_Sub", F | I),
    binary("Mul", "op_Mul", F | I),
    binary("RealDiv", "op_RealDiv"),
    binary("Div", "op_RealDiv"),
    binary("DivNoNan", "op_DivNoNan"),
    binary("MulNoNan", "op_MulNoNan"),
    binary("Maximum", "op_Maximum", F | I),
    binary("Minimum", "op_Minimum", F | I),
    binary("SquaredDifference", "op_SquaredDifference", F | I),
    binary("Pow", "op_Pow"),
    binary("Atan2", "op_Atan2"),
    binary("Xlogy", "op_Xlogy"),
    binary("Xlog1py", "op_Xlog1py"),
    binary("Xdivy", "op_Xdivy"),
    division("FloorDiv", "op_FloorDiv"),
    division("FloorMod", "op_FloorMod"),
    division("TruncateMod", "op_TruncateMod"),
    division("Mod", "op_TruncateMod"),
    {"TruncateDiv", "op_TruncateDiv", 2, I, false, false, true},
    comparison("Equal", "op_Equal", F | I | B),
    comparison("NotEqual", "op_NotEqual", F | I | B),
    comparison("Less", "op_Less"),
    comparison("LessEqual", "op_LessEqual"),
    comparison("Greater", "op_Greater"),
    comparison("GreaterEqual", "op_GreaterEqual"),
    comparison("LogicalAnd", "op_LogicalAnd", B),
    comparison("LogicalOr", "op_LogicalOr", B),
    binary("BitwiseAnd", "op_BitwiseAnd", I),
    binary("BitwiseOr", "op_BitwiseOr", I),
    binary("BitwiseXor", "op_BitwiseXor", I),
    binary("TanhGrad", "op_TanhGrad"),
    binary("SigmoidGrad", "op_SigmoidGrad"),
    binary("SqrtGrad", "op_SqrtGrad"),
    binary("RsqrtGrad", "op_RsqrtGrad"),
    binary("ReciprocalGrad", "op_ReciprocalGrad"),
    binary("InvGrad", "op_ReciprocalGrad"),
    binary("ReluGrad", "op_ReluGrad"),
    binary("Relu6Grad", "op_Relu6Grad"),
    binary("EluGrad", "op_EluGrad"),
    binary("SeluGrad", "op_SeluGrad"),
    binary("SoftplusGrad", "op_SoftplusGrad"),
    binary("SoftsignGrad", "op_SoftsignGrad"),
    {"Select", "op_Select", 3, F | I | B},
    {"ClipByValue", "op_ClipByValue", 3, F | I},
    {"LeakyRelu", "op_LeakyRelu", 1, F, false, true},
    {"LeakyReluGrad", "op_LeakyReluGrad", 2, F, false, true},
};

}  // namespace

bool Operation::takes(int32_t dtype) const {
  switch (dtype) {
    case kFloat:
    case kDouble:
    case kHalf:
    case kBfloat16:
      return (types & kFloats) != 0;
    case kBool:
      return (types & kTruth) != 0;
    case kInt8:
    case kUint8:
    case kInt16:
    case kUint16:
    case kInt32:
    case kUint32:
    case kInt64:
    case kUint64:
      return (types & kIntegers) != 0;
    default:
      return false;
  }
}

std::span<const Operation> operations() { return kOperations; }

const Operation* find_operation(std::string_view op) {
  for (const Operation& each : kOperations) {
    if (each.op == op) return &each;
  }
  return nullptr;
}

}  // namespace plugin::cuda
