// _LiteQuantize, _LiteDequantize, _LiteRequantize: floats to levels, levels to floats, levels to
// other levels, by one scale or one for each channel along an axis.
#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

// Scales by channel: element i belongs to channel (i / inner) % scales.
struct Channels {
  std::vector<float> scales;
  std::vector<int32_t> zero_points;
  int64_t inner = 1;

  // Calls body(first, last, scale, zero point) for the runs of one channel in [begin, end).
  template <class Body>
  void for_each_run(int64_t begin, int64_t end, const Body& body) const {
    if (scales.size() == 1) return body(begin, end, scales[0], zero_points[0]);
    while (begin < end) {
      const int64_t last = std::min(end, (begin / inner + 1) * inner);
      const size_t channel = static_cast<size_t>(begin / inner) % scales.size();
      body(begin, last, scales[channel], zero_points[channel]);
      begin = last;
    }
  }
};

Status check_channels(ShapeContext& c) {
  const auto& scales = c.attr<std::vector<float>>("scales");
  if (scales.empty()) return invalid_argument("there is no scale");
  for (int64_t zero_point : c.attr<std::vector<int64_t>>("zero_points")) {
    if (zero_point < INT32_MIN || zero_point > INT32_MAX) {
      return invalid_argument("a zero point is ", zero_point);
    }
  }
  if (c.attr<std::vector<int64_t>>("zero_points").size() != scales.size()) {
    return invalid_argument("there are ", scales.size(), " scales and another number of zero ",
                            "points");
  }
  const PartialShape& x = c.input(0);
  const int64_t axis = c.attr<int64_t>("axis");
  if (scales.size() > 1 && x.has_rank()) {
    if (axis < 0 || axis >= x.rank()) return invalid_argument("axis ", axis, " of ", x);
    const int64_t size = x[static_cast<int>(axis)];
    if (size >= 0 && size != static_cast<int64_t>(scales.size())) {
      return invalid_argument("there are ", scales.size(), " scales for ", size, " channels");
    }
  }
  c.set_output(0, x);
  return absl::OkStatus();
}

Channels channels_of(const Prepare& p) {
  Channels channels;
  channels.scales = p.attr<std::vector<float>>("scales");
  for (int64_t zero_point : p.attr<std::vector<int64_t>>("zero_points")) {
    channels.zero_points.push_back(static_cast<int32_t>(zero_point));
  }
  if (channels.scales.size() > 1) {
    const Shape& x = p.input_shape(0);
    channels.inner =
        std::max<int64_t>(x.product(static_cast<int>(p.attr<int64_t>("axis")) + 1, x.rank()), 1);
  }
  return channels;
}

template <class T>
Kernel quantize_kernel(Channels channels, int64_t count) {
  return [channels = std::move(channels), count](KernelRun& r) {
    const float* x = r.in<float>(0);
    T* y = r.out<T>(0);
    parallel_for(count, kernels::grain_of(), [&](int64_t begin, int64_t end) {
      channels.for_each_run(begin, end,
                            [&](int64_t first, int64_t last, float scale, int32_t zero) {
                              for (int64_t i = first; i < last; ++i)
                                y[i] = lite::quantized_level<T>(x[i] / scale, zero);
                            });
    });
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_lite_quantize(Prepare& p) {
  Kernel kernel;
  const int64_t count = p.input_shape(0).num_elements();
  TENON_RETURN_IF_ERROR(lite::visit_levels(
      p.output_dtype(0), [&]<class T>() { kernel = quantize_kernel<T>(channels_of(p), count); }));
  return kernel;
}

template <class T>
Kernel dequantize_kernel(Channels channels, int64_t count) {
  return [channels = std::move(channels), count](KernelRun& r) {
    const T* x = r.in<T>(0);
    float* y = r.out<float>(0);
    parallel_for(count, kernels::grain_of(), [&](int64_t begin, int64_t end) {
      channels.for_each_run(
          begin, end, [&](int64_t first, int64_t last, float scale, int32_t zero) {
            // A double holds the product of a float and what a float holds: rounded once either
            // way.
            if (sizeof(T) <= 2 && zero >= -65536 && zero <= 65536) {
              for (int64_t i = first; i < last; ++i) {
                y[i] = scale * static_cast<float>(static_cast<int32_t>(x[i]) - zero);
              }
              return;
            }
            for (int64_t i = first; i < last; ++i) {
              const double level = static_cast<double>(x[i]) - zero;
              y[i] = static_cast<float>(double{scale} * level);
            }
          });
    });
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_lite_dequantize(Prepare& p) {
  Kernel kernel;
  const int64_t count = p.input_shape(0).num_elements();
  if (p.input_dtype(0) == DType::kInt32) {
    kernel = dequantize_kernel<int32_t>(channels_of(p), count);
    return kernel;
  }
  if (p.input_dtype(0) == DType::kInt64) {
    kernel = dequantize_kernel<int64_t>(channels_of(p), count);
    return kernel;
  }
  TENON_RETURN_IF_ERROR(lite::visit_levels(
      p.input_dtype(0), [&]<class T>() { kernel = dequantize_kernel<T>(channels_of(p), count); }));
  return kernel;
}

Status requantize_levels_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(lite::check_factors(c.attrs(), 1, 2));
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

struct Requantization {
  lite::Multiplier factor;
  int32_t from, to;
  lite::LevelRange range;

  template <class Y, class X>
  Y level(X x) const {
    const auto centred =
        static_cast<int32_t>(static_cast<uint32_t>(x) - static_cast<uint32_t>(from));
    return static_cast<Y>(lite::clamped(lite::wrapping_add(lite::scaled(centred, factor), to),
                                        range.low, range.high));
  }
};

template <class X, class Y>
Kernel requantize_kernel(const Requantization& q, int64_t count) {
  if constexpr (sizeof(X) == 1) {  // all of them beforehand
    std::array<Y, 256> table;
    for (int i = 0; i < 256; ++i) {
      table[static_cast<size_t>(i)] = q.level<Y>(static_cast<X>(i + std::numeric_limits<X>::min()));
    }
    return [table, count](KernelRun& r) {
      const X* x = r.in<X>(0);
      const Y* levels = table.data() - std::numeric_limits<X>::min();
      Y* y = r.out<Y>(0);
      parallel_for(count, kernels::grain_of(), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) y[i] = levels[x[i]];
      });
      return absl::OkStatus();
    };
  } else {
    return [q, count](KernelRun& r) {
      const X* x = r.in<X>(0);
      Y* y = r.out<Y>(0);
      parallel_for(count, kernels::grain_of(), [x, y, q](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) y[i] = q.level<Y>(x[i]);
      });
      return absl::OkStatus();
    };
  }
}

StatusOr<Kernel> make_lite_requantize(Prepare& p) {
  const std::vector<int32_t> zero = lite::zero_points_of(p.attrs());
  const Requantization q{lite::multipliers_of(p.attrs())[0], zero[0], zero[1],
                         lite::range_of(p.attrs(), p.output_dtype(0))};
  const int64_t count = p.input_shape(0).num_elements();
  Kernel kernel;
  Status status = lite::visit_levels(p.output_dtype(0), [&]<class Y>() {
    if (p.input_dtype(0) == DType::kInt32) {
      kernel = requantize_kernel<int32_t, Y>(q, count);
    } else {
      (void)lite::visit_levels(p.input_dtype(0),
                               [&]<class X>() { kernel = requantize_kernel<X, Y>(q, count); });
    }
  });
  TENON_RETURN_IF_ERROR(status);
  return kernel;
}

}  // namespace

TENON_OP(_LiteQuantize) = {
    .inputs = "x: float",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS "; scales: list(float); zero_points: list(int); axis: int = 0",
    .shape = check_channels,
    .rows = Rows::kMixed,
    .gradient = not_differentiable,
    .kernels = {make_lite_quantize},
};

TENON_OP(_LiteDequantize) = {
    .inputs = "x: T",
    .outputs = "y: float",
    .attrs =
        "T: {int8, uint8, int16, int32, int64}; scales: list(float); zero_points: list(int); "
        "axis: int = 0",
    .shape = check_channels,
    .rows = Rows::kMixed,
    .gradient = not_differentiable,
    .kernels = {make_lite_dequantize},
};

TENON_OP(_LiteRequantize) = {
    .inputs = "x: T",
    .outputs = "y: U",
    .attrs = "T: {int8, uint8, int16, int32}; U: " TENON_LITE_LEVELS "; " TENON_LITE_FACTORS,
    .shape = requantize_levels_shape,
    .rows = Rows::kMixed,
    .gradient = not_differentiable,
    .kernels = {make_lite_requantize},
};

}  // namespace tenon
