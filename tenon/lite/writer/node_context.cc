#include "tenon/lite/writer/node_context.h"

#include "tenon/kernels/transpose.h"
#include "tenon/lite/constants.h"

namespace tenon::lite {

int NodeContext::in_int32(int i) {
  if (in_dtype(i) == DType::kInt32) return in(i);
  if (const Tensor* value = constant(i)) {
    Tensor narrow(DType::kInt32, value->shape());
    for (int64_t at = 0; at < value->num_elements(); ++at) {
      const int64_t wide = integer_at(*value, at);
      narrow.mutable_data<int32_t>()[at] =
          static_cast<int32_t>(std::clamp<int64_t>(wide, INT32_MIN, INT32_MAX));
    }
    return constant_tensor(narrow);
  }
  schema::CastOptionsT options;
  options.in_data_type = static_cast<int8_t>(tensor_type_of(in_dtype(i)));
  options.out_data_type = static_cast<int8_t>(tensor_type_of(DType::kInt32));
  return chain(op::CAST, {in(i)}, in_shape(i), DType::kInt32, options);
}

int64_t NodeContext::scalar(int i) {
  const Tensor* value = constant(i);
  if (value && is_integer(value->dtype()) && value->num_elements() == 1) {
    return integer_at(*value, 0);
  }
  fail(unimplemented("input ", i, " is not a constant number, which TensorFlow Lite's needs"));
  return 0;
}

int NodeContext::out(int i) {
  const auto [it, is_new] = outputs_.emplace(i, -1);
  if (is_new) {
    const std::string name = i == 0 ? node().name : cat(node().name, ":", i);
    it->second = model_.add_tensor(subgraph_, name, out_dtype(i), out_shape(i));
    scope_.set_tensor({id_, i}, it->second);
  }
  return it->second;
}

std::vector<int> NodeContext::all_inputs() {
  std::vector<int> tensors;
  for (int i = 0; i < num_inputs(); ++i) tensors.push_back(in(i));
  return tensors;
}

std::vector<int> NodeContext::all_outputs() {
  std::vector<int> tensors;
  for (size_t i = 0; i < node().outputs.size(); ++i) tensors.push_back(out(static_cast<int>(i)));
  return tensors;
}

std::string NodeContext::new_name() { return cat(node().name, "/lite_", names_++); }

int NodeContext::temporary(DType dtype, const PartialShape& shape) {
  return model_.add_tensor(subgraph_, new_name(), dtype, shape);
}

int NodeContext::constant_tensor(const Tensor& value) {
  return model_.add_constant(subgraph_, new_name(), value);
}

int NodeContext::no_bias(int64_t count) {
  Tensor zeros(DType::kFloat, Shape{count});
  std::fill_n(zeros.mutable_data<float>(), count, 0.0F);
  return constant_tensor(zeros);
}

int NodeContext::ints(std::span<const int64_t> values) {
  std::vector<int32_t> narrow(values.begin(), values.end());
  return constant_tensor(Tensor::vector<int32_t>(narrow));
}

int NodeContext::transposed(int i, std::span<const int> permutation) {
  const PartialShape& shape = in_shape(i);
  std::vector<int64_t> dims, order(permutation.begin(), permutation.end());
  for (int axis : permutation) dims.push_back(shape.has_rank() ? shape[axis] : -1);
  if (constant(i)) return transposed_constant(i, permutation, Shape(dims));
  return chain(op::TRANSPOSE, {in(i), ints(order)}, PartialShape(dims), in_dtype(i));
}

int NodeContext::transposed_constant(int i, std::span<const int> permutation, const Shape& shape) {
  const Tensor& value = *constant(i);
  Tensor moved(value.dtype(), shape);
  kernels::transpose(size_of(value.dtype()), value.shape(), permutation, value.raw(),
                     moved.mutable_raw());
  return constant_tensor(moved);
}

schema::OperatorT& NodeContext::add(int builtin, std::vector<int> inputs,
                                    std::vector<int> outputs) {
  auto& operators = model_.subgraph(subgraph_).operators;
  operators.push_back(model_.make_operator(builtin, std::move(inputs), std::move(outputs)));
  return *operators.back();
}

}  // namespace tenon::lite
