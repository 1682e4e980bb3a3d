#include <png.h>

#include <csetjmp>
#include <cstring>

#include "tenon/ops/image/codec.h"

namespace tenon {
namespace {

// libpng reports errors by a long jump. It must not cross objects that have destructors: those of a
// decode live in this struct, outside the function that jumps.
struct PngReader {
  std::string_view bytes;
  size_t at = 0;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string error;
  std::vector<png_bytep> rows;
  Tensor image;
  Status status;

  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
};

void png_read(png_structp png, png_bytep to, png_size_t count) {
  auto* reader = static_cast<PngReader*>(png_get_io_ptr(png));
  if (count > reader->bytes.size() - reader->at) png_error(png, "the data is cut off");
  std::memcpy(to, reader->bytes.data() + reader->at, count);
  reader->at += count;
}

[[noreturn]] void png_fail(png_structp png, png_const_charp message) {
  *static_cast<std::string*>(png_get_error_ptr(png)) = message;
  png_longjmp(png, 1);
}
void png_ignore(png_structp, png_const_charp) {}

// Turns what the file holds into `channels` of 8 or 16 bits.
void set_png_transforms(png_structp png, png_infop info, int& channels, bool wide) {
  const int color = png_get_color_type(png, info);
  const bool transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
  if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (color == PNG_COLOR_TYPE_GRAY && png_get_bit_depth(png, info) < 8) {
    png_set_expand_gray_1_2_4_to_8(png);
  }
  const bool gray = color == PNG_COLOR_TYPE_GRAY || color == PNG_COLOR_TYPE_GRAY_ALPHA;
  const bool alpha = (color & PNG_COLOR_MASK_ALPHA) != 0;
  if (channels == 0) {
    channels = (gray ? 1 : 3) + (alpha || (transparent && color == PNG_COLOR_TYPE_PALETTE) ? 1 : 0);
  }
  const bool wants_alpha = channels == 2 || channels == 4;
  if (transparent && wants_alpha) png_set_tRNS_to_alpha(png);
  if (wants_alpha && !alpha && !transparent) png_set_add_alpha(png, 0xFFFF, PNG_FILLER_AFTER);
  if (!wants_alpha) png_set_strip_alpha(png);
  if (gray && channels >= 3) png_set_gray_to_rgb(png);
  if (!gray && channels <= 2) png_set_rgb_to_gray(png, 1, 0.299, 0.587);
  if (png_get_bit_depth(png, info) > 8 && !wide) {
    png_set_strip_16(png);
  } else if (png_get_bit_depth(png, info) <= 8 && wide) {
    png_set_expand_16(png);
  }
  if (wide) png_set_swap(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

// Apart from the functions that libpng jumps out of: it has objects to destroy.
bool allocate_pixels(PngReader& reader, DType dtype, const Shape& shape) {
  auto image = Tensor::allocate(dtype, shape);
  reader.status = image.status();
  if (image.ok()) reader.image = *std::move(image);
  return reader.status.ok();
}

// False after an error of libpng, whose text is in `reader.error`, or of ours, in `reader.status`.
bool read_png(PngReader& reader, int channels, bool wide) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &reader, png_read);
  png_read_info(reader.png, reader.info);
  const int64_t width = png_get_image_width(reader.png, reader.info);
  const int64_t height = png_get_image_height(reader.png, reader.info);
  if (width <= 0 || height <= 0 || width > kMostPixels / height) {
    reader.status = invalid_argument("PNG size too large for int: ", width, " by ", height);
    return false;
  }
  set_png_transforms(reader.png, reader.info, channels, wide);
  if (png_get_channels(reader.png, reader.info) != channels) {
    reader.status = invalid_argument("the PNG has ", png_get_channels(reader.png, reader.info),
                                     " channels, not ", channels);
    return false;
  }
  const DType dtype = wide ? DType::kUint16 : DType::kUint8;
  if (!allocate_pixels(reader, dtype, Shape{height, width, channels})) return false;
  const size_t line = static_cast<size_t>(width * channels) * size_of(dtype);
  auto* data = static_cast<png_bytep>(reader.image.mutable_raw());
  for (int64_t row = 0; row < height; ++row) {
    reader.rows.push_back(data + static_cast<size_t>(row) * line);
  }
  png_read_image(reader.png, reader.rows.data());
  png_read_end(reader.png, reader.info);
  return true;
}

struct PngWriter {
  std::string out;
  png_structp png = nullptr;
  png_infop info = nullptr;
  std::string error;
  ~PngWriter() { png_destroy_write_struct(&png, &info); }
};

void png_append(png_structp png, png_bytep from, png_size_t count) {
  static_cast<PngWriter*>(png_get_io_ptr(png))
      ->out.append(reinterpret_cast<const char*>(from), count);
}
void png_flush_nothing(png_structp) {}

bool write_png(PngWriter& writer, const Tensor& image, int compression) {
  constexpr int kColors[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                             PNG_COLOR_TYPE_RGB_ALPHA};
  if (setjmp(png_jmpbuf(writer.png))) return false;
  const bool wide = image.dtype() == DType::kUint16;
  png_set_write_fn(writer.png, &writer, png_append, png_flush_nothing);
  png_set_compression_level(writer.png, compression);
  png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.dim(1)),
               static_cast<png_uint_32>(image.dim(0)), wide ? 16 : 8, kColors[image.dim(2) - 1],
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(writer.png, writer.info);
  if (wide) png_set_swap(writer.png);
  const size_t line = static_cast<size_t>(image.dim(1) * image.dim(2)) * size_of(image.dtype());
  for (int64_t row = 0; row < image.dim(0); ++row) {
    png_write_row(writer.png,
                  static_cast<png_const_bytep>(image.raw()) + static_cast<size_t>(row) * line);
  }
  png_write_end(writer.png, nullptr);
  return true;
}

}  // namespace

StatusOr<Tensor> decode_png(std::string_view bytes, int channels, bool wide) {
  PngReader reader;
  reader.bytes = bytes;
  reader.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &reader.error, png_fail, png_ignore);
  if (reader.png) reader.info = png_create_info_struct(reader.png);
  if (!reader.info) return resource_exhausted("no memory for a PNG decoder");
  if (read_png(reader, channels, wide)) return std::move(reader.image);
  if (!reader.status.ok()) return reader.status;
  return invalid_argument("Invalid PNG data, size ", bytes.size(), ": ", reader.error);
}

StatusOr<std::string> encode_png(const Tensor& image, int compression) {
  PngWriter writer;
  writer.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &writer.error, png_fail, png_ignore);
  if (writer.png) writer.info = png_create_info_struct(writer.png);
  if (!writer.info) return resource_exhausted("no memory for a PNG encoder");
  if (!write_png(writer, image, compression)) {
    return internal("PNG encoding failed: ", writer.error);
  }
  return std::move(writer.out);
}

}  // namespace tenon
