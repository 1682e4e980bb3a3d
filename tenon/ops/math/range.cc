// Range and LinSpace.
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

using RangeTypes = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                            uint16_t, uint32_t, uint64_t>;

Status expect_scalars(ShapeContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) {
    const Tensor* value = c.constant(i);
    // TensorFlow takes vectors of one element too.
    if (value && value->num_elements() == 1) continue;
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  }
  return absl::OkStatus();
}

template <class T>
StatusOr<int64_t> range_size(T start, T limit, T delta) {
  const auto wide = [](T x) {
    if constexpr (std::is_integral_v<T>)
      return x;
    else
      return static_cast<double>(x);
  };
  if (wide(delta) == 0) return invalid_argument("Requires delta != 0: ", wide(delta));
  if (wide(delta) > 0 ? wide(start) > wide(limit) : wide(start) < wide(limit)) {
    return invalid_argument("Requires start ", wide(delta) > 0 ? "<=" : ">=", " limit when delta ",
                            wide(delta) > 0 ? ">" : "<", " 0: ", wide(start), "/", wide(limit));
  }
  // Integers exactly; floats in their own arithmetic, each step rounded.
  if constexpr (std::is_integral_v<T>) {
    const auto bits = [](T x) { return static_cast<uint64_t>(static_cast<int64_t>(x)); };
    const uint64_t distance = delta > 0 ? bits(limit) - bits(start) : bits(start) - bits(limit);
    const uint64_t step = delta > 0 ? bits(delta) : 0 - bits(delta);
    const uint64_t size = distance / step + (distance % step == 0 ? 0 : 1);
    if (size > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return invalid_argument("Requires ((limit - start) / delta) <= 9223372036854775807");
    }
    return static_cast<int64_t>(size);
  } else {
    const auto distance = static_cast<T>(limit - start);
    const double size = std::ceil(std::abs(wide(static_cast<T>(distance / delta))));
    if (!(size <= 0x1p63)) {
      return invalid_argument("Requires ((limit - start) / delta) <= 9223372036854775807");
    }
    return size < 0x1p63 ? static_cast<int64_t>(size) : std::numeric_limits<int64_t>::max();
  }
}

StatusOr<int64_t> range_size(const Tensor& start, const Tensor& limit, const Tensor& delta) {
  StatusOr<int64_t> size = internal("Range of an unexpected dtype");
  visit<RangeTypes>(start.dtype(), [&]<class T>() {
    size = range_size(*start.data<T>(), *limit.data<T>(), *delta.data<T>());
  });
  return size;
}

Status range_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_scalars(c));
  c.set_output(0, PartialShape{-1});
  if (c.constant(0) && c.constant(1) && c.constant(2)) {
    TENON_ASSIGN_OR_RETURN(const int64_t size,
                           range_size(*c.constant(0), *c.constant(1), *c.constant(2)));
    c.set_output(0, PartialShape{size});
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_range(Prepare& p) {
  Kernel kernel;
  const int64_t count = p.output_shape(0)[0];
  visit<RangeTypes>(p.output_dtype(0), [&]<class T>() {
    const T start = *p.constant(0)->data<T>();
    const T delta = *p.constant(2)->data<T>();
    kernel = [=](KernelRun& r) {
      T* y = r.out<T>(0);
      for (int64_t i = 0; i < count; ++i) {
        if constexpr (std::is_integral_v<T>) {
          y[i] = static_cast<T>(static_cast<uint64_t>(start) +
                                static_cast<uint64_t>(i) * static_cast<uint64_t>(delta));
        } else {
          y[i] = static_cast<T>(start + static_cast<T>(static_cast<T>(i) * delta));
        }
      }
      return absl::OkStatus();
    };
  });
  return kernel;
}

Status lin_space_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_scalars(c));
  c.set_output(0, PartialShape{-1});
  if (const Tensor* num = c.constant(2)) {
    const int64_t count = integer_at(*num, 0);
    if (count <= 0) return invalid_argument("Requires num > 0: ", count);
    c.set_output(0, PartialShape{count});
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_lin_space(Prepare& p) {
  Kernel kernel;
  const int64_t count = p.output_shape(0)[0];
  visit<FloatTypes>(p.output_dtype(0), [&]<class T>() {
    using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const T start = *p.constant(0)->data<T>();
    const T stop = *p.constant(1)->data<T>();
    kernel = [=](KernelRun& r) {
      T* y = r.out<T>(0);
      y[0] = start;
      if (count == 1) return absl::OkStatus();
      const T step = static_cast<T>((stop - start) / static_cast<Wide>(count - 1));
      for (int64_t i = 1; i < count - 1; ++i) {
        y[i] = static_cast<T>(start + step * static_cast<T>(static_cast<Wide>(i)));
      }
      y[count - 1] = stop;
      return absl::OkStatus();
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(Range) = {
    .inputs = "start: Tidx, limit: Tidx, delta: Tidx",
    .outputs = "output: Tidx",
    .attrs = "Tidx: {floating, int8, int16, int32, int64, uint16, uint32, uint64} = int32",
    .host_inputs = {0, 1, 2},
    .shape = range_shape,
    .gradient = not_differentiable,
    .kernels = {make_range},
};

TENON_OP(LinSpace) = {
    .inputs = "start: T, stop: T, num: Tidx",
    .outputs = "output: T",
    .attrs = "T: {floating}; Tidx: {int32, int64} = int32",
    .host_inputs = {0, 1, 2},
    .shape = lin_space_shape,
    .gradient = not_differentiable,
    .kernels = {make_lin_space},
};

}  // namespace tenon
