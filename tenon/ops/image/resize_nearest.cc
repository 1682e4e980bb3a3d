// ResizeNearestNeighbor and its gradient op.
#include <cstring>

#include "tenon/base/parallel.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/image/resize.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_resize_nearest(Prepare& p) {
  const Shape output = p.output_shape(0).to_shape();
  if (output[0] == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  TENON_ASSIGN_OR_RETURN(const ResizeGeometry g,
                         resize_geometry(p.attrs(), p.input_shape(0), output));
  const size_t pixel = static_cast<size_t>(g.channels) * size_of(p.input_dtype(0));
  return Kernel([g, pixel, rows = nearest_positions(g, true),
                 columns = nearest_positions(g, false)](KernelRun& r) {
    const size_t in_line = static_cast<size_t>(g.in_columns) * pixel;
    const size_t out_line = static_cast<size_t>(g.out_columns) * pixel;
    parallel_for(g.batch * g.out_rows, 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t row = i / g.out_rows * g.in_rows + rows[static_cast<size_t>(i % g.out_rows)];
        const char* from = r.in<char>(0) + static_cast<size_t>(row) * in_line;
        char* to = r.out<char>(0) + static_cast<size_t>(i) * out_line;
        for (int64_t column : columns) {
          std::memcpy(to, from + static_cast<size_t>(column) * pixel, pixel);
          to += pixel;
        }
      }
    });
    return absl::OkStatus();
  });
}

Status resize_nearest_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint size = b.slice(b.shape_of(g.input(0)), 1, 3);
  g.set_dx(0, b.op("ResizeNearestNeighborGrad", {g.dy(), size},
                   {{"align_corners", g.attr<bool>("align_corners")},
                    {"half_pixel_centers", g.attr<bool>("half_pixel_centers")}}));
  return absl::OkStatus();
}

// Sums what was copied; each image on one thread, in the order of its pixels.
StatusOr<Kernel> make_resize_nearest_grad(Prepare& p) {
  const Shape image = p.output_shape(0).to_shape();
  if (p.input_shape(0).num_elements() == 0) {
    return Kernel([bytes = static_cast<size_t>(image.num_elements()) *
                           size_of(p.output_dtype(0))](KernelRun& r) {
      if (bytes > 0) std::memset(r.output(0).mutable_raw(), 0, bytes);
      return absl::OkStatus();
    });
  }
  TENON_ASSIGN_OR_RETURN(const ResizeGeometry g,
                         resize_geometry(p.attrs(), image, p.input_shape(0)));
  Kernel kernel;
  visit<RealTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [g, rows = nearest_positions(g, true),
              columns = nearest_positions(g, false)](KernelRun& r) {
      const int64_t in = g.in_rows * g.in_columns * g.channels;
      parallel_for(g.batch, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          T* dx = r.out<T>(0) + i * in;
          std::fill_n(dx, in, T{});
          const T* dy = r.in<T>(0) + i * g.out_rows * g.out_columns * g.channels;
          for (int64_t row : rows) {
            for (int64_t column : columns) {
              T* to = dx + (row * g.in_columns + column) * g.channels;
              for (int64_t c = 0; c < g.channels; ++c) to[c] = static_cast<T>(to[c] + *dy++);
            }
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status resize_nearest_grad_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint size = b.slice(b.shape_of(g.input(0)), 1, 3);
  g.set_dx(0, b.op("ResizeNearestNeighbor", {g.dy(), size},
                   {{"align_corners", g.attr<bool>("align_corners")},
                    {"half_pixel_centers", g.attr<bool>("half_pixel_centers")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(ResizeNearestNeighbor) = {
    .inputs = "images: T, size: int32",
    .outputs = "resized_images: T",
    .attrs =
        "T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}; "
        "align_corners: bool = false; half_pixel_centers: bool = false",
    .host_inputs = {1},
    .shape = resize_shape,
    .rows = Rows::kIndependent,
    .gradient = resize_nearest_gradient,
    .kernels = {make_resize_nearest},
};

TENON_OP(ResizeNearestNeighborGrad) = {
    .inputs = "grads: T, size: int32",
    .outputs = "output: T",
    .attrs =
        "T: {uint8, int8, int32, half, float, double, bfloat16}; align_corners: bool = false; "
        "half_pixel_centers: bool = false",
    .host_inputs = {1},
    .shape = resize_shape,
    .rows = Rows::kIndependent,
    .gradient = resize_nearest_grad_gradient,
    .kernels = {make_resize_nearest_grad},
};

}  // namespace tenon
