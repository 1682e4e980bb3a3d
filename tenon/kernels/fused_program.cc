#include "tenon/kernels/fused_program.h"

#include <bit>

namespace tenon::kernels {
namespace {

constexpr size_t kFusedWords = 7;  // of an instruction

constexpr std::pair<UnaryOp, const char*> kUnaryNames[] = {
    {UnaryOp::kNeg, "Neg"},           {UnaryOp::kAbs, "Abs"},
    {UnaryOp::kSquare, "Square"},     {UnaryOp::kSqrt, "Sqrt"},
    {UnaryOp::kRsqrt, "Rsqrt"},       {UnaryOp::kReciprocal, "Reciprocal"},
    {UnaryOp::kExp, "Exp"},           {UnaryOp::kExpm1, "Expm1"},
    {UnaryOp::kLog, "Log"},           {UnaryOp::kLog1p, "Log1p"},
    {UnaryOp::kTanh, "Tanh"},         {UnaryOp::kSigmoid, "Sigmoid"},
    {UnaryOp::kRelu, "Relu"},         {UnaryOp::kRelu6, "Relu6"},
    {UnaryOp::kElu, "Elu"},           {UnaryOp::kSelu, "Selu"},
    {UnaryOp::kSoftplus, "Softplus"}, {UnaryOp::kSoftsign, "Softsign"},
    {UnaryOp::kErf, "Erf"},           {UnaryOp::kErfc, "Erfc"},
    {UnaryOp::kSin, "Sin"},           {UnaryOp::kCos, "Cos"},
    {UnaryOp::kFloor, "Floor"},       {UnaryOp::kCeil, "Ceil"},
    {UnaryOp::kRint, "Round"},        {UnaryOp::kSign, "Sign"},
};
constexpr std::pair<BinaryOp, const char*> kBinaryNames[] = {
    {BinaryOp::kAdd, "AddV2"},
    {BinaryOp::kSub, "Sub"},
    {BinaryOp::kMul, "Mul"},
    {BinaryOp::kDiv, "RealDiv"},
    {BinaryOp::kDivNoNan, "DivNoNan"},
    {BinaryOp::kMulNoNan, "MulNoNan"},
    {BinaryOp::kMaximum, "Maximum"},
    {BinaryOp::kMinimum, "Minimum"},
    {BinaryOp::kSquaredDifference, "SquaredDifference"},
    {BinaryOp::kPow, "Pow"},
    {BinaryOp::kEqual, "Equal"},
    {BinaryOp::kNotEqual, "NotEqual"},
    {BinaryOp::kLess, "Less"},
    {BinaryOp::kLessEqual, "LessEqual"},
    {BinaryOp::kGreater, "Greater"},
    {BinaryOp::kGreaterEqual, "GreaterEqual"},
    {BinaryOp::kTanhGrad, "TanhGrad"},
    {BinaryOp::kSigmoidGrad, "SigmoidGrad"},
    {BinaryOp::kSqrtGrad, "SqrtGrad"},
    {BinaryOp::kRsqrtGrad, "RsqrtGrad"},
    {BinaryOp::kReciprocalGrad, "ReciprocalGrad"},
    {BinaryOp::kReluGrad, "ReluGrad"},
    {BinaryOp::kRelu6Grad, "Relu6Grad"},
    {BinaryOp::kEluGrad, "EluGrad"},
    {BinaryOp::kSeluGrad, "SeluGrad"},
    {BinaryOp::kSoftplusGrad, "SoftplusGrad"},
    {BinaryOp::kSoftsignGrad, "SoftsignGrad"},
};

template <class Operation, size_t size>
const char* find_name(const std::pair<Operation, const char*> (&names)[size], Operation operation) {
  for (const auto& [op, name] : names) {
    if (op == operation) return name;
  }
  return nullptr;
}

}  // namespace

const char* fused_op_name(UnaryOp operation) { return find_name(kUnaryNames, operation); }
const char* fused_op_name(BinaryOp operation) { return find_name(kBinaryNames, operation); }

void write_fused_program(const FusedProgram& program, AttrMap& attrs) {
  std::vector<int64_t> instructions;
  for (const FusedInstruction& one : program.instructions) {
    const bool unary = one.kind == FusedInstruction::Kind::kUnary;
    const int64_t operation =
        unary ? static_cast<int64_t>(one.unary) : static_cast<int64_t>(one.binary);
    instructions.insert(instructions.end(),
                        {static_cast<int64_t>(one.kind), operation, one.a, one.b, one.c,
                         std::bit_cast<int32_t>(one.alpha), static_cast<int64_t>(one.dtype)});
  }
  std::vector<int64_t> outputs;
  for (const FusedOutput& output : program.outputs) outputs.push_back(output.value);
  attrs.set("constants", program.constants);
  attrs.set("instructions", std::move(instructions));
  attrs.set("outputs", std::move(outputs));
}

StatusOr<FusedProgram> read_fused_program(const AttrMap& attrs) {
  FusedProgram program;
  program.constants = attrs.get<std::vector<float>>("constants");
  const auto& words = attrs.get<std::vector<int64_t>>("instructions");
  if (words.size() % kFusedWords != 0) {
    return invalid_argument("attribute 'instructions' has ", words.size(),
                            " values, a multiple of ", kFusedWords, " is expected");
  }
  for (size_t at = 0; at < words.size(); at += kFusedWords) {
    const auto in_range = [&](int64_t value, auto end) {
      return value >= 0 && value < static_cast<int64_t>(end);
    };
    FusedInstruction one;
    if (!in_range(words[at], static_cast<int>(FusedInstruction::Kind::kCast) + 1)) {
      return invalid_argument("instruction kind ", words[at], " is not known");
    }
    one.kind = static_cast<FusedInstruction::Kind>(words[at]);
    const bool unary = one.kind == FusedInstruction::Kind::kUnary;
    if (!in_range(words[at + 1],
                  unary ? static_cast<int>(UnaryOp::kCount) : static_cast<int>(BinaryOp::kCount))) {
      return invalid_argument("operation ", words[at + 1], " is not known");
    }
    if (unary) one.unary = static_cast<UnaryOp>(words[at + 1]);
    if (!unary) one.binary = static_cast<BinaryOp>(words[at + 1]);
    one.a = static_cast<int>(words[at + 2]);
    one.b = static_cast<int>(words[at + 3]);
    one.c = static_cast<int>(words[at + 4]);
    one.alpha = std::bit_cast<float>(static_cast<int32_t>(words[at + 5]));
    one.dtype = static_cast<DType>(words[at + 6]);
    if (words[at + 6] != static_cast<int64_t>(one.dtype) || !is_fused_dtype(one.dtype)) {
      return invalid_argument("an instruction of dtype ", words[at + 6], ", expected a float's");
    }
    program.instructions.push_back(one);
  }
  for (int64_t value : attrs.get<std::vector<int64_t>>("outputs")) {
    program.outputs.push_back({static_cast<int>(value), DType::kFloat});
  }
  return program;
}

}  // namespace tenon::kernels
