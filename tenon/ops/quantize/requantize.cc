// Requantize, RequantizationRange, QuantizeDownAndShrinkRange (levels of one range to those of
// another), QuantizedReshape, QuantizedConcat, QuantizedRelu, QuantizedRelu6: ops on quantised
// tensors that carry their range beside them.
#include <cstring>

#include "tenon/ops/quantize/quantized.h"

namespace tenon {
namespace {

// Outputs `first` and `first` + 1 are the range: scalars.
Status set_range_shapes(ShapeContext& c, int first) {
  c.set_output(first, Shape());
  c.set_output(first + 1, Shape());
  return absl::OkStatus();
}

void set_range(KernelRun& r, int first, float min, float max) {
  *r.out<float>(first) = min;
  *r.out<float>(first + 1) = max;
}

template <class X, class Y>
void requantize(const X* x, int64_t count, float min, float max, float new_min, float new_max,
                Y* y) {
  const Dequantizer<X> from(min, max);
  const Quantizer<Y> to(new_min, new_max);
  std::transform(x, x + count, y, [&](X v) { return to(from(v)); });
}

// From 32 bits to 8 TensorFlow computes with 16 binary places, in 64 bits that wrap.
void requantize(const int32_t* x, int64_t count, float min, float max, float new_min, float new_max,
                uint8_t* y) {
  const auto range = static_cast<double>(max - min),
             new_range = static_cast<double>(new_max - new_min);
  const auto places = [&](double value) { return new_range == 0 ? 0 : to_int64(value); };
  const auto middle = static_cast<double>((min + max) / 2.0F);
  const int64_t scale = places(255.0 * 65536 * range / new_range);
  const int64_t offset = places(middle * (255.0 / new_range) * 65536);
  const int64_t new_offset = places(65536 * (static_cast<double>(new_min) * 255.0) / new_range);
  std::transform(x, x + count, y, [&](int32_t v) {
    const auto product =
        static_cast<int64_t>(static_cast<uint64_t>(int64_t{v}) * static_cast<uint64_t>(scale));
    const auto sum = static_cast<uint64_t>(product >> 32) + static_cast<uint64_t>(offset) -
                     static_cast<uint64_t>(new_offset) + (1U << 15);
    return static_cast<uint8_t>(std::clamp<int64_t>(static_cast<int64_t>(sum) >> 16, 0, 255));
  });
}

template <int limits>
Status requantize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_limits(c, 1, limits));
  c.set_output(0, c.input(0));
  return set_range_shapes(c, 1);
}

StatusOr<Kernel> make_requantize(Prepare& p) {
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class X>() {
    visit_quantized(p.output_dtype(0), [&]<class Y>() {
      kernel = [count = p.input_shape(0).num_elements()](KernelRun& r) -> Status {
        const float min = limit_at(r, 3), max = limit_at(r, 4);
        if (min > 0) return invalid_argument("requested_output_min must be <= 0, but got ", min);
        if (max < min) {
          return invalid_argument("requested_output_max must be >= requested_output_min, but got ",
                                  max, " and ", min);
        }
        requantize(r.in<X>(0), count, limit_at(r, 1), limit_at(r, 2), min, max, r.out<Y>(0));
        set_range(r, 1, min, max);
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

// The range that the levels take up; its least number is not above 0.
template <class X>
QuantizedLimits used_range(const KernelRun& r) {
  const auto* x = static_cast<const X*>(r.input(0).raw());
  const auto count = r.input(0).num_elements();
  if (count == 0) return {0, 0};
  const auto [low, high] = std::minmax_element(x, x + count);
  const float min = limit_at(r, 1), max = limit_at(r, 2);
  return {std::min(0.0F, quantized_to_float(*low, min, max)), quantized_to_float(*high, min, max)};
}

Status requantization_range_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_single_limits(c, 1, 2));
  return set_range_shapes(c, 0);
}

StatusOr<Kernel> make_requantization_range(Prepare& p) {
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class X>() {
    kernel = [](KernelRun& r) -> Status {
      if (r.input(0).num_elements() == 0) {
        return invalid_argument("Input must not be empty.");
      }
      const QuantizedLimits used = used_range<X>(r);
      set_range(r, 0, used.min, used.max);
      return absl::OkStatus();
    };
  });
  return kernel;
}

StatusOr<Kernel> make_shrink_range(Prepare& p) {
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class X>() {
    visit_quantized(p.output_dtype(0), [&]<class Y>() {
      kernel = [](KernelRun& r) {
        const QuantizedLimits used = used_range<X>(r);
        requantize(r.in<X>(0), r.input(0).num_elements(), limit_at(r, 1), limit_at(r, 2), used.min,
                   used.max, r.out<Y>(0));
        set_range(r, 1, used.min, used.max);
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

// --- Relu ---

template <int limits>
Status quantized_relu_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_limits(c, limits, 2));
  c.set_output(0, c.input(0));
  return set_range_shapes(c, 1);
}

template <bool six>
StatusOr<Kernel> make_quantized_relu(Prepare& p) {
  if (p.input_dtype(0) != p.output_dtype(0)) {
    return unimplemented(p.op().name(), " from ", p.input_dtype(0), " to ", p.output_dtype(0));
  }
  Kernel kernel;
  visit_quantized(p.input_dtype(0), [&]<class T>() {
    kernel = [count = p.input_shape(0).num_elements()](KernelRun& r) {
      const float min = limit_at(r, 1), max = limit_at(r, 2);
      const T low = float_to_quantized<T>(0, min, max);
      const T high = six ? float_to_quantized<T>(6, min, max) : std::numeric_limits<T>::max();
      std::transform(r.in<T>(0), r.in<T>(0) + count, r.out<T>(0),
                     [&](T x) { return std::min(std::max(x, low), high); });
      set_range(r, 1, min, max);
      return absl::OkStatus();
    };
  });
  return kernel;
}

constexpr OpDecl quantized_relu(KernelFactory factory) {
  return {
      .inputs = "features: Tinput, min_features: float, max_features: float",
      .outputs = "activations: out_type, min_activations: float, max_activations: float",
      .attrs =
          "Tinput: {qint8, quint8, qint32, qint16, quint16}; out_type: {qint8, quint8, qint32, "
          "qint16, quint16} = quint8",
      .shape = quantized_relu_shape<1>,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

// --- Reshape and Concat ---

// As Reshape; the range passes.
Status quantized_reshape_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_single_limits(c, 2, 2));
  TENON_RETURN_IF_ERROR(set_range_shapes(c, 1));
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(1));
  const int64_t count = c.input(0).num_elements();
  if (c.constant(1) && y.has_rank()) {
    int64_t product = 1;
    int open = -1;
    for (int i = 0; i < y.rank(); ++i) {
      if (y[i] < 0) {
        if (open >= 0) return invalid_argument("Only one input size may be -1");
        open = i;
      } else {
        TENON_ASSIGN_OR_RETURN(product, multiply_dims(product, y[i]));
      }
    }
    if (c.input(0).is_fully_known()) {
      if (open >= 0) {
        if (product == 0) {
          return invalid_argument("reshape cannot infer the missing input size of 0 elements");
        }
        y.set(open, count / product);
        product *= count / product;
      }
      if (product != count) {
        return invalid_argument("Input to reshape is a tensor with ", count,
                                " values, but the requested shape has ", product);
      }
    }
  }
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

StatusOr<Kernel> make_quantized_reshape(Prepare& p) {
  if (is_object(p.input_dtype(0))) return unimplemented("QuantizedReshape of ", p.input_dtype(0));
  const size_t bytes =
      static_cast<size_t>(p.input_shape(0).num_elements()) * size_of(p.input_dtype(0));
  return Kernel([bytes](KernelRun& r) {
    if (bytes > 0) std::memcpy(r.output(0).mutable_raw(), r.input(0).raw(), bytes);
    set_range(r, 1, limit_at(r, 2), limit_at(r, 3));
    return absl::OkStatus();
  });
}

Status quantized_concat_shape(ShapeContext& c) {
  const auto count = static_cast<int>(c.attr<int64_t>("N"));
  TENON_RETURN_IF_ERROR(expect_limits(c, 1 + count, 2 * count));
  TENON_RETURN_IF_ERROR(set_range_shapes(c, 1));
  const Tensor* dim = c.constant(0);
  PartialShape y = c.input(1);
  if (!dim || !y.has_rank()) return absl::OkStatus();
  if (dim->rank() != 0) {
    return invalid_argument("Concat dim tensor should be a scalar integer, but got shape ",
                            dim->shape());
  }
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*dim, 0), y.rank()));
  int64_t size = 0;
  for (int i = 1; i <= count; ++i) {
    PartialShape x = c.input(i);
    if (!x.has_rank()) x = PartialShape::unknown_of_rank(y.rank());
    if (x.rank() != y.rank()) {
      return invalid_argument("Ranks of all input tensors should match: ", y, " vs. ", x);
    }
    TENON_ASSIGN_OR_RETURN(size, add_dims(size, x[axis]));
    x.set(axis, -1);
    y.set(axis, -1);
    TENON_ASSIGN_OR_RETURN(y, PartialShape::merge(y, x));
  }
  y.set(axis, size);
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// The range that holds all inputs' ranges and, of levels with a sign, is symmetric.
template <class T>
QuantizedLimits common_range(const KernelRun& r, int count) {
  QuantizedLimits all{limit_at(r, 1 + count), limit_at(r, 1 + 2 * count)};
  for (int i = 0; i < count; ++i) {
    all.min = std::min(all.min, limit_at(r, 1 + count + i));
    all.max = std::max(all.max, limit_at(r, 1 + 2 * count + i));
  }
  if (std::is_signed_v<T>) {
    const float most = std::max(std::abs(all.min), std::abs(all.max));
    return {-most, most};
  }
  return {std::min(0.0F, all.min), all.max};
}

StatusOr<Kernel> make_quantized_concat(Prepare& p) {
  const auto count = static_cast<int>(p.attr<int64_t>("N"));
  const Shape first = p.input_shape(1);
  TENON_ASSIGN_OR_RETURN(const int axis, resolve_axis(integer_at(*p.constant(0), 0), first.rank()));
  const int64_t outer = first.product(0, axis), inner = first.product(axis + 1, first.rank());
  std::vector<int64_t> widths;
  for (int i = 1; i <= count; ++i) widths.push_back(p.input_shape(i)[axis] * inner);
  Kernel kernel;
  visit_quantized(p.input_dtype(1), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      const QuantizedLimits all = common_range<T>(r, count);
      T* y = r.out<T>(0);
      for (int64_t o = 0; o < outer; ++o) {
        for (int i = 0; i < count; ++i) {
          const int64_t width = widths[static_cast<size_t>(i)];
          const T* x = r.in<T>(1 + i) + o * width;
          const float min = limit_at(r, 1 + count + i), max = limit_at(r, 1 + 2 * count + i);
          if (min == all.min && max == all.max) {
            std::copy_n(x, width, y);
          } else {
            requantize(x, width, min, max, all.min, all.max, y);
          }
          y += width;
        }
      }
      set_range(r, 1, all.min, all.max);
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented("QuantizedConcat of dtype ", p.input_dtype(1));
  return kernel;
}

}  // namespace

TENON_OP(Requantize) = {
    .inputs =
        "input: Tinput, input_min: float, input_max: float, requested_output_min: float, "
        "requested_output_max: float",
    .outputs = "output: out_type, output_min: float, output_max: float",
    .attrs =
        "Tinput: {qint8, quint8, qint32, qint16, quint16}; out_type: {qint8, quint8, qint32, "
        "qint16, quint16}",
    .shape = requantize_shape<4>,
    .gradient = not_differentiable,
    .kernels = {make_requantize},
};
TENON_OP(RequantizationRange) = {
    .inputs = "input: Tinput, input_min: float, input_max: float",
    .outputs = "output_min: float, output_max: float",
    .attrs = "Tinput: {qint8, quint8, qint32, qint16, quint16}",
    .shape = requantization_range_shape,
    .gradient = not_differentiable,
    .kernels = {make_requantization_range},
};
TENON_OP(QuantizeDownAndShrinkRange) = {
    .inputs = "input: Tinput, input_min: float, input_max: float",
    .outputs = "output: out_type, output_min: float, output_max: float",
    .attrs =
        "Tinput: {qint8, quint8, qint32, qint16, quint16}; out_type: {qint8, quint8, qint32, "
        "qint16, quint16}",
    .shape = requantize_shape<2>,
    .gradient = not_differentiable,
    .kernels = {make_shrink_range},
};
TENON_OP(QuantizedRelu) = quantized_relu(make_quantized_relu<false>);
TENON_OP(QuantizedRelu6) = quantized_relu(make_quantized_relu<true>);
TENON_OP(QuantizedReshape) = {
    .inputs = "tensor: T, shape: Tshape, input_min: float, input_max: float",
    .outputs = "output: T, output_min: float, output_max: float",
    .attrs = "T: type; Tshape: {int32, int64} = int32",
    .host_inputs = {1},
    .shape = quantized_reshape_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantized_reshape},
};
TENON_OP(QuantizedConcat) = {
    .inputs = "concat_dim: int32, values: N * T, input_mins: N * float, input_maxes: N * float",
    .outputs = "output: T, output_min: float, output_max: float",
    .attrs = "N: int >= 2; T: type",
    .host_inputs = {0},
    .shape = quantized_concat_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantized_concat},
};

}  // namespace tenon
