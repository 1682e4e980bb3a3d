// Operators that work element by element.
#include "tenon/lite/translations.h"

namespace tenon::lite {
namespace {

template <const char* name>
void unary(OperatorContext& c) {
  c.set(0, c.b.op(name, {c.in(0)}));
}

template <const char* name>
void binary(OperatorContext& c) {
  c.set(0, c.b.op(name, {c.in(0), c.in(1)}));
}

template <const char* name, class Options>
void activated_binary(OperatorContext& c) {
  c.set_activated(c.b.op(name, {c.in(0), c.in(1)}),
                  c.options<Options>().fused_activation_function());
}

// Integers are divided towards zero.
void divide(OperatorContext& c) {
  const char* name = is_integer(c.in_dtype(0)) ? "TruncateDiv" : "RealDiv";
  c.set_activated(c.b.op(name, {c.in(0), c.in(1)}),
                  c.options<schema::DivOptions>().fused_activation_function());
}

template <int activation>
void clamp_to(OperatorContext& c) {
  c.set_activated(c.in(0), activation);
}

void relu_0_to_1(OperatorContext& c) {
  const DType dtype = c.in_dtype(0);
  const Endpoint positive = c.b.op("Maximum", {c.in(0), c.b.scalar_of(dtype, 0)});
  c.set(0, c.b.op("Minimum", {positive, c.b.scalar_of(dtype, 1)}));
}

void hard_swish(OperatorContext& c) {
  const Endpoint x = c.in(0), three = c.b.scalar_of(c.in_dtype(0), 3);
  const Endpoint gate = c.b.op("Relu6", {c.b.add(x, three)});
  c.set(0, c.b.mul(c.b.mul(x, gate), c.b.scalar_of(c.in_dtype(0), 1.0 / 6)));
}

// 0.5 x (1 + erf(x / sqrt 2)), or by tanh, as TensorFlow's gelu.
void gelu(OperatorContext& c) {
  const Endpoint x = c.in(0);
  const auto number = [&](double value) { return c.b.scalar_of(c.in_dtype(0), value); };
  Endpoint inner;
  if (c.options<schema::GeluOptions>().approximate()) {
    const Endpoint cube = c.b.mul(c.b.mul(x, x), c.b.mul(x, number(0.044715)));
    inner = c.b.op("Tanh", {c.b.mul(c.b.add(x, cube), number(0.7978845608028654))});
  } else {
    inner = c.b.op("Erf", {c.b.mul(x, number(0.7071067811865476))});
  }
  c.set(0, c.b.mul(c.b.mul(x, number(0.5)), c.b.add(inner, number(1))));
}

void leaky_relu(OperatorContext& c) {
  c.set(0,
        c.b.op("LeakyRelu", {c.in(0)}, {{"alpha", c.options<schema::LeakyReluOptions>().alpha()}}));
}

void prelu(OperatorContext& c) {
  const Endpoint x = c.in(0);
  const Endpoint positive = c.b.op("GreaterEqual", {x, c.b.scalar_of(c.in_dtype(0), 0)});
  c.set(0, c.b.op("SelectV2", {positive, x, c.b.mul(x, c.in(1))}));
}

void cast(OperatorContext& c) { c.set(0, c.b.cast(c.in(0), c.out_dtype(0))); }

void bitcast(OperatorContext& c) {
  c.set(0, c.b.op("Bitcast", {c.in(0)}, {{"type", c.out_dtype(0)}}));
}

// Of complex numbers: the real dtype is the output's.
template <const char* name>
void complex_part(OperatorContext& c) {
  c.set(0, c.b.op(name, {c.in(0)}, {{"Tout", c.out_dtype(0)}}));
}

void add_n(OperatorContext& c) { c.set(0, c.b.op("AddN", c.all_inputs())); }

void select(OperatorContext& c) { c.set(0, c.b.op("Select", c.all_inputs())); }

void select_v2(OperatorContext& c) { c.set(0, c.b.op("SelectV2", c.all_inputs())); }

void fake_quant(OperatorContext& c) {
  const auto& o = c.options<schema::FakeQuantOptions>();
  c.set(0, c.b.op("FakeQuantWithMinMaxArgs", {c.in(0)},
                  {{"min", o.min()},
                   {"max", o.max()},
                   {"num_bits", int64_t{o.num_bits()}},
                   {"narrow_range", o.narrow_range()}}));
}

void bucketize(OperatorContext& c) {
  const auto* given = c.options<schema::BucketizeOptions>().boundaries();
  std::vector<float> boundaries;
  if (given) boundaries.assign(given->begin(), given->end());
  c.set(0, c.b.op("Bucketize", {c.in(0)}, {{"boundaries", std::move(boundaries)}}));
}

#define TENON_LITE_NAME(variable, text) constexpr char variable[] = text
TENON_LITE_NAME(kAbs, "Abs");
TENON_LITE_NAME(kAddV2, "AddV2");
TENON_LITE_NAME(kAtan2, "Atan2");
TENON_LITE_NAME(kBitwiseXor, "BitwiseXor");
TENON_LITE_NAME(kCeil, "Ceil");
TENON_LITE_NAME(kComplexAbs, "ComplexAbs");
TENON_LITE_NAME(kCos, "Cos");
TENON_LITE_NAME(kElu, "Elu");
TENON_LITE_NAME(kEqual, "Equal");
TENON_LITE_NAME(kExp, "Exp");
TENON_LITE_NAME(kFloor, "Floor");
TENON_LITE_NAME(kFloorDiv, "FloorDiv");
TENON_LITE_NAME(kFloorMod, "FloorMod");
TENON_LITE_NAME(kGreater, "Greater");
TENON_LITE_NAME(kGreaterEqual, "GreaterEqual");
TENON_LITE_NAME(kImag, "Imag");
TENON_LITE_NAME(kLeftShift, "LeftShift");
TENON_LITE_NAME(kLess, "Less");
TENON_LITE_NAME(kLessEqual, "LessEqual");
TENON_LITE_NAME(kLog, "Log");
TENON_LITE_NAME(kLogicalAnd, "LogicalAnd");
TENON_LITE_NAME(kLogicalNot, "LogicalNot");
TENON_LITE_NAME(kLogicalOr, "LogicalOr");
TENON_LITE_NAME(kMaximum, "Maximum");
TENON_LITE_NAME(kMinimum, "Minimum");
TENON_LITE_NAME(kMul, "Mul");
TENON_LITE_NAME(kNeg, "Neg");
TENON_LITE_NAME(kNotEqual, "NotEqual");
TENON_LITE_NAME(kPow, "Pow");
TENON_LITE_NAME(kReal, "Real");
TENON_LITE_NAME(kRightShift, "RightShift");
TENON_LITE_NAME(kRound, "Round");
TENON_LITE_NAME(kRsqrt, "Rsqrt");
TENON_LITE_NAME(kSigmoid, "Sigmoid");
TENON_LITE_NAME(kSign, "Sign");
TENON_LITE_NAME(kSin, "Sin");
TENON_LITE_NAME(kSqrt, "Sqrt");
TENON_LITE_NAME(kSquare, "Square");
TENON_LITE_NAME(kSquaredDifference, "SquaredDifference");
TENON_LITE_NAME(kSub, "Sub");
TENON_LITE_NAME(kTanh, "Tanh");
TENON_LITE_NAME(kZerosLike, "ZerosLike");
#undef TENON_LITE_NAME

}  // namespace

TENON_LITE_OPERATOR(ABS, unary<kAbs>)
TENON_LITE_OPERATOR(ADD, activated_binary<kAddV2, schema::AddOptions>)
TENON_LITE_OPERATOR(ADD_N, add_n)
TENON_LITE_OPERATOR(ATAN2, binary<kAtan2>)
TENON_LITE_OPERATOR(BITCAST, bitcast)
TENON_LITE_OPERATOR(BITWISE_XOR, binary<kBitwiseXor>)
TENON_LITE_OPERATOR(BUCKETIZE, bucketize)
TENON_LITE_OPERATOR(CAST, cast)
TENON_LITE_OPERATOR(CEIL, unary<kCeil>)
TENON_LITE_OPERATOR(COMPLEX_ABS, complex_part<kComplexAbs>)
TENON_LITE_OPERATOR(COS, unary<kCos>)
TENON_LITE_OPERATOR(DIV, divide)
TENON_LITE_OPERATOR(ELU, unary<kElu>)
TENON_LITE_OPERATOR(EQUAL, binary<kEqual>)
TENON_LITE_OPERATOR(EXP, unary<kExp>)
TENON_LITE_OPERATOR(FAKE_QUANT, fake_quant)
TENON_LITE_OPERATOR(FLOOR, unary<kFloor>)
TENON_LITE_OPERATOR(FLOOR_DIV, binary<kFloorDiv>)
TENON_LITE_OPERATOR(FLOOR_MOD, binary<kFloorMod>)
TENON_LITE_OPERATOR(GELU, gelu)
TENON_LITE_OPERATOR(GREATER, binary<kGreater>)
TENON_LITE_OPERATOR(GREATER_EQUAL, binary<kGreaterEqual>)
TENON_LITE_OPERATOR(HARD_SWISH, hard_swish)
TENON_LITE_OPERATOR(IMAG, complex_part<kImag>)
TENON_LITE_OPERATOR(LEAKY_RELU, leaky_relu)
TENON_LITE_OPERATOR(LESS, binary<kLess>)
TENON_LITE_OPERATOR(LESS_EQUAL, binary<kLessEqual>)
TENON_LITE_OPERATOR(LOG, unary<kLog>)
TENON_LITE_OPERATOR(LOGICAL_AND, binary<kLogicalAnd>)
TENON_LITE_OPERATOR(LOGICAL_NOT, unary<kLogicalNot>)
TENON_LITE_OPERATOR(LOGICAL_OR, binary<kLogicalOr>)
TENON_LITE_OPERATOR(LOGISTIC, unary<kSigmoid>)
TENON_LITE_OPERATOR(MAXIMUM, binary<kMaximum>)
TENON_LITE_OPERATOR(MINIMUM, binary<kMinimum>)
TENON_LITE_OPERATOR(MUL, activated_binary<kMul, schema::MulOptions>)
TENON_LITE_OPERATOR(NEG, unary<kNeg>)
TENON_LITE_OPERATOR(NOT_EQUAL, binary<kNotEqual>)
TENON_LITE_OPERATOR(POW, binary<kPow>)
TENON_LITE_OPERATOR(PRELU, prelu)
TENON_LITE_OPERATOR(REAL, complex_part<kReal>)
TENON_LITE_OPERATOR(RELU, clamp_to<1>)
TENON_LITE_OPERATOR(RELU6, clamp_to<3>)
TENON_LITE_OPERATOR(RELU_0_TO_1, relu_0_to_1)
TENON_LITE_OPERATOR(RELU_N1_TO_1, clamp_to<2>)
TENON_LITE_OPERATOR(RIGHT_SHIFT, binary<kRightShift>)
TENON_LITE_OPERATOR(ROUND, unary<kRound>)
TENON_LITE_OPERATOR(RSQRT, unary<kRsqrt>)
TENON_LITE_OPERATOR(SELECT, select)
TENON_LITE_OPERATOR(SELECT_V2, select_v2)
TENON_LITE_OPERATOR(SIGN, unary<kSign>)
TENON_LITE_OPERATOR(SIN, unary<kSin>)
TENON_LITE_OPERATOR(SQRT, unary<kSqrt>)
TENON_LITE_OPERATOR(SQUARE, unary<kSquare>)
TENON_LITE_OPERATOR(SQUARED_DIFFERENCE, binary<kSquaredDifference>)
TENON_LITE_OPERATOR(STABLEHLO_ADD, binary<kAddV2>)
TENON_LITE_OPERATOR(STABLEHLO_MAXIMUM, binary<kMaximum>)
TENON_LITE_OPERATOR(STABLEHLO_MINIMUM, binary<kMinimum>)
TENON_LITE_OPERATOR(STABLEHLO_MULTIPLY, binary<kMul>)
TENON_LITE_OPERATOR(STABLEHLO_SHIFT_LEFT, binary<kLeftShift>)
TENON_LITE_OPERATOR(SUB, activated_binary<kSub, schema::SubOptions>)
TENON_LITE_OPERATOR(TANH, unary<kTanh>)
TENON_LITE_OPERATOR(ZEROS_LIKE, unary<kZerosLike>)

}  // namespace tenon::lite
