// _LiteAvgPool, _LiteMaxPool: windows over levels, of the cells that lie in the image.
#include "tenon/base/parallel.h"
#include "tenon/kernels/grain.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

struct LitePool {
  int64_t batch = 0, channels = 0, size[2]{1, 1}, stride[2]{1, 1}, window[2]{1, 1}, before[2]{0, 0},
          output[2]{-1, -1};
  int32_t low = 0, high = 0;
};

StatusOr<LitePool> pool_of(const AttrMap& attrs, const PartialShape& x) {
  LitePool pool;
  const auto& strides = attrs.get<std::vector<int64_t>>("strides");
  const auto& ksize = attrs.get<std::vector<int64_t>>("ksize");
  if (strides.size() != 2 || ksize.size() != 2) {
    return invalid_argument("strides and ksize must be two numbers");
  }
  for (size_t i = 0; i < 2; ++i) {
    pool.stride[i] = strides[i];
    pool.window[i] = ksize[i];
    if (strides[i] < 1 || ksize[i] < 1 || strides[i] > INT32_MAX || ksize[i] > INT32_MAX) {
      return invalid_argument("a window of ", ksize[i], " by steps of ", strides[i]);
    }
    const int axis = static_cast<int>(i) + 1;
    if (!x.has_rank() || x[axis] < 0) continue;
    TENON_ASSIGN_OR_RETURN(const Window window, window_output(x[axis], ksize[i], 1, strides[i],
                                                              attrs.get<std::string>("padding")));
    pool.size[i] = x[axis];
    pool.before[i] = window.before;
    pool.output[i] = window.output;
  }
  return pool;
}

Status lite_pool_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  const PartialShape& x = c.input(0);
  TENON_ASSIGN_OR_RETURN(const LitePool pool, pool_of(c.attrs(), x));
  const bool known = x.has_rank();
  c.set_output(0,
               PartialShape{known ? x[0] : -1, pool.output[0], pool.output[1], known ? x[3] : -1});
  return absl::OkStatus();
}

// The cells of one output's window that lie in the image.
struct PoolCells {
  PoolCells(const LitePool& pool, int64_t place) {
    const int64_t column = place % pool.output[1];
    const int64_t row = place / pool.output[1] % pool.output[0];
    image = place / pool.output[1] / pool.output[0];
    const int64_t top = row * pool.stride[0] - pool.before[0];
    const int64_t left = column * pool.stride[1] - pool.before[1];
    y0 = std::max<int64_t>(top, 0);
    x0 = std::max<int64_t>(left, 0);
    y1 = std::min(top + pool.window[0], pool.size[0]);
    x1 = std::min(left + pool.window[1], pool.size[1]);
  }
  // Calls body with the channels of each.
  template <class T, class Body>
  void for_each(const LitePool& pool, const T* x, const Body& body) const {
    for (int64_t i = y0; i < y1; ++i) {
      for (int64_t j = x0; j < x1; ++j) {
        body(x + ((image * pool.size[0] + i) * pool.size[1] + j) * pool.channels);
      }
    }
  }

  int64_t image, y0, x0, y1, x1;
};

// In both, sizes are local: bytes that are stored might be anything else.
template <class T>
void window_maxima(const LitePool& pool, const PoolCells& cells, const T* x, T* __restrict y) {
  const int64_t channels = pool.channels;
  std::fill_n(y, channels, std::numeric_limits<T>::min());
  cells.for_each(pool, x, [=](const T* __restrict cell) {
    for (int64_t c = 0; c < channels; ++c) y[c] = std::max(y[c], cell[c]);
  });
  const auto low = static_cast<T>(pool.low), high = static_cast<T>(pool.high);
  for (int64_t c = 0; c < channels; ++c) y[c] = std::min(std::max(y[c], low), high);
}

template <class Sum, class T>
void window_means(const LitePool& pool, const PoolCells& cells, const T* x, Sum* __restrict sums,
                  T* __restrict y) {
  const int64_t channels = pool.channels;
  const int64_t count = std::max<int64_t>((cells.y1 - cells.y0) * (cells.x1 - cells.x0), 1);
  std::fill_n(sums, channels, Sum{0});
  cells.for_each(pool, x, [=](const T* __restrict cell) {
    for (int64_t c = 0; c < channels; ++c) sums[c] += cell[c];
  });
  // Of integers this small the quotient of doubles is cut off to that of integers.
  const auto half = static_cast<Sum>(count / 2);
  const auto divisor = static_cast<double>(count);
  const int32_t low = pool.low, high = pool.high;
  for (int64_t c = 0; c < channels; ++c) {
    const auto away = static_cast<double>(sums[c] > 0 ? sums[c] + half : sums[c] - half);
    y[c] = static_cast<T>(lite::clamped(static_cast<int32_t>(away / divisor), low, high));
  }
}

template <class T, bool average>
Kernel pool_levels(const LitePool& pool) {
  return [pool](KernelRun& r) {
    const T* x = r.in<T>(0);
    T* y = r.out<T>(0);
    if (pool.channels == 0) return absl::OkStatus();
    const int64_t most =
        std::min(pool.window[0], pool.size[0]) * std::min(pool.window[1], pool.size[1]);
    int64_t* const scratch = r.scratch<int64_t>();
    const auto run = [&](int64_t worker, int64_t begin, int64_t end) {
      for (int64_t place = begin; place < end; ++place) {
        const PoolCells cells(pool, place);
        T* const to = y + place * pool.channels;
        if constexpr (!average) {
          window_maxima(pool, cells, x, to);
        } else {
          int64_t* const sums = scratch + worker * pool.channels;
          if (most < 32'768) {  // sums of 16 bits fit in 32
            window_means(pool, cells, x, reinterpret_cast<int32_t*>(sums), to);
          } else {
            window_means(pool, cells, x, sums, to);
          }
        }
      }
    };
    parallel_workers(pool.batch * pool.output[0] * pool.output[1],
                     kernels::grain_of(pool.channels * std::max<int64_t>(most, 1)), run);
    return absl::OkStatus();
  };
}

template <bool average>
StatusOr<Kernel> make_lite_pool(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(LitePool pool, pool_of(p.attrs(), p.input_shape(0)));
  pool.batch = p.input_shape(0)[0];
  pool.channels = p.input_shape(0)[3];
  const lite::LevelRange range = lite::range_of(p.attrs(), p.output_dtype(0));
  pool.low = range.low;
  pool.high = range.high;
  if (average) {
    p.reserve_scratch(static_cast<size_t>(p.team() * pool.channels) * sizeof(int64_t));
  }
  Kernel kernel;
  TENON_RETURN_IF_ERROR(lite::visit_levels(
      p.input_dtype(0), [&]<class T>() { kernel = pool_levels<T, average>(pool); }));
  return kernel;
}

constexpr OpDecl lite_pool(KernelFactory factory) {
  return {
      .inputs = "x: T",
      .outputs = "y: T",
      .attrs = "T: " TENON_LITE_LEVELS
               "; ksize: list(int); strides: list(int); padding: {'SAME', 'VALID'}; low: int; "
               "high: int",
      .shape = lite_pool_shape,
      .rows = Rows::kIndependent,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(_LiteAvgPool) = lite_pool(make_lite_pool<true>);
TENON_OP(_LiteMaxPool) = lite_pool(make_lite_pool<false>);

}  // namespace tenon
