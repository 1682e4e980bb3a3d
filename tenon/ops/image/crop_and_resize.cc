// CropAndResize and its gradient ops: boxes of images, each resized to one size.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/image/resize.h"

namespace tenon {
namespace {

Status check_boxes(const ShapeContext& c, int boxes, int indices) {
  TENON_RETURN_IF_ERROR(c.expect_rank(boxes, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(indices, 1));
  const PartialShape& shape = c.input(boxes);
  if (shape.has_rank() && shape[1] >= 0 && shape[1] != 4) {
    return invalid_argument("boxes must have 4 columns, their shape is ", shape);
  }
  if (shape.has_rank() && c.input(indices).has_rank() && shape[0] >= 0 &&
      c.input(indices)[0] >= 0 && shape[0] != c.input(indices)[0]) {
    return invalid_argument("box_index has incompatible shape ", c.input(indices), " for boxes of ",
                            shape);
  }
  return absl::OkStatus();
}

Status crop_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(check_boxes(c, 1, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 1));
  PartialShape y{c.input(1).has_rank() ? c.input(1)[0] : -1, -1, -1,
                 c.input(0).has_rank() ? c.input(0)[3] : -1};
  if (const Tensor* size = c.constant(3)) {
    if (size->num_elements() != 2) {
      return invalid_argument("crop_size must have two elements, its shape is ", size->shape());
    }
    for (int i = 0; i < 2; ++i) {
      const int64_t dim = integer_at(*size, i);
      if (dim <= 0) return invalid_argument("crop dimensions must be positive, found ", dim);
      y.set(i + 1, dim);
    }
  }
  const PartialShape& image = c.input(0);
  if (image.has_rank() && (image[1] == 0 || image[2] == 0)) {
    return invalid_argument("image dimensions must be positive, found ", image);
  }
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(y.dims(), 8).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

struct CropGeometry {
  int64_t batch = 0, rows = 0, columns = 0, channels = 0;  // of the images
  int64_t boxes = 0, crop_rows = 0, crop_columns = 0;
  bool bilinear = true;
};
CropGeometry crop_geometry(const Shape& image, const Shape& crops, const AttrMap& attrs) {
  return {image[0], image[1], image[2], image[3],
          crops[0], crops[1], crops[2], attrs.get<std::string>("method") == "bilinear"};
}

// Position in the image of position `i` of `count` in a crop from `low` to `high` (of the image's
// size, 0 to 1).
float crop_position(float low, float high, int64_t i, int64_t count, int64_t size) {
  const auto last = static_cast<float>(size - 1);
  if (count <= 1) return 0.5F * (low + high) * last;
  const float step = (high - low) * last / static_cast<float>(count - 1);
  return low * last + static_cast<float>(i) * step;
}

Status check_box_indices(const int32_t* indices, const CropGeometry& g) {
  for (int64_t i = 0; i < g.boxes; ++i) {
    if (indices[i] < 0 || indices[i] >= g.batch) {
      return out_of_range("box_index has values outside [0, batch_size): ", indices[i], " of ",
                          g.batch);
    }
  }
  return absl::OkStatus();
}

// Calls `pixel(box, row, column, y, x)` for each pixel of each crop from `begin` to `end`; y and x
// are negative when they fall outside the image.
template <class Pixel>
void for_crop_pixels(const CropGeometry& g, const float* boxes, int64_t begin, int64_t end,
                     const Pixel& pixel) {
  for (int64_t box = begin; box < end; ++box) {
    const float* corners = boxes + box * 4;
    for (int64_t row = 0; row < g.crop_rows; ++row) {
      const float y = crop_position(corners[0], corners[2], row, g.crop_rows, g.rows);
      const bool inside = y >= 0 && y <= static_cast<float>(g.rows - 1);
      for (int64_t column = 0; column < g.crop_columns; ++column) {
        const float x = crop_position(corners[1], corners[3], column, g.crop_columns, g.columns);
        const bool within = inside && x >= 0 && x <= static_cast<float>(g.columns - 1);
        pixel(box, row, column, within ? y : -1, within ? x : -1);
      }
    }
  }
}

// The four pixels around a place, as offsets within an image, and its distances from the first.
struct Corners {
  int64_t top_left, top_right, bottom_left, bottom_right;
  float down, right;

  Corners(const CropGeometry& g, float y, float x) {
    const auto top = static_cast<int64_t>(std::floor(y));
    const auto bottom = static_cast<int64_t>(std::ceil(y));
    const auto left = static_cast<int64_t>(std::floor(x));
    const auto far = static_cast<int64_t>(std::ceil(x));
    const auto at = [&](int64_t row, int64_t column) {
      return (row * g.columns + column) * g.channels;
    };
    top_left = at(top, left);
    top_right = at(top, far);
    bottom_left = at(bottom, left);
    bottom_right = at(bottom, far);
    down = y - static_cast<float>(top);
    right = x - static_cast<float>(left);
  }
};

int64_t nearest_pixel(const CropGeometry& g, float y, float x) {
  return (static_cast<int64_t>(std::round(y)) * g.columns + static_cast<int64_t>(std::round(x))) *
         g.channels;
}

template <class T>
void crop_pixel(const CropGeometry& g, const T* image, float y, float x, float* out) {
  if (!g.bilinear) {
    const T* from = image + nearest_pixel(g, y, x);
    for (int64_t c = 0; c < g.channels; ++c) out[c] = static_cast<float>(from[c]);
    return;
  }
  const Corners at(g, y, x);
  for (int64_t c = 0; c < g.channels; ++c) {
    const auto value = [&](int64_t offset) { return static_cast<float>(image[offset + c]); };
    const float top = value(at.top_left) + (value(at.top_right) - value(at.top_left)) * at.right;
    const float bottom =
        value(at.bottom_left) + (value(at.bottom_right) - value(at.bottom_left)) * at.right;
    out[c] = top + (bottom - top) * at.down;
  }
}

StatusOr<Kernel> make_crop_and_resize(Prepare& p) {
  const CropGeometry g = crop_geometry(p.input_shape(0), p.output_shape(0).to_shape(), p.attrs());
  const float outside = p.attr<float>("extrapolation_value");
  Kernel kernel;
  visit<ImageTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [g, outside](KernelRun& r) -> Status {
      const int32_t* indices = r.in<int32_t>(2);
      TENON_RETURN_IF_ERROR(check_box_indices(indices, g));
      const std::span<const float> boxes = r.input(1).span<float>();
      if (!std::all_of(boxes.begin(), boxes.end(), [](float x) { return std::isfinite(x); })) {
        return invalid_argument("Boxes contains at least one element that is not finite");
      }
      parallel_for(g.boxes, 1, [&](int64_t begin, int64_t end) {
        for_crop_pixels(
            g, r.in<float>(1), begin, end,
            [&](int64_t box, int64_t row, int64_t column, float y, float x) {
              float* out = r.out<float>(0) +
                           ((box * g.crop_rows + row) * g.crop_columns + column) * g.channels;
              const T* image = r.in<T>(0) + indices[box] * g.rows * g.columns * g.channels;
              if (y < 0) {
                std::fill_n(out, g.channels, outside);
              } else {
                crop_pixel(g, image, y, x, out);
              }
            });
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status crop_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const DType dtype = b.dtype(g.input(0));
  if (is_floating(dtype)) {
    g.set_dx(
        0, b.op("CropAndResizeGradImage", {g.dy(), g.input(1), g.input(2), b.shape_of(g.input(0))},
                {{"T", dtype}, {"method", g.attr<std::string>("method")}}));
  }
  // image_grad.py: with respect to the boxes as if the crops were bilinear.
  g.set_dx(1, b.op("CropAndResizeGradBoxes", {g.dy(), g.input(0), g.input(1), g.input(2)}));
  return absl::OkStatus();
}

Status crop_grad_image_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(check_boxes(c, 1, 2));
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(3));
  if (y.has_rank() && y.rank() != 4) {
    return invalid_argument("image_size must have 4 elements, it gives ", y);
  }
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(y.dims(), 8).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_crop_grad_image(Prepare& p) {
  const Shape image = p.output_shape(0).to_shape();
  const CropGeometry g = crop_geometry(image, p.input_shape(0), p.attrs());
  if (g.channels != p.input_shape(0)[3]) {
    return invalid_argument("image_size and grads are incompatible: ", image, " and ",
                            p.input_shape(0));
  }
  Kernel kernel;
  visit<FloatTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [g, total = image.num_elements()](KernelRun& r) -> Status {
      const int32_t* indices = r.in<int32_t>(2);
      TENON_RETURN_IF_ERROR(check_box_indices(indices, g));
      std::fill_n(r.out<T>(0), total, T{});
      const float* dy = r.in<float>(0);
      // Boxes may overlap: one after the other.
      for_crop_pixels(
          g, r.in<float>(1), 0, g.boxes, [&](int64_t box, int64_t, int64_t, float y, float x) {
            const float* d = dy;
            dy += g.channels;
            if (y < 0) return;
            T* dx = r.out<T>(0) + indices[box] * g.rows * g.columns * g.channels;
            const auto add = [&](int64_t offset, float weight) {
              for (int64_t c = 0; c < g.channels; ++c) {
                dx[offset + c] = static_cast<T>(dx[offset + c] + static_cast<T>(d[c] * weight));
              }
            };
            if (!g.bilinear) return add(nearest_pixel(g, y, x), 1);
            const Corners at(g, y, x);
            add(at.top_left, (1 - at.down) * (1 - at.right));
            add(at.top_right, (1 - at.down) * at.right);
            add(at.bottom_left, at.down * (1 - at.right));
            add(at.bottom_right, at.down * at.right);
          });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status crop_grad_boxes_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  TENON_RETURN_IF_ERROR(check_boxes(c, 2, 3));
  c.set_output(0, c.input(2));
  return absl::OkStatus();
}

// How a crop changes when a corner of its box moves.
template <class T>
void add_box_gradient(const CropGeometry& g, const T* image, const float* dy, int64_t row,
                      int64_t column, const Corners& at, float* d_box) {
  const auto rows = static_cast<float>(g.rows - 1), columns = static_cast<float>(g.columns - 1);
  for (int64_t c = 0; c < g.channels; ++c) {
    const auto value = [&](int64_t offset) { return static_cast<float>(image[offset + c]); };
    const float by_row = dy[c] * ((1 - at.right) * (value(at.bottom_left) - value(at.top_left)) +
                                  at.right * (value(at.bottom_right) - value(at.top_right)));
    const float by_column = dy[c] * ((1 - at.down) * (value(at.top_right) - value(at.top_left)) +
                                     at.down * (value(at.bottom_right) - value(at.bottom_left)));
    const auto spread = [](float d, float size, int64_t i, int64_t count, float& low, float& high) {
      const float part = count > 1 ? static_cast<float>(i) / static_cast<float>(count - 1) : 0.5F;
      low += d * size * (1 - part);
      high += d * size * part;
    };
    spread(by_row, rows, row, g.crop_rows, d_box[0], d_box[2]);
    spread(by_column, columns, column, g.crop_columns, d_box[1], d_box[3]);
  }
}

StatusOr<Kernel> make_crop_grad_boxes(Prepare& p) {
  const CropGeometry g = crop_geometry(p.input_shape(1), p.input_shape(0), p.attrs());
  Kernel kernel;
  visit<ImageTypes>(p.input_dtype(1), [&]<class T>() {
    kernel = [g](KernelRun& r) -> Status {
      const int32_t* indices = r.in<int32_t>(3);
      TENON_RETURN_IF_ERROR(check_box_indices(indices, g));
      parallel_for(g.boxes, 1, [&](int64_t begin, int64_t end) {
        std::fill(r.out<float>(0) + begin * 4, r.out<float>(0) + end * 4, 0.0F);
        for_crop_pixels(
            g, r.in<float>(2), begin, end,
            [&](int64_t box, int64_t row, int64_t column, float y, float x) {
              if (y < 0) return;
              const float* dy = r.in<float>(0) +
                                ((box * g.crop_rows + row) * g.crop_columns + column) * g.channels;
              add_box_gradient(g, r.in<T>(1) + indices[box] * g.rows * g.columns * g.channels, dy,
                               row, column, Corners(g, y, x), r.out<float>(0) + box * 4);
            });
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(CropAndResize) = {
    .inputs = "image: T, boxes: float, box_ind: int32, crop_size: int32",
    .outputs = "crops: float",
    .attrs =
        "T: {uint8, uint16, int8, int16, int32, int64, half, float, double}; "
        "method: {'bilinear', 'nearest'} = 'bilinear'; extrapolation_value: float = 0",
    .host_inputs = {3},
    .shape = crop_shape,
    .gradient = crop_gradient,
    .kernels = {make_crop_and_resize},
};

TENON_OP(CropAndResizeGradImage) = {
    .inputs = "grads: float, boxes: float, box_ind: int32, image_size: int32",
    .outputs = "output: T",
    .attrs = "T: {float, half, double}; method: {'bilinear', 'nearest'} = 'bilinear'",
    .host_inputs = {3},
    .shape = crop_grad_image_shape,
    .gradient = not_differentiable,
    .kernels = {make_crop_grad_image},
};

TENON_OP(CropAndResizeGradBoxes) = {
    .inputs = "grads: float, image: T, boxes: float, box_ind: int32",
    .outputs = "output: float",
    .attrs =
        "T: {uint8, uint16, int8, int16, int32, int64, half, float, double}; "
        "method: {'bilinear'} = 'bilinear'",
    .shape = crop_grad_boxes_shape,
    .gradient = not_differentiable,
    .kernels = {make_crop_grad_boxes},
};

}  // namespace tenon
