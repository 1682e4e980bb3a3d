#include "tenon/graph/tensor_pb.h"
#include "tensorflow/core/framework/attr_value.pb.h"

namespace tenon {
namespace {

StatusOr<FunctionAttr> function_from(const tensorflow::NameAttrList& proto) {
  auto attrs = std::make_shared<AttrMap>();
  for (const auto& [name, value] : proto.attr()) {
    // Attributes whose name starts with '_' are hints of TensorFlow's runtime.
    if (name.starts_with('_')) continue;
    TENON_ASSIGN_OR_RETURN(AttrValue parsed, attr_from_proto(value));
    attrs->set(name, std::move(parsed));
  }
  return FunctionAttr{proto.name(), std::move(attrs)};
}

StatusOr<DType> dtype_from(int value) {
  if (const auto dtype = dtype_from_enum(value)) return *dtype;
  // DT_INVALID stands where a dtype is unknown or does not matter.
  if (value == 0) return DType::kInvalid;
  return invalid_argument("an attribute names the unknown dtype ", value);
}

StatusOr<AttrValue> list_from(const tensorflow::AttrValue::ListValue& list) {
  if (list.s_size() > 0) return std::vector<std::string>(list.s().begin(), list.s().end());
  if (list.i_size() > 0) return std::vector<int64_t>(list.i().begin(), list.i().end());
  if (list.f_size() > 0) return std::vector<float>(list.f().begin(), list.f().end());
  if (list.b_size() > 0) return std::vector<bool>(list.b().begin(), list.b().end());
  if (list.type_size() > 0) {
    std::vector<DType> types;
    for (int value : list.type()) {
      TENON_ASSIGN_OR_RETURN(types.emplace_back(), dtype_from(value));
    }
    return types;
  }
  if (list.shape_size() > 0) {
    std::vector<PartialShape> shapes;
    for (const auto& shape : list.shape()) {
      TENON_ASSIGN_OR_RETURN(shapes.emplace_back(), shape_from_proto(shape));
    }
    return shapes;
  }
  if (list.tensor_size() > 0) {
    std::vector<Tensor> tensors;
    for (const auto& tensor : list.tensor()) {
      TENON_ASSIGN_OR_RETURN(tensors.emplace_back(), tensor_from_proto(tensor));
    }
    return tensors;
  }
  std::vector<FunctionAttr> functions;
  for (const auto& function : list.func()) {
    TENON_ASSIGN_OR_RETURN(functions.emplace_back(), function_from(function));
  }
  if (!functions.empty()) return functions;
  return std::vector<int64_t>();  // empty: the op's declaration says of what
}

void function_to(const FunctionAttr& function, tensorflow::NameAttrList& proto) {
  proto.set_name(function.name);
  if (!function.attrs) return;
  for (const auto& [name, value] : *function.attrs) {
    attr_to_proto(value, (*proto.mutable_attr())[name]);
  }
}

// One overload for each alternative of AttrValue.
struct Writer {
  tensorflow::AttrValue& proto;

  void operator()(std::monostate) const {}
  void operator()(int64_t value) const { proto.set_i(value); }
  void operator()(float value) const { proto.set_f(value); }
  void operator()(bool value) const { proto.set_b(value); }
  void operator()(const std::string& value) const { proto.set_s(value); }
  void operator()(DType value) const { proto.set_type(static_cast<tensorflow::DataType>(value)); }
  void operator()(const PartialShape& value) const {
    shape_to_proto(value, *proto.mutable_shape());
  }
  void operator()(const Tensor& value) const { tensor_to_proto(value, *proto.mutable_tensor()); }
  void operator()(const FunctionAttr& value) const { function_to(value, *proto.mutable_func()); }
  void operator()(const std::vector<int64_t>& values) const {
    for (int64_t value : values) proto.mutable_list()->add_i(value);
  }
  void operator()(const std::vector<float>& values) const {
    for (float value : values) proto.mutable_list()->add_f(value);
  }
  void operator()(const std::vector<bool>& values) const {
    for (bool value : values) proto.mutable_list()->add_b(value);
  }
  void operator()(const std::vector<std::string>& values) const {
    for (const std::string& value : values) proto.mutable_list()->add_s(value);
  }
  void operator()(const std::vector<DType>& values) const {
    for (DType value : values) {
      proto.mutable_list()->add_type(static_cast<tensorflow::DataType>(value));
    }
  }
  void operator()(const std::vector<PartialShape>& values) const {
    for (const auto& value : values) shape_to_proto(value, *proto.mutable_list()->add_shape());
  }
  void operator()(const std::vector<Tensor>& values) const {
    for (const auto& value : values) tensor_to_proto(value, *proto.mutable_list()->add_tensor());
  }
  void operator()(const std::vector<FunctionAttr>& values) const {
    for (const auto& value : values) function_to(value, *proto.mutable_list()->add_func());
  }
};

}  // namespace

StatusOr<AttrValue> attr_from_proto(const tensorflow::AttrValue& proto) {
  switch (proto.value_case()) {
    case tensorflow::AttrValue::kS:
      return proto.s();
    case tensorflow::AttrValue::kI:
      return static_cast<int64_t>(proto.i());
    case tensorflow::AttrValue::kF:
      return proto.f();
    case tensorflow::AttrValue::kB:
      return proto.b();
    case tensorflow::AttrValue::kType:
      return dtype_from(proto.type());
    case tensorflow::AttrValue::kShape:
      return shape_from_proto(proto.shape());
    case tensorflow::AttrValue::kTensor:
      return tensor_from_proto(proto.tensor());
    case tensorflow::AttrValue::kFunc:
      return function_from(proto.func());
    case tensorflow::AttrValue::kList:
      return list_from(proto.list());
    case tensorflow::AttrValue::kPlaceholder:
      return unimplemented("attribute placeholders ('", proto.placeholder(),
                           "') of functions are not supported");
    case tensorflow::AttrValue::VALUE_NOT_SET:
      break;
  }
  return AttrValue();
}

void attr_to_proto(const AttrValue& value, tensorflow::AttrValue& proto) {
  proto.Clear();
  // A list that is empty is still a list.
  const bool is_list = value.index() >= AttrValue(std::vector<int64_t>()).index();
  if (is_list) proto.mutable_list();
  std::visit(Writer{proto}, value);
}

}  // namespace tenon
