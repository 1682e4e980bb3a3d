// The functions of TenonHost that read attributes.
#include "tenon/runtime/plugin/attribute_functions.h"

#include "tenon/kernels/fused_program.h"

namespace tenon {
namespace {

template <class T>
int find_attr(const TenonAttrs* attrs, const char* name, auto store) {
  const T* value = attrs->map.get_if<T>(name);
  if (value) store(*value);
  return value != nullptr;
}

// Element `index` of a list of T.
template <class T>
int find_element(const TenonAttrs* attrs, const char* name, int64_t index, auto store) {
  const auto* list = attrs->map.get_if<std::vector<T>>(name);
  if (!list || index < 0 || index >= static_cast<int64_t>(list->size())) return 0;
  store((*list)[static_cast<size_t>(index)]);
  return 1;
}

template <class T>
int find_list(const TenonAttrs* attrs, const char* name, const T** values, size_t* count) {
  return find_attr<std::vector<T>>(attrs, name, [&](const auto& found) {
    *values = found.data();
    *count = found.size();
  });
}

const char* fused_op_name(const kernels::FusedInstruction& one) {
  using Kind = kernels::FusedInstruction::Kind;
  switch (one.kind) {
    case Kind::kUnary:
      return kernels::fused_op_name(one.unary);
    case Kind::kBinary:
      return kernels::fused_op_name(one.binary);
    case Kind::kSelect:
      return "Select";
    case Kind::kLeakyRelu:
      return "LeakyRelu";
    case Kind::kClip:
      return "ClipByValue";
    case Kind::kCast:
      return "Cast";
  }
  return nullptr;
}

}  // namespace

namespace attribute_functions {

int attr_int(const TenonAttrs* attrs, const char* name, int64_t* value) {
  return find_attr<int64_t>(attrs, name, [&](int64_t found) { *value = found; });
}
int attr_float(const TenonAttrs* attrs, const char* name, double* value) {
  return find_attr<float>(attrs, name, [&](float found) { *value = static_cast<double>(found); });
}
int attr_bool(const TenonAttrs* attrs, const char* name, int* value) {
  return find_attr<bool>(attrs, name, [&](bool found) { *value = found; });
}
int attr_string(const TenonAttrs* attrs, const char* name, TenonText* value) {
  return find_attr<std::string>(attrs, name, [&](const auto& found) { *value = text_of(found); });
}
int attr_type(const TenonAttrs* attrs, const char* name, int32_t* value) {
  return find_attr<DType>(attrs, name, [&](DType found) { *value = static_cast<int32_t>(found); });
}

int attr_ints(const TenonAttrs* attrs, const char* name, const int64_t** values, size_t* count) {
  return find_list(attrs, name, values, count);
}
int attr_floats(const TenonAttrs* attrs, const char* name, const float** values, size_t* count) {
  return find_list(attrs, name, values, count);
}

int attr_shape(const TenonAttrs* attrs, const char* name, TenonType* value) {
  return find_attr<PartialShape>(
      attrs, name, [&](const PartialShape& found) { *value = type_of(DType::kInvalid, found); });
}
int attr_tensor(const TenonAttrs* attrs, const char* name, TenonTensor* value) {
  return find_attr<Tensor>(attrs, name, [&](const Tensor& found) { *value = tensor_of(found); });
}

int64_t attr_count(const TenonAttrs* attrs, const char* name) {
  const AttrValue* value = attrs->map.find(name);
  if (!value) return -1;
  return std::visit(
      [](const auto& found) -> int64_t {
        using Found = std::decay_t<decltype(found)>;
        if constexpr (requires { typename Found::value_type; } &&
                      !std::is_same_v<Found, std::string>) {
          return static_cast<int64_t>(found.size());
        } else {
          return -1;
        }
      },
      *value);
}

int attr_string_at(const TenonAttrs* attrs, const char* name, int64_t index, TenonText* value) {
  return find_element<std::string>(attrs, name, index,
                                   [&](const std::string& found) { *value = text_of(found); });
}
int attr_type_at(const TenonAttrs* attrs, const char* name, int64_t index, int32_t* value) {
  return find_element<DType>(attrs, name, index,
                             [&](DType found) { *value = static_cast<int32_t>(found); });
}
int attr_bool_at(const TenonAttrs* attrs, const char* name, int64_t index, int* value) {
  return find_element<bool>(attrs, name, index, [&](bool found) { *value = found; });
}
int attr_shape_at(const TenonAttrs* attrs, const char* name, int64_t index, TenonType* value) {
  return find_element<PartialShape>(attrs, name, index, [&](const PartialShape& found) {
    *value = type_of(DType::kInvalid, found);
  });
}
int attr_tensor_at(const TenonAttrs* attrs, const char* name, int64_t index, TenonTensor* value) {
  return find_element<Tensor>(attrs, name, index,
                              [&](const Tensor& found) { *value = tensor_of(found); });
}

int attr_fused(const TenonAttrs* attrs, int64_t index, TenonFusedInstruction* value) {
  *value = {nullptr, {-1, -1, -1}, 0.0f, static_cast<int32_t>(DType::kFloat)};
  for (const char* needed : {"constants", "instructions", "outputs"}) {
    if (!attrs->map.find(needed)) return 0;
  }
  const StatusOr<kernels::FusedProgram> program = kernels::read_fused_program(attrs->map);
  if (!program.ok() || index < 0 || index >= static_cast<int64_t>(program->instructions.size())) {
    return 0;
  }
  const kernels::FusedInstruction& one = program->instructions[static_cast<size_t>(index)];
  *value = {fused_op_name(one), {one.a, one.b, one.c}, one.alpha, static_cast<int32_t>(one.dtype)};
  return value->op != nullptr;
}

}  // namespace attribute_functions

TenonTensor tensor_of(const Tensor& tensor) {
  const bool allocated = tensor.buffer() || tensor.raw();
  return {{static_cast<int32_t>(tensor.dtype()), allocated ? tensor.rank() : -1,
           tensor.shape().dims().data()},
          const_cast<void*>(tensor.raw())};
}

}  // namespace tenon
