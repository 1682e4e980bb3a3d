#include "tenon/io/checkpoint/bundle_strings.h"

#include "tenon/base/wire.h"
#include "tenon/io/bytes.h"
#include "tenon/io/crc32c.h"

namespace tenon {
namespace {

// The checksums take lengths as uint32, those that do not fit as uint64.
uint32_t extend_by_length(uint32_t crc, uint64_t length) {
  std::string bytes;
  if (length <= UINT32_MAX) {
    append_le(bytes, static_cast<uint32_t>(length));
  } else {
    append_le(bytes, length);
  }
  return crc32c_extend(crc, bytes);
}

}  // namespace

StatusOr<Tensor> decode_bundle_strings(Ref<Buffer> block, const Shape& shape, uint32_t masked_crc) {
  std::string_view rest(static_cast<const char*>(block->data()), block->size());
  const auto count = static_cast<uint64_t>(shape.num_elements());
  if (count > rest.size()) return data_loss("too few bytes for ", count, " strings");
  std::vector<uint64_t> lengths(count);
  uint32_t crc = 0;
  for (uint64_t& length : lengths) {
    if (!read_varint(rest, length)) return data_loss("the string lengths are cut off");
    crc = extend_by_length(crc, length);
  }
  if (rest.size() < 4 || load_le<uint32_t>(rest.data()) != mask_crc(crc)) {
    return data_loss("the string lengths do not match their checksum");
  }
  crc = crc32c_extend(crc, rest);  // the stored checksum of the lengths, then all characters
  rest.remove_prefix(4);
  if (mask_crc(crc) != masked_crc) return data_loss("the strings do not match their checksum");
  Ref<StringBuffer> buffer(new StringBuffer(shape.num_elements()));
  buffer->hold(block);
  for (size_t i = 0; i < lengths.size(); ++i) {
    if (lengths[i] > rest.size()) return data_loss("the strings are cut off");
    buffer->views()[i] = rest.substr(0, lengths[i]);
    rest.remove_prefix(lengths[i]);
  }
  if (!rest.empty()) return data_loss(rest.size(), " bytes follow the last string");
  void* views = buffer->data();
  return Tensor(DType::kString, shape, Ref<Buffer>(buffer), views);
}

uint32_t encode_bundle_lengths(const Tensor& tensor, std::string& out) {
  uint32_t crc = 0;
  for (const std::string_view text : tensor.span<std::string_view>()) {
    append_varint(out, text.size());
    crc = extend_by_length(crc, text.size());
  }
  std::string stored;
  append_le(stored, mask_crc(crc));
  out += stored;
  crc = crc32c_extend(crc, stored);
  for (const std::string_view text : tensor.span<std::string_view>()) {
    crc = crc32c_extend(crc, text);
  }
  return mask_crc(crc);
}

}  // namespace tenon
