#include <gif_lib.h>

#include <cstring>

#include "tenon/ops/image/codec.h"

namespace tenon {
namespace {

struct GifBytes {
  std::string_view bytes;
  size_t at = 0;
};

int gif_read(GifFileType* file, GifByteType* to, int count) {
  auto* source = static_cast<GifBytes*>(file->UserData);
  const size_t some = std::min(static_cast<size_t>(count), source->bytes.size() - source->at);
  std::memcpy(to, source->bytes.data() + source->at, some);
  source->at += some;
  return static_cast<int>(some);
}

struct GifClose {
  void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
};

// Draws frame `index` over what is in `canvas`. Pixels of the transparent color stay.
Status draw_frame(GifFileType* file, int index, int64_t height, int64_t width, uint8_t* canvas) {
  const SavedImage& frame = file->SavedImages[index];
  const GifImageDesc& place = frame.ImageDesc;
  const ColorMapObject* colors = place.ColorMap ? place.ColorMap : file->SColorMap;
  if (!colors) return invalid_argument("missing color map for frame ", index);
  GraphicsControlBlock control;
  control.TransparentColor = NO_TRANSPARENT_COLOR;
  DGifSavedExtensionToGCB(file, index, &control);
  const int64_t top = std::max<int64_t>(0, place.Top), left = std::max<int64_t>(0, place.Left);
  const int64_t bottom = std::min<int64_t>(height, int64_t{place.Top} + place.Height);
  const int64_t right = std::min<int64_t>(width, int64_t{place.Left} + place.Width);
  for (int64_t row = top; row < bottom; ++row) {
    for (int64_t column = left; column < right; ++column) {
      const int color = frame.RasterBits[(row - place.Top) * place.Width + column - place.Left];
      if (color == control.TransparentColor) continue;
      if (color >= colors->ColorCount) {
        return invalid_argument("found color index ", color, " outside of color map range ",
                                colors->ColorCount);
      }
      const GifColorType& value = colors->Colors[color];
      uint8_t* to = canvas + (row * width + column) * 3;
      to[0] = value.Red;
      to[1] = value.Green;
      to[2] = value.Blue;
    }
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<Tensor> decode_gif(std::string_view bytes, bool first_frame) {
  GifBytes source{bytes};
  int code = 0;
  const std::unique_ptr<GifFileType, GifClose> file(DGifOpen(&source, gif_read, &code));
  if (!file) return invalid_argument("Invalid GIF data (size ", bytes.size(), "), code ", code);
  const int64_t height = file->SHeight, width = file->SWidth;
  if (height <= 0 || width <= 0 || width > kMostPixels / height) {
    return invalid_argument("Invalid GIF data: the size is ", height, " by ", width);
  }
  if (DGifSlurp(file.get()) != GIF_OK || file->ImageCount <= 0) {
    return invalid_argument("Invalid GIF data (size ", bytes.size(), "), code ", file->Error);
  }
  const int64_t frames = first_frame ? 1 : file->ImageCount;
  if (frames > kMostPixels / (height * width)) {
    return invalid_argument("Invalid GIF data: ", frames, " frames of ", height, " by ", width);
  }
  TENON_ASSIGN_OR_RETURN(Tensor images,
                         Tensor::allocate(DType::kUint8, Shape{frames, height, width, 3}));
  const size_t size = static_cast<size_t>(height * width * 3);
  for (int64_t i = 0; i < frames; ++i) {
    uint8_t* canvas = images.mutable_data<uint8_t>() + static_cast<size_t>(i) * size;
    if (i == 0) {
      std::memset(canvas, 0, size);
    } else {
      std::memcpy(canvas, canvas - size, size);
    }
    TENON_RETURN_IF_ERROR(draw_frame(file.get(), static_cast<int>(i), height, width, canvas));
  }
  return images;
}

}  // namespace tenon
