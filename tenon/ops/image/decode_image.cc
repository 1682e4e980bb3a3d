// DecodeImage, DecodeJpeg, DecodePng, DecodeGif, DecodeBmp, DecodeAndCropJpeg, ExtractJpegShape.
#include <cmath>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/image/codec.h"

namespace tenon {

ImageFormat image_format(std::string_view bytes) {
  if (bytes.starts_with("\xFF\xD8\xFF")) return ImageFormat::kJpeg;
  if (bytes.starts_with("\x89PNG\r\n\x1A\n")) return ImageFormat::kPng;
  if (bytes.starts_with("GIF8")) return ImageFormat::kGif;
  if (bytes.starts_with("BM")) return ImageFormat::kBmp;
  return ImageFormat::kUnknown;
}

namespace {

enum class DecodeOp : uint8_t { kImage, kJpeg, kPng, kGif, kBmp };

struct DecodeSpec {
  DecodeOp op = DecodeOp::kImage;
  int channels = 0;
  DType dtype = DType::kUint8;
  bool expand_animations = true;
  JpegOptions jpeg;
};

StatusOr<JpegOptions> jpeg_options(const AttrMap& attrs) {
  JpegOptions options;
  if (!attrs.get_if<int64_t>("ratio")) return options;
  options.ratio = static_cast<int>(attrs.get<int64_t>("ratio"));
  if (options.ratio != 1 && options.ratio != 2 && options.ratio != 4 && options.ratio != 8) {
    return invalid_argument("ratio must be 1, 2, 4, or 8, got ", options.ratio);
  }
  options.fancy_upscaling = attrs.get<bool>("fancy_upscaling");
  options.try_recover_truncated = attrs.get<bool>("try_recover_truncated");
  options.acceptable_fraction = attrs.get<float>("acceptable_fraction");
  const std::string& dct = attrs.get<std::string>("dct_method");
  if (!dct.empty() && dct != "INTEGER_FAST" && dct != "INTEGER_ACCURATE") {
    return invalid_argument(
        "dct_method must be one of {'', 'INTEGER_FAST', 'INTEGER_ACCURATE'}, "
        "found '",
        dct, "'");
  }
  options.accurate_dct = dct == "INTEGER_ACCURATE";
  return options;
}

template <DecodeOp op>
StatusOr<DecodeSpec> decode_spec(const AttrMap& attrs) {
  DecodeSpec spec;
  spec.op = op;
  if (const auto* channels = attrs.get_if<int64_t>("channels")) {
    if (*channels != 0 && *channels != 1 && *channels != 3 && *channels != 4) {
      return invalid_argument("`channels` must be 0, 1, 3 or 4, but got ", *channels);
    }
    if (op == DecodeOp::kJpeg && *channels == 4) {
      return invalid_argument("channels must be 0, 1, or 3 for JPEG, got 4");
    }
    spec.channels = static_cast<int>(*channels);
  }
  if (const auto* dtype = attrs.get_if<DType>("dtype")) spec.dtype = *dtype;
  if (const auto* expand = attrs.get_if<bool>("expand_animations")) {
    spec.expand_animations = *expand;
  }
  TENON_ASSIGN_OR_RETURN(spec.jpeg, jpeg_options(attrs));
  return spec;
}

template <DecodeOp op>
Status decode_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_ASSIGN_OR_RETURN(const DecodeSpec spec, decode_spec<op>(c.attrs()));
  const int64_t channels = spec.channels == 0 ? -1 : spec.channels;
  if (op == DecodeOp::kGif) {
    c.set_output(0, {-1, -1, -1, 3});
  } else if (op == DecodeOp::kImage && spec.expand_animations) {
    c.set_output(0, PartialShape());
  } else {
    c.set_output(0, {-1, -1, channels});
  }
  return absl::OkStatus();
}

// Eight-bit samples as `dtype`, scaled as TensorFlow's DecodeImage does.
StatusOr<Tensor> widen_samples(const Tensor& image, DType dtype) {
  if (dtype == image.dtype()) return image;
  TENON_ASSIGN_OR_RETURN(Tensor wide, Tensor::allocate(dtype, image.shape()));
  const int64_t count = image.num_elements();
  if (dtype == DType::kUint16) {
    for (int64_t i = 0; i < count; ++i) {
      wide.mutable_data<uint16_t>()[i] = static_cast<uint16_t>(image.data<uint8_t>()[i] * 256);
    }
  } else if (image.dtype() == DType::kUint8) {
    for (int64_t i = 0; i < count; ++i) {
      wide.mutable_data<float>()[i] = static_cast<float>(image.data<uint8_t>()[i]) * (1.0F / 255);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      wide.mutable_data<float>()[i] =
          static_cast<float>(image.data<uint16_t>()[i]) * (1.0F / 65535);
    }
  }
  return wide;
}

StatusOr<Tensor> decode_by_format(std::string_view bytes, const DecodeSpec& spec) {
  const ImageFormat format = image_format(bytes);
  if (spec.op == DecodeOp::kBmp && format != ImageFormat::kBmp) {
    return invalid_argument("Trying to decode another format by `DecodeBmp`, use `decode_image`");
  }
  switch (format) {
    case ImageFormat::kPng: {
      TENON_ASSIGN_OR_RETURN(Tensor image,
                             decode_png(bytes, spec.channels, spec.dtype != DType::kUint8));
      return image;
    }
    case ImageFormat::kJpeg: {
      JpegOptions options = spec.jpeg;
      if (spec.channels == 4) return invalid_argument("JPEG does not support 4 channels");
      options.channels = spec.channels;
      return decode_jpeg(bytes, options);
    }
    case ImageFormat::kGif: {
      if (spec.channels != 0 && spec.channels != 3) {
        return invalid_argument("channels must be 0 or 3 for GIF, got ", spec.channels);
      }
      const bool all =
          spec.op == DecodeOp::kGif || (spec.op == DecodeOp::kImage && spec.expand_animations);
      TENON_ASSIGN_OR_RETURN(Tensor images, decode_gif(bytes, spec.op == DecodeOp::kImage && !all));
      if (all) return images;
      if (images.dim(0) != 1) {
        return invalid_argument("Got ", images.dim(0),
                                " frames, but animated gifs can only be decoded by "
                                "tf.io.decode_gif or tf.io.decode_image");
      }
      return images.reshaped(Shape{images.dim(1), images.dim(2), 3});
    }
    case ImageFormat::kBmp:
      if (spec.op != DecodeOp::kBmp && spec.op != DecodeOp::kImage) {
        return invalid_argument(
            "Trying to decode BMP format using a wrong op. Use `decode_bmp` "
            "or `decode_image` instead.");
      }
      return decode_bmp(bytes, spec.channels);
    case ImageFormat::kUnknown:
      break;
  }
  return invalid_argument("Unknown image file format. One of JPEG, PNG, GIF, BMP required.");
}

StatusOr<Tensor> decode_any(std::string_view bytes, DecodeSpec spec) {
  // An image that is no GIF is an animation of one frame to DecodeGif.
  if (spec.op == DecodeOp::kGif) spec.channels = 3;
  TENON_ASSIGN_OR_RETURN(Tensor image, decode_by_format(bytes, spec));
  if (spec.op == DecodeOp::kGif && image.rank() == 3) {
    image = image.reshaped(Shape{1, image.dim(0), image.dim(1), image.dim(2)});
  }
  return widen_samples(image, spec.dtype);
}

template <DecodeOp op>
StatusOr<Kernel> make_decode(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const DecodeSpec spec, decode_spec<op>(p.attrs()));
  return Kernel([spec](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Tensor image, decode_any(*r.in<std::string_view>(0), spec));
    r.set_output(0, std::move(image));
    return absl::OkStatus();
  });
}

Status decode_and_crop_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_ASSIGN_OR_RETURN(const DecodeSpec spec, decode_spec<DecodeOp::kJpeg>(c.attrs()));
  const Tensor* window = c.constant(1);
  if (window && window->num_elements() != 4) {
    return invalid_argument("crop_window must have four elements, its shape is ", window->shape());
  }
  c.set_output(0, {window ? integer_at(*window, 2) : -1, window ? integer_at(*window, 3) : -1,
                   spec.channels == 0 ? -1 : spec.channels});
  for (int i = 2; window && i < 4; ++i) {
    if (integer_at(*window, i) <= 0) {
      return invalid_argument("crop_window must have a positive size, found ",
                              integer_at(*window, i));
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_decode_and_crop(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const DecodeSpec spec, decode_spec<DecodeOp::kJpeg>(p.attrs()));
  JpegOptions options = spec.jpeg;
  options.channels = spec.channels;
  options.crop = true;
  options.crop_y = integer_at(*p.constant(1), 0);
  options.crop_x = integer_at(*p.constant(1), 1);
  options.crop_height = integer_at(*p.constant(1), 2);
  options.crop_width = integer_at(*p.constant(1), 3);
  return Kernel([options](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Tensor image, decode_jpeg(*r.in<std::string_view>(0), options));
    r.set_output(0, std::move(image));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_jpeg_shape(Prepare& p) {
  Kernel kernel;
  visit<IndexTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [](KernelRun& r) -> Status {
      TENON_ASSIGN_OR_RETURN(const ImageSize size, jpeg_size(*r.in<std::string_view>(0)));
      r.out<T>(0)[0] = static_cast<T>(size.height);
      r.out<T>(0)[1] = static_cast<T>(size.width);
      r.out<T>(0)[2] = static_cast<T>(size.channels);
      return absl::OkStatus();
    };
  });
  return kernel;
}

template <DecodeOp op>
constexpr OpDecl decoding(AttrsText attrs) {
  return {
      .inputs = "contents: string",
      .outputs = op == DecodeOp::kImage || op == DecodeOp::kPng ? ArgsText("image: dtype")
                                                                : ArgsText("image: uint8"),
      .attrs = attrs,
      .supplies_outputs = true,
      .shape = decode_shape<op>,
      .gradient = not_differentiable,
      .kernels = {make_decode<op>},
  };
}

}  // namespace

TENON_OP(DecodeImage) = decoding<DecodeOp::kImage>(
    "channels: int = 0; dtype: {uint8, uint16, float} = uint8; expand_animations: bool = true");
TENON_OP(DecodePng) = decoding<DecodeOp::kPng>("channels: int = 0; dtype: {uint8, uint16} = uint8");
TENON_OP(DecodeJpeg) = decoding<DecodeOp::kJpeg>(
    "channels: int = 0; ratio: int = 1; fancy_upscaling: bool = true; "
    "try_recover_truncated: bool = false; acceptable_fraction: float = 1; "
    "dct_method: string = ''");
TENON_OP(DecodeGif) = decoding<DecodeOp::kGif>("");
TENON_OP(DecodeBmp) = decoding<DecodeOp::kBmp>("channels: int = 0");

TENON_OP(DecodeAndCropJpeg) = {
    .inputs = "contents: string, crop_window: int32",
    .outputs = "image: uint8",
    .attrs =
        "channels: int = 0; ratio: int = 1; fancy_upscaling: bool = true; "
        "try_recover_truncated: bool = false; acceptable_fraction: float = 1; "
        "dct_method: string = ''",
    .host_inputs = {1},
    .supplies_outputs = true,
    .shape = decode_and_crop_shape,
    .gradient = not_differentiable,
    .kernels = {make_decode_and_crop},
};

TENON_OP(ExtractJpegShape) = {
    .inputs = "contents: string",
    .outputs = "image_shape: output_type",
    .attrs = "output_type: {int32, int64} = int32",
    .shape =
        [](ShapeContext& c) {
          c.set_output(0, {3});
          return c.expect_rank(0, 0);
        },
    .gradient = not_differentiable,
    .kernels = {make_jpeg_shape},
};

}  // namespace tenon
