// Formulas: tensorflow/core/util/image_resizer_state.h and kernels/image/resize_*_op.cc.
#include "tenon/ops/image/resize.h"

#include <cmath>

namespace tenon {

Status resize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  PartialShape y = c.input(0).has_rank() ? c.input(0) : PartialShape::unknown_of_rank(4);
  y.set(1, -1);
  y.set(2, -1);
  const Tensor* size = c.constant(1);
  if (c.input(1).has_rank() && c.input(1)[0] >= 0 && c.input(1)[0] != 2) {
    return invalid_argument("size must have two elements, its shape is ", c.input(1));
  }
  if (size) {
    for (int i = 0; i < 2; ++i) {
      const int64_t dim = integer_at(*size, i);
      if (dim <= 0) return invalid_argument("output dimensions must be positive, found ", dim);
      y.set(i + 1, dim);
    }
  }
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(y.dims(), 8).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<ResizeGeometry> resize_geometry(const AttrMap& attrs, const Shape& in, const Shape& out) {
  ResizeGeometry g;
  g.align_corners = attrs.get<bool>("align_corners");
  const bool* half = attrs.get_if<bool>("half_pixel_centers");
  g.half_pixel_centers = half && *half;
  if (g.align_corners && g.half_pixel_centers) {
    return invalid_argument("If half_pixel_centers is True, align_corners must be False.");
  }
  g.batch = in[0];
  g.in_rows = in[1];
  g.in_columns = in[2];
  g.channels = in[3];
  g.out_rows = out[1];
  g.out_columns = out[2];
  if (g.in_rows <= 0 || g.in_columns <= 0 || g.channels <= 0) {
    return invalid_argument("input image must be of non-zero size, its shape is ", in);
  }
  if (g.out_rows <= 0 || g.out_columns <= 0) {
    return invalid_argument("output dimensions must be positive, found ", g.out_rows, " x ",
                            g.out_columns);
  }
  const auto scale = [&](int64_t from, int64_t to) {
    return g.align_corners && to > 1 && from > 1
               ? static_cast<float>(from - 1) / static_cast<float>(to - 1)
               : static_cast<float>(from) / static_cast<float>(to);
  };
  g.row_scale = scale(g.in_rows, g.out_rows);
  g.column_scale = scale(g.in_columns, g.out_columns);
  return g;
}

namespace {

// Positions along an axis of the output. Of an empty batch none is computed, whatever its images.
int64_t num_positions(const ResizeGeometry& g, bool rows) {
  if (g.batch == 0) return 0;
  return rows ? g.out_rows : g.out_columns;
}

}  // namespace

std::vector<Interpolation> bilinear_interpolation(const ResizeGeometry& g, bool rows) {
  const int64_t count = num_positions(g, rows);
  const int64_t limit = (rows ? g.in_rows : g.in_columns) - 1;
  std::vector<Interpolation> all(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const float at = g.position(i, rows ? g.row_scale : g.column_scale);
    const float below = std::floor(at);
    Interpolation& one = all[static_cast<size_t>(i)];
    one.lower = std::clamp<int64_t>(static_cast<int64_t>(below), 0, limit);
    one.upper = std::clamp<int64_t>(static_cast<int64_t>(std::ceil(at)), 0, limit);
    one.weight = at - below;
  }
  return all;
}

std::vector<int64_t> nearest_positions(const ResizeGeometry& g, bool rows) {
  const int64_t count = num_positions(g, rows);
  const int64_t limit = (rows ? g.in_rows : g.in_columns) - 1;
  const float scale = rows ? g.row_scale : g.column_scale;
  std::vector<int64_t> all(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const float at = (static_cast<float>(i) + (g.half_pixel_centers ? 0.5F : 0)) * scale;
    const float whole = g.align_corners ? std::round(at) : std::floor(at);
    all[static_cast<size_t>(i)] = std::clamp<int64_t>(static_cast<int64_t>(whole), 0, limit);
  }
  return all;
}

namespace {

// The two halves of the cubic kernel with parameter `a`: distances below 1 and from 1 to 2.
float cubic_near(float a, float x) { return ((a + 2) * x - (a + 3)) * x * x + 1; }
float cubic_far(float a, float x) { return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a; }

constexpr int kCubicSteps = 1024;  // positions between two pixels that the kernel is taken at

}  // namespace

std::vector<CubicInterpolation> cubic_interpolation(const ResizeGeometry& g, bool rows) {
  const int64_t count = num_positions(g, rows);
  const int64_t limit = (rows ? g.in_rows : g.in_columns) - 1;
  // With half pixel centers, positions outside have no weight; else the border is repeated.
  const bool keys = g.half_pixel_centers;
  const float a = keys ? -0.5F : -0.75F;
  std::vector<CubicInterpolation> all(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const float at = g.position(i, rows ? g.row_scale : g.column_scale);
    const auto base = static_cast<int64_t>(std::floor(at));
    const auto offset = static_cast<float>(
        std::lrintf((at - static_cast<float>(base)) * static_cast<float>(kCubicSteps)));
    const float x = offset / kCubicSteps, rest = (kCubicSteps - offset) / kCubicSteps;
    CubicInterpolation& one = all[static_cast<size_t>(i)];
    one.weight = {cubic_far(a, x + 1), cubic_near(a, x), cubic_near(a, rest),
                  cubic_far(a, rest + 1)};
    float sum = 0;
    for (int j = 0; j < 4; ++j) {
      const auto k = static_cast<size_t>(j);
      one.index[k] = std::clamp<int64_t>(base - 1 + j, 0, limit);
      if (keys && one.index[k] != base - 1 + j) one.weight[k] = 0;
      sum += one.weight[k];
    }
    if (keys && std::abs(sum) >= 1000 * std::numeric_limits<float>::min()) {
      for (float& weight : one.weight) weight *= 1 / sum;
    }
  }
  return all;
}

}  // namespace tenon
