#include "tenon/core/tensor_message.h"

#include <bit>
#include <cstring>

#include "tenon/base/wire.h"

namespace tenon {
namespace {

// Field numbers of TensorProto.
constexpr uint32_t kDtypeField = 1, kShapeField = 2, kContentField = 4, kStringField = 8;

Status malformed_tensor(std::string_view message) {
  return invalid_argument("malformed ", message, " message");
}

// How a *_val field holds the elements of a dtype.
enum class ValueWire : uint8_t { kVarint, kFixed32, kFixed64 };

// A row for each dtype that has such a field. Quantised numbers travel as plain ones do; a complex
// number is two values.
struct ValueField {
  DType dtype;
  uint32_t number;
  ValueWire wire;
};
constexpr ValueField kValueFields[] = {
    {DType::kFloat, 5, ValueWire::kFixed32},     {DType::kDouble, 6, ValueWire::kFixed64},
    {DType::kInt32, 7, ValueWire::kVarint},      {DType::kInt16, 7, ValueWire::kVarint},
    {DType::kInt8, 7, ValueWire::kVarint},       {DType::kUint8, 7, ValueWire::kVarint},
    {DType::kUint16, 7, ValueWire::kVarint},     {DType::kQint8, 7, ValueWire::kVarint},
    {DType::kQuint8, 7, ValueWire::kVarint},     {DType::kQint16, 7, ValueWire::kVarint},
    {DType::kQuint16, 7, ValueWire::kVarint},    {DType::kQint32, 7, ValueWire::kVarint},
    {DType::kComplex64, 9, ValueWire::kFixed32}, {DType::kInt64, 10, ValueWire::kVarint},
    {DType::kBool, 11, ValueWire::kVarint},      {DType::kComplex128, 12, ValueWire::kFixed64},
    {DType::kHalf, 13, ValueWire::kVarint},      {DType::kBfloat16, 13, ValueWire::kVarint},
    {DType::kUint32, 16, ValueWire::kVarint},    {DType::kUint64, 17, ValueWire::kVarint}};

const ValueField* value_field_of(DType dtype) {
  for (const ValueField& row : kValueFields) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

// Takes values one by one into memory of `capacity` values of `size` bytes each; surplus ones are
// counted only.
class ValueSink {
 public:
  ValueSink(char* memory, size_t capacity, size_t size)
      : memory_(memory), capacity_(capacity), size_(size) {}

  void put(uint64_t value) {
    // Little-endian: a narrower type is the low bytes.
    if (count_ < capacity_) std::memcpy(memory_ + count_ * size_, &value, size_);
    ++count_;
  }
  // `bytes` holds whole values.
  void put_all(std::string_view bytes) {
    const size_t given = bytes.size() / size_;
    const size_t taken = std::min(given, capacity_ - std::min(count_, capacity_));
    if (taken > 0) std::memcpy(memory_ + count_ * size_, bytes.data(), taken * size_);
    count_ += given;
  }
  size_t count() const { return count_; }

 private:
  char* memory_;
  size_t capacity_;
  size_t size_;
  size_t count_ = 0;
};

bool take_values(const WireField& field, const ValueField& row, size_t size, ValueSink& sink) {
  switch (row.wire) {
    case ValueWire::kVarint: {
      const bool is_bool = row.dtype == DType::kBool;
      return for_each_varint(field,
                             [&](uint64_t value) { sink.put(is_bool ? value != 0 : value); });
    }
    case ValueWire::kFixed32:
    case ValueWire::kFixed64: {
      const WireType single =
          row.wire == ValueWire::kFixed32 ? WireType::kFixed32 : WireType::kFixed64;
      if (field.type == single) return sink.put(field.value), true;
      if (field.bytes.size() % size != 0) return false;
      sink.put_all(field.bytes);
      return true;
    }
  }
  return false;
}

// Writes the message's values into `tensor`, which has elements; returns how many whole elements
// there were. What is not given is left as it is.
StatusOr<size_t> read_values(std::string_view message, const ValueField& row, Tensor& tensor) {
  const size_t parts = is_complex(row.dtype) ? 2 : 1;
  const size_t size = size_of(row.dtype) / parts;
  const auto elements = static_cast<size_t>(tensor.num_elements());
  ValueSink sink(static_cast<char*>(tensor.mutable_raw()), elements * parts, size);
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.number != row.number) continue;
    const bool packed = field.type == WireType::kBytes;
    const bool single = field.type == (row.wire == ValueWire::kVarint    ? WireType::kVarint
                                       : row.wire == ValueWire::kFixed32 ? WireType::kFixed32
                                                                         : WireType::kFixed64);
    if (!packed && !single) continue;  // an unknown field
    if (!take_values(field, row, size, sink)) return malformed_tensor("TensorProto");
  }
  if (reader.malformed()) return malformed_tensor("TensorProto");
  return sink.count() / parts;
}

StatusOr<std::vector<std::string_view>> read_strings(std::string_view message) {
  std::vector<std::string_view> texts;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.is_bytes(kStringField)) texts.push_back(field.bytes);
  }
  if (reader.malformed()) return malformed_tensor("TensorProto");
  return texts;
}

// The last of `texts` stands for the elements that follow it: its characters are there once,
// however many those are.
Tensor string_tensor(const std::vector<std::string_view>& texts, Shape shape) {
  const auto count = static_cast<size_t>(shape.num_elements());
  const size_t given = std::min(texts.size(), count);
  StringTensorBuilder builder(std::move(shape));
  for (size_t i = 0; i < given; ++i) builder.set(static_cast<int64_t>(i), texts[i]);
  Tensor tensor = std::move(builder).build();
  if (given > 0) {
    auto* const views = tensor.mutable_data<std::string_view>();
    std::fill(views + given, views + count, views[given - 1]);
  }
  return tensor;
}

// Repeats the last of `given` elements to the end; none: zeros.
void repeat_last(Tensor& tensor, size_t given) {
  const size_t size = size_of(tensor.dtype());
  const auto elements = static_cast<size_t>(tensor.num_elements());
  if (given >= elements) return;
  char* const memory = static_cast<char*>(tensor.mutable_raw());
  if (given == 0) {
    std::memset(memory, 0, elements * size);
    return;
  }
  for (size_t i = given; i < elements; ++i) {
    std::memcpy(memory + i * size, memory + (given - 1) * size, size);
  }
}

StatusOr<int64_t> parse_dimension(std::string_view message) {
  WireReader reader(message);
  WireField field;
  int64_t size = 0;
  while (reader.next(field)) {
    if (field.is_varint(1)) size = static_cast<int64_t>(field.value);
  }
  if (reader.malformed()) return malformed_tensor("TensorShapeProto.Dim");
  return size;
}

struct TensorHead {
  int dtype = 0;
  MessageField shape;
  std::string_view content;
};

StatusOr<TensorHead> parse_head(std::string_view message) {
  WireReader reader(message);
  WireField field;
  TensorHead head;
  while (reader.next(field)) {
    if (field.is_varint(kDtypeField)) head.dtype = static_cast<int>(field.value);
    if (field.is_bytes(kShapeField)) head.shape.add(field.bytes);
    if (field.is_bytes(kContentField)) head.content = field.bytes;
  }
  if (reader.malformed()) return malformed_tensor("TensorProto");
  return head;
}

}  // namespace

StatusOr<PartialShape> parse_shape(std::string_view message) {
  WireReader reader(message);
  WireField field;
  bool unknown_rank = false;
  std::vector<int64_t> dims;
  while (reader.next(field)) {
    if (field.is_varint(3)) unknown_rank = field.value != 0;
    if (!field.is_bytes(2)) continue;
    TENON_ASSIGN_OR_RETURN(dims.emplace_back(), parse_dimension(field.bytes));
  }
  if (reader.malformed()) return malformed_tensor("TensorShapeProto");
  if (unknown_rank) return PartialShape();
  if (dims.size() > kMaxRank) {
    return invalid_argument("a shape has rank ", dims.size(), ", at most ", kMaxRank,
                            " is possible");
  }
  for (int64_t dim : dims) {
    if (dim < -1) return invalid_argument("a shape has the dimension ", dim);
  }
  return PartialShape(std::span<const int64_t>(dims));
}

void append_shape(std::string& out, const PartialShape& shape) {
  if (!shape.has_rank()) return append_varint_field(out, 3, 1);
  for (int64_t dim : shape.dims()) {
    append_message(out, 2, [&] { append_varint_field(out, 1, static_cast<uint64_t>(dim)); });
  }
}

StatusOr<Tensor> parse_tensor(std::string_view message, size_t limit) {
  TENON_ASSIGN_OR_RETURN(const TensorHead head, parse_head(message));
  const auto dtype = dtype_from_enum(head.dtype);
  if (!dtype) return invalid_argument("a tensor has the unknown dtype ", head.dtype);
  TENON_ASSIGN_OR_RETURN(const PartialShape partial, parse_shape(head.shape.bytes()));
  if (!partial.is_fully_known()) {
    return invalid_argument("a tensor has the shape ", partial, ", it must be fully known");
  }
  TENON_ASSIGN_OR_RETURN(Shape shape, Shape::make(partial.dims(), size_of(*dtype)));
  const size_t bytes = static_cast<size_t>(shape.num_elements()) * size_of(*dtype);
  if (bytes > limit) {
    return resource_exhausted("a ", *dtype, " tensor of shape ", shape, " has ", bytes,
                              " bytes, at most ", limit, " are accepted");
  }
  if (*dtype == DType::kString) {
    TENON_ASSIGN_OR_RETURN(const auto texts, read_strings(message));
    return string_tensor(texts, std::move(shape));
  }
  if (is_object(*dtype)) return unimplemented("a ", *dtype, " tensor cannot be read from a file");
  const ValueField* const row = value_field_of(*dtype);
  if (head.content.empty() && !row) {
    return unimplemented("tensors of dtype ", *dtype, " are not supported");
  }
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(*dtype, std::move(shape)));
  if (!head.content.empty()) {
    if (head.content.size() != bytes) {
      return invalid_argument("a ", *dtype, " tensor of shape ", tensor.shape(), " has ",
                              head.content.size(), " bytes of content, ", bytes, " are expected");
    }
    char* const memory = static_cast<char*>(tensor.mutable_raw());
    std::memcpy(memory, head.content.data(), bytes);
    if (*dtype == DType::kBool) {  // a bool that is neither 0 nor 1 is none
      for (size_t i = 0; i < bytes; ++i) memory[i] = memory[i] != 0;
    }
    return tensor;
  }
  if (bytes == 0) return tensor;
  TENON_ASSIGN_OR_RETURN(const size_t given, read_values(message, *row, tensor));
  repeat_last(tensor, given);
  return tensor;
}

StatusOr<Tensor> parse_tensor_values(std::string_view message, DType dtype, Shape shape) {
  const auto expected = static_cast<size_t>(shape.num_elements());
  const auto wrong_count = [&](size_t given) {
    return data_loss("a ", dtype, " tensor of shape ", shape, " has ", given, " values");
  };
  if (dtype == DType::kString) {
    TENON_ASSIGN_OR_RETURN(const auto texts, read_strings(message));
    if (texts.size() != expected) return wrong_count(texts.size());
    return string_tensor(texts, std::move(shape));
  }
  const ValueField* const row = value_field_of(dtype);
  if (!row) return unimplemented("values of type ", dtype, " in a TensorProto");
  // A value takes a byte at least, so that the file bounds what is allocated.
  if (expected > message.size()) return wrong_count(0);
  TENON_ASSIGN_OR_RETURN(Tensor tensor, Tensor::allocate(dtype, shape));
  TENON_ASSIGN_OR_RETURN(const size_t given, read_values(message, *row, tensor));
  if (given != expected) return wrong_count(given);
  return tensor;
}

void append_tensor(std::string& out, const Tensor& tensor) {
  append_varint_field(out, kDtypeField, static_cast<uint64_t>(tensor.dtype()));
  append_message(out, kShapeField, [&] { append_shape(out, PartialShape(tensor.shape())); });
  if (tensor.dtype() == DType::kString) {
    for (std::string_view text : tensor.span<std::string_view>()) {
      append_bytes_field(out, kStringField, text);
    }
  } else {
    append_string_field(out, kContentField,
                        {static_cast<const char*>(tensor.raw()), tensor.num_bytes()});
  }
}

}  // namespace tenon
