// Image formats: bytes to pixels and back. All take untrusted bytes: INVALID_ARGUMENT for what is
// no image or is cut off, and for images of more than kMostPixels, as in TensorFlow.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tenon/base/status.h"
#include "tenon/core/tensor.h"

namespace tenon {

inline constexpr int64_t kMostPixels = int64_t{1} << 29;

enum class ImageFormat : uint8_t { kUnknown, kJpeg, kPng, kGif, kBmp };
ImageFormat image_format(std::string_view bytes);

struct ImageSize {
  int64_t height = 0, width = 0, channels = 0;
};

// `channels` 0: as the image has them; 1, 3 (also 4 for PNG): converted.

// uint8 [height, width, channels], or uint16 when `wide`; samples are scaled to that width.
StatusOr<Tensor> decode_png(std::string_view bytes, int channels, bool wide);
// `compression` -1 to 9, zlib's levels. `image` is uint8 or uint16.
StatusOr<std::string> encode_png(const Tensor& image, int compression);

struct JpegOptions {
  int channels = 0;
  int ratio = 1;  // 1, 2, 4, 8: the image is made smaller by that
  bool fancy_upscaling = true;
  bool try_recover_truncated = false;
  float acceptable_fraction = 1;  // of the rows that must be there
  bool accurate_dct = false;      // else libjpeg's fast integer one, TensorFlow's choice
  bool crop = false;
  int64_t crop_y = 0, crop_x = 0, crop_height = 0, crop_width = 0;
};
StatusOr<Tensor> decode_jpeg(std::string_view bytes, const JpegOptions& options);
StatusOr<ImageSize> jpeg_size(std::string_view bytes);

struct JpegEncoding {
  int quality = 95;
  bool progressive = false;
  bool optimize = false;
  bool chroma_downsampling = true;
  bool inches = true;  // unit of the densities
  int x_density = 300, y_density = 300;
  std::string xmp;
};
// uint8 [height, width, 1 or 3].
StatusOr<std::string> encode_jpeg(const Tensor& image, const JpegEncoding& encoding);

// uint8 [frames, height, width, 3]; one frame only when `first_frame`.
StatusOr<Tensor> decode_gif(std::string_view bytes, bool first_frame);

// uint8 [height, width, channels].
StatusOr<Tensor> decode_bmp(std::string_view bytes, int channels);

}  // namespace tenon
