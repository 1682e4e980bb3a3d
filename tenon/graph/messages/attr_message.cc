#include "tenon/graph/messages/attr_message.h"

#include <bit>

#include "tenon/base/wire.h"
#include "tenon/core/tensor_message.h"

namespace tenon {
namespace {

constexpr int kDeepestFunctionAttr = 32;

// Field numbers of AttrValue; those of AttrValue.ListValue are the same.
enum AttrField : uint32_t {
  kList = 1,
  kS = 2,
  kI = 3,
  kF = 4,
  kB = 5,
  kType = 6,
  kShape = 7,
  kTensor = 8,
  kPlaceholder = 9,  // of a list: its functions
  kFunc = 10,
};
constexpr uint32_t kListFunc = 9;

Status malformed_attr() { return invalid_argument("malformed AttrValue message"); }

StatusOr<DType> attr_dtype(uint64_t value) {
  const int number = static_cast<int>(value);
  if (const auto dtype = dtype_from_enum(number)) return *dtype;
  // DT_INVALID stands where a dtype is unknown or does not matter.
  if (number == 0) return DType::kInvalid;
  return invalid_argument("an attribute names the unknown dtype ", number);
}

StatusOr<AttrValue> parse_nested_attr(std::string_view message, int depth);

StatusOr<FunctionAttr> parse_function_attr(std::string_view message, int depth) {
  if (depth > kDeepestFunctionAttr) {
    return invalid_argument("attributes of functions nest more than ", kDeepestFunctionAttr,
                            " deep");
  }
  FunctionAttr function{{}, nullptr};
  auto attrs = std::make_shared<AttrMap>();
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(1)) function.name = field.bytes;
    if (!field.is_bytes(2)) continue;
    MapEntry entry;
    if (!parse_map_entry(field.bytes, entry)) return malformed_attr();
    if (entry.key.starts_with('_')) continue;
    TENON_ASSIGN_OR_RETURN(AttrValue value, parse_nested_attr(entry.message.bytes(), depth + 1));
    attrs->set(entry.key, std::move(value));
  }
  if (reader.malformed()) return malformed_attr();
  function.attrs = std::move(attrs);
  return function;
}

// What a ListValue holds: one of these has values, by the op's declaration.
struct Lists {
  std::vector<std::string> s;
  std::vector<int64_t> i;
  std::vector<float> f;
  std::vector<bool> b;
  std::vector<DType> type;
  std::vector<PartialShape> shape;
  std::vector<Tensor> tensor;
  std::vector<FunctionAttr> func;
};

// False when the field is malformed.
bool take_floats(const WireField& field, std::vector<float>& out) {
  if (field.type == WireType::kFixed32) {
    out.push_back(std::bit_cast<float>(static_cast<uint32_t>(field.value)));
    return true;
  }
  if (field.type != WireType::kBytes) return true;  // an unknown field
  const size_t before = out.size(), count = field.bytes.size() / sizeof(float);
  out.resize(before + count);
  if (count > 0) std::memcpy(out.data() + before, field.bytes.data(), count * sizeof(float));
  return field.bytes.size() % sizeof(float) == 0;
}

template <class Take>
bool take_varints(const WireField& field, Take take) {
  const bool known = field.type == WireType::kVarint || field.type == WireType::kBytes;
  return !known || for_each_varint(field, take);
}

Status take_dtypes(const WireField& field, std::vector<DType>& out) {
  Status status;
  const bool whole = take_varints(field, [&](uint64_t value) {
    const StatusOr<DType> dtype = attr_dtype(value);
    if (dtype.ok()) out.push_back(*dtype);
    status.Update(dtype.status());
  });
  return whole ? status : malformed_attr();
}

Status take_list_field(const WireField& field, Lists& lists, int depth) {
  if (field.number == kI) {
    const auto take = [&](uint64_t value) { lists.i.push_back(static_cast<int64_t>(value)); };
    return take_varints(field, take) ? absl::OkStatus() : malformed_attr();
  }
  if (field.number == kB) {
    const auto take = [&](uint64_t value) { lists.b.push_back(value != 0); };
    return take_varints(field, take) ? absl::OkStatus() : malformed_attr();
  }
  if (field.number == kF) {
    return take_floats(field, lists.f) ? absl::OkStatus() : malformed_attr();
  }
  if (field.number == kType) return take_dtypes(field, lists.type);
  if (field.is_bytes(kS)) lists.s.emplace_back(field.bytes);
  if (field.is_bytes(kShape)) {
    TENON_ASSIGN_OR_RETURN(lists.shape.emplace_back(), parse_shape(field.bytes));
  }
  if (field.is_bytes(kTensor)) {
    TENON_ASSIGN_OR_RETURN(lists.tensor.emplace_back(), parse_tensor(field.bytes));
  }
  if (field.is_bytes(kListFunc)) {
    TENON_ASSIGN_OR_RETURN(lists.func.emplace_back(), parse_function_attr(field.bytes, depth));
  }
  return absl::OkStatus();
}

StatusOr<AttrValue> parse_list(std::string_view message, int depth) {
  Lists lists;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) TENON_RETURN_IF_ERROR(take_list_field(field, lists, depth));
  if (reader.malformed()) return malformed_attr();
  if (!lists.s.empty()) return std::move(lists.s);
  if (!lists.i.empty()) return std::move(lists.i);
  if (!lists.f.empty()) return std::move(lists.f);
  if (!lists.b.empty()) return std::move(lists.b);
  if (!lists.type.empty()) return std::move(lists.type);
  if (!lists.shape.empty()) return std::move(lists.shape);
  if (!lists.tensor.empty()) return std::move(lists.tensor);
  if (!lists.func.empty()) return std::move(lists.func);
  return std::vector<int64_t>();  // empty: the op's declaration says of what
}

bool is_attr_kind(const WireField& field) {
  switch (field.number) {
    case kI:
    case kB:
    case kType:
      return field.type == WireType::kVarint;
    case kF:
      return field.type == WireType::kFixed32;
    default:
      return field.number <= kFunc && field.type == WireType::kBytes;
  }
}

StatusOr<AttrValue> parse_nested_attr(std::string_view message, int depth) {
  WireReader reader(message);
  WireField field;
  WireField last{};  // of a oneof the last field counts
  MessageField merged;
  while (reader.next(field)) {
    if (!is_attr_kind(field)) continue;
    if (field.number != last.number) merged = MessageField();
    if (field.type == WireType::kBytes) merged.add(field.bytes);
    last = field;
  }
  if (reader.malformed()) return malformed_attr();
  switch (last.number) {
    case kS:
      return std::string(last.bytes);
    case kI:
      return static_cast<int64_t>(last.value);
    case kF:
      return std::bit_cast<float>(static_cast<uint32_t>(last.value));
    case kB:
      return last.value != 0;
    case kType:
      return attr_dtype(last.value);
    case kShape:
      return parse_shape(merged.bytes());
    case kTensor:
      return parse_tensor(merged.bytes());
    case kFunc:
      return parse_function_attr(merged.bytes(), depth);
    case kList:
      return parse_list(merged.bytes(), depth);
    case kPlaceholder:
      return unimplemented("attribute placeholders ('", last.bytes,
                           "') of functions are not supported");
    default:
      return AttrValue();
  }
}

void append_function_attr(std::string& out, const FunctionAttr& function) {
  append_string_field(out, 1, function.name);
  if (!function.attrs) return;
  for (const auto& [name, value] : *function.attrs) append_attr_entry(out, 2, name, value);
}

void append_float(std::string& out, float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  out.append(reinterpret_cast<const char*>(&bits), sizeof(bits));
}

// A oneof's scalar is written with its default too.
void append_tag_and_varint(std::string& out, uint32_t number, uint64_t value) {
  append_varint(out, number << 3);
  append_varint(out, value);
}

template <class Values, class Append>
void append_packed(std::string& out, uint32_t number, const Values& values, Append append) {
  if (values.empty()) return;
  append_message(out, number, [&] {
    for (const auto& value : values) append(value);
  });
}

// One overload for each alternative of AttrValue; lists append the fields of a ListValue.
struct AttrWriter {
  std::string& out;

  void operator()(std::monostate) const {}
  void operator()(int64_t value) const {
    append_tag_and_varint(out, kI, static_cast<uint64_t>(value));
  }
  void operator()(float value) const {
    append_varint(out, kF << 3 | static_cast<uint32_t>(WireType::kFixed32));
    append_float(out, value);
  }
  void operator()(bool value) const { append_tag_and_varint(out, kB, value); }
  void operator()(const std::string& value) const { append_bytes_field(out, kS, value); }
  void operator()(DType value) const {
    append_tag_and_varint(out, kType, static_cast<uint64_t>(value));
  }
  void operator()(const PartialShape& value) const {
    append_message(out, kShape, [&] { append_shape(out, value); });
  }
  void operator()(const Tensor& value) const {
    append_message(out, kTensor, [&] { append_tensor(out, value); });
  }
  void operator()(const FunctionAttr& value) const {
    append_message(out, kFunc, [&] { append_function_attr(out, value); });
  }
  void operator()(const std::vector<int64_t>& values) const {
    append_packed(out, kI, values,
                  [&](int64_t value) { append_varint(out, static_cast<uint64_t>(value)); });
  }
  void operator()(const std::vector<float>& values) const {
    append_packed(out, kF, values, [&](float value) { append_float(out, value); });
  }
  void operator()(const std::vector<bool>& values) const {
    append_packed(out, kB, values, [&](bool value) { append_varint(out, value); });
  }
  void operator()(const std::vector<std::string>& values) const {
    for (const std::string& value : values) append_bytes_field(out, kS, value);
  }
  void operator()(const std::vector<DType>& values) const {
    append_packed(out, kType, values,
                  [&](DType value) { append_varint(out, static_cast<uint64_t>(value)); });
  }
  void operator()(const std::vector<PartialShape>& values) const {
    for (const auto& value : values) {
      append_message(out, kShape, [&] { append_shape(out, value); });
    }
  }
  void operator()(const std::vector<Tensor>& values) const {
    for (const auto& value : values) {
      append_message(out, kTensor, [&] { append_tensor(out, value); });
    }
  }
  void operator()(const std::vector<FunctionAttr>& values) const {
    for (const auto& value : values) {
      append_message(out, kListFunc, [&] { append_function_attr(out, value); });
    }
  }
};

}  // namespace

StatusOr<AttrValue> parse_attr(std::string_view message) { return parse_nested_attr(message, 0); }

void append_attr(std::string& out, const AttrValue& value) {
  // A list that is empty is still a list.
  const bool is_list = value.index() >= AttrValue(std::vector<int64_t>()).index();
  if (!is_list) return std::visit(AttrWriter{out}, value);
  append_message(out, kList, [&] { std::visit(AttrWriter{out}, value); });
}

void append_attr_entry(std::string& out, uint32_t number, std::string_view name,
                       const AttrValue& value) {
  append_message(out, number, [&] {
    append_bytes_field(out, 1, name);
    append_message(out, 2, [&] { append_attr(out, value); });
  });
}

}  // namespace tenon
