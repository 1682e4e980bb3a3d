#include "tenon/cli/arrays/expression.h"

#include <bit>

#include "tenon/base/wire.h"
#include "tenon/cli/arrays/literal.h"
#include "tenon/kernels/cast.h"

namespace tenon::cli {
namespace {

// What NumPy calls kinds, each wider than those before it. Of dtypes that can be cast.
enum Kind { kBool, kInteger, kFloat, kComplex };

Kind kind_of(DType dtype) {
  if (dtype == DType::kBool) return kBool;
  if (is_integer(dtype)) return kInteger;
  if (is_floating(dtype)) return kFloat;
  return kComplex;
}

StatusOr<Tensor> cast_to(const Tensor& tensor, DType dtype) {
  const kernels::CastKernel cast = kernels::find_cast(tensor.dtype(), dtype);
  if (!cast) {
    return invalid_argument("an array of ", tensor.dtype(), " was given, expected ", dtype);
  }
  TENON_ASSIGN_OR_RETURN(Tensor converted, Tensor::allocate(dtype, tensor.shape()));
  cast(tensor.raw(), converted.mutable_raw(), tensor.num_elements());
  return converted;
}

// The first element that differs, or their number. Both are of one dtype.
int64_t first_difference(const Tensor& a, const Tensor& b) {
  int64_t i = 0;
  const auto compare = [&]<class T>() {
    while (i < a.num_elements() && a.data<T>()[i] == b.data<T>()[i]) ++i;
  };
  if (!visit<NumericTypes>(a.dtype(), compare)) visit<TypeList<bool>>(a.dtype(), compare);
  return i;
}

// INVALID_ARGUMENT names the first element of `tensor` that changed when it became `converted`. The
// way back shows what was cut off or rounded, doubles show a changed sign.
Status check_same_values(const Tensor& tensor, const Tensor& converted) {
  TENON_ASSIGN_OR_RETURN(const Tensor back, cast_to(converted, tensor.dtype()));
  TENON_ASSIGN_OR_RETURN(const Tensor before, cast_to(tensor, DType::kDouble));
  TENON_ASSIGN_OR_RETURN(const Tensor after, cast_to(converted, DType::kDouble));
  const int64_t place = std::min(first_difference(tensor, back), first_difference(before, after));
  if (place == tensor.num_elements()) return absl::OkStatus();
  return invalid_argument("an array of ", tensor.dtype(), " was given, expected ",
                          converted.dtype(), ", which cannot hold its element ", place + 1);
}

// A tf.train.Feature (feature.proto: bytes_list 1, float_list 2, int64_list 3; packed numbers).
StatusOr<std::string> encode_feature(const std::string& name, const Literal& values) {
  if (values.kind != Literal::Kind::kList) {
    return invalid_argument("feature value must be a list, but feature '", name, "' is none");
  }
  std::string list, packed;
  uint32_t number = 3;
  for (const Literal& item : values.items) {
    const bool in_float_list = number == 2 && item.kind == Literal::Kind::kInt;
    if (item.kind != values.items[0].kind && !in_float_list) {
      return invalid_argument("feature '", name, "' mixes integers, floats and texts");
    }
    if (item.kind == Literal::Kind::kText) {
      number = 1;
      append_bytes_field(list, 1, item.text);
    } else if (item.kind == Literal::Kind::kFloat || in_float_list) {
      number = 2;
      const double real = in_float_list ? static_cast<double>(item.integer) : item.real;
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(real));
      for (int shift = 0; shift < 32; shift += 8) packed += static_cast<char>(bits >> shift);
    } else if (item.kind == Literal::Kind::kInt) {
      append_varint(packed, static_cast<uint64_t>(item.integer));
    } else {
      return invalid_argument("feature '", name, "' holds what is no integer, float or text");
    }
  }
  if (!packed.empty()) append_bytes_field(list, 1, packed);
  std::string feature;
  append_bytes_field(feature, number, list);
  return feature;
}

StatusOr<std::string> encode_example(const Literal& literal) {
  if (literal.kind != Literal::Kind::kDict) {
    return invalid_argument("an example must be a dictionary: {'feature': [values]}");
  }
  std::string features, example;
  for (size_t i = 0; i < literal.items.size(); ++i) {
    TENON_ASSIGN_OR_RETURN(const std::string feature,
                           encode_feature(literal.keys[i], literal.items[i]));
    std::string entry;
    append_bytes_field(entry, 1, literal.keys[i]);
    append_bytes_field(entry, 2, feature);
    append_bytes_field(features, 1, entry);
  }
  append_bytes_field(example, 1, features);
  return example;
}

}  // namespace

StatusOr<Tensor> evaluate_examples(std::string_view text) {
  TENON_ASSIGN_OR_RETURN(const Literal literal, parse_literal(text));
  if (literal.kind != Literal::Kind::kList) {
    return invalid_argument("examples are a list of dictionaries: [{'feature': [values]}]");
  }
  std::vector<std::string> examples;
  for (const Literal& item : literal.items) {
    TENON_ASSIGN_OR_RETURN(std::string example, encode_example(item));
    examples.push_back(std::move(example));
  }
  return Tensor::strings(Shape{static_cast<int64_t>(examples.size())}, examples);
}

StatusOr<Tensor> evaluate_expression(std::string_view text) {
  TENON_ASSIGN_OR_RETURN(const Literal literal, parse_literal(text));
  return literal_to_tensor(literal);
}

StatusOr<Tensor> convert_tensor(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  if (dtype == DType::kBfloat16 && tensor.dtype() == DType::kUint16) return tensor.as_dtype(dtype);
  TENON_ASSIGN_OR_RETURN(Tensor converted, cast_to(tensor, dtype));
  const Kind from = kind_of(tensor.dtype()), to = kind_of(dtype);
  const bool rounds_at_most = from <= to && to >= kFloat;
  if (!rounds_at_most) TENON_RETURN_IF_ERROR(check_same_values(tensor, converted));
  return converted;
}

}  // namespace tenon::cli
