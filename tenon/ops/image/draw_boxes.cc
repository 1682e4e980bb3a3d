// DrawBoundingBoxes and V2: the outlines of boxes over images.
// tensorflow/core/kernels/image/draw_bounding_box_op.cc.
#include <cmath>

#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status draw_boxes_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 3));
  if (c.num_inputs() > 2) TENON_RETURN_IF_ERROR(c.expect_rank(2, 2));
  const PartialShape& images = c.input(0);
  const PartialShape& boxes = c.input(1);
  if (images.has_rank() && images[3] >= 0 && images[3] != 1 && images[3] != 3 && images[3] != 4) {
    return invalid_argument("Channel depth should be either 1 (GRY), 3 (RGB), or 4 (RGBA), not ",
                            images[3]);
  }
  if (boxes.has_rank() && boxes[2] >= 0 && boxes[2] != 4) {
    return invalid_argument("The size of the third dimension of the box must be 4, it is ",
                            boxes[2]);
  }
  if (images.has_rank() && boxes.has_rank() && images[0] >= 0 && boxes[0] >= 0 &&
      images[0] != boxes[0]) {
    return invalid_argument("The batch sizes should be the same: ", images, " and ", boxes);
  }
  const int64_t parts = c.num_inputs() > 2 && c.input(2).has_rank() ? c.input(2)[1] : -1;
  if (parts >= 0 && images.has_rank() && images[3] > parts) {
    return invalid_argument("colors must have equal or more channels than the image: ", parts,
                            " and ", images[3]);
  }
  c.set_output(0, images);
  return absl::OkStatus();
}

using BoxColor = std::array<float, 4>;

// TensorFlow's, in turn.
constexpr BoxColor kBoxColors[] = {
    {1, 1, 0, 1},     {0, 0, 1, 1},   {1, 0, 0, 1},   {0, 1, 0, 1}, {0.5, 0, 0.5, 1},
    {0.5, 0.5, 0, 1}, {0.5, 0, 0, 1}, {0, 0, 0.5, 1}, {0, 1, 1, 1}, {1, 0, 1, 1}};

std::vector<BoxColor> box_colors(const KernelRun& r, int64_t depth) {
  std::vector<BoxColor> colors;
  if (r.num_inputs() > 2 && r.input(2).num_elements() > 0) {
    const int64_t width = r.input(2).dim(1);
    for (int64_t i = 0; i < r.input(2).dim(0); ++i) {
      BoxColor color{};
      std::copy_n(r.in<float>(2) + i * width, std::min<int64_t>(width, 4), color.begin());
      colors.push_back(color);
    }
    return colors;
  }
  colors.assign(std::begin(kBoxColors), std::end(kBoxColors));
  if (depth == 1) {
    for (BoxColor& color : colors) color[0] = 1;
  }
  return colors;
}

// A place as a number of pixels, towards 0.
int64_t pixel_of(float place, int64_t size) {
  const double at = static_cast<double>(place * static_cast<float>(size - 1));
  constexpr double kFar = 1e15;
  return std::isnan(at) ? -1 : static_cast<int64_t>(std::clamp(at, -kFar, kFar));
}

template <class T>
void draw_box(T* image, int64_t height, int64_t width, int64_t depth, const float* box,
              const BoxColor& color) {
  const int64_t top = pixel_of(box[0], height), left = pixel_of(box[1], width);
  const int64_t bottom = pixel_of(box[2], height), right = pixel_of(box[3], width);
  if (top > bottom || left > right || top >= height || bottom < 0 || left >= width || right < 0) {
    return;
  }
  const auto paint = [&](int64_t row, int64_t column) {
    for (int64_t c = 0; c < depth; ++c) {
      image[(row * width + column) * depth + c] = static_cast<T>(color[static_cast<size_t>(c)]);
    }
  };
  const int64_t first_row = std::max<int64_t>(top, 0), last_row = std::min(bottom, height - 1);
  const int64_t first_column = std::max<int64_t>(left, 0), last_column = std::min(right, width - 1);
  for (int64_t column = first_column; column <= last_column; ++column) {
    if (top >= 0) paint(top, column);
    if (bottom < height) paint(bottom, column);
  }
  for (int64_t row = first_row; row <= last_row; ++row) {
    if (left >= 0) paint(row, left);
    if (right < width) paint(row, right);
  }
}

StatusOr<Kernel> make_draw_boxes(Prepare& p) {
  const Shape& images = p.input_shape(0);
  const int64_t boxes = p.input_shape(1)[1];
  p.may_overwrite(0, 0);
  Kernel kernel;
  visit<TypeList<float, float16>>(p.input_dtype(0), [&]<class T>() {
    kernel = [=, total = images.num_elements()](KernelRun& r) {
      T* y = r.out<T>(0);
      if (y != r.in<T>(0)) std::copy_n(r.in<T>(0), total, y);
      const std::vector<BoxColor> colors = box_colors(r, images[3]);
      for (int64_t i = 0; i < images[0] && total > 0; ++i) {
        for (int64_t b = 0; b < boxes; ++b) {
          draw_box(y + i * images.product(1, 4), images[1], images[2], images[3],
                   r.in<float>(1) + (i * boxes + b) * 4,
                   colors[static_cast<size_t>(b) % colors.size()]);
        }
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(DrawBoundingBoxes) = {
    .inputs = "images: T, boxes: float",
    .outputs = "output: T",
    .attrs = "T: {float, half} = float",
    .shape = draw_boxes_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_draw_boxes},
};
TENON_OP(DrawBoundingBoxesV2) = {
    .inputs = "images: T, boxes: float, colors: float",
    .outputs = "output: T",
    .attrs = "T: {float, half} = float",
    .shape = draw_boxes_shape,
    .gradient = not_differentiable,
    .kernels = {make_draw_boxes},
};

}  // namespace tenon
