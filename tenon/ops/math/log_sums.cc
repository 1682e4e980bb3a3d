// ApproximateEqual, PopulationCount, CumulativeLogsumexp, HistogramFixedWidth.
#include <bit>
#include <cmath>
#include <complex>

#include "tenon/base/parallel.h"
#include "tenon/ops/math/elementwise.h"

namespace tenon {
namespace {

// Apart by no more than the tolerance (TensorFlow's page says less), in the type's own arithmetic.
StatusOr<Kernel> make_approximate_equal(Prepare& p) {
  const auto tolerance = p.attr<float>("tolerance");
  const int64_t count = p.input_shape(0).num_elements();
  Kernel kernel;
  visit<NumericTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      const T* a = r.in<T>(0);
      const T* b = r.in<T>(1);
      for (int64_t i = 0; i < count; ++i) {
        double apart;
        if constexpr (std::is_integral_v<T>) {
          apart =
              static_cast<double>(std::max(a[i], b[i])) - static_cast<double>(std::min(a[i], b[i]));
        } else if constexpr (is_complex(dtype_of<T>)) {
          apart = static_cast<double>(std::abs(a[i] - b[i]));
        } else {
          apart = std::abs(static_cast<double>(static_cast<T>(a[i] - b[i])));
        }
        r.out<bool>(0)[i] = apart <= static_cast<double>(tolerance);
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("ApproximateEqual of dtype ", p.input_dtype(0));
  return kernel;
}

StatusOr<Kernel> make_population_count(Prepare& p) {
  Kernel kernel;
  visit<IntegerTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [count = p.input_shape(0).num_elements()](KernelRun& r) {
      std::transform(r.in<T>(0), r.in<T>(0) + count, r.out<uint8_t>(0), [](T x) {
        return static_cast<uint8_t>(std::popcount(static_cast<std::make_unsigned_t<T>>(x)));
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status log_sum_shape(ShapeContext& c) {
  if (const Tensor* axis = c.constant(1)) {
    if (axis->rank() != 0) {
      return invalid_argument("'axis' must be a scalar, its shape is ", axis->shape());
    }
    if (c.input(0).has_rank()) {
      TENON_RETURN_IF_ERROR(resolve_axis(integer_at(*axis, 0), c.input(0).rank()).status());
    }
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

// log(exp(a) + exp(b)), -inf being nothing. Next to a number a NaN counts as that number once more,
// which is what TensorFlow's reducer comes to (scan_ops.h, LogSumExp).
template <class T>
T log_sum(T a, T b) {
  const T low = b < a ? b : a, high = a < b ? b : a;
  if (high == -std::numeric_limits<T>::infinity()) return high;
  return high + std::log1p(std::exp(low - high));
}

StatusOr<Kernel> make_cumulative_log_sum(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*p.constant(1), 0), shape.rank()));
  const int64_t outer = shape.product(0, axis), size = shape[axis];
  const int64_t inner = shape.product(axis + 1, shape.rank());
  const bool exclusive = p.attr<bool>("exclusive"), reverse = p.attr<bool>("reverse");
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    kernel = [=](KernelRun& r) {
      if (size == 0 || inner == 0) return absl::OkStatus();
      parallel_for(outer * inner, 64, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t first = i / inner * size * inner + i % inner;
          Wide sum = -std::numeric_limits<Wide>::infinity();
          for (int64_t k = 0; k < size; ++k) {
            const int64_t at = first + (reverse ? size - 1 - k : k) * inner;
            const auto x = static_cast<Wide>(r.in<T>(0)[at]);
            const Wide next = log_sum(sum, x);
            r.out<T>(0)[at] = static_cast<T>(exclusive ? sum : next);
            sum = next;
          }
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// math_grad.py, _CumulativeLogsumexpGrad: positive and negative gradients in logarithms apart.
Status cumulative_log_sum_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value x{b, g.input(0)}, y{b, g.output(0)}, dy{b, g.dy()};
  const Value lowest = x.like(x.dtype() == DType::kDouble ? std::numeric_limits<double>::lowest()
                              : x.dtype() == DType::kHalf
                                  ? -65504.0
                                  : static_cast<double>(std::numeric_limits<float>::lowest()));
  const AttrMap attrs{{"exclusive", g.attr<bool>("exclusive")},
                      {"reverse", !g.attr<bool>("reverse")}};
  const auto part = [&](std::string_view sign, Value size) {
    const Value log = select(apply(sign, dy, zeros_like(dy)), apply("Log", size), lowest);
    return apply("Exp", Value{b, b->op("CumulativeLogsumexp", {log - y, g.input(1)}, attrs)} + x);
  };
  g.set_dx(0, part("Greater", dy) - part("Less", -dy));
  return absl::OkStatus();
}

Status histogram_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 0));
  if (c.input(1).has_rank() && c.input(1)[0] >= 0 && c.input(1)[0] != 2) {
    return invalid_argument("value_range should be a vector of 2 elements");
  }
  int64_t bins = -1;
  if (const Tensor* count = c.constant(2)) {
    bins = integer_at(*count, 0);
    if (bins <= 0)
      return invalid_argument("nbins should be a positive number, but got '", bins, "'");
  }
  c.set_output(0, {bins});
  return absl::OkStatus();
}

StatusOr<Kernel> make_histogram(Prepare& p) {
  const int64_t bins = p.output_shape(0)[0];
  Kernel kernel;
  visit<TypeList<int32_t, int64_t, float, double>>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(0), [&]<class Count>() {
      kernel = [=](KernelRun& r) -> Status {
        const T low = r.in<T>(1)[0], high = r.in<T>(1)[1];
        if (!(low < high)) {
          return invalid_argument(
              "value_range should satisfy value_range[0] < value_range[1], but "
              "got '[",
              low, ", ", high, "]'");
        }
        if constexpr (std::is_floating_point_v<T>) {
          const std::span<const T> values = r.input(0).span<T>();
          if (std::any_of(values.begin(), values.end(), [](T x) { return std::isnan(x); })) {
            return invalid_argument("Histogram values must not contain NaN");
          }
        }
        const double step =
            (static_cast<double>(high) - static_cast<double>(low)) / static_cast<double>(bins);
        Count* y = r.out<Count>(0);
        std::fill_n(y, bins, Count{});
        for (T x : r.input(0).span<T>()) {
          const double at =
              (static_cast<double>(std::max(x, low)) - static_cast<double>(low)) / step;
          if (std::isnan(at)) continue;
          ++y[static_cast<int64_t>(std::min(at, static_cast<double>(bins - 1)))];
        }
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

}  // namespace

TENON_OP(ApproximateEqual) = {
    .inputs = "x: T, y: T",
    .outputs = "z: bool",
    .attrs = "T: {numeric, qint8, quint8, qint32, qint16, quint16}; tolerance: float = 1e-05",
    .shape = same_shape_inputs,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_approximate_equal},
};

TENON_OP(PopulationCount) = {
    .inputs = "x: T",
    .outputs = "y: uint8",
    .attrs = "T: {integer}",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_population_count},
};

TENON_OP(CumulativeLogsumexp) = {
    .inputs = "x: T, axis: Tidx",
    .outputs = "out: T",
    .attrs =
        "exclusive: bool = false; reverse: bool = false; T: {floating}; Tidx: {int32, "
        "int64} = int32",
    .host_inputs = {1},
    .shape = log_sum_shape,
    .rows = rows_beside_axis_input<1>,
    .gradient = cumulative_log_sum_gradient,
    .kernels = {make_cumulative_log_sum},
};

TENON_OP(HistogramFixedWidth) = {
    .inputs = "values: T, value_range: T, nbins: int32",
    .outputs = "out: dtype",
    .attrs = "T: {int32, int64, float, double}; dtype: {int32, int64} = int32",
    .host_inputs = {2},
    .shape = histogram_shape,
    .gradient = not_differentiable,
    .kernels = {make_histogram},
};

}  // namespace tenon
