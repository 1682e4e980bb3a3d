// Ops that work element by element, and reductions.
#include "tenon/lite/constants.h"
#include "tenon/lite/writer/node_context.h"

namespace tenon::lite {
namespace {

template <int builtin, class Options>
void with_options(NodeContext& c) {
  c.emit(builtin, c.all_inputs(), {c.out()}, Options());
}

void write_softmax(NodeContext& c) {
  schema::SoftmaxOptionsT options;
  options.beta = 1;
  c.emit(op::SOFTMAX, {c.in(0)}, {c.out()}, options);
}

void write_leaky_relu(NodeContext& c) {
  schema::LeakyReluOptionsT options;
  options.alpha = c.attr<float>("alpha", 0.2F);
  c.emit(op::LEAKY_RELU, {c.in(0)}, {c.out()}, options);
}

void write_cast(NodeContext& c) {
  schema::CastOptionsT options;
  options.in_data_type = static_cast<int8_t>(tensor_type_of(c.in_dtype(0)));
  options.out_data_type = static_cast<int8_t>(tensor_type_of(c.out_dtype()));
  c.emit(op::CAST, {c.in(0)}, {c.out()}, options);
}

int one_more(NodeContext& c, int builtin, std::vector<int> inputs) {
  return c.chain(builtin, std::move(inputs), c.out_shape(), c.out_dtype());
}

bool is_float(NodeContext& c) {
  if (c.in_dtype(0) == DType::kFloat) return true;
  c.fail(unimplemented("of ", c.in_dtype(0)));
  return false;
}

void write_reciprocal(NodeContext& c) {
  if (is_float(c)) {
    c.emit(op::DIV, {c.float_scalar(1), c.in(0)}, {c.out()}, schema::DivOptionsT());
  }
}

// log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which does not overflow.
void write_softplus(NodeContext& c) {
  if (!is_float(c)) return;
  const int exponential =
      one_more(c, op::EXP, {one_more(c, op::NEG, {one_more(c, op::ABS, {c.in(0)})})});
  const int sum = c.chain(op::ADD, {exponential, c.float_scalar(1)}, c.out_shape(), DType::kFloat,
                          schema::AddOptionsT());
  c.emit(op::ADD, {one_more(c, op::RELU, {c.in(0)}), one_more(c, op::LOG, {sum})}, {c.out()},
         schema::AddOptionsT());
}

void write_softsign(NodeContext& c) {
  if (!is_float(c)) return;
  const int sum = c.chain(op::ADD, {one_more(c, op::ABS, {c.in(0)}), c.float_scalar(1)},
                          c.out_shape(), DType::kFloat, schema::AddOptionsT());
  c.emit(op::DIV, {c.in(0), sum}, {c.out()}, schema::DivOptionsT());
}

// scale * (max(x, 0) + alpha * min(elu(x), 0)).
void write_selu(NodeContext& c) {
  if (!is_float(c)) return;
  constexpr float kScale = 1.0507009873554805F, kAlpha = 1.6732632423543772F;
  const auto scaled = [&](int value, float factor) {
    return c.chain(op::MUL, {value, c.float_scalar(factor)}, c.out_shape(), DType::kFloat,
                   schema::MulOptionsT());
  };
  const int below = c.chain(op::MINIMUM, {one_more(c, op::ELU, {c.in(0)}), c.float_scalar(0)},
                            c.out_shape(), DType::kFloat, schema::MaximumMinimumOptionsT());
  const int above = scaled(one_more(c, op::RELU, {c.in(0)}), kScale);
  c.emit(op::ADD, {above, scaled(below, kScale * kAlpha)}, {c.out()}, schema::AddOptionsT());
}

// What is left of inference batch normalisation where no product stands before it.
void write_batch_norm(NodeContext& c) {
  const Tensor *gamma = c.constant(1), *beta = c.constant(2), *mean = c.constant(3),
               *variance = c.constant(4);
  if (c.attr<bool>("is_training", true) || !gamma || !beta || !mean || !variance ||
      c.attr<std::string>("data_format", "NHWC") != "NHWC") {
    return c.fail(unimplemented("but for inference with constants, channels last"));
  }
  Tensor factor(DType::kFloat, gamma->shape()), offset(DType::kFloat, gamma->shape());
  for (int64_t i = 0; i < gamma->num_elements(); ++i) {
    const double scale =
        double{gamma->data<float>()[i]} /
        std::sqrt(double{variance->data<float>()[i]} + c.attr<float>("epsilon", 1e-4F));
    factor.mutable_data<float>()[i] = static_cast<float>(scale);
    offset.mutable_data<float>()[i] =
        static_cast<float>(beta->data<float>()[i] - scale * mean->data<float>()[i]);
  }
  const int product = c.chain(op::MUL, {c.in(0), c.constant_tensor(factor)}, c.out_shape(),
                              DType::kFloat, schema::MulOptionsT());
  c.emit(op::ADD, {product, c.constant_tensor(offset)}, {c.out()}, schema::AddOptionsT());
}

template <int builtin>
void write_reduction(NodeContext& c) {
  schema::ReducerOptionsT options;
  options.keep_dims = c.attr<bool>("keep_dims", false);
  c.emit(builtin, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

template <int builtin, class Options>
void write_arg_extreme(NodeContext& c) {
  Options options;
  options.output_type = static_cast<int8_t>(tensor_type_of(c.out_dtype()));
  c.emit(builtin, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

void write_cumsum(NodeContext& c) {
  schema::CumsumOptionsT options;
  options.exclusive = c.attr<bool>("exclusive", false);
  options.reverse = c.attr<bool>("reverse", false);
  c.emit(op::CUMSUM, {c.in(0), c.in_int32(1)}, {c.out()}, options);
}

constexpr NodeWriter kElementwiseWriters[] = {
    {"Abs", write_as<op::ABS>},
    {"Add", with_options<op::ADD, schema::AddOptionsT>},
    {"AddN", write_as<op::ADD_N>},
    {"AddV2", with_options<op::ADD, schema::AddOptionsT>},
    {"All", write_reduction<op::REDUCE_ALL>},
    {"Any", write_reduction<op::REDUCE_ANY>},
    {"ArgMax", write_arg_extreme<op::ARG_MAX, schema::ArgMaxOptionsT>},
    {"ArgMin", write_arg_extreme<op::ARG_MIN, schema::ArgMinOptionsT>},
    {"Atan2", write_as<op::ATAN2>},
    {"BiasAdd", with_options<op::ADD, schema::AddOptionsT>},
    {"BitwiseXor", write_as<op::BITWISE_XOR>},
    {"Cast", write_cast},
    {"Ceil", write_as<op::CEIL>},
    {"Cos", write_as<op::COS>},
    {"Cumsum", write_cumsum},
    {"Div", with_options<op::DIV, schema::DivOptionsT>},
    {"Elu", write_as<op::ELU>},
    {"Equal", write_as<op::EQUAL>},
    {"Exp", write_as<op::EXP>},
    {"Floor", write_as<op::FLOOR>},
    {"FloorDiv", write_as<op::FLOOR_DIV>},
    {"FloorMod", write_as<op::FLOOR_MOD>},
    {"FusedBatchNorm", write_batch_norm},
    {"FusedBatchNormV2", write_batch_norm},
    {"FusedBatchNormV3", write_batch_norm},
    {"Greater", write_as<op::GREATER>},
    {"GreaterEqual", write_as<op::GREATER_EQUAL>},
    {"Inv", write_reciprocal},
    {"LeakyRelu", write_leaky_relu},
    {"Less", write_as<op::LESS>},
    {"LessEqual", write_as<op::LESS_EQUAL>},
    {"Log", write_as<op::LOG>},
    {"LogSoftmax", write_as<op::LOG_SOFTMAX>},
    {"LogicalAnd", write_as<op::LOGICAL_AND>},
    {"LogicalNot", write_as<op::LOGICAL_NOT>},
    {"LogicalOr", write_as<op::LOGICAL_OR>},
    {"Max", write_reduction<op::REDUCE_MAX>},
    {"Maximum", with_options<op::MAXIMUM, schema::MaximumMinimumOptionsT>},
    {"Mean", write_reduction<op::MEAN>},
    {"Min", write_reduction<op::REDUCE_MIN>},
    {"Minimum", with_options<op::MINIMUM, schema::MaximumMinimumOptionsT>},
    {"Mul", with_options<op::MUL, schema::MulOptionsT>},
    {"Neg", write_as<op::NEG>},
    {"NotEqual", write_as<op::NOT_EQUAL>},
    {"Pow", write_as<op::POW>},
    {"Prod", write_reduction<op::REDUCE_PROD>},
    {"RealDiv", with_options<op::DIV, schema::DivOptionsT>},
    {"Reciprocal", write_reciprocal},
    {"Relu", write_as<op::RELU>},
    {"Relu6", write_as<op::RELU6>},
    {"RightShift", write_as<op::RIGHT_SHIFT>},
    {"Round", write_as<op::ROUND>},
    {"Rsqrt", write_as<op::RSQRT>},
    {"Select", write_as<op::SELECT>},
    {"SelectV2", write_as<op::SELECT_V2>},
    {"Selu", write_selu},
    {"Sigmoid", write_as<op::LOGISTIC>},
    {"Sign", write_as<op::SIGN>},
    {"Sin", write_as<op::SIN>},
    {"Softmax", write_softmax},
    {"Softplus", write_softplus},
    {"Softsign", write_softsign},
    {"Sqrt", write_as<op::SQRT>},
    {"Square", write_as<op::SQUARE>},
    {"SquaredDifference", write_as<op::SQUARED_DIFFERENCE>},
    {"Sub", with_options<op::SUB, schema::SubOptionsT>},
    {"Sum", write_reduction<op::SUM>},
    {"Tanh", write_as<op::TANH>},
    {"TruncateDiv", with_options<op::DIV, schema::DivOptionsT>},
    {"ZerosLike", write_as<op::ZEROS_LIKE>},
};

}  // namespace

std::span<const NodeWriter> elementwise_writers() { return kElementwiseWriters; }

}  // namespace tenon::lite
