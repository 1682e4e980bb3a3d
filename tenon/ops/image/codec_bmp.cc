#include <cstring>

#include "tenon/ops/image/codec.h"

namespace tenon {
namespace {

template <class T>
T little_endian_at(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof(T));
  return value;
}

}  // namespace

// Offsets of the header: BITMAPFILEHEADER and BITMAPINFOHEADER, learn.microsoft.com.
StatusOr<Tensor> decode_bmp(std::string_view bytes, int channels) {
  constexpr size_t kShortestHeader = 32;
  if (bytes.size() < kShortestHeader) {
    return invalid_argument("Incomplete bmp content, requires at least ", kShortestHeader,
                            " bytes to find the header size, width, height, and bpp, got ",
                            bytes.size(), " bytes");
  }
  const int64_t begin = little_endian_at<uint32_t>(bytes, 10);
  const int64_t width = little_endian_at<int32_t>(bytes, 18);
  const int64_t signed_height = little_endian_at<int32_t>(bytes, 22);
  const int64_t bits = little_endian_at<uint16_t>(bytes, 28);
  const int64_t height = std::abs(signed_height);
  if (channels != 0 && bits != channels * 8) {
    return invalid_argument("channels attribute ", channels,
                            " does not match bits per pixel from file ", bits);
  }
  if (bits != 8 && bits != 24 && bits != 32) {
    return invalid_argument("Number of channels inherent in the image must be 1, 3 or 4, was ",
                            bits / 8);
  }
  if (width <= 0 || height <= 0 || width > kMostPixels / height) {
    return invalid_argument("BMP size must be positive and not too large: ", width, " by ",
                            signed_height);
  }
  const int64_t depth = bits / 8;
  // Rows are padded to four bytes, the last one perhaps not.
  const int64_t line = (width * depth + 3) / 4 * 4;
  const auto size = static_cast<int64_t>(bytes.size());
  if (begin > size || line * (height - 1) + width * depth > size - begin) {
    return invalid_argument("Incomplete bmp content: ", size, " bytes for ", height, " rows of ",
                            line, " from ", begin, " on");
  }
  TENON_ASSIGN_OR_RETURN(Tensor image,
                         Tensor::allocate(DType::kUint8, Shape{height, width, depth}));
  auto* to = image.mutable_data<uint8_t>();
  for (int64_t row = 0; row < height; ++row) {
    const int64_t stored = signed_height < 0 ? row : height - 1 - row;
    const char* from = bytes.data() + begin + stored * line;
    std::memcpy(to, from, static_cast<size_t>(width * depth));
    // Blue comes first in the file.
    for (int64_t i = 0; depth >= 3 && i < width; ++i) std::swap(to[i * depth], to[i * depth + 2]);
    to += width * depth;
  }
  return image;
}

}  // namespace tenon
