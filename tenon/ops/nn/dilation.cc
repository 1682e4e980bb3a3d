// Dilation2D and its gradient ops: the largest sum of window and filter, of each channel.
// tensorflow/core/kernels/dilation_ops.cc.
#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

// [batch, height, width, depth] and [height, width, depth], as far as they are known.
struct DilationForm {
  int64_t stride[2]{1, 1}, rate[2]{1, 1};
  Window window[2];
};

StatusOr<DilationForm> dilation_form(const AttrMap& attrs, const PartialShape& x,
                                     const PartialShape& filter) {
  DilationForm form;
  const auto& strides = attrs.get<std::vector<int64_t>>("strides");
  const auto& rates = attrs.get<std::vector<int64_t>>("rates");
  if (strides.size() != 4 || rates.size() != 4) {
    return invalid_argument("Sliding window stride and rate fields must specify 4 dimensions");
  }
  if (strides[0] != 1 || strides[3] != 1 || rates[0] != 1 || rates[3] != 1) {
    return unimplemented("strides and rates of a dilation over batch or channels");
  }
  for (size_t i = 0; i < 2; ++i) {
    form.stride[i] = strides[i + 1];
    form.rate[i] = rates[i + 1];
    if (form.stride[i] < 1 || form.rate[i] < 1) {
      return invalid_argument("strides and rates of a dilation must be positive");
    }
    const int axis = static_cast<int>(i);
    const int64_t size = x.has_rank() ? x[axis + 1] : -1;
    const int64_t width = filter.has_rank() ? filter[axis] : -1;
    if (size < 0 || width < 0) continue;
    TENON_ASSIGN_OR_RETURN(form.window[i], window_output(size, width, form.rate[i], form.stride[i],
                                                         attrs.get<std::string>("padding")));
  }
  return form;
}

StatusOr<PartialShape> dilation_output(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 3));
  const PartialShape& x = c.input(0);
  const PartialShape& filter = c.input(1);
  if (x.has_rank() && filter.has_rank() && x[3] >= 0 && filter[2] >= 0 && x[3] != filter[2]) {
    return invalid_argument("input and filter must have the same depth: ", x[3], " vs ", filter[2]);
  }
  TENON_ASSIGN_OR_RETURN(const DilationForm form, dilation_form(c.attrs(), x, filter));
  return PartialShape{x.has_rank() ? x[0] : -1, form.window[0].output, form.window[1].output,
                      x.has_rank() ? x[3] : -1};
}

Status dilation_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape y, dilation_output(c));
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

template <int like>
Status dilation_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape y, dilation_output(c));
  if (!PartialShape::merge(y, c.input(2)).ok()) {
    return invalid_argument("out_backprop has shape ", c.input(2), ", ", y, " is expected");
  }
  c.set_output(0, c.input(like));
  return absl::OkStatus();
}

struct DilationSizes {
  int64_t batch, height, width, depth, rows, columns;
  DilationForm form;
};

StatusOr<DilationSizes> dilation_sizes(const Prepare& p) {
  const Shape& x = p.input_shape(0);
  const Shape& filter = p.input_shape(1);
  TENON_ASSIGN_OR_RETURN(const DilationForm form, dilation_form(p.attrs(), x, filter));
  return DilationSizes{x[0], x[1], x[2], x[3], filter[0], filter[1], form};
}

// Where the largest sum of one window lies: offsets of its cells in image and filter. Sums that are
// NaN or not above the lowest finite number count for nothing; where no other is there, the places
// are the window's first within the image, and the filter's first.
template <class T>
struct LargestSum {
  T value = std::numeric_limits<T>::lowest();
  int64_t x, filter;

  LargestSum(const DilationSizes& s, const T* image, const T* filters, int64_t row, int64_t column,
             int64_t channel) {
    const int64_t top = row * s.form.stride[0] - s.form.window[0].before;
    const int64_t left = column * s.form.stride[1] - s.form.window[1].before;
    x = (std::max<int64_t>(top, 0) * s.width + std::max<int64_t>(left, 0)) * s.depth + channel;
    filter = channel;
    for (int64_t i = 0; i < s.rows; ++i) {
      const int64_t at_y = top + i * s.form.rate[0];
      if (at_y < 0 || at_y >= s.height) continue;
      for (int64_t j = 0; j < s.columns; ++j) {
        const int64_t at_x = left + j * s.form.rate[1];
        if (at_x < 0 || at_x >= s.width) continue;
        const int64_t cell = (at_y * s.width + at_x) * s.depth + channel;
        const int64_t weight = (i * s.columns + j) * s.depth + channel;
        const T sum = add(image[cell], filters[weight]);
        if (sum > value) {
          value = sum;
          x = cell;
          filter = weight;
        }
      }
    }
  }
  static T add(T a, T b) {
    if constexpr (std::is_integral_v<T>) {
      return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    } else {
      return static_cast<T>(a + b);
    }
  }
};

// body(image, row, column, channel, number of the result) for all results of images
// [begin, end).
template <class Body>
void for_each_result(const DilationSizes& s, int64_t begin, int64_t end, const Body& body) {
  const int64_t height = s.form.window[0].output, width = s.form.window[1].output;
  int64_t result = begin * height * width * s.depth;
  for (int64_t image = begin; image < end; ++image) {
    for (int64_t row = 0; row < height; ++row) {
      for (int64_t column = 0; column < width; ++column) {
        for (int64_t c = 0; c < s.depth; ++c) body(image, row, column, c, result++);
      }
    }
  }
}

StatusOr<Kernel> make_dilation(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const DilationSizes s, dilation_sizes(p));
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [s](KernelRun& r) {
      const int64_t image_size = s.height * s.width * s.depth;
      parallel_for(s.batch, 1, [&](int64_t begin, int64_t end) {
        for_each_result(s, begin, end,
                        [&](int64_t image, int64_t row, int64_t column, int64_t c, int64_t result) {
                          r.out<T>(0)[result] = LargestSum<T>(s, r.in<T>(0) + image * image_size,
                                                              r.in<T>(1), row, column, c)
                                                    .value;
                        });
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// dy goes to the cell that was largest: of the image, or of the filter.
template <bool of_filter>
StatusOr<Kernel> make_dilation_grad(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const DilationSizes s, dilation_sizes(p));
  const int64_t size = p.output_shape(0).num_elements();
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      T* dx = r.out<T>(0);
      std::fill_n(dx, size, T{});
      const int64_t image_size = s.height * s.width * s.depth;
      for_each_result(s, 0, s.batch,
                      [&](int64_t image, int64_t row, int64_t column, int64_t c, int64_t result) {
                        const LargestSum<T> most(s, r.in<T>(0) + image * image_size, r.in<T>(1),
                                                 row, column, c);
                        T& to = dx[of_filter ? most.filter : image * image_size + most.x];
                        to = LargestSum<T>::add(to, r.in<T>(2)[result]);
                      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status dilation_gradient(Gradient& g) {
  AttrMap attrs;
  for (const char* name : {"strides", "rates", "padding"}) {
    attrs.set(name, *g.forward().attrs.find(name));
  }
  g.set_dx(0, g.build().op("Dilation2DBackpropInput", {g.input(0), g.input(1), g.dy()}, attrs));
  g.set_dx(1, g.build().op("Dilation2DBackpropFilter", {g.input(0), g.input(1), g.dy()}, attrs));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Dilation2D) = {
    .inputs = "input: T, filter: T",
    .outputs = "output: T",
    .attrs =
        "T: {real}; strides: list(int) >= 4; rates: list(int) >= 4; padding: {'SAME', 'VALID'}",
    .shape = dilation_shape,
    .rows = Rows::kIndependent,
    .gradient = dilation_gradient,
    .kernels = {make_dilation},
};
TENON_OP(Dilation2DBackpropInput) = {
    .inputs = "input: T, filter: T, out_backprop: T",
    .outputs = "in_backprop: T",
    .attrs =
        "T: {real}; strides: list(int) >= 4; rates: list(int) >= 4; padding: {'SAME', 'VALID'}",
    .shape = dilation_grad_shape<0>,
    .gradient = not_differentiable,
    .kernels = {make_dilation_grad<false>},
};
TENON_OP(Dilation2DBackpropFilter) = {
    .inputs = "input: T, filter: T, out_backprop: T",
    .outputs = "filter_backprop: T",
    .attrs =
        "T: {real}; strides: list(int) >= 4; rates: list(int) >= 4; padding: {'SAME', 'VALID'}",
    .shape = dilation_grad_shape<1>,
    .gradient = not_differentiable,
    .kernels = {make_dilation_grad<true>},
};

}  // namespace tenon
