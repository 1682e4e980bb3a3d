// EncodePng, EncodeJpeg, EncodeJpegVariableQuality.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/image/codec.h"

namespace tenon {
namespace {

// [batch.., height, width, channels] gives strings [batch..].
Status encode_png_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 3));
  const PartialShape& x = c.input(0);
  const auto level = c.attr<int64_t>("compression");
  if (level < -1 || level > 9) {
    return invalid_argument("compression should be in [-1,9], got ", level);
  }
  if (!x.has_rank()) return unknown_shape(c);
  const int64_t channels = x[x.rank() - 1];
  if (channels == 0 || channels > 4) {
    return invalid_argument("image must have 1, 2, 3, or 4 channels, got ", channels);
  }
  c.set_output(0, PartialShape(x.dims().first(static_cast<size_t>(x.rank() - 3))));
  return absl::OkStatus();
}

Status check_encodable(const Shape& image) {
  const int64_t height = image[0], width = image[1];
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  if (height <= 0 || width <= 0 || height > kMost || width > kMost) {
    return invalid_argument("image cannot have empty or too large dimensions, its shape is ",
                            image);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_encode_png(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const Shape batch = p.output_shape(0).to_shape();
  const Shape one(x.dims().last(3));
  TENON_RETURN_IF_ERROR(check_encodable(one));
  const auto level = static_cast<int>(p.attr<int64_t>("compression"));
  return Kernel([batch, one, level](KernelRun& r) -> Status {
    const int64_t count = batch.num_elements();
    const Tensor images = r.input(0).reshaped(Shape{count * one[0], one[1], one[2]});
    StringTensorBuilder builder(batch);
    for (int64_t i = 0; i < count; ++i) {
      TENON_ASSIGN_OR_RETURN(const std::string bytes,
                             encode_png(images.slice(i * one[0], one[0]), level));
      builder.set(i, bytes);
    }
    r.set_output(0, std::move(builder).build());
    return absl::OkStatus();
  });
}

Status encode_jpeg_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 3));
  if (c.num_inputs() > 1) TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  const int64_t channels = c.input(0).has_rank() ? c.input(0)[2] : -1;
  if (channels >= 0 && channels != 1 && channels != 3) {
    return invalid_argument("image must have 1 or 3 channels, got ", channels);
  }
  if (const auto* format = c.attrs().get_if<std::string>("format")) {
    const int64_t wanted = *format == "grayscale" ? 1 : *format == "rgb" ? 3 : -1;
    if (wanted >= 0 && channels >= 0 && wanted != channels) {
      return invalid_argument("format '", *format, "' expects ", wanted, " channels, got ",
                              channels);
    }
  }
  c.set_output(0, Shape());
  return absl::OkStatus();
}

StatusOr<JpegEncoding> jpeg_encoding(const AttrMap& attrs) {
  JpegEncoding encoding;
  if (!attrs.get_if<int64_t>("quality")) return encoding;
  encoding.quality = static_cast<int>(attrs.get<int64_t>("quality"));
  encoding.progressive = attrs.get<bool>("progressive");
  encoding.optimize = attrs.get<bool>("optimize_size");
  encoding.chroma_downsampling = attrs.get<bool>("chroma_downsampling");
  encoding.inches = attrs.get<std::string>("density_unit") == "in";
  encoding.x_density = static_cast<int>(attrs.get<int64_t>("x_density"));
  encoding.y_density = static_cast<int>(attrs.get<int64_t>("y_density"));
  const std::string& xmp = attrs.get<std::string>("xmp_metadata");
  // The marker's name, then the document (Adobe, XMP Specification Part 3, 1.1.3).
  if (!xmp.empty()) encoding.xmp = std::string("http://ns.adobe.com/xap/1.0/\0", 29) + xmp;
  if (encoding.xmp.size() > 65533) return invalid_argument("xmp_metadata is too long");
  return encoding;
}

StatusOr<Kernel> make_encode_jpeg(Prepare& p) {
  TENON_RETURN_IF_ERROR(check_encodable(p.input_shape(0)));
  if (p.input_shape(0)[0] > 65535 || p.input_shape(0)[1] > 65535) {
    return invalid_argument("JPEG has at most 65535 rows and columns, the image is ",
                            p.input_shape(0));
  }
  TENON_ASSIGN_OR_RETURN(const JpegEncoding given, jpeg_encoding(p.attrs()));
  return Kernel([given](KernelRun& r) -> Status {
    JpegEncoding encoding = given;
    if (r.num_inputs() > 1) encoding.quality = *r.in<int32_t>(1);
    if (encoding.quality < 0 || encoding.quality > 100) {
      return invalid_argument("quality must be in [0,100], got ", encoding.quality);
    }
    TENON_ASSIGN_OR_RETURN(const std::string bytes, encode_jpeg(r.input(0), encoding));
    r.set_output(0, Tensor::string(bytes));
    return absl::OkStatus();
  });
}

constexpr OpDecl encoding_op(ArgsText inputs, AttrsText attrs, ShapeFn shape,
                             KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "contents: string",
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(EncodePng) = encoding_op("image: T", "compression: int = -1; T: {uint8, uint16} = uint8",
                                  encode_png_shape, make_encode_png);
TENON_OP(EncodeJpeg) = encoding_op(
    "image: uint8",
    "format: {'', 'grayscale', 'rgb'} = ''; quality: int = 95; progressive: bool = false; "
    "optimize_size: bool = false; chroma_downsampling: bool = true; "
    "density_unit: {'in', 'cm'} = 'in'; x_density: int = 300; y_density: int = 300; "
    "xmp_metadata: string = ''",
    encode_jpeg_shape, make_encode_jpeg);
TENON_OP(EncodeJpegVariableQuality) = encoding_op("images: uint8, quality: int32", "",
                                                  encode_jpeg_shape, make_encode_jpeg);

}  // namespace tenon
