// _LiteAdd, _LiteMul, _LiteCompare: two tensors of levels, broadcast. _LiteAdd brings both to one
// scale with `left_shift` more bits first; it also subtracts, and squares the difference.
#include "tenon/kernels/broadcast.h"
#include "tenon/kernels/levels/level_binary.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon {
namespace {

Status broadcast_levels(ShapeContext& c, size_t factors, size_t zeros) {
  TENON_RETURN_IF_ERROR(lite::check_factors(c.attrs(), factors, zeros));
  const AttrDef* shift = c.op().find_attr("left_shift");
  if (shift && (c.attr<int64_t>("left_shift") < 0 || c.attr<int64_t>("left_shift") > 20)) {
    return invalid_argument("left_shift is ", c.attr<int64_t>("left_shift"));
  }
  return broadcast_inputs(c);
}

// y = f(a, b) for all elements.
template <class T, class F>
Kernel compare_kernel(const kernels::BroadcastPlan& plan, const F& f) {
  return [plan, f](KernelRun& r) {
    const T* a = r.in<T>(0);
    const T* b = r.in<T>(1);
    bool* y = r.out<bool>(0);
    kernels::for_each_run(
        plan, [&](const int64_t* offsets, const int64_t* steps, int64_t at, int64_t count) {
          const T* left = a + offsets[0];
          const T* right = b + offsets[1];
          for (int64_t i = 0; i < count; ++i) {
            y[at + i] = f(left[i * steps[0]], right[i * steps[1]]);
          }
        });
    return absl::OkStatus();
  };
}

StatusOr<kernels::BroadcastPlan> plan_of_inputs(const Prepare& p) {
  return kernels::plan_broadcast(std::vector<Shape>{p.input_shape(0), p.input_shape(1)});
}

kernels::LevelFactor factor_of(lite::Multiplier m) { return {m.value, m.shift}; }

StatusOr<Kernel> make_level_binary(const Prepare& p, kernels::LevelBinary s) {
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, plan_of_inputs(p));
  const auto zero = lite::zero_points_of(p.attrs());
  const lite::LevelRange range = lite::range_of(p.attrs(), p.output_dtype(0));
  s.dtype = p.output_dtype(0);
  s.zero_a = zero[0];
  s.zero_b = zero[1];
  s.zero_y = zero[2];
  s.low = range.low;
  s.high = range.high;
  return Kernel([plan, s](KernelRun& r) {
    kernels::run_level_binary(s, plan, r.input(0).raw(), r.input(1).raw(),
                              r.output(0).mutable_raw());
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_lite_add(Prepare& p) {
  const auto m = lite::multipliers_of(p.attrs());
  const std::string& kind = p.attr<std::string>("kind");
  kernels::LevelBinary s;
  s.kind = kind == "add"   ? kernels::LevelBinaryKind::kAdd
           : kind == "sub" ? kernels::LevelBinaryKind::kSubtract
                           : kernels::LevelBinaryKind::kSquaredDifference;
  s.left_shift = static_cast<int32_t>(p.attr<int64_t>("left_shift"));
  s.a = factor_of(m[0]);
  s.b = factor_of(m[1]);
  s.y = factor_of(m[2]);
  return make_level_binary(p, s);
}

StatusOr<Kernel> make_lite_mul(Prepare& p) {
  kernels::LevelBinary s;
  s.kind = kernels::LevelBinaryKind::kMultiply;
  s.y = factor_of(lite::multipliers_of(p.attrs())[0]);
  return make_level_binary(p, s);
}

StatusOr<Kernel> make_lite_compare(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, plan_of_inputs(p));
  const auto m = lite::multipliers_of(p.attrs());
  const auto zero = lite::zero_points_of(p.attrs());
  const auto bring = [](int32_t x, int32_t z, lite::Multiplier by) {
    return lite::scaled(lite::shift_left(x - z, 8), by);
  };
  const std::string kind = p.attr<std::string>("kind");
  Kernel kernel;
  const auto with = [&]<class F>(const F& compare) {
    return lite::visit_levels(p.input_dtype(0), [&]<class T>() {
      kernel = compare_kernel<T>(
          plan, [=, za = zero[0], zb = zero[1], ma = m[0], mb = m[1]](int32_t a, int32_t b) {
            return compare(bring(a, za, ma), bring(b, zb, mb));
          });
    });
  };
  TENON_RETURN_IF_ERROR(kind == "equal"        ? with(std::equal_to<int32_t>())
                        : kind == "not_equal"  ? with(std::not_equal_to<int32_t>())
                        : kind == "less"       ? with(std::less<int32_t>())
                        : kind == "less_equal" ? with(std::less_equal<int32_t>())
                        : kind == "greater"    ? with(std::greater<int32_t>())
                                               : with(std::greater_equal<int32_t>()));
  return kernel;
}

}  // namespace

TENON_OP(_LiteAdd) = {
    .inputs = "a: T, b: T",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS
             "; kind: {'add', 'sub', 'squared_difference'}; left_shift: int; " TENON_LITE_FACTORS,
    .shape = [](ShapeContext& c) { return broadcast_levels(c, 3, 3); },
    .gradient = not_differentiable,
    .kernels = {make_lite_add},
};

TENON_OP(_LiteMul) = {
    .inputs = "a: T, b: T",
    .outputs = "y: T",
    .attrs = "T: " TENON_LITE_LEVELS "; " TENON_LITE_FACTORS,
    .shape = [](ShapeContext& c) { return broadcast_levels(c, 1, 3); },
    .gradient = not_differentiable,
    .kernels = {make_lite_mul},
};

TENON_OP(_LiteCompare) = {
    .inputs = "a: T, b: T",
    .outputs = "y: bool",
    .attrs = "T: " TENON_LITE_LEVELS
             "; kind: {'equal', 'not_equal', 'less', 'less_equal', 'greater', 'greater_equal'}; "
             "multipliers: list(int); shifts: list(int); zero_points: list(int)",
    .shape = [](ShapeContext& c) { return broadcast_levels(c, 2, 2); },
    .gradient = not_differentiable,
    .kernels = {make_lite_compare},
};

}  // namespace tenon
