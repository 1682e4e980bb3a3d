#include "tenon/lite/operator_context.h"

namespace tenon::lite {

Endpoint OperatorContext::in(int i) {
  if (!has_input(i)) {
    fail(invalid_argument("input ", i, " is missing; the operator has ", num_inputs()));
    return {};
  }
  return table_.value(input_index(i));
}

std::vector<Endpoint> OperatorContext::all_inputs() {
  std::vector<Endpoint> inputs;
  for (int i = 0; i < num_inputs(); ++i) inputs.push_back(in(i));
  return inputs;
}

const TensorInfo& OperatorContext::in_info(int i) {
  static const TensorInfo kNone;
  if (has_input(i)) return table_.tensor_info(input_index(i));
  fail(invalid_argument("input ", i, " is missing; the operator has ", num_inputs()));
  return kNone;
}

const TensorInfo& OperatorContext::out_info(int i) {
  static const TensorInfo kNone;
  if (i < num_outputs()) return table_.tensor_info(output_index(i));
  fail(invalid_argument("output ", i, " is missing; the operator has ", num_outputs()));
  return kNone;
}

void OperatorContext::set(int i, Endpoint value) {
  if (i >= num_outputs()) {
    return fail(invalid_argument("output ", i, " is missing; the operator has ", num_outputs()));
  }
  if (!value) return;
  const DType declared = out_dtype(i), found = b.dtype(value);
  if (declared != found) {
    return fail(invalid_argument("output ", i, " is ", found, ", the file says ", declared));
  }
  table_.set_value(output_index(i), value);
}

void OperatorContext::set_all(const std::vector<Endpoint>& values) {
  for (size_t i = 0; i < values.size(); ++i) set(static_cast<int>(i), values[i]);
}

void OperatorContext::assign(int i, Endpoint value) {
  if (!in_info(i).is_variable) return fail(invalid_argument("input ", i, " is no variable"));
  if (value) table_.assign(input_index(i), value);
}

void OperatorContext::set_activated(Endpoint value, int activation) {
  set(0, activate(value, activation));
}

Endpoint OperatorContext::activate(Endpoint value, int activation) {
  const DType dtype = b.dtype(value);
  const auto clamp = [&](double low, double high) {
    return b.op("Minimum",
                {b.op("Maximum", {value, b.scalar_of(dtype, low)}), b.scalar_of(dtype, high)});
  };
  switch (static_cast<Activation>(activation)) {
    case Activation::kNone:
      return value;
    case Activation::kRelu:
      return b.op("Relu", {value});
    case Activation::kReluN1To1:
      return clamp(-1, 1);
    case Activation::kRelu6:
      return b.op("Relu6", {value});
    case Activation::kTanh:
      return b.op("Tanh", {value});
    default:
      fail(unimplemented("fused activation ", activation, " has no kernel in TensorFlow Lite"));
      return {};
  }
}

namespace {

bool is_rows_already(OperatorContext& c) {
  const PartialShape input = c.in_shape(0), weights = c.in_shape(1);
  return input.has_rank() && input.rank() == 2 && input[1] == weights[1];
}

}  // namespace

Endpoint connected_rows(OperatorContext& c) {
  if (is_rows_already(c)) return c.in(0);
  const int64_t size = c.in_shape(1)[1];
  if (size <= 0) {
    c.fail(unimplemented("weights of shape ", c.in_shape(1)));
    return {};
  }
  const int64_t rows[] = {-1, size};
  return c.b.reshape(c.in(0), rows);
}

Endpoint connected_result(OperatorContext& c, Endpoint rows) {
  const PartialShape input = c.in_shape(0);
  if (!c.options<schema::FullyConnectedOptions>().keep_num_dims() || is_rows_already(c) ||
      !input.has_rank() || input.rank() == 0) {
    return rows;
  }
  const Endpoint outer =
      c.b.op("Slice", {c.b.shape_of(c.in(0)), c.b.integers({0}), c.b.integers({input.rank() - 1})});
  const Endpoint dims = c.b.concat({outer, c.b.integers({c.in_shape(1)[0]})}, 0);
  return c.b.reshape(rows, dims);
}

}  // namespace tenon::lite
