#include "tenon/serving/json/json_tensor.h"

#include <absl/container/inlined_vector.h>
#include <absl/strings/escaping.h>

#include <bit>
#include <cmath>
#include <limits>

namespace tenon::serving {
namespace {

template <class T>
constexpr bool kIsNarrow =
    std::is_same_v<T, int8_t> || std::is_same_v<T, int16_t> || std::is_same_v<T, int32_t> ||
    std::is_same_v<T, uint8_t> || std::is_same_v<T, uint16_t>;

// Rounds to odd: what a narrower type then makes of the float is what it makes of the number.
float float_for_rounding(double number) {
  const auto value = static_cast<float>(number);
  if (value == number || number != number) return value;
  auto bits = std::bit_cast<uint32_t>(value);
  if (std::abs(static_cast<double>(value)) > std::abs(number)) --bits;
  return std::bit_cast<float>(bits | 1);
}

// TensorFlow Serving's rule of which JSON values an element type takes. The narrow integers take
// any int32 and drop its upper bits.
template <class T>
bool convert(const JsonNode& node, T& value) {
  const bool is_unsigned = node.kind == JsonKind::kUnsigned;
  const bool is_negative = node.kind == JsonKind::kNegative;
  if constexpr (std::is_floating_point_v<T>) {
    if (!node.is_number()) return false;
    value = static_cast<T>(node.number());
  } else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>) {
    if (!node.is_number()) return false;
    value = T(float_for_rounding(node.number()));
  } else if constexpr (std::is_same_v<T, bool>) {
    if (node.kind != JsonKind::kTrue && node.kind != JsonKind::kFalse) return false;
    value = node.kind == JsonKind::kTrue;
  } else if constexpr (std::is_same_v<T, uint32_t> || std::is_same_v<T, uint64_t>) {
    if (!is_unsigned || node.u > std::numeric_limits<T>::max()) return false;
    value = static_cast<T>(node.u);
  } else {
    using Wide = std::conditional_t<kIsNarrow<T>, int32_t, int64_t>;
    constexpr auto kMax = static_cast<uint64_t>(std::numeric_limits<Wide>::max());
    if (!(is_unsigned && node.u <= kMax) &&
        !(is_negative && node.i >= std::numeric_limits<Wide>::min())) {
      return false;
    }
    value = static_cast<T>(node.i);  // the same bits as node.u
  }
  return true;
}

Status type_error(const JsonNode& value, DType dtype) {
  return invalid_argument("JSON Value: ", value, " Type: ", kind_name(value.kind),
                          " is not of expected type: ", dtype);
}

using JsonTypes = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                           uint8_t, uint16_t, uint32_t, uint64_t, bool>;

// Does the type hold the integer?
template <class T>
bool fits(const JsonNode& node, T value) {
  if constexpr (kIsNarrow<T>) return static_cast<int64_t>(value) == node.i;
  return true;
}

bool has_json_form(DType dtype) {
  return dtype == DType::kString || visit<JsonTypes>(dtype, []<class T>() {});
}

// The lengths of the lists met when going from `value` always to the first element.
StatusOr<Shape> shape_of(const JsonNode& value, int added_rank) {
  Shape shape;
  for (const JsonNode* node = &value; node->is_array(); node = node->first()) {
    if (shape.rank() + added_rank == kMaxRank) {
      return invalid_argument("JSON list is nested deeper than ", kMaxRank,
                              " levels, the greatest rank of a tensor");
    }
    shape.append(node->size);
    if (node->size == 0) break;
  }
  return shape;
}

}  // namespace

bool is_base64_object(const JsonNode& value) {
  return value.is_object() && value.size == 1 && value.first()->string() == "b64" &&
         value.first()[1].is_string();
}

StatusOr<std::string> decode_base64_object(const JsonNode& value) {
  if (!is_base64_object(value)) {
    return invalid_argument("JSON Value: ", value, " not formatted correctly for base64 data");
  }
  const std::string_view text = value.first()[1].string();
  std::string bytes;
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes)) {
    return invalid_argument("Unable to base64 decode");
  }
  return bytes;
}

Status JsonTensorReader::allocate(const Shape& shape) {
  stored_ = Shape::make(shape.dims(), std::max<size_t>(size_of(dtype_), 1)).ok() &&
            shape.num_elements() <= max_elements_;
  if (!stored_) return absl::OkStatus();
  if (dtype_ == DType::kString) {
    strings_.emplace(shape);
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(tensor_, Tensor::allocate(dtype_, shape));
  return absl::OkStatus();
}

Status JsonTensorReader::read(const JsonNode& value) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, shape_of(value, 0));
  TENON_RETURN_IF_ERROR(allocate(shape));
  return read_lists(value, shape, stored_, item_size_);
}

Status JsonTensorReader::read_first(const JsonNode& value, int64_t count) {
  TENON_ASSIGN_OR_RETURN(item_, shape_of(value, 1));
  Shape shape = item_;
  shape.insert(0, count);
  TENON_RETURN_IF_ERROR(allocate(shape));
  return read_lists(value, item_, stored_, item_size_);
}

Status JsonTensorReader::read_next(const JsonNode& value) {
  TENON_ASSIGN_OR_RETURN(const Shape shape, shape_of(value, 1));
  const bool same = shape == item_;
  int64_t count = 0;
  TENON_RETURN_IF_ERROR(read_lists(value, shape, same && stored_, count));
  if (count != item_size_) {
    return invalid_argument("Expecting tensor size: ", item_size_, " but got: ", count);
  }
  if (!same) return invalid_argument("Expecting shape ", item_, " but got: ", shape);
  return absl::OkStatus();
}

// Walks `value` in document order, one level a list, and reads its innermost lists whole.
Status JsonTensorReader::read_lists(const JsonNode& value, const Shape& shape, bool store,
                                    int64_t& count) {
  const int rank = shape.rank();
  count = 0;
  if (rank == 0) {
    count = 1;
    return read_leaves(&value, 1, shape, store);
  }
  absl::InlinedVector<uint32_t, 6> left;  // elements still to come of each open list
  const JsonNode* node = &value;
  for (;;) {
    const int level = static_cast<int>(left.size());
    if (!node->is_array()) {
      return invalid_argument("JSON Value: ", *node, " found at incorrect level: ", level + 1,
                              " in the JSON DOM. Expected at level: ", rank);
    }
    if (node->size != shape[level]) {
      return invalid_argument("Encountered list at unexpected size: ", node->size,
                              " at level: ", level, " expected size: ", shape[level]);
    }
    if (level + 1 < rank && node->size > 0) {
      left.push_back(node->size);
      node = node->first();
      continue;
    }
    TENON_RETURN_IF_ERROR(read_leaves(node->first(), node->size, shape, store));
    count += node->size;
    node = node->next();
    while (!left.empty() && --left.back() == 0) left.pop_back();
    if (left.empty()) return absl::OkStatus();
  }
}

Status JsonTensorReader::read_leaves(const JsonNode* leaf, uint32_t size, const Shape& shape,
                                     bool store) {
  if (size == 0) return absl::OkStatus();
  if (dtype_ == DType::kString) return read_strings(leaf, size, shape, store);
  Status status;
  const bool known = visit<JsonTypes>(
      dtype_, [&]<class T>() { status = read_numbers<T>(leaf, size, shape, store); });
  return known ? status : leaf_error(*leaf, shape);
}

template <class T>
Status JsonTensorReader::read_numbers(const JsonNode* leaf, uint32_t size, const Shape& shape,
                                      bool store) {
  T* place = store ? tensor_.mutable_data<T>() + filled_ : nullptr;
  // Leaves take one node each, so they stand side by side until one is no leaf.
  for (uint32_t i = 0; i < size; ++i) {
    T value;
    if (!convert(leaf[i], value)) return leaf_error(leaf[i], shape);
    if (narrow_ == Narrow::kRefused && !fits(leaf[i], value)) return type_error(leaf[i], dtype_);
    if (store) place[i] = value;
  }
  if (store) filled_ += size;
  return absl::OkStatus();
}

Status JsonTensorReader::read_strings(const JsonNode* leaf, uint32_t size, const Shape& shape,
                                      bool store) {
  for (uint32_t i = 0; i < size; ++i, leaf = leaf->next()) {
    if (leaf->is_string()) {
      if (store) strings_->set(filled_++, leaf->string());
    } else if (leaf->is_object()) {
      TENON_ASSIGN_OR_RETURN(const std::string bytes, decode_base64_object(*leaf));
      if (store) strings_->set(filled_++, bytes);
    } else {
      return leaf_error(*leaf, shape);
    }
  }
  return absl::OkStatus();
}

Status JsonTensorReader::leaf_error(const JsonNode& leaf, const Shape& shape) const {
  if (leaf.is_array()) {
    return invalid_argument("Encountered list at unexpected level: ", shape.rank(), " expected < ",
                            shape.rank());
  }
  if (!leaf.is_object() && !has_json_form(dtype_)) {
    return unimplemented("Conversion of JSON Value: ", leaf, " to type: ", dtype_);
  }
  return type_error(leaf, dtype_);
}

Tensor JsonTensorReader::take() && {
  return strings_ ? std::move(*strings_).build() : std::move(tensor_);
}

}  // namespace tenon::serving
