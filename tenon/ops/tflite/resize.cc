// _LiteResizeBilinear: levels interpolated with ten binary places
// (tensorflow/lite/kernels/internal/reference/resize_bilinear.h).
#include "tenon/base/parallel.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

constexpr int64_t kTen = 1 << 10;
constexpr int64_t kMostSide = 1 << 20;  // products of three such fit in 64 bits

// Where one output coordinate reads: two cells and how far it lies from the first, in 1/1024.
struct Tap {
  int64_t low, high, fraction;
};

std::vector<Tap> taps_of(int64_t input, int64_t output, bool align, bool half) {
  int64_t scale = (kTen * input + output / 2) / output;
  if (align && output > 1) scale = (kTen * (input - 1) + (output - 1) / 2) / (output - 1);
  std::vector<Tap> taps;
  for (int64_t i = 0; i < output; ++i) {
    const int64_t at = half ? i * scale + scale / 2 - (1 << 9) : i * scale;
    const int64_t low = std::max<int64_t>(at / kTen, 0);
    taps.push_back(
        {std::min(low, input - 1), std::min((at + kTen - 1) / kTen, input - 1), at - kTen * low});
    if (taps.back().high < 0) taps.back().high = 0;
  }
  return taps;
}

Status lite_resize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_ASSIGN_OR_RETURN(const PartialShape size, c.shape_from_input(1));
  if (size.has_rank() && size.rank() != 2) return invalid_argument("the size is ", size);
  const PartialShape& x = c.input(0);
  for (int i = 0; i < 2; ++i) {
    const bool wrong = c.constant(1) && (size[i] < 1 || size[i] > kMostSide);
    if (wrong || (x.has_rank() && (x[i + 1] == 0 || x[i + 1] > kMostSide))) {
      return invalid_argument("an image of shape ", x, " resized to ", size);
    }
  }
  const bool known = size.has_rank();
  c.set_output(0, PartialShape{x.has_rank() ? x[0] : -1, known ? size[0] : -1, known ? size[1] : -1,
                               x.has_rank() ? x[3] : -1});
  return absl::OkStatus();
}

template <class T>
Kernel resize_levels(const Shape& x, std::vector<Tap> rows, std::vector<Tap> columns) {
  return [x, rows = std::move(rows), columns = std::move(columns)](KernelRun& r) {
    const T* in = r.in<T>(0);
    T* out = r.out<T>(0);
    if (x[3] == 0) return absl::OkStatus();
    const auto height = static_cast<int64_t>(rows.size());
    const auto width = static_cast<int64_t>(columns.size());
    parallel_for(x[0] * height, 1, [&](int64_t begin, int64_t end) {
      for (int64_t line = begin; line < end; ++line) {
        const Tap& row = rows[static_cast<size_t>(line % height)];
        const T* image = in + line / height * x[1] * x[2] * x[3];
        for (int64_t column = 0; column < width; ++column) {
          const Tap& tap = columns[static_cast<size_t>(column)];
          const auto cell = [&](int64_t i, int64_t j, int64_t c) {
            return int64_t{image[(i * x[2] + j) * x[3] + c]};
          };
          for (int64_t c = 0; c < x[3]; ++c) {
            const int64_t top = cell(row.low, tap.low, c) * (kTen - tap.fraction) +
                                cell(row.low, tap.high, c) * tap.fraction;
            const int64_t bottom = cell(row.high, tap.low, c) * (kTen - tap.fraction) +
                                   cell(row.high, tap.high, c) * tap.fraction;
            const int64_t sum = top * (kTen - row.fraction) + bottom * row.fraction;
            const int64_t round = sum > 0 ? 1 << 19 : -(1 << 19);
            out[(line * width + column) * x[3] + c] = static_cast<T>((sum + round) / (1 << 20));
          }
        }
      }
    });
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_lite_resize(Prepare& p) {
  const Shape& x = p.input_shape(0);
  const Shape y = p.output_shape(0).to_shape();
  const bool align = p.attr<bool>("align_corners"), half = p.attr<bool>("half_pixel_centers");
  Kernel kernel;
  TENON_RETURN_IF_ERROR(lite::visit_levels(p.input_dtype(0), [&]<class T>() {
    kernel =
        resize_levels<T>(x, taps_of(x[1], y[1], align, half), taps_of(x[2], y[2], align, half));
  }));
  return kernel;
}

}  // namespace

TENON_OP(_LiteResizeBilinear) = {
    .inputs = "x: T, size: int32",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS
             "; align_corners: bool = false; half_pixel_centers: bool = false",
    .host_inputs = {1},
    .shape = lite_resize_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_lite_resize},
};

}  // namespace tenon
