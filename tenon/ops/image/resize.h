// What the ops that resize images share: sizes, and how output positions fall on the input.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

// Elements that images may have: each becomes a float.
using ImageTypes = TypeList<int8_t, uint8_t, int16_t, uint16_t, int32_t, int64_t, float16, bfloat16,
                            float, double>;

// Input 0 is [batch, height, width, channels], input 1 the new height and width.
Status resize_shape(ShapeContext& c);

// Rows and columns of input and output.
struct ResizeGeometry {
  int64_t batch = 0, channels = 0;
  int64_t in_rows = 0, in_columns = 0, out_rows = 0, out_columns = 0;
  float row_scale = 0, column_scale = 0;
  bool align_corners = false, half_pixel_centers = false;

  // Position in the input of output row or column `i`; `scale` is that of its axis.
  float position(int64_t i, float scale) const {
    return half_pixel_centers ? (static_cast<float>(i) + 0.5F) * scale - 0.5F
                              : static_cast<float>(i) * scale;
  }
};

// INVALID_ARGUMENT when the images are empty in height or width, or both attributes are set.
// `in`: the images that are read, `out`: [.., rows, columns, ..] that are written.
StatusOr<ResizeGeometry> resize_geometry(const AttrMap& attrs, const Shape& in, const Shape& out);

// Between which two input positions an output position lies.
struct Interpolation {
  int64_t lower = 0, upper = 0;
  float weight = 0;  // of upper
};
std::vector<Interpolation> bilinear_interpolation(const ResizeGeometry& g, bool rows);
// The nearest input position of each output position.
std::vector<int64_t> nearest_positions(const ResizeGeometry& g, bool rows);

// Four input positions of each output position and their weights.
struct CubicInterpolation {
  std::array<int64_t, 4> index;
  std::array<float, 4> weight;
};
std::vector<CubicInterpolation> cubic_interpolation(const ResizeGeometry& g, bool rows);

}  // namespace tenon
