// ResizeArea: each output pixel is the mean over the part of the input that it covers.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/ops/image/resize.h"

namespace tenon {
namespace {

// How much of each input position an output position covers, in positions.
struct Covered {
  int64_t first = 0;
  std::vector<float> weights;
};

std::vector<Covered> covered_positions(int64_t count, float scale) {
  std::vector<Covered> all(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const float begin = static_cast<float>(i) * scale, end = static_cast<float>(i + 1) * scale;
    Covered& one = all[static_cast<size_t>(i)];
    one.first = static_cast<int64_t>(std::floor(begin));
    for (int64_t at = one.first; at < static_cast<int64_t>(std::ceil(end)); ++at) {
      const auto low = static_cast<float>(at), high = static_cast<float>(at + 1);
      one.weights.push_back(low < begin ? (high > end ? scale : high - begin)
                                        : (high > end ? end - low : 1.0F));
    }
  }
  return all;
}

StatusOr<Kernel> make_resize_area(Prepare& p) {
  const Shape output = p.output_shape(0).to_shape();
  if (output[0] == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  TENON_ASSIGN_OR_RETURN(const ResizeGeometry g,
                         resize_geometry(p.attrs(), p.input_shape(0), output));
  Kernel kernel;
  visit<ImageTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [g, rows = covered_positions(g.out_rows, g.row_scale),
              columns = covered_positions(g.out_columns, g.column_scale)](KernelRun& r) {
      const float scale = 1.0F / (g.row_scale * g.column_scale);
      parallel_for(g.batch * g.out_rows, 1, [&](int64_t begin, int64_t end) {
        std::vector<float> sums(static_cast<size_t>(g.channels));
        for (int64_t i = begin; i < end; ++i) {
          const Covered& row = rows[static_cast<size_t>(i % g.out_rows)];
          const T* image = r.in<T>(0) + i / g.out_rows * g.in_rows * g.in_columns * g.channels;
          float* y = r.out<float>(0) + i * g.out_columns * g.channels;
          for (const Covered& column : columns) {
            std::fill(sums.begin(), sums.end(), 0.0F);
            for (size_t a = 0; a < row.weights.size(); ++a) {
              const int64_t from = std::min(row.first + static_cast<int64_t>(a), g.in_rows - 1);
              for (size_t b = 0; b < column.weights.size(); ++b) {
                const int64_t at =
                    std::min(column.first + static_cast<int64_t>(b), g.in_columns - 1);
                const T* pixel = image + (from * g.in_columns + at) * g.channels;
                const float weight = row.weights[a] * column.weights[b] * scale;
                for (int64_t c = 0; c < g.channels; ++c) {
                  sums[static_cast<size_t>(c)] += static_cast<float>(pixel[c]) * weight;
                }
              }
            }
            y = std::copy(sums.begin(), sums.end(), y);
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(ResizeArea) = {
    .inputs = "images: T, size: int32",
    .outputs = "resized_images: float",
    .attrs =
        "T: {int8, uint8, int16, uint16, int32, int64, half, float, double, bfloat16}; "
        "align_corners: bool = false",
    .host_inputs = {1},
    .shape = resize_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_resize_area},
};

}  // namespace tenon
