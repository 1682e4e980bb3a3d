#include "tenon/cli/arrays/numpy_calls.h"

#include "tenon/kernels/cast.h"

namespace tenon::cli {
namespace {

constexpr size_t kLargest = size_t{4} << 30;

// The arguments of one call under their names.
class CallArguments {
 public:
  // `names` in the order of positions.
  static StatusOr<CallArguments> match(std::string_view function,
                                       const std::vector<NumpyArgument>& args,
                                       std::initializer_list<std::string_view> names) {
    CallArguments matched;
    for (size_t i = 0; i < args.size(); ++i) {
      std::string_view name = args[i].keyword;
      if (name.empty() && i < names.size()) name = names.begin()[i];
      if (std::find(names.begin(), names.end(), name) == names.end()) {
        return invalid_argument(function, " has no argument ", name.empty() ? cat(i + 1) : name);
      }
      matched.values_[name] = &args[i].value;
    }
    matched.function_ = function;
    return matched;
  }

  const Literal* find(std::string_view name) const {
    const auto it = values_.find(name);
    return it == values_.end() ? nullptr : it->second;
  }
  StatusOr<Tensor> tensor(std::string_view name) const {
    const Literal* value = find(name);
    if (!value) return invalid_argument(function_, " lacks its argument ", name);
    return literal_to_tensor(*value);
  }
  StatusOr<Shape> shape(std::string_view name, size_t element_size) const {
    TENON_ASSIGN_OR_RETURN(const Tensor value, tensor(name));
    if (value.dtype() != DType::kInt64 || value.rank() > 1) {
      return invalid_argument(function_, ": ", name, " is no list of integers");
    }
    const std::vector<int64_t> dims = integers_of(value);
    TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(dims, element_size));
    if (static_cast<size_t>(shape.num_elements()) * element_size > kLargest) {
      return resource_exhausted(function_, ": an array of shape ", shape, " has more than 4 GiB");
    }
    return shape;
  }
  StatusOr<DType> dtype(DType otherwise) const {
    const Literal* value = find("dtype");
    if (!value) return otherwise;
    std::optional<DType> found;
    if (value->kind == Literal::Kind::kText) {
      found = parse_dtype(value->text == "float" ? "float64" : value->text);
    }
    if (!found) return invalid_argument(function_, ": '", value->text, "' is no dtype");
    return *found;
  }

 private:
  std::string function_;
  std::map<std::string_view, const Literal*> values_;
};

StatusOr<Tensor> as_dtype(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  const kernels::CastKernel cast = kernels::find_cast(x.dtype(), dtype);
  if (!cast) return invalid_argument("there is no conversion from ", x.dtype(), " to ", dtype);
  TENON_ASSIGN_OR_RETURN(Tensor y, Tensor::allocate(dtype, x.shape()));
  cast(x.raw(), y.mutable_raw(), x.num_elements());
  return y;
}

StatusOr<Tensor> filled(const CallArguments& args, const Tensor& value, DType otherwise) {
  TENON_ASSIGN_OR_RETURN(const DType dtype, args.dtype(otherwise));
  if (is_object(dtype)) return invalid_argument("an array of ", dtype, " cannot be filled");
  TENON_ASSIGN_OR_RETURN(const Shape shape, args.shape("shape", size_of(dtype)));
  TENON_ASSIGN_OR_RETURN(const Tensor element, as_dtype(value, dtype));
  if (element.num_elements() != 1) return invalid_argument("np.full takes one value");
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  auto* to = static_cast<char*>(tensor.mutable_raw());
  for (int64_t i = 0; i < tensor.num_elements(); ++i, to += size_of(dtype)) {
    std::memcpy(to, element.raw(), size_of(dtype));
  }
  return tensor;
}

StatusOr<Tensor> arange(const CallArguments& args) {
  Tensor bounds[3] = {Tensor::scalar<int64_t>(0), {}, Tensor::scalar<int64_t>(1)};
  const bool only_stop = !args.find("stop");
  TENON_ASSIGN_OR_RETURN(bounds[only_stop ? 1 : 0], args.tensor("start"));
  if (!only_stop) {
    TENON_ASSIGN_OR_RETURN(bounds[1], args.tensor("stop"));
  }
  if (args.find("step")) {
    TENON_ASSIGN_OR_RETURN(bounds[2], args.tensor("step"));
  }
  bool integers = true;
  double values[3];
  for (int i = 0; i < 3; ++i) {
    TENON_ASSIGN_OR_RETURN(const Tensor value, as_dtype(bounds[i], DType::kDouble));
    if (value.num_elements() != 1) return invalid_argument("np.arange takes numbers");
    integers = integers && bounds[i].dtype() == DType::kInt64;
    values[i] = *value.data<double>();
  }
  const double count = std::ceil((values[1] - values[0]) / values[2]);
  if (!(std::abs(count) <= static_cast<double>(kLargest / 8))) {
    return resource_exhausted("np.arange would give ", count, " numbers");
  }
  Tensor tensor(DType::kDouble, Shape{std::max<int64_t>(0, static_cast<int64_t>(count))});
  for (int64_t i = 0; i < tensor.num_elements(); ++i) {
    tensor.mutable_data<double>()[i] = values[0] + static_cast<double>(i) * values[2];
  }
  TENON_ASSIGN_OR_RETURN(const DType dtype, args.dtype(integers ? DType::kInt64 : DType::kDouble));
  return as_dtype(tensor, dtype);
}

}  // namespace

StatusOr<Tensor> call_numpy(std::string_view function, const std::vector<NumpyArgument>& args) {
  const auto match = [&](std::initializer_list<std::string_view> names) {
    return CallArguments::match(cat("np.", function), args, names);
  };
  if (function == "ones" || function == "zeros") {
    TENON_ASSIGN_OR_RETURN(const CallArguments call, match({"shape", "dtype"}));
    return filled(call, Tensor::scalar<double>(function == "ones"), DType::kDouble);
  }
  if (function == "full") {
    TENON_ASSIGN_OR_RETURN(const CallArguments call, match({"shape", "fill_value", "dtype"}));
    TENON_ASSIGN_OR_RETURN(const Tensor value, call.tensor("fill_value"));
    return filled(call, value, value.dtype());
  }
  if (function == "array" || function == "asarray") {
    TENON_ASSIGN_OR_RETURN(const CallArguments call, match({"object", "dtype"}));
    TENON_ASSIGN_OR_RETURN(const Tensor value, call.tensor("object"));
    TENON_ASSIGN_OR_RETURN(const DType dtype, call.dtype(value.dtype()));
    return as_dtype(value, dtype);
  }
  if (function == "arange") {
    TENON_ASSIGN_OR_RETURN(const CallArguments call, match({"start", "stop", "step", "dtype"}));
    return arange(call);
  }
  if (const std::optional<DType> dtype = parse_dtype(function)) {
    TENON_ASSIGN_OR_RETURN(const CallArguments call, match({"x"}));
    TENON_ASSIGN_OR_RETURN(const Tensor value, call.tensor("x"));
    return as_dtype(value, *dtype);
  }
  return unimplemented("np.", function,
                       " is not known; known are np.ones, zeros, full, array, arange and dtypes");
}

StatusOr<Tensor> call_numpy_method(std::string_view method, const Tensor& self,
                                   const std::vector<NumpyArgument>& args) {
  if (method == "astype") {
    TENON_ASSIGN_OR_RETURN(const CallArguments call,
                           CallArguments::match("astype", args, {"dtype"}));
    TENON_ASSIGN_OR_RETURN(const DType dtype, call.dtype(self.dtype()));
    return as_dtype(self, dtype);
  }
  if (method != "reshape") {
    return unimplemented("the method ", method, " is not known; known are reshape and astype");
  }
  Literal dims;  // reshape(2, 3) and reshape((2, 3))
  dims.kind = Literal::Kind::kList;
  for (const NumpyArgument& argument : args) dims.items.push_back(argument.value);
  if (args.size() == 1 && args[0].value.kind == Literal::Kind::kList) dims = args[0].value;
  TENON_ASSIGN_OR_RETURN(const Tensor wanted, literal_to_tensor(dims));
  if (wanted.dtype() != DType::kInt64 || wanted.rank() != 1) {
    return invalid_argument("reshape takes integers");
  }
  std::vector<int64_t> sizes = integers_of(wanted);
  int64_t known = 1;
  for (int64_t size : sizes) {
    if (size >= 0 && __builtin_mul_overflow(known, size, &known)) known = -1;
  }
  for (int64_t& size : sizes) {
    if (size == -1 && known > 0) size = self.num_elements() / known;
  }
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(sizes));
  if (shape.num_elements() != self.num_elements()) {
    return invalid_argument("an array of ", self.num_elements(), " elements cannot be reshaped to ",
                            shape);
  }
  return self.reshaped(std::move(shape));
}

}  // namespace tenon::cli
