#include "tenon/io/tensor_slice.h"

#include <bit>

namespace tenon {
namespace {

// OrderedCode: encodings whose bytewise order is the order of the values.
void append_ordered_number(std::string& out, uint64_t value) {
  const int bytes = (std::bit_width(value) + 7) / 8;
  out += static_cast<char>(bytes);
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
}

void append_ordered_string(std::string& out, std::string_view text) {
  for (const char c : text) {
    out += c;
    if (c == '\0') out += '\xff';
    if (c == '\xff') out += '\0';
  }
  out += '\0';
  out += '\1';
}

void append_ordered_signed(std::string& out, int64_t value) {
  constexpr uint8_t kHeader[11][2] = {{0, 0},    {0x80, 0},    {0xc0, 0},   {0xe0, 0},
                                      {0xf0, 0}, {0xf8, 0},    {0xfc, 0},   {0xfe, 0},
                                      {0xff, 0}, {0xff, 0x80}, {0xff, 0xc0}};
  const auto magnitude = static_cast<uint64_t>(value < 0 ? ~value : value);
  const size_t length = static_cast<size_t>(std::bit_width(magnitude)) / 7 + 1;
  const char sign = value < 0 ? '\xff' : '\0';
  char bytes[10] = {sign, sign};
  for (int i = 0; i < 8; ++i) bytes[2 + i] = static_cast<char>(value >> (8 * (7 - i)));
  char* begin = bytes + sizeof(bytes) - length;
  begin[0] = static_cast<char>(begin[0] ^ static_cast<char>(kHeader[length][0]));
  if (length > 1) begin[1] = static_cast<char>(begin[1] ^ static_cast<char>(kHeader[length][1]));
  out.append(begin, length);
}

// Runs `copy(offset in part, offset in full, bytes)` for each contiguous run of `slice`.
template <class Copy>
void for_each_run(const Shape& full, const TensorSlice& slice, size_t element, Copy copy) {
  const Shape part = slice.shape();
  if (part.num_elements() == 0) return;
  // Dimensions from `split` on are taken whole: a run covers them and the one before.
  int split = full.rank();
  while (split > 0 && part[split - 1] == full[split - 1]) --split;
  const int run_axis = std::max(split - 1, 0);
  const size_t run = static_cast<size_t>(part.product(run_axis, part.rank())) * element;
  const int64_t runs = part.product(0, run_axis);
  const int64_t inner = full.product(run_axis + (full.rank() > 0 ? 1 : 0), full.rank());
  for (int64_t r = 0; r < runs; ++r) {
    int64_t offset = full.rank() > 0 ? slice.begin[static_cast<size_t>(run_axis)] * inner : 0;
    int64_t rest = r;
    int64_t stride = full.product(run_axis, full.rank());
    for (int axis = run_axis - 1; axis >= 0; --axis) {
      offset += (slice.begin[static_cast<size_t>(axis)] + rest % part[axis]) * stride;
      rest /= part[axis];
      stride *= full[axis];
    }
    copy(static_cast<size_t>(r) * run, static_cast<size_t>(offset) * element, run);
  }
}

}  // namespace

StatusOr<TensorSlice> TensorSlice::resolve(const Shape& full) const {
  TensorSlice resolved = *this;
  bool inside = static_cast<int>(begin.size()) == full.rank() && begin.size() == size.size();
  for (int axis = 0; inside && axis < full.rank(); ++axis) {
    const auto i = static_cast<size_t>(axis);
    if (resolved.size[i] == -1) {
      inside = begin[i] == 0;
      resolved.size[i] = full[axis];
    }
    inside = inside && begin[i] >= 0 && begin[i] <= full[axis] && resolved.size[i] >= 0 &&
             resolved.size[i] <= full[axis] - begin[i];
  }
  if (!inside) {
    return invalid_argument("slice ", *this, " does not lie inside a tensor of shape ", full);
  }
  return resolved;
}

std::string to_string(const TensorSlice& slice) {
  std::string text;
  for (size_t i = 0; i < slice.begin.size() && i < slice.size.size(); ++i) {
    if (i > 0) text += ':';
    text += slice.size[i] == -1 ? "-" : cat(slice.begin[i], ",", slice.size[i]);
  }
  return text;
}

StatusOr<bool> parse_shape_and_slice(std::string_view text, Shape& full, TensorSlice& slice) {
  if (text.empty()) return false;
  const auto malformed = [&] {
    return invalid_argument("'", text, "' is no shape_and_slice such as '4 6 0,2:-'");
  };
  std::vector<std::string_view> words = split(text, ' ');
  const std::string_view spec = words.back();
  words.pop_back();
  std::vector<int64_t> dims(words.size());
  for (size_t i = 0; i < words.size(); ++i) {
    if (!parse_number(words[i], dims[i])) return malformed();
  }
  TENON_ASSIGN_OR_RETURN(full, Shape::make(dims));
  TensorSlice parsed;
  for (const std::string_view extent : split(spec, ':')) {
    const std::vector<std::string_view> numbers = split(extent, ',');
    int64_t begin = 0, size = -1;
    if (extent != "-" && (numbers.size() != 2 || !parse_number(numbers[0], begin) ||
                          !parse_number(numbers[1], size) || size < 0)) {
      return malformed();
    }
    parsed.begin.push_back(begin);
    parsed.size.push_back(size);
  }
  TENON_ASSIGN_OR_RETURN(slice, parsed.resolve(full));
  return true;
}

std::string slice_key(std::string_view name, const TensorSlice& slice) {
  std::string key;
  append_ordered_number(key, 0);
  append_ordered_string(key, name);
  append_ordered_number(key, slice.begin.size());
  for (size_t i = 0; i < slice.begin.size(); ++i) {
    append_ordered_signed(key, slice.begin[i]);
    append_ordered_signed(key, slice.size[i]);
  }
  return key;
}

void copy_into_slice(const Tensor& part, const TensorSlice& slice, Tensor& full) {
  const auto* from = static_cast<const char*>(part.raw());
  auto* to = static_cast<char*>(full.mutable_raw());
  for_each_run(full.shape(), slice, size_of(full.dtype()),
               [&](size_t part_offset, size_t full_offset, size_t bytes) {
                 std::memcpy(to + full_offset, from + part_offset, bytes);
               });
}

void copy_from_slice(const Tensor& full, const TensorSlice& slice, Tensor& part) {
  const auto* from = static_cast<const char*>(full.raw());
  auto* to = static_cast<char*>(part.mutable_raw());
  for_each_run(full.shape(), slice, size_of(full.dtype()),
               [&](size_t part_offset, size_t full_offset, size_t bytes) {
                 std::memcpy(to + part_offset, from + full_offset, bytes);
               });
}

}  // namespace tenon
