// FractionalMaxPool, FractionalAvgPool and their gradient ops: windows of two sizes in random order
// (B. Graham, "Fractional max-pooling", 2014).
// tensorflow/core/kernels/fractional_pool_common.cc.
#include <cmath>

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/random/random_stream.h"
#include "tenon/ops/random/simple_philox.h"

namespace tenon {
namespace {

using FractionalTypes = TypeList<float, double, int32_t, int64_t>;

// Sums of integers wrap.
template <class T>
T wrapping_add(T a, T b) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
  } else {
    return a + b;
  }
}

// Towards 0, kept within T.
template <class T>
T from_double(double x) {
  if constexpr (std::is_integral_v<T>) {
    const auto most = static_cast<double>(std::numeric_limits<T>::max());
    if (x >= most) return std::numeric_limits<T>::max();
    if (x <= -most) return std::numeric_limits<T>::min();
  }
  return static_cast<T>(x);
}

// [batch, rows, columns, channels]; the ratios of the first and the last are 1.
Status fractional_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  if (!c.attr<bool>("deterministic") &&
      (c.attr<int64_t>("seed") != 0 || c.attr<int64_t>("seed2") != 0)) {
    return invalid_argument("Both seed and seed2 should be 0 if deterministic is false.");
  }
  const auto& ratio = c.attr<std::vector<float>>("pooling_ratio");
  if (ratio.size() != 4) {
    return invalid_argument("pooling_ratio field must specify 4 dimensions");
  }
  for (float one : ratio) {
    if (!(one >= 1)) return invalid_argument("pooling_ratio cannot be smaller than 1, got: ", one);
  }
  if (ratio[0] != 1 || ratio[3] != 1) {
    return unimplemented(
        "Fractional pooling is not yet supported on the batch and channel dimension");
  }
  PartialShape y = c.input(0).has_rank() ? c.input(0) : PartialShape::unknown_of_rank(4);
  if (y.num_elements() == 0) {
    return invalid_argument("a tensor of shape ", y, " has nothing to be pooled");
  }
  for (int axis = 1; axis < 3; ++axis) {
    if (y[axis] < 0) continue;
    const double pooled = std::floor(
        static_cast<double>(static_cast<float>(y[axis]) / ratio[static_cast<size_t>(axis)]));
    if (pooled >= 0x1p62) return invalid_argument("a dimension of ", y[axis], " is too large");
    const auto size = static_cast<int64_t>(pooled);
    if (size < 1) return invalid_argument("a dimension of ", y[axis], " is too small to be pooled");
    y.set(axis, std::min(size, y[axis]));
  }
  for (int i = 1; i < 3; ++i) {
    int64_t bounds = -1;
    if (y[i] >= 0) {
      TENON_ASSIGN_OR_RETURN(bounds, add_dims(y[i], 1));
    }
    c.set_output(i, {bounds});
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// Where each of `output` windows over `input` cells begins, and the end.
std::vector<int64_t> window_bounds(RandomStream& stream, uint64_t seed, int64_t input,
                                   int64_t output, bool pseudo_random) {
  std::vector<int64_t> width(static_cast<size_t>(output), input / output);
  // Taken where nothing is drawn too: the columns' numbers follow the rows'.
  SimplePhilox numbers(
      stream.reserve(pseudo_random ? 1 : static_cast<uint64_t>(output + 3) / 4, seed));
  if (input % output != 0 && pseudo_random) {
    const double alpha = static_cast<double>(input) / static_cast<double>(output);
    const auto least = static_cast<double>(input / output);
    const double most =
        std::min((least + 2) / alpha - 1, (static_cast<double>(input) + 1 - least) / alpha -
                                              static_cast<double>(output - 1));
    const double u = numbers.unit_double() * most;
    int64_t before = 1;
    for (int64_t i = 1; i <= output; ++i) {
      const int64_t bound =
          i == output ? input + 1
                      : static_cast<int64_t>(std::ceil(alpha * (static_cast<double>(i) + u)));
      width[static_cast<size_t>(i - 1)] = bound - before;
      before = bound;
    }
  } else if (input % output != 0) {
    for (int64_t i = 0; i < input % output; ++i) ++width[static_cast<size_t>(i)];
    for (int64_t i = 0; i + 1 < output; ++i) {
      std::swap(width[static_cast<size_t>(i)],
                width[static_cast<size_t>(i + numbers.word() % (output - i))]);
    }
  }
  std::vector<int64_t> bounds{0};
  for (int64_t one : width) bounds.push_back(bounds.back() + one);
  return bounds;
}

// body(image, first row, last row, first column, last column, channel, number of the result).
template <class Body>
void for_each_window(const Shape& x, std::span<const int64_t> rows,
                     std::span<const int64_t> columns, bool overlapping, const Body& body) {
  const auto last = [&](std::span<const int64_t> bounds, size_t i, int64_t size) {
    return std::min(overlapping ? bounds[i + 1] : bounds[i + 1] - 1, size - 1);
  };
  int64_t result = 0;
  for (int64_t image = 0; image < x[0]; ++image) {
    for (size_t row = 0; row + 1 < rows.size(); ++row) {
      for (size_t column = 0; column + 1 < columns.size(); ++column) {
        for (int64_t c = 0; c < x[3]; ++c) {
          body(image, rows[row], last(rows, row, x[1]), columns[column],
               last(columns, column, x[2]), c, result++);
        }
      }
    }
  }
}

int64_t cell_of(const Shape& x, int64_t image, int64_t row, int64_t column, int64_t channel) {
  return ((image * x[1] + row) * x[2] + column) * x[3] + channel;
}

template <bool mean>
StatusOr<Kernel> make_fractional(Prepare& p) {
  const Shape x = p.input_shape(0);
  const int64_t rows = p.output_shape(0)[1], columns = p.output_shape(0)[2];
  const bool overlapping = p.attr<bool>("overlapping"), pseudo = p.attr<bool>("pseudo_random");
  const bool deterministic = p.attr<bool>("deterministic");
  const auto first = static_cast<uint64_t>(p.attr<int64_t>("seed"));
  const auto second = static_cast<uint64_t>(p.attr<int64_t>("seed2"));
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  Kernel kernel;
  visit<FractionalTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      const uint64_t seed = r.context().seed;
      // The same windows in each run where they are to be.
      RandomStream own(first, second, 1);
      RandomStream& source = deterministic ? own : *stream;
      const auto of_rows = window_bounds(source, seed, x[1], rows, pseudo);
      const auto of_columns = window_bounds(source, seed, x[2], columns, pseudo);
      std::copy(of_rows.begin(), of_rows.end(), r.out<int64_t>(1));
      std::copy(of_columns.begin(), of_columns.end(), r.out<int64_t>(2));
      const T* from = r.in<T>(0);
      for_each_window(x, of_rows, of_columns, overlapping,
                      [&](int64_t image, int64_t y0, int64_t y1, int64_t x0, int64_t x1, int64_t c,
                          int64_t result) {
                        T sum{}, most = std::numeric_limits<T>::lowest();
                        for (int64_t i = y0; i <= y1; ++i) {
                          for (int64_t j = x0; j <= x1; ++j) {
                            const T value = from[cell_of(x, image, i, j, c)];
                            if constexpr (mean) sum = wrapping_add(sum, value);
                            most = std::max(most, value);
                          }
                        }
                        const auto cells = static_cast<T>((y1 - y0 + 1) * (x1 - x0 + 1));
                        r.out<T>(0)[result] = mean ? static_cast<T>(sum / cells) : most;
                      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// INVALID_ARGUMENT unless `bounds` are those of `windows` windows within `size` cells.
Status check_bounds_of(std::span<const int64_t> bounds, int64_t windows, int64_t size) {
  bool fits = static_cast<int64_t>(bounds.size()) == windows + 1 && !bounds.empty() &&
              bounds.front() >= 0 && bounds.back() <= size;
  for (size_t i = 0; fits && i + 1 < bounds.size(); ++i) fits = bounds[i] < bounds[i + 1];
  if (fits) return absl::OkStatus();
  return invalid_argument("a pooling sequence must hold ", windows + 1, " rising numbers up to ",
                          size);
}

Status fractional_max_grad_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 4));
  for (int i = 3; i < 5; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
  TENON_ASSIGN_OR_RETURN(const PartialShape y, PartialShape::merge(c.input(1), c.input(2)));
  const PartialShape& x = c.input(0);
  if (x.has_rank() && y.has_rank()) {
    for (int axis : {0, 3}) {
      if (x[axis] >= 0 && y[axis] >= 0 && x[axis] != y[axis]) {
        return invalid_argument("inputs of shapes ", x, " and ", y, " are of different images");
      }
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

// Inputs: x, y, dy, bounds. The first of the largest cells gets the gradient.
StatusOr<Kernel> make_fractional_max_grad(Prepare& p) {
  const Shape x = p.input_shape(0), y = p.input_shape(2);
  const bool overlapping = p.attr<bool>("overlapping");
  Kernel kernel;
  visit<FractionalTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) -> Status {
      const auto rows = r.input(3).span<int64_t>(), columns = r.input(4).span<int64_t>();
      TENON_RETURN_IF_ERROR(check_bounds_of(rows, y[1], x[1]));
      TENON_RETURN_IF_ERROR(check_bounds_of(columns, y[2], x[2]));
      T* dx = r.out<T>(0);
      std::fill_n(dx, x.num_elements(), T{});
      const T* from = r.in<T>(0);
      for_each_window(x, rows, columns, overlapping,
                      [&](int64_t image, int64_t y0, int64_t y1, int64_t x0, int64_t x1, int64_t c,
                          int64_t result) {
                        int64_t best = cell_of(x, image, y0, x0, c);
                        for (int64_t i = y0; i <= y1; ++i) {
                          for (int64_t j = x0; j <= x1; ++j) {
                            const int64_t cell = cell_of(x, image, i, j, c);
                            if (from[cell] > from[best]) best = cell;
                          }
                        }
                        dx[best] = wrapping_add(dx[best], r.in<T>(2)[result]);
                      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status fractional_avg_grad_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 4));
  for (int i = 2; i < 4; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape x, c.shape_from_input(0));
  if (c.constant(0)) {
    if (x.rank() != 4) return invalid_argument("original input must have 4 dimensions, not ", x);
    TENON_RETURN_IF_ERROR(Shape::make(x.dims(), 8).status());
    for (int axis : {0, 3}) {
      if (c.input(1).has_rank() && c.input(1)[axis] >= 0 && c.input(1)[axis] != x[axis]) {
        return invalid_argument("out_backprop has shape ", c.input(1), " for an input of ", x);
      }
    }
  }
  c.set_output(0, std::move(x));
  return absl::OkStatus();
}

StatusOr<Kernel> make_fractional_avg_grad(Prepare& p) {
  const Shape x = p.output_shape(0).to_shape(), y = p.input_shape(1);
  const bool overlapping = p.attr<bool>("overlapping");
  Kernel kernel;
  visit<FractionalTypes>(p.input_dtype(1), [&]<class T>() {
    kernel = [=](KernelRun& r) -> Status {
      const auto rows = r.input(2).span<int64_t>(), columns = r.input(3).span<int64_t>();
      TENON_RETURN_IF_ERROR(check_bounds_of(rows, y[1], x[1]));
      TENON_RETURN_IF_ERROR(check_bounds_of(columns, y[2], x[2]));
      // TensorFlow adds in double.
      std::vector<double> sums(static_cast<size_t>(x.num_elements()));
      for_each_window(x, rows, columns, overlapping,
                      [&](int64_t image, int64_t y0, int64_t y1, int64_t x0, int64_t x1, int64_t c,
                          int64_t result) {
                        const auto cells = static_cast<double>((y1 - y0 + 1) * (x1 - x0 + 1));
                        const double share = static_cast<double>(r.in<T>(1)[result]) / cells;
                        for (int64_t i = y0; i <= y1; ++i) {
                          for (int64_t j = x0; j <= x1; ++j) {
                            sums[static_cast<size_t>(cell_of(x, image, i, j, c))] += share;
                          }
                        }
                      });
      std::transform(sums.begin(), sums.end(), r.out<T>(0), from_double<T>);
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status fractional_max_gradient(Gradient& g) {
  g.set_dx(0, g.build().op("FractionalMaxPoolGrad",
                           {g.input(0), g.output(0), g.dy(), g.output(1), g.output(2)},
                           {{"overlapping", g.attr<bool>("overlapping")}}));
  return absl::OkStatus();
}
Status fractional_avg_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint shape = b.op("Shape", {g.input(0)}, {{"out_type", DType::kInt64}});
  g.set_dx(0, b.op("FractionalAvgPoolGrad", {shape, g.dy(), g.output(1), g.output(2)},
                   {{"overlapping", g.attr<bool>("overlapping")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(FractionalMaxPool) = {
    .inputs = "value: T",
    .outputs = "output: T, row_pooling_sequence: int64, col_pooling_sequence: int64",
    .attrs =
        "pooling_ratio: list(float) >= 4; pseudo_random: bool = false; "
        "overlapping: bool = false; deterministic: bool = false; seed: int = 0; "
        "seed2: int = 0; T: {float, double, int32, int64}",
    .effect = Effect::kRandom,
    .shape = fractional_shape,
    .gradient = fractional_max_gradient,
    .kernels = {make_fractional<false>},
};
TENON_OP(FractionalAvgPool) = {
    .inputs = "value: T",
    .outputs = "output: T, row_pooling_sequence: int64, col_pooling_sequence: int64",
    .attrs =
        "pooling_ratio: list(float) >= 4; pseudo_random: bool = false; "
        "overlapping: bool = false; deterministic: bool = false; seed: int = 0; "
        "seed2: int = 0; T: {float, double, int32, int64}",
    .effect = Effect::kRandom,
    .shape = fractional_shape,
    .gradient = fractional_avg_gradient,
    .kernels = {make_fractional<true>},
};
TENON_OP(FractionalMaxPoolGrad) = {
    .inputs =
        "orig_input: T, orig_output: T, out_backprop: T, row_pooling_sequence: int64, "
        "col_pooling_sequence: int64",
    .outputs = "output: T",
    .attrs = "overlapping: bool = false; T: {float, double, int32, int64}",
    .shape = fractional_max_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_fractional_max_grad},
};
TENON_OP(FractionalAvgPoolGrad) = {
    .inputs =
        "orig_input_tensor_shape: int64, out_backprop: T, row_pooling_sequence: int64, "
        "col_pooling_sequence: int64",
    .outputs = "output: T",
    .attrs = "overlapping: bool = false; T: {float, double, int32, int64}",
    .host_inputs = {0},
    .shape = fractional_avg_grad_shape,
    .gradient = not_differentiable,
    .kernels = {make_fractional_avg_grad},
};

}  // namespace tenon
