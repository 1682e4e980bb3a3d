#include <jpeglib.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include "tenon/ops/image/codec.h"

namespace tenon {
namespace {

// libjpeg calls this for errors; as with libpng, nothing with a destructor lives across the jump.
struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
};

[[noreturn]] void jpeg_fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  errors->base.format_message(info, errors->text);
  std::longjmp(errors->jump, 1);
}
void jpeg_ignore(j_common_ptr) {}

void install(JpegErrors& errors, j_common_ptr info) {
  info->err = jpeg_std_error(&errors.base);
  errors.base.error_exit = jpeg_fail;
  errors.base.output_message = jpeg_ignore;
  errors.text[0] = '\0';
}

// The bytes, then, where the data is cut off, an end marker for as long as one is asked for.
struct JpegSource {
  jpeg_source_mgr base;
  bool recover = false;
  bool ended = false;
};
void jpeg_source_nothing(j_decompress_ptr) {}
boolean jpeg_source_more(j_decompress_ptr info) {
  static const JOCTET kEnd[] = {0xFF, JPEG_EOI};
  auto* source = reinterpret_cast<JpegSource*>(info->src);
  source->ended = true;
  source->base.next_input_byte = kEnd;
  source->base.bytes_in_buffer = sizeof(kEnd);
  return TRUE;
}
void jpeg_source_skip(j_decompress_ptr info, long count) {
  auto* source = reinterpret_cast<JpegSource*>(info->src);
  if (count <= 0) return;
  if (static_cast<size_t>(count) > source->base.bytes_in_buffer) {
    jpeg_source_more(info);
    return;
  }
  source->base.next_input_byte += count;
  source->base.bytes_in_buffer -= static_cast<size_t>(count);
}

struct JpegReader {
  jpeg_decompress_struct info{};
  JpegErrors errors{};
  JpegSource source{};
  Tensor image;
  std::vector<JSAMPLE> line;
  Status status;

  explicit JpegReader(std::string_view bytes) {
    install(errors, reinterpret_cast<j_common_ptr>(&info));
    source.base.next_input_byte = reinterpret_cast<const JOCTET*>(bytes.data());
    source.base.bytes_in_buffer = bytes.size();
    source.base.init_source = jpeg_source_nothing;
    source.base.fill_input_buffer = jpeg_source_more;
    source.base.skip_input_data = jpeg_source_skip;
    source.base.resync_to_restart = jpeg_resync_to_restart;
    source.base.term_source = jpeg_source_nothing;
  }
  ~JpegReader() { jpeg_destroy_decompress(&info); }
};

// Reads the header. False after an error.
bool open_jpeg(JpegReader& reader) {
  if (setjmp(reader.errors.jump)) return false;
  jpeg_create_decompress(&reader.info);
  reader.info.src = &reader.source.base;
  return jpeg_read_header(&reader.info, TRUE) == JPEG_HEADER_OK;
}

// What a pixel of CMYK looks like; Adobe's files hold it inverted.
void cmyk_to_rgb(const JSAMPLE* from, JSAMPLE* to, int64_t count, bool inverted) {
  for (int64_t i = 0; i < count; ++i, from += 4, to += 3) {
    const int black = inverted ? from[3] : 255 - from[3];
    for (int c = 0; c < 3; ++c) {
      to[c] = static_cast<JSAMPLE>((inverted ? from[c] : 255 - from[c]) * black / 255);
    }
  }
}

void choose_jpeg_output(JpegReader& reader, const JpegOptions& options, int& channels) {
  jpeg_decompress_struct& info = reader.info;
  channels = options.channels == 0 ? std::min(info.num_components, 3) : options.channels;
  const bool cmyk = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
  info.out_color_space = cmyk && channels == 3 ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  info.do_fancy_upsampling = options.fancy_upscaling ? TRUE : FALSE;
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(options.ratio);
  info.dct_method = options.accurate_dct ? JDCT_ISLOW : JDCT_IFAST;
}

// Apart from the functions that libjpeg jumps out of: it has objects to destroy.
bool allocate_pixels(JpegReader& reader, const Shape& shape) {
  auto image = Tensor::allocate(DType::kUint8, shape);
  reader.status = image.status();
  if (image.ok()) reader.image = *std::move(image);
  return reader.status.ok();
}

bool read_jpeg(JpegReader& reader, const JpegOptions& options) {
  jpeg_decompress_struct& info = reader.info;
  if (setjmp(reader.errors.jump)) return false;
  int channels = 0;
  choose_jpeg_output(reader, options, channels);
  jpeg_calc_output_dimensions(&info);
  const int64_t height = info.output_height, width = info.output_width;
  if (width <= 0 || height <= 0 || width > kMostPixels / height) {
    reader.status = invalid_argument("Image too large: ", height, " by ", width);
    return false;
  }
  int64_t top = 0, left = 0, rows = height, columns = width;
  if (options.crop) {
    top = options.crop_y;
    left = options.crop_x;
    rows = options.crop_height;
    columns = options.crop_width;
    if (top < 0 || left < 0 || rows <= 0 || columns <= 0 || rows > height - top ||
        columns > width - left) {
      reader.status = invalid_argument("Invalid crop window: y=", top, ", x=", left, ", h=", rows,
                                       ", w=", columns, " for image of ", height, " x ", width);
      return false;
    }
  }
  jpeg_start_decompress(&info);
  if (!allocate_pixels(reader, Shape{rows, columns, channels})) return false;
  reader.line.resize(static_cast<size_t>(width) *
                     static_cast<size_t>(std::max(info.output_components, channels)));
  std::vector<JSAMPLE>& line = reader.line;
  auto* out = reader.image.mutable_data<uint8_t>();
  int64_t complete = 0;
  while (info.output_scanline < static_cast<JDIMENSION>(top + rows)) {
    const int64_t row = info.output_scanline;
    JSAMPROW pointers[] = {line.data()};
    if (jpeg_read_scanlines(&info, pointers, 1) != 1) break;
    if (!reader.source.ended) complete = row + 1;
    if (row < top) continue;
    auto* to = out + (row - top) * columns * channels;
    if (info.out_color_space == JCS_CMYK) {
      cmyk_to_rgb(line.data() + left * 4, to, columns, info.saw_Adobe_marker != 0);
    } else {
      std::copy_n(line.data() + left * channels, columns * channels, to);
    }
  }
  // A marker that was made up: rows behind what the data reached are not the image's.
  if (reader.source.ended && complete < top + rows) {
    const float fraction = static_cast<float>(complete) / static_cast<float>(height);
    if (!options.try_recover_truncated || fraction < options.acceptable_fraction) {
      reader.status = invalid_argument("Invalid JPEG data or crop window, the data is cut off");
      return false;
    }
  }
  jpeg_abort_decompress(&info);
  return true;
}

struct JpegWriter {
  jpeg_compress_struct info{};
  JpegErrors errors{};
  unsigned char* out = nullptr;
  unsigned long size = 0;

  JpegWriter() { install(errors, reinterpret_cast<j_common_ptr>(&info)); }
  ~JpegWriter() {
    jpeg_destroy_compress(&info);
    std::free(out);
  }
};

bool write_jpeg(JpegWriter& writer, const Tensor& image, const JpegEncoding& encoding) {
  jpeg_compress_struct& info = writer.info;
  if (setjmp(writer.errors.jump)) return false;
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, &writer.out, &writer.size);
  info.image_height = static_cast<JDIMENSION>(image.dim(0));
  info.image_width = static_cast<JDIMENSION>(image.dim(1));
  info.input_components = static_cast<int>(image.dim(2));
  info.in_color_space = image.dim(2) == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  if (encoding.optimize) info.optimize_coding = TRUE;
  info.density_unit = encoding.inches ? 1 : 2;
  info.X_density = static_cast<UINT16>(encoding.x_density);
  info.Y_density = static_cast<UINT16>(encoding.y_density);
  jpeg_set_quality(&info, encoding.quality, TRUE);
  if (encoding.progressive) jpeg_simple_progression(&info);
  if (!encoding.chroma_downsampling) {
    for (int i = 0; i < info.num_components; ++i) {
      info.comp_info[i].h_samp_factor = 1;
      info.comp_info[i].v_samp_factor = 1;
    }
  }
  jpeg_start_compress(&info, TRUE);
  if (!encoding.xmp.empty()) {
    jpeg_write_marker(&info, JPEG_APP0 + 1, reinterpret_cast<const JOCTET*>(encoding.xmp.data()),
                      static_cast<unsigned>(encoding.xmp.size()));
  }
  const int64_t line = image.dim(1) * image.dim(2);
  while (info.next_scanline < info.image_height) {
    JSAMPROW row = const_cast<JSAMPLE*>(image.data<uint8_t>() + info.next_scanline * line);
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  return true;
}

Status jpeg_error(const JpegReader& reader, size_t size) {
  if (!reader.status.ok()) return reader.status;
  return invalid_argument("Invalid JPEG data or crop window, data size ", size, ": ",
                          std::string_view(reader.errors.text));
}

}  // namespace

StatusOr<Tensor> decode_jpeg(std::string_view bytes, const JpegOptions& options) {
  JpegReader reader(bytes);
  if (!open_jpeg(reader) || !read_jpeg(reader, options)) return jpeg_error(reader, bytes.size());
  return std::move(reader.image);
}

StatusOr<ImageSize> jpeg_size(std::string_view bytes) {
  JpegReader reader(bytes);
  if (!open_jpeg(reader)) return jpeg_error(reader, bytes.size());
  return ImageSize{reader.info.image_height, reader.info.image_width, reader.info.num_components};
}

StatusOr<std::string> encode_jpeg(const Tensor& image, const JpegEncoding& encoding) {
  JpegWriter writer;
  if (!write_jpeg(writer, image, encoding)) {
    return invalid_argument("JPEG encoding failed: ", std::string_view(writer.errors.text));
  }
  return std::string(reinterpret_cast<const char*>(writer.out), writer.size);
}

}  // namespace tenon
