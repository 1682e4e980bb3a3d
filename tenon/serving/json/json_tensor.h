// Tensors from parsed JSON, by TensorFlow Serving's rules (tensorflow_serving/util/json_tensor.cc).
//
// A tensor is a value, or lists of equal length nested to any rank; string elements may be written
// {"b64": "..."}. The shape is read off the first element at each level; the others must agree.
#pragma once

#include <optional>

#include "tenon/core/tensor.h"
#include "tenon/serving/json/json_document.h"

namespace tenon::serving {

// {"b64": "<text>"} and nothing else.
bool is_base64_object(const JsonNode& value);

// The bytes of a base64 object. INVALID_ARGUMENT when it is none, or holds no base64.
StatusOr<std::string> decode_base64_object(const JsonNode& value);

// Collects the elements of one tensor made of one or more JSON values of equal shape.
class JsonTensorReader {
 public:
  // What becomes of an int32 that a narrower type does not hold: TensorFlow Serving drops its upper
  // bits.
  enum class Narrow : uint8_t { kWraps, kRefused };

  // `max_elements`: no more than that can be in the document that the values come from.
  JsonTensorReader(DType dtype, size_t max_elements, Narrow narrow = Narrow::kWraps)
      : dtype_(dtype), max_elements_(static_cast<int64_t>(max_elements)), narrow_(narrow) {}

  // The tensor is `value` itself.
  Status read(const JsonNode& value);

  // The tensor stacks `count` values along a new dimension 0: the first of them, then the others.
  Status read_first(const JsonNode& value, int64_t count);
  Status read_next(const JsonNode& value);

  // The whole tensor, once as many values have been read as were announced.
  Tensor take() &&;

 private:
  // Makes room for a tensor of `shape`, unless the document cannot hold that many elements: then
  // its lists are ragged, reading them will say so, and nothing is stored.
  Status allocate(const Shape& shape);

  Status read_lists(const JsonNode& value, const Shape& shape, bool store, int64_t& count);
  Status read_leaves(const JsonNode* leaf, uint32_t size, const Shape& shape, bool store);
  template <class T>
  Status read_numbers(const JsonNode* leaf, uint32_t size, const Shape& shape, bool store);
  Status read_strings(const JsonNode* leaf, uint32_t size, const Shape& shape, bool store);
  Status leaf_error(const JsonNode& leaf, const Shape& shape) const;

  const DType dtype_;
  const int64_t max_elements_;
  const Narrow narrow_;
  Shape item_;             // the shape of each stacked value
  int64_t item_size_ = 0;  // its elements
  bool stored_ = false;    // there is a tensor to store into
  Tensor tensor_;
  std::optional<StringTensorBuilder> strings_;  // instead of tensor_, for kString
  int64_t filled_ = 0;                          // elements stored so far
};

}  // namespace tenon::serving
