// ImageProjectiveTransformV2 and V3: each output pixel read from where a projection puts it.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

Status projective_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  if (c.num_inputs() > 3) TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  const PartialShape& images = c.input(0);
  const PartialShape& transforms = c.input(1);
  if (transforms.has_rank()) {
    const bool rows_fit = transforms[0] < 0 || transforms[0] == 1 || !images.has_rank() ||
                          images[0] < 0 || transforms[0] == images[0];
    if ((transforms[1] >= 0 && transforms[1] != 8) || !rows_fit) {
      return invalid_argument("Input transform should be num_images x 8 or 1 x 8, it is ",
                              transforms, " for images of ", images);
    }
  }
  PartialShape y = images.has_rank() ? images : PartialShape::unknown_of_rank(4);
  y.set(1, -1);
  y.set(2, -1);
  if (const Tensor* size = c.constant(2)) {
    if (size->num_elements() != 2) {
      return invalid_argument("output_shape must have two elements, its shape is ", size->shape());
    }
    for (int i = 0; i < 2; ++i) {
      const int64_t dim = integer_at(*size, i);
      if (dim <= 0) return invalid_argument("new height and width must be positive, found ", dim);
      y.set(i + 1, dim);
    }
  }
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(y.dims(), 8).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

enum class FillMode : uint8_t { kReflect, kWrap, kConstant, kNearest };

StatusOr<FillMode> fill_mode(const std::string& name) {
  if (name == "REFLECT") return FillMode::kReflect;
  if (name == "WRAP") return FillMode::kWrap;
  if (name == "CONSTANT") return FillMode::kConstant;
  if (name == "NEAREST") return FillMode::kNearest;
  return invalid_argument("Invalid mode ", name,
                          ", REFLECT, WRAP, CONSTANT and NEAREST are possible");
}

// Where a coordinate outside [0, size) falls. tensorflow/core/kernels/image/image_ops.h.
float map_coordinate(FillMode mode, float at, int64_t count) {
  const auto size = static_cast<float>(count);
  const auto whole = [](float x) { return static_cast<float>(static_cast<int64_t>(x)); };
  if (mode == FillMode::kConstant) return at;
  if (mode != FillMode::kNearest && (at < 0 || at > size - 1)) {
    if (count <= 1) {
      at = 0;
    } else if (mode == FillMode::kReflect) {
      const float twice = 2 * size;
      if (at < 0) {
        if (at < twice) at = twice * whole(-at / twice) + at;
        at = at < -size ? at + twice : -at - 1;
      } else {
        at -= twice * whole(at / twice);
        if (at >= size) at = twice - at - 1;
      }
    } else {
      at = at < 0 ? at + size * (whole(-at / (size - 1)) + 1) : at - size * whole(at / (size - 1));
    }
  }
  return std::clamp(at, 0.0F, size - 1);
}

struct ProjectiveSpec {
  int64_t batch = 0, in_rows = 0, in_columns = 0, out_rows = 0, out_columns = 0, channels = 0;
  bool bilinear = false;
  FillMode mode = FillMode::kConstant;
  bool one_transform = false;
};

template <class T>
void project_pixel(const ProjectiveSpec& s, const T* image, float y, float x, T fill, T* out) {
  const auto read = [&](float row, float column, int64_t c) {
    if (row < 0 || row >= static_cast<float>(s.in_rows) || column < 0 ||
        column >= static_cast<float>(s.in_columns)) {
      return fill;
    }
    return image[(static_cast<int64_t>(row) * s.in_columns + static_cast<int64_t>(column)) *
                     s.channels +
                 c];
  };
  if (!s.bilinear) {
    const float row = std::round(y), column = std::round(x);
    for (int64_t c = 0; c < s.channels; ++c) out[c] = read(row, column, c);
    return;
  }
  const float top = std::floor(y), left = std::floor(x);
  const float bottom = top + 1, right = left + 1;
  for (int64_t c = 0; c < s.channels; ++c) {
    const float above = (right - x) * static_cast<float>(read(top, left, c)) +
                        (x - left) * static_cast<float>(read(top, right, c));
    const float below = (right - x) * static_cast<float>(read(bottom, left, c)) +
                        (x - left) * static_cast<float>(read(bottom, right, c));
    out[c] = static_cast<T>((bottom - y) * above + (y - top) * below);
  }
}

template <class T>
void project_row(const ProjectiveSpec& s, const T* image, const float* t, int64_t row, T fill,
                 T* out) {
  const auto y = static_cast<float>(row);
  for (int64_t column = 0; column < s.out_columns; ++column, out += s.channels) {
    const auto x = static_cast<float>(column);
    const float projection = t[6] * x + t[7] * y + 1;
    if (projection == 0) {
      std::fill_n(out, s.channels, fill);
      continue;
    }
    const float from_x = (t[0] * x + t[1] * y + t[2]) / projection;
    const float from_y = (t[3] * x + t[4] * y + t[5]) / projection;
    // Whatever is not a place in the image, NaN and infinity too, takes the fill value.
    if (!std::isfinite(from_x) || !std::isfinite(from_y) || std::abs(from_x) > 1e9F ||
        std::abs(from_y) > 1e9F) {
      std::fill_n(out, s.channels, fill);
      continue;
    }
    project_pixel(s, image, map_coordinate(s.mode, from_y, s.in_rows),
                  map_coordinate(s.mode, from_x, s.in_columns), fill, out);
  }
}

StatusOr<Kernel> make_projective(Prepare& p) {
  const Shape& in = p.input_shape(0);
  const Shape out = p.output_shape(0).to_shape();
  ProjectiveSpec s{in[0], in[1], in[2], out[1], out[2], in[3]};
  const std::string& interpolation = p.attr<std::string>("interpolation");
  if (interpolation != "BILINEAR" && interpolation != "NEAREST") {
    return invalid_argument("Invalid interpolation ", interpolation,
                            ". Supported types: NEAREST, BILINEAR");
  }
  s.bilinear = interpolation == "BILINEAR";
  TENON_ASSIGN_OR_RETURN(s.mode, fill_mode(p.attr<std::string>("fill_mode")));
  s.one_transform = p.input_shape(1)[0] == 1;
  Kernel kernel;
  using Types = TypeList<uint8_t, int32_t, int64_t, float16, bfloat16, float, double>;
  visit<Types>(p.input_dtype(0), [&]<class T>() {
    kernel = [s](KernelRun& r) {
      if (r.output(0).num_elements() == 0) return absl::OkStatus();
      const T fill = r.num_inputs() > 3 ? static_cast<T>(*r.in<float>(3)) : T{};
      const int64_t line = s.out_columns * s.channels;
      parallel_for(s.batch * s.out_rows, 4, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t image = i / s.out_rows;
          project_row(s, r.in<T>(0) + image * s.in_rows * s.in_columns * s.channels,
                      r.in<float>(1) + (s.one_transform ? 0 : image * 8), i % s.out_rows, fill,
                      r.out<T>(0) + i * line);
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// image_grad.py, _ImageProjectiveTransformV3Grad: dy under the inverse projections.
Status projective_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint t = g.input(1);
  std::vector<Endpoint> m = b.ops("Unpack", {t}, {{"num", int64_t{8}}, {"axis", int64_t{1}}});
  if (m.size() != 8) return b.status();
  m.push_back(b.op("OnesLike", {m[0]}));
  // The adjugate of [a b c; d e f; g h i], divided by its last element.
  const auto minor = [&](size_t i, size_t j, size_t k, size_t l) {
    return b.sub(b.mul(m[i], m[j]), b.mul(m[k], m[l]));
  };
  const Endpoint last = minor(0, 4, 1, 3);
  const Endpoint adjugate[] = {minor(4, 8, 5, 7), minor(2, 7, 1, 8), minor(1, 5, 2, 4),
                               minor(5, 6, 3, 8), minor(0, 8, 2, 6), minor(2, 3, 0, 5),
                               minor(3, 7, 4, 6), minor(1, 6, 0, 7)};
  std::vector<Endpoint> inverse;
  for (Endpoint element : adjugate) inverse.push_back(b.div(element, last));
  const Endpoint transforms = b.op("Pack", inverse, {{"axis", int64_t{1}}});
  const Endpoint size = b.slice(b.shape_of(g.input(0)), 1, 3);
  std::vector<Endpoint> inputs{g.dy(), transforms, size};
  if (g.num_inputs() > 3) inputs.push_back(b.scalar<float>(0));
  g.set_dx(0, b.op(g.forward().op->name(), std::move(inputs),
                   {{"interpolation", g.attr<std::string>("interpolation")},
                    {"fill_mode", g.attr<std::string>("fill_mode")}}));
  return absl::OkStatus();
}

constexpr OpDecl projective(ArgsText inputs) {
  return {
      .inputs = inputs,
      .outputs = "transformed_images: dtype",
      .attrs =
          "dtype: {uint8, int32, int64, half, bfloat16, float, double}; interpolation: string; "
          "fill_mode: string = 'CONSTANT'",
      .host_inputs = {2},
      .shape = projective_shape,
      .rows = Rows::kIndependent,
      .gradient = projective_gradient,
      .kernels = {make_projective},
  };
}

}  // namespace

TENON_OP(ImageProjectiveTransformV2) =
    projective("images: dtype, transforms: float, output_shape: int32");
TENON_OP(ImageProjectiveTransformV3) =
    projective("images: dtype, transforms: float, output_shape: int32, fill_value: float");

}  // namespace tenon
