// _LiteSum: the sum of levels along axes, or their mean, brought to the output's scale.
#include <bit>

#include "tenon/ops/reduce/reduce_axes.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

Status lite_sum_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(lite::check_factors(c.attrs(), 1, 2));
  return reduction_shape(c);
}

struct LiteSum {
  Shape x;
  std::vector<int64_t> steps;  // of the output by axis of x; 0 where it is reduced
  int64_t outputs = 0, reduced = 1;
  lite::Multiplier m;
  int32_t zero_x = 0, zero_y = 0;
  lite::LevelRange range{0, 0};
};

// The mean divides by taking the number of elements into the multiplier.
lite::Multiplier divided(lite::Multiplier m, int64_t count) {
  int shift = 63 - std::countl_zero(static_cast<uint64_t>(std::max<int64_t>(count, 1)));
  shift = std::min({shift, 32, 31 + m.shift});
  return {static_cast<int32_t>((int64_t{m.value} << shift) / std::max<int64_t>(count, 1)),
          m.shift - shift};
}

// Adds what x holds to the outputs, a row of the last axis after the other.
template <class T>
void add_levels(const LiteSum& s, const T* x, int64_t* sum) {
  const int last = s.x.rank() - 1;
  const int64_t row = last < 0 ? 1 : s.x[last];
  const bool kept = last >= 0 && s.steps[static_cast<size_t>(last)] != 0;
  std::vector<int64_t> at(static_cast<size_t>(s.x.rank()), 0);
  int64_t place = 0;
  for (int64_t rest = s.x.num_elements(); rest > 0; rest -= row, x += row) {
    if (kept) {
      for (int64_t i = 0; i < row; ++i) sum[place + i] += x[i];
    } else {
      int64_t total = 0;
      for (int64_t i = 0; i < row; ++i) total += x[i];
      sum[place] += total;
    }
    for (int axis = last - 1; axis >= 0; --axis) {
      const auto a = static_cast<size_t>(axis);
      place += s.steps[a];
      if (++at[a] < s.x[axis]) break;
      place -= s.steps[a] * s.x[axis];
      at[a] = 0;
    }
  }
}

template <class T>
Kernel sum_levels(LiteSum s) {
  return [s = std::move(s)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Tensor sums, r.allocate(DType::kInt64, Shape{s.outputs}));
    int64_t* sum = sums.mutable_data<int64_t>();
    std::fill_n(sum, s.outputs, 0);
    add_levels(s, r.in<T>(0), sum);
    T* y = r.out<T>(0);
    for (int64_t i = 0; i < s.outputs; ++i) {
      const auto level = static_cast<int32_t>(static_cast<uint64_t>(sum[i]) -
                                              static_cast<uint64_t>(int64_t{s.zero_x}) *
                                                  static_cast<uint64_t>(s.reduced));
      y[i] = static_cast<T>(lite::clamped(lite::wrapping_add(lite::scaled(level, s.m), s.zero_y),
                                          s.range.low, s.range.high));
    }
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_lite_sum(Prepare& p) {
  LiteSum s;
  s.x = p.input_shape(0);
  TENON_ASSIGN_OR_RETURN(const std::vector<char> reduced,
                         reduced_axes_of(*p.constant(1), s.x.rank()));
  s.steps.assign(reduced.size(), 0);
  s.outputs = 1;
  for (int axis = s.x.rank() - 1; axis >= 0; --axis) {
    const auto a = static_cast<size_t>(axis);
    if (reduced[a]) {
      TENON_ASSIGN_OR_RETURN(s.reduced, multiply_dims(s.reduced, s.x[axis]));
    } else {
      s.steps[a] = s.outputs;
      s.outputs *= s.x[axis];
    }
  }
  s.m = lite::multipliers_of(p.attrs())[0];
  if (p.attr<bool>("mean")) s.m = divided(s.m, s.reduced);
  const auto zero = lite::zero_points_of(p.attrs());
  s.zero_x = zero[0];
  s.zero_y = zero[1];
  s.range = lite::range_of(p.attrs(), p.output_dtype(0));
  Kernel kernel;
  TENON_RETURN_IF_ERROR(lite::visit_levels(
      p.input_dtype(0), [&]<class T>() { kernel = sum_levels<T>(std::move(s)); }));
  return kernel;
}

}  // namespace

TENON_OP(_LiteSum) = {
    .inputs = "x: T, axes: Tidx",
    .outputs = "y: T",
    .attrs =
        "T: " TENON_LITE_LEVELS
        "; Tidx: {int32, int64} = int32; keep_dims: bool = false; mean: bool; " TENON_LITE_FACTORS,
    .host_inputs = {1},
    .shape = lite_sum_shape,
    .rows = reduction_rows,
    .gradient = not_differentiable,
    .kernels = {make_lite_sum},
};

}  // namespace tenon
