// FusedPadConv2D, FusedResizeAndPadConv2D: an image resized, padded with its mirror image and
// convolved, as one op. tensorflow/core/kernels/conv_ops_fused_image_transform.cc.
#include "tenon/core/op.h"
#include "tenon/ops/image/resize.h"
#include "tenon/ops/nn/conv_kernel.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

// How rows and columns are padded: what is before and behind each, and how many border elements the
// mirror leaves out.
struct MirrorPadding {
  std::array<int64_t, 2> before{}, after{};
  int64_t skip = 0;
};

StatusOr<MirrorPadding> mirror_padding(const Tensor& paddings, const AttrMap& attrs) {
  if (paddings.rank() != 2 || paddings.dim(0) != 4 || paddings.dim(1) != 2) {
    return invalid_argument("paddings must be a matrix with 2 columns and 4 rows, its shape is ",
                            paddings.shape());
  }
  for (int64_t i = 0; i < 8; ++i) {
    const int64_t value = integer_at(paddings, i);
    if (value < 0) return invalid_argument("Paddings must be non-negative: ", value);
    if ((i < 2 || i >= 6) && value != 0) {
      return invalid_argument("only rows and columns can be padded, found ", value);
    }
  }
  MirrorPadding padding;
  for (size_t i = 0; i < 2; ++i) {
    padding.before[i] = integer_at(paddings, 2 * static_cast<int64_t>(i) + 2);
    padding.after[i] = integer_at(paddings, 2 * static_cast<int64_t>(i) + 3);
  }
  padding.skip = attrs.get<std::string>("mode") == "REFLECT" ? 1 : 0;
  return padding;
}

// `image`: [batch, rows, columns, channels], rows and columns after resizing.
StatusOr<PartialShape> padded_image(const PartialShape& image, const MirrorPadding& padding) {
  PartialShape y = image;
  for (int i = 0; i < 2; ++i) {
    const auto axis = static_cast<size_t>(i);
    const int64_t size = image[i + 1];
    if (size < 0) continue;
    const int64_t most = size - padding.skip;
    if (padding.before[axis] > most || padding.after[axis] > most) {
      return invalid_argument(
          "paddings must be no greater than the dimension size: ", padding.before[axis], ", ",
          padding.after[axis], " greater than ", most);
    }
    TENON_ASSIGN_OR_RETURN(const int64_t padded,
                           add_dims(size, padding.before[axis] + padding.after[axis]));
    y.set(i + 1, padded);
  }
  if (y.is_fully_known()) TENON_RETURN_IF_ERROR(Shape::make(y.dims(), sizeof(double)).status());
  return y;
}

template <bool resized>
Status fused_pad_shape(ShapeContext& c) {
  constexpr int kPaddings = resized ? 2 : 1, kFilter = resized ? 3 : 2;
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(kPaddings, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(kFilter, 4));
  const PartialShape& x = c.input(0);
  const PartialShape& filter = c.input(kFilter);
  if (x.has_rank() && filter.has_rank() && !PartialShape::merge({x[3]}, {filter[2]}).ok()) {
    return invalid_argument("input and filter must have the same depth: ", x[3], " vs ", filter[2]);
  }
  PartialShape image = x.has_rank() ? x : PartialShape::unknown_of_rank(4);
  if (resized) {
    image.set(1, -1);
    image.set(2, -1);
    if (const Tensor* size = c.constant(1)) {
      if (size->rank() != 1 || size->num_elements() != 2) {
        return invalid_argument("size must have two elements, its shape is ", size->shape());
      }
      for (int i = 0; i < 2; ++i) {
        const int64_t dim = integer_at(*size, i);
        if (dim <= 0) return invalid_argument("output dimensions must be positive, found ", dim);
        image.set(i + 1, dim);
      }
    }
  }
  if (const Tensor* paddings = c.constant(kPaddings)) {
    TENON_ASSIGN_OR_RETURN(const MirrorPadding padding, mirror_padding(*paddings, c.attrs()));
    TENON_ASSIGN_OR_RETURN(image, padded_image(image, padding));
  } else {
    image.set(1, -1);
    image.set(2, -1);
  }
  TENON_ASSIGN_OR_RETURN(PartialShape y, conv_output_shape(c.attrs(), image, filter, false));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Which element of [0, size) stands at place `i` of a padded axis.
int64_t mirrored(int64_t i, int64_t before, int64_t size, int64_t skip) {
  const int64_t at = i - before;
  if (at < 0) return -at - 1 + skip;
  return at < size ? at : 2 * size - 1 - at - skip;
}

// From one image to what the convolution reads. Without resizing rows and columns are the image's
// own, each between itself and itself.
struct ImageTransform {
  MirrorPadding padding;
  std::vector<Interpolation> rows, columns;
  int64_t in_columns = 0, in_image = 0, channels = 0;

  template <class T>
  void run(const T* x, int64_t batch, double* y) const {
    const auto height = static_cast<int64_t>(rows.size());
    const auto width = static_cast<int64_t>(columns.size());
    for (int64_t b = 0; b < batch; ++b, x += in_image) {
      for (int64_t i = 0; i < height + padding.before[0] + padding.after[0]; ++i) {
        const Interpolation& row =
            rows[static_cast<size_t>(mirrored(i, padding.before[0], height, padding.skip))];
        for (int64_t j = 0; j < width + padding.before[1] + padding.after[1]; ++j) {
          const Interpolation& column =
              columns[static_cast<size_t>(mirrored(j, padding.before[1], width, padding.skip))];
          for (int64_t c = 0; c < channels; ++c) *y++ = value(x, row, column, c);
        }
      }
    }
  }

 private:
  template <class T>
  double value(const T* x, const Interpolation& row, const Interpolation& column, int64_t c) const {
    const auto at = [&](int64_t i, int64_t j) {
      return static_cast<double>(x[(i * in_columns + j) * channels + c]);
    };
    if (row.weight == 0 && column.weight == 0) return at(row.lower, column.lower);
    const auto between = [](double a, double b, float weight) { return a + (b - a) * weight; };
    return between(between(at(row.lower, column.lower), at(row.lower, column.upper), column.weight),
                   between(at(row.upper, column.lower), at(row.upper, column.upper), column.weight),
                   row.weight);
  }
};

std::vector<Interpolation> untouched(int64_t size) {
  std::vector<Interpolation> all;
  for (int64_t i = 0; i < size; ++i) all.push_back({i, i, 0});
  return all;
}

template <bool resized>
StatusOr<ImageTransform> image_transform(const Prepare& p) {
  const Shape& x = p.input_shape(0);
  ImageTransform transform;
  TENON_ASSIGN_OR_RETURN(transform.padding,
                         mirror_padding(*p.constant(resized ? 2 : 1), p.attrs()));
  transform.in_columns = x[2];
  transform.channels = x[3];
  transform.in_image = x[1] * x[2] * x[3];
  transform.rows = untouched(x[1]);
  transform.columns = untouched(x[2]);
  if (resized) {
    const Tensor& size = *p.constant(1);
    const Shape to{x[0], integer_at(size, 0), integer_at(size, 1), x[3]};
    const AttrMap attrs{{"align_corners", p.attr<bool>("resize_align_corners")},
                        {"half_pixel_centers", false}};
    TENON_ASSIGN_OR_RETURN(const ResizeGeometry g, resize_geometry(attrs, x, to));
    transform.rows = bilinear_interpolation(g, true);
    transform.columns = bilinear_interpolation(g, false);
  }
  return transform;
}

// Plain loops in double: the op is what old mobile graphs carry.
template <bool resized>
StatusOr<Kernel> make_fused_pad_conv(Prepare& p) {
  constexpr int kFilter = resized ? 3 : 2;
  const int64_t batch = p.input_shape(0)[0];
  const int64_t results = p.output_shape(0).num_elements();
  if (results == 0) return Kernel([](KernelRun&) { return absl::OkStatus(); });
  TENON_ASSIGN_OR_RETURN(const ImageTransform transform, image_transform<resized>(p));
  const PartialShape image{batch, static_cast<int64_t>(transform.rows.size()),
                           static_cast<int64_t>(transform.columns.size()), transform.channels};
  TENON_ASSIGN_OR_RETURN(const PartialShape padded, padded_image(image, transform.padding));
  TENON_ASSIGN_OR_RETURN(const kernels::ConvSpec spec,
                         conv_spec(p.attrs(), padded.to_shape(), p.input_shape(kFilter), false));
  const auto cells = static_cast<size_t>(padded.num_elements());
  const auto weights = static_cast<size_t>(p.input_shape(kFilter).num_elements());
  p.reserve_scratch((cells + weights + static_cast<size_t>(results)) * sizeof(double));
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      auto* x = r.scratch<double>();
      double *filter = x + cells, *y = filter + weights;
      transform.run(r.in<T>(0), batch, x);
      std::transform(r.in<T>(kFilter), r.in<T>(kFilter) + weights, filter,
                     [](T w) { return static_cast<double>(w); });
      kernels::reference_conv(spec, x, filter, y);
      std::transform(y, y + results, r.out<T>(0), [](double v) { return static_cast<T>(v); });
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(FusedPadConv2D) = {
    .inputs = "input: T, paddings: int32, filter: T",
    .outputs = "output: T",
    .attrs =
        "T: {half, bfloat16, float, double}; mode: {'REFLECT', 'SYMMETRIC'}; strides: list(int); "
        "padding: {'SAME', 'VALID'}",
    .host_inputs = {1},
    .shape = fused_pad_shape<false>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_fused_pad_conv<false>},
};
TENON_OP(FusedResizeAndPadConv2D) = {
    .inputs = "input: T, size: int32, paddings: int32, filter: T",
    .outputs = "output: T",
    .attrs =
        "T: {half, float, double}; resize_align_corners: bool = false; "
        "mode: {'REFLECT', 'SYMMETRIC'}; strides: list(int); padding: {'SAME', 'VALID'}",
    .host_inputs = {1, 2},
    .shape = fused_pad_shape<true>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_fused_pad_conv<true>},
};

}  // namespace tenon
