// ResizeBicubic and its gradient op.
#include "tenon/base/parallel.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/image/resize.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_resize_bicubic(Prepare& p) {
  const Shape output = p.output_shape(0).to_shape();
  if (output[0] == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  TENON_ASSIGN_OR_RETURN(const ResizeGeometry g,
                         resize_geometry(p.attrs(), p.input_shape(0), output));
  Kernel kernel;
  visit<ImageTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [g, rows = cubic_interpolation(g, true),
              columns = cubic_interpolation(g, false)](KernelRun& r) {
      const int64_t line = g.in_columns * g.channels;
      parallel_for(g.batch * g.out_rows, 1, [&](int64_t begin, int64_t end) {
        // The input row that the output row lies on.
        std::vector<float> between(static_cast<size_t>(line));
        for (int64_t i = begin; i < end; ++i) {
          const CubicInterpolation& row = rows[static_cast<size_t>(i % g.out_rows)];
          const T* image = r.in<T>(0) + i / g.out_rows * g.in_rows * line;
          for (int64_t j = 0; j < line; ++j) {
            float sum = 0;
            for (size_t k = 0; k < 4; ++k) {
              sum += static_cast<float>(image[row.index[k] * line + j]) * row.weight[k];
            }
            between[static_cast<size_t>(j)] = sum;
          }
          float* y = r.out<float>(0) + i * g.out_columns * g.channels;
          for (const CubicInterpolation& column : columns) {
            for (int64_t c = 0; c < g.channels; ++c) {
              float sum = 0;
              for (size_t k = 0; k < 4; ++k) {
                sum += between[static_cast<size_t>(column.index[k] * g.channels + c)] *
                       column.weight[k];
              }
              *y++ = sum;
            }
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status resize_bicubic_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  // image_grad.py, _ResizeBicubicGrad: images of other dtypes have none.
  const DType dtype = b.dtype(g.input(0));
  if (dtype != DType::kFloat && dtype != DType::kDouble) return absl::OkStatus();
  g.set_dx(0, b.op("ResizeBicubicGrad", {g.dy(), g.input(0)},
                   {{"align_corners", g.attr<bool>("align_corners")},
                    {"half_pixel_centers", g.attr<bool>("half_pixel_centers")}}));
  return absl::OkStatus();
}

Status resize_bicubic_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  c.set_output(0, c.input(1));
  return absl::OkStatus();
}

StatusOr<Kernel> make_resize_bicubic_grad(Prepare& p) {
  const Shape image = p.input_shape(1);
  if (image.num_elements() == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  TENON_ASSIGN_OR_RETURN(const ResizeGeometry g,
                         resize_geometry(p.attrs(), image, p.input_shape(0)));
  Kernel kernel;
  visit<TypeList<float, double>>(p.output_dtype(0), [&]<class T>() {
    kernel = [g, rows = cubic_interpolation(g, true),
              columns = cubic_interpolation(g, false)](KernelRun& r) {
      const int64_t in = g.in_rows * g.in_columns * g.channels;
      parallel_for(g.batch, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          T* dx = r.out<T>(0) + i * in;
          std::fill_n(dx, in, T{});
          const float* dy = r.in<float>(0) + i * g.out_rows * g.out_columns * g.channels;
          for (const CubicInterpolation& row : rows) {
            for (const CubicInterpolation& column : columns) {
              for (size_t k = 0; k < 16; ++k) {
                const float weight = row.weight[k / 4] * column.weight[k % 4];
                T* to = dx + (row.index[k / 4] * g.in_columns + column.index[k % 4]) * g.channels;
                for (int64_t c = 0; c < g.channels; ++c) to[c] += static_cast<T>(dy[c] * weight);
              }
              dy += g.channels;
            }
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(ResizeBicubic) = {
    .inputs = "images: T, size: int32",
    .outputs = "resized_images: float",
    .attrs =
        "T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}; "
        "align_corners: bool = false; half_pixel_centers: bool = false",
    .host_inputs = {1},
    .shape = resize_shape,
    .rows = Rows::kIndependent,
    .gradient = resize_bicubic_gradient,
    .kernels = {make_resize_bicubic},
};

TENON_OP(ResizeBicubicGrad) = {
    .inputs = "grads: float, original_image: T",
    .outputs = "output: T",
    .attrs = "T: {float, double}; align_corners: bool = false; half_pixel_centers: bool = false",
    .shape = resize_bicubic_grad_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_resize_bicubic_grad},
};

}  // namespace tenon
