// ResizeBilinear and its gradient op.
#include "tenon/base/parallel.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/image/resize.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_resize_bilinear(Prepare& p) {
  const Shape output = p.output_shape(0).to_shape();
  if (output[0] == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  TENON_ASSIGN_OR_RETURN(const ResizeGeometry g,
                         resize_geometry(p.attrs(), p.input_shape(0), output));
  Kernel kernel;
  visit<ImageTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [g, rows = bilinear_interpolation(g, true),
              columns = bilinear_interpolation(g, false)](KernelRun& r) {
      const int64_t line = g.in_columns * g.channels;
      const int64_t grain = std::max<int64_t>(1, 8192 / (g.out_columns * g.channels));
      parallel_for(g.batch * g.out_rows, grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const Interpolation& row = rows[static_cast<size_t>(i % g.out_rows)];
          const T* image = r.in<T>(0) + i / g.out_rows * g.in_rows * line;
          const T* top = image + row.lower * line;
          const T* bottom = image + row.upper * line;
          float* y = r.out<float>(0) + i * g.out_columns * g.channels;
          for (const Interpolation& column : columns) {
            const int64_t left = column.lower * g.channels, right = column.upper * g.channels;
            for (int64_t c = 0; c < g.channels; ++c) {
              const auto top_left = static_cast<float>(top[left + c]);
              const auto bottom_left = static_cast<float>(bottom[left + c]);
              const float above =
                  top_left + (static_cast<float>(top[right + c]) - top_left) * column.weight;
              const float below =
                  bottom_left +
                  (static_cast<float>(bottom[right + c]) - bottom_left) * column.weight;
              *y++ = above + (below - above) * row.weight;
            }
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status resize_bilinear_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  if (!is_floating(b.dtype(g.input(0)))) return absl::OkStatus();
  g.set_dx(0, b.op("ResizeBilinearGrad", {g.dy(), g.input(0)},
                   {{"align_corners", g.attr<bool>("align_corners")},
                    {"half_pixel_centers", g.attr<bool>("half_pixel_centers")}}));
  return absl::OkStatus();
}

Status resize_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  c.set_output(0, c.input(1));
  return absl::OkStatus();
}

// Adds one image's gradient; images go to different threads.
template <class T>
void add_bilinear(const ResizeGeometry& g, const std::vector<Interpolation>& rows,
                  const std::vector<Interpolation>& columns, const float* dy, T* dx) {
  const auto add = [&](int64_t row, int64_t column, int64_t c, float value) {
    T& place = dx[(row * g.in_columns + column) * g.channels + c];
    place = static_cast<T>(static_cast<T>(value) + place);
  };
  for (const Interpolation& row : rows) {
    for (const Interpolation& column : columns) {
      for (int64_t c = 0; c < g.channels; ++c) {
        const float d = *dy++;
        add(row.lower, column.lower, c, d * (1 - row.weight) * (1 - column.weight));
        add(row.lower, column.upper, c, d * (1 - row.weight) * column.weight);
        add(row.upper, column.lower, c, d * row.weight * (1 - column.weight));
        add(row.upper, column.upper, c, d * row.weight * column.weight);
      }
    }
  }
}

StatusOr<Kernel> make_resize_bilinear_grad(Prepare& p) {
  const Shape image = p.input_shape(1), dy = p.input_shape(0);
  if (image.num_elements() == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  TENON_ASSIGN_OR_RETURN(const ResizeGeometry g, resize_geometry(p.attrs(), image, dy));
  Kernel kernel;
  visit<FloatTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [g, rows = bilinear_interpolation(g, true),
              columns = bilinear_interpolation(g, false)](KernelRun& r) {
      const int64_t in = g.in_rows * g.in_columns * g.channels;
      const int64_t out = g.out_rows * g.out_columns * g.channels;
      parallel_for(g.batch, 1, [&](int64_t begin, int64_t end) {
        std::fill(r.out<T>(0) + begin * in, r.out<T>(0) + end * in, T{});
        for (int64_t i = begin; i < end; ++i) {
          add_bilinear(g, rows, columns, r.in<float>(0) + i * out, r.out<T>(0) + i * in);
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(ResizeBilinear) = {
    .inputs = "images: T, size: int32",
    .outputs = "resized_images: float",
    .attrs =
        "T: {int8, uint8, int16, uint16, int32, int64, bfloat16, half, float, double}; "
        "align_corners: bool = false; half_pixel_centers: bool = false",
    .host_inputs = {1},
    .shape = resize_shape,
    .rows = Rows::kIndependent,
    .gradient = resize_bilinear_gradient,
    .kernels = {make_resize_bilinear},
};

TENON_OP(ResizeBilinearGrad) = {
    .inputs = "grads: float, original_image: T",
    .outputs = "output: T",
    .attrs =
        "T: {float, bfloat16, half, double}; align_corners: bool = false; "
        "half_pixel_centers: bool = false",
    .shape = resize_grad_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_resize_bilinear_grad},
};

}  // namespace tenon
