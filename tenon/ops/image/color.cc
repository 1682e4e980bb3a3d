// RGBToHSV, HSVToRGB, AdjustHue, AdjustSaturation, AdjustContrastv2.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

template <class T>
struct Pixel {
  T x, y, z;
};

// tensorflow/core/kernels/image/colorspace_op.h. A channel that is NaN is the largest and the
// smallest until the next one comes.
template <class T>
Pixel<T> rgb_to_hsv(Pixel<T> rgb) {
  const T value = std::max(rgb.z, std::max(rgb.y, rgb.x));
  const T range = value - std::min(rgb.z, std::min(rgb.y, rgb.x));
  T hue = 0;
  if (range > 0) {
    const T norm = T(1) / (T(6) * range);
    hue = rgb.x == value   ? norm * (rgb.y - rgb.z)
          : rgb.y == value ? norm * (rgb.z - rgb.x) + T(2) / T(6)
                           : norm * (rgb.x - rgb.y) + T(4) / T(6);
    if (hue < 0) hue += 1;
  }
  return {hue, value > 0 ? range / value : T(0), value};
}

template <class T>
Pixel<T> hsv_to_rgb(Pixel<T> hsv) {
  const T hue = hsv.x * 6;
  const auto unit = [](T v) { return std::min(std::max(v, T(0)), T(1)); };
  const T red = unit(std::abs(hue - 3) - 1);
  const T green = unit(2 - std::abs(hue - 2));
  const T blue = unit(2 - std::abs(hue - 4));
  const T rest = 1 - hsv.y;
  return {(rest + hsv.y * red) * hsv.z, (rest + hsv.y * green) * hsv.z,
          (rest + hsv.y * blue) * hsv.z};
}

// y = f(x) pixel by pixel; half precision computes in float.
template <class T, class F>
void map_pixels(const T* x, T* y, int64_t count, const F& f) {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  parallel_for(count, 2048, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * 3; i < end * 3; i += 3) {
      const Pixel<Wide> pixel = f(Pixel<Wide>{static_cast<Wide>(x[i]), static_cast<Wide>(x[i + 1]),
                                              static_cast<Wide>(x[i + 2])});
      y[i] = static_cast<T>(pixel.x);
      y[i + 1] = static_cast<T>(pixel.y);
      y[i + 2] = static_cast<T>(pixel.z);
    }
  });
}

// Three channels last. TensorFlow's code for another number differs between the ops.
template <class Error>
Status three_channels(ShapeContext& c, int rank, Error error) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, rank));
  const PartialShape& x = c.input(0);
  if (x.has_rank() && x[x.rank() - 1] >= 0 && x[x.rank() - 1] != 3) {
    return error("input must have 3 channels but instead has ", x[x.rank() - 1], " channels");
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

Status colorspace_shape(ShapeContext& c) {
  return three_channels(c, 1, [](auto... parts) { return failed_precondition(parts...); });
}
Status adjust_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  return three_channels(c, 3, [](auto... parts) { return invalid_argument(parts...); });
}

template <bool to_hsv>
StatusOr<Kernel> make_colorspace(Prepare& p) {
  p.may_overwrite(0, 0);
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [count = p.input_shape(0).num_elements() / 3](KernelRun& r) {
      map_pixels(r.in<T>(0), r.out<T>(0), count,
                 [](auto pixel) { return to_hsv ? rgb_to_hsv(pixel) : hsv_to_rgb(pixel); });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// image_grad.py, _RGBToHSVGrad. With M the largest and m the smallest channel: value is M,
// saturation 1 - m / M, hue a difference of two channels over 6 (M - m).
Status rgb_to_hsv_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const auto channels = [&](Endpoint x) {
    const std::vector<Endpoint> parts =
        b->ops("Unpack", {x}, {{"num", int64_t{3}}, {"axis", int64_t{-1}}});
    std::array<Value, 3> values{Value{b, {}}, Value{b, {}}, Value{b, {}}};
    for (size_t i = 0; i < 3 && parts.size() == 3; ++i) values[i].endpoint = parts[i];
    return values;
  };
  const auto [red, green, blue] = channels(g.input(0));
  const auto dy = channels(g.dy());
  const auto mask = [&](std::string_view first, Value a, Value low, std::string_view second,
                        Value high) {
    return cast(apply("LogicalAnd", apply(first, a, low), apply(second, a, high)), a.dtype());
  };
  const std::array<Value, 3> largest{mask("GreaterEqual", red, green, "GreaterEqual", blue),
                                     mask("Greater", green, red, "GreaterEqual", blue),
                                     mask("Greater", blue, red, "Greater", green)};
  const std::array<Value, 3> smallest{mask("Less", red, green, "Less", blue),
                                      mask("LessEqual", green, red, "Less", blue),
                                      mask("LessEqual", blue, red, "LessEqual", green)};
  const Value value = apply("Maximum", red, apply("Maximum", green, blue));
  const Value least = apply("Minimum", red, apply("Minimum", green, blue));
  const Value range = value - least;
  const Value by_range = apply("DivNoNan", apply("OnesLike", range), range * 6.0);
  // Which difference the hue is made of.
  const Value difference =
      largest[0] * (green - blue) + largest[1] * (blue - red) + largest[2] * (red - green);
  const std::array<Value, 3> slope{largest[2] - largest[1], largest[0] - largest[2],
                                   largest[1] - largest[0]};
  const std::array<Value, 3> channel{red, green, blue};
  std::vector<Endpoint> dx;
  for (size_t i = 0; i < 3; ++i) {
    const Value d_range = largest[i] - smallest[i];
    const Value d_hue = (slope[i] - apply("DivNoNan", difference, range) * d_range) * by_range;
    // TensorFlow's gradient of the saturation is 0 for a channel that is.
    const Value is_positive =
        cast(apply("Greater", channel[i], apply("ZerosLike", channel[i])), range.dtype());
    const Value d_saturation = is_positive * (apply("DivNoNan", least * largest[i], square(value)) -
                                              apply("DivNoNan", smallest[i], value));
    dx.push_back(dy[0] * d_hue + dy[1] * d_saturation + dy[2] * largest[i]);
  }
  g.set_dx(0, b->op("Pack", dx, {{"axis", int64_t{-1}}}));
  return absl::OkStatus();
}

// Turns the hue by `turn` sixths of the circle; the largest and the smallest channel stay what they
// are, whatever their signs. tensorflow/core/kernels/image/adjust_hue_op.cc.
Pixel<float> turn_hue(Pixel<float> rgb, float turn) {
  const auto [r, g, b] = rgb;
  const float most = std::max({r, g, b}), least = std::min({r, g, b});
  // Which channel is the largest and which the smallest, as sixths of the circle.
  const int sixth = r < g ? (b < r ? 1 : b > g ? 3 : 2) : (b < g ? 0 : b > r ? 4 : 5);
  const float middle = std::max(std::min(r, g), std::min(std::max(r, g), b));
  float hue = 0;
  if (most != least) {
    const float share = (middle - least) / (most - least);
    hue = static_cast<float>(sixth) + (sixth % 2 == 0 ? share : 1 - share);
  }
  hue += turn;
  if (!(std::abs(hue) < 64)) hue = std::fmod(hue, 6.0F);
  while (hue < 0) hue += 6;
  while (hue >= 6) hue -= 6;
  const int to = std::isnan(hue) ? 5 : static_cast<int>(hue);
  const float share = hue - static_cast<float>(to);
  const float between = least + (to % 2 == 0 ? share : 1 - share) * (most - least);
  switch (to) {
    case 0:
      return {most, between, least};
    case 1:
      return {between, most, least};
    case 2:
      return {least, most, between};
    case 3:
      return {least, between, most};
    case 4:
      return {between, least, most};
    default:
      return {most, least, between};
  }
}

template <bool hue>
StatusOr<Kernel> make_adjust(Prepare& p) {
  p.may_overwrite(0, 0);
  Kernel kernel;
  visit<TypeList<float, float16>>(p.input_dtype(0), [&]<class T>() {
    kernel = [count = p.input_shape(0).num_elements() / 3](KernelRun& r) {
      const float by = *r.in<float>(1);
      map_pixels(r.in<T>(0), r.out<T>(0), count, [by](auto rgb) {
        if (hue) return turn_hue(rgb, by * 6);
        auto hsv = rgb_to_hsv(rgb);
        hsv.y = std::min(std::max(hsv.y * by, 0.0F), 1.0F);
        return hsv_to_rgb(hsv);
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status contrast_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank_at_least(0, 3));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// Away from the mean of each channel of each image.
StatusOr<Kernel> make_contrast(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const int64_t channels = x[x.rank() - 1], pixels = x[x.rank() - 2] * x[x.rank() - 3];
  const int64_t images = x.product(0, x.rank() - 3);
  Kernel kernel;
  visit<TypeList<float, float16>>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      if (pixels * channels == 0) return absl::OkStatus();
      const float factor = *r.in<float>(1);
      parallel_for(images * channels, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t first = i / channels * pixels * channels + i % channels;
          const T* from = r.in<T>(0) + first;
          T* to = r.out<T>(0) + first;
          double sum = 0;
          for (int64_t j = 0; j < pixels; ++j) sum += static_cast<double>(from[j * channels]);
          const auto mean = static_cast<float>(sum / static_cast<double>(pixels));
          for (int64_t j = 0; j < pixels; ++j) {
            to[j * channels] =
                static_cast<T>((static_cast<float>(from[j * channels]) - mean) * factor + mean);
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

constexpr OpDecl colorspace(GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = "images: T",
      .outputs = "output: T",
      .attrs = "T: {half, bfloat16, float, double} = float",
      .shape = colorspace_shape,
      .rows = Rows::kIndependentUnlessRank1,
      .gradient = gradient,
      .kernels = {factory},
  };
}

Rows rows_of_images(const ShapeContext& c) {
  return c.input(0).has_rank() && c.input(0).rank() > 3 ? Rows::kIndependent : Rows::kMixed;
}

constexpr OpDecl adjust(ArgsText inputs, ShapeFn shape, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: T",
      .attrs = "T: {half, float} = float",
      .shape = shape,
      .rows = rows_of_images,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(RGBToHSV) = colorspace(rgb_to_hsv_gradient, make_colorspace<true>);
TENON_OP(HSVToRGB) = colorspace(not_differentiable, make_colorspace<false>);
TENON_OP(AdjustHue) = adjust("images: T, delta: float", adjust_shape, make_adjust<true>);
TENON_OP(AdjustSaturation) = adjust("images: T, scale: float", adjust_shape, make_adjust<false>);
TENON_OP(AdjustContrastv2) = adjust("images: T, contrast_factor: float", contrast_shape,
                                    make_contrast);

}  // namespace tenon
