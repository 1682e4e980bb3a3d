// QuantizedResizeBilinear, QuantizedInstanceNorm, QuantizedBatchNormWithGlobalNormalization: ops on
// images whose elements are levels. tensorflow/core/kernels/quantized_resize_bilinear_op.cc,
// quantized_instance_norm.cc, quantized_batch_norm_op.cc.
#include "tenon/core/op.h"
#include "tenon/ops/image/resize.h"
#include "tenon/ops/quantize/quantized.h"

namespace tenon {
namespace {

Status quantized_resize_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_limits(c, 2, 2));
  c.set_output(1, Shape());
  c.set_output(2, Shape());
  return resize_shape(c);
}

void resize_floats(const ResizeGeometry& g, const float* x, float* y) {
  const std::vector<Interpolation> rows = bilinear_interpolation(g, true);
  const std::vector<Interpolation> columns = bilinear_interpolation(g, false);
  const int64_t line = g.in_columns * g.channels;
  for (int64_t b = 0; b < g.batch; ++b, x += g.in_rows * line) {
    for (const Interpolation& row : rows) {
      const float *top = x + row.lower * line, *bottom = x + row.upper * line;
      for (const Interpolation& column : columns) {
        const int64_t left = column.lower * g.channels, right = column.upper * g.channels;
        for (int64_t c = 0; c < g.channels; ++c) {
          const float above = top[left + c] + (top[right + c] - top[left + c]) * column.weight;
          const float below =
              bottom[left + c] + (bottom[right + c] - bottom[left + c]) * column.weight;
          *y++ = above + (below - above) * row.weight;
        }
      }
    }
  }
}

// Levels are interpolated in fixed point: weights have `bits` bits, products are a Product's.
template <class T, class Weight, class Product, int bits>
void resize_levels(const ResizeGeometry& g, const T* x, T* y) {
  constexpr auto kOne = static_cast<Product>(Product{1} << bits);
  const std::vector<Interpolation> rows = bilinear_interpolation(g, true);
  const std::vector<Interpolation> columns = bilinear_interpolation(g, false);
  const auto weight_of = [](const Interpolation& i) {
    return static_cast<Product>(static_cast<Weight>(i.weight * static_cast<float>(kOne)));
  };
  const int64_t line = g.in_columns * g.channels;
  for (int64_t b = 0; b < g.batch; ++b, x += g.in_rows * line) {
    for (const Interpolation& row : rows) {
      const T *top = x + row.lower * line, *bottom = x + row.upper * line;
      for (const Interpolation& column : columns) {
        const int64_t left = column.lower * g.channels, right = column.upper * g.channels;
        const auto between = [&](const T* cells, int64_t c) {
          const auto from = static_cast<Product>(cells[left + c]);
          const auto step = static_cast<Product>(cells[right + c]) - from;
          return static_cast<Product>(from * kOne + step * weight_of(column));
        };
        for (int64_t c = 0; c < g.channels; ++c) {
          const Product above = between(top, c), below = between(bottom, c);
          const auto level = static_cast<Product>(above + static_cast<Product>(below - above) /
                                                              kOne * weight_of(row));
          *y++ = static_cast<T>((level + kOne / 2) / kOne);
        }
      }
    }
  }
}

StatusOr<Kernel> make_quantized_resize(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  const Shape output = p.output_shape(0).to_shape();
  ResizeGeometry g;
  if (output.num_elements() > 0) {
    TENON_ASSIGN_OR_RETURN(g, resize_geometry(p.attrs(), p.input_shape(0), output));
  }
  return Kernel([g, dtype](KernelRun& r) {
    *r.out<float>(1) = limit_at(r, 2);
    *r.out<float>(2) = limit_at(r, 3);
    if (g.batch == 0) return absl::OkStatus();
    if (dtype == DType::kFloat) resize_floats(g, r.in<float>(0), r.out<float>(0));
    if (dtype == DType::kQuint8) {
      resize_levels<uint8_t, int16_t, int16_t, 7>(g, r.in<uint8_t>(0), r.out<uint8_t>(0));
    }
    if (dtype == DType::kQint32) {
      resize_levels<int32_t, int32_t, int64_t, 30>(g, r.in<int32_t>(0), r.out<int32_t>(0));
    }
    return absl::OkStatus();
  });
}

Status instance_norm_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  TENON_RETURN_IF_ERROR(expect_limits(c, 1, 2));
  if (c.attr<bool>("output_range_given") &&
      !(c.attr<float>("given_y_min") < c.attr<float>("given_y_max"))) {
    return invalid_argument("given_y_min must be less than given_y_max: ",
                            c.attr<float>("given_y_min"), " >= ", c.attr<float>("given_y_max"));
  }
  c.set_output(0, c.input(0));
  c.set_output(1, Shape());
  c.set_output(2, Shape());
  return absl::OkStatus();
}

struct InstanceNormForm {
  bool range_given = false;
  float min = 0, max = 0, epsilon = 0, separation = 0;
};

// Each channel of each image less its mean, over its deviation.
Status instance_norm(KernelRun& r, const Shape& x, const InstanceNormForm& form) {
  const float low = limit_at(r, 1), high = limit_at(r, 2);
  if (!(low < high)) {
    return invalid_argument("input_min must be less than input_max: ", low, " >= ", high);
  }
  const float scale = (high - low) / 255;
  const int64_t cells = x[1] * x[2], channels = x[3], image = cells * channels;
  const auto* levels = r.in<uint8_t>(0);
  std::vector<float> normed(static_cast<size_t>(x.num_elements()));
  for (int64_t b = 0; b < x[0]; ++b) {
    for (int64_t c = 0; c < channels; ++c) {
      const auto at = [&](int64_t i) { return b * image + i * channels + c; };
      double sum = 0, squares = 0;
      for (int64_t i = 0; i < cells; ++i) sum += levels[at(i)];
      const auto mean = static_cast<float>(sum / static_cast<double>(cells));
      for (int64_t i = 0; i < cells; ++i) {
        const float apart = scale * (static_cast<float>(levels[at(i)]) - mean);
        squares += static_cast<double>(apart) * apart;
      }
      const auto variance = static_cast<float>(squares / static_cast<double>(cells));
      const float factor = 1 / std::sqrt(variance + form.epsilon);
      for (int64_t i = 0; i < cells; ++i) {
        normed[static_cast<size_t>(at(i))] =
            scale * (static_cast<float>(levels[at(i)]) - mean) * factor;
      }
    }
  }
  float min = form.min, max = form.max;
  if (!form.range_given) {
    min = std::numeric_limits<float>::max();
    max = std::numeric_limits<float>::lowest();
    for (float value : normed) {
      min = std::min(min, value);
      max = std::max(max, value);
    }
  }
  if (max - min < form.separation) max = min + form.separation;
  for (size_t i = 0; i < normed.size(); ++i) {
    r.out<uint8_t>(0)[i] = float_to_quantized<uint8_t>(normed[i], min, max);
  }
  *r.out<float>(1) = min;
  *r.out<float>(2) = max;
  return absl::OkStatus();
}

StatusOr<Kernel> make_instance_norm(Prepare& p) {
  if (p.input_dtype(0) != DType::kQuint8) {
    return unimplemented("QuantizedInstanceNorm of ", p.input_dtype(0));
  }
  const InstanceNormForm form{p.attr<bool>("output_range_given"), p.attr<float>("given_y_min"),
                              p.attr<float>("given_y_max"), p.attr<float>("variance_epsilon"),
                              p.attr<float>("min_separation")};
  return Kernel([form, x = p.input_shape(0)](KernelRun& r) { return instance_norm(r, x, form); });
}

// Inputs: t, m, v, beta, gamma, each with its limits behind it.
Status quantized_batch_norm_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 4));
  int64_t channels = c.input(0).has_rank() ? c.input(0)[3] : -1;
  for (int i = 0; i < 15; i += 3) {
    TENON_RETURN_IF_ERROR(expect_limits(c, i + 1, 2));
    if (i == 0) continue;
    TENON_RETURN_IF_ERROR(c.expect_rank(i, 1));
    const int64_t own = c.input(i).has_rank() ? c.input(i)[0] : -1;
    if (own >= 0 && channels >= 0 && own != channels) {
      return invalid_argument("input ", i, " has ", own, " elements for ", channels, " channels");
    }
    channels = std::max(channels, own);
  }
  c.set_output(0, c.input(0));
  c.set_output(1, Shape());
  c.set_output(2, Shape());
  return absl::OkStatus();
}

// In 32 bits that wrap, of a fixed range.
int32_t wrap32(int64_t x) { return static_cast<int32_t>(static_cast<uint32_t>(x)); }

StatusOr<Kernel> make_quantized_batch_norm(Prepare& p) {
  if (p.input_dtype(0) != DType::kQuint8 || p.output_dtype(0) != DType::kQint32) {
    return unimplemented(p.op().name(), " from ", p.input_dtype(0), " to ", p.output_dtype(0));
  }
  const float epsilon = p.attr<float>("variance_epsilon");
  const bool scaled = p.attr<bool>("scale_after_normalization");
  const int64_t channels = p.input_shape(0)[3], total = p.input_shape(0).num_elements();
  return Kernel([=](KernelRun& r) {
    constexpr float kMost = 1 << 20;
    const auto level_of = [](float x) { return float_to_quantized<int32_t>(x, -kMost, kMost); };
    const auto real = [&](int input, int64_t i) {
      return quantized_to_float<uint8_t>(r.in<uint8_t>(input)[i], limit_at(r, input + 1),
                                         limit_at(r, input + 2));
    };
    std::vector<int32_t> scales, offsets;
    for (int64_t c = 0; c < channels; ++c) {
      float scale = 1 / std::sqrt(real(6, c) + epsilon);
      if (scaled) scale *= real(12, c);
      scales.push_back(level_of(scale));
      offsets.push_back(level_of(-real(3, c) * scale + real(9, c)));
    }
    const int64_t one = level_of(1);
    for (int64_t i = 0; i < total; ++i) {
      const auto c = static_cast<size_t>(i % channels);
      const int64_t x = level_of(real(0, i));
      r.out<int32_t>(0)[i] = wrap32(wrap32(x * scales[c]) / one + offsets[c]);
    }
    *r.out<float>(1) = -kMost;
    *r.out<float>(2) = kMost;
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(QuantizedResizeBilinear) = {
    .inputs = "images: T, size: int32, min: float, max: float",
    .outputs = "resized_images: T, out_min: float, out_max: float",
    .attrs =
        "T: {quint8, qint32, float}; align_corners: bool = false; half_pixel_centers: bool = false",
    .host_inputs = {1},
    .shape = quantized_resize_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantized_resize},
};
TENON_OP(QuantizedInstanceNorm) = {
    .inputs = "x: T, x_min: float, x_max: float",
    .outputs = "y: T, y_min: float, y_max: float",
    .attrs =
        "T: {qint8, quint8, qint32, qint16, quint16}; output_range_given: bool = false; "
        "given_y_min: float = 0; given_y_max: float = 0; variance_epsilon: float = 1e-05; "
        "min_separation: float = 0.001",
    .shape = instance_norm_shape,
    .gradient = not_differentiable,
    .kernels = {make_instance_norm},
};
TENON_OP(QuantizedBatchNormWithGlobalNormalization) = {
    .inputs =
        "t: Tinput, t_min: float, t_max: float, m: Tinput, m_min: float, m_max: float, v: Tinput, "
        "v_min: float, v_max: float, beta: Tinput, beta_min: float, beta_max: float, gamma: "
        "Tinput, gamma_min: float, gamma_max: float",
    .outputs = "result: out_type, result_min: float, result_max: float",
    .attrs =
        "Tinput: {qint8, quint8, qint32, qint16, quint16}; out_type: {qint8, quint8, qint32, "
        "qint16, quint16}; variance_epsilon: float; scale_after_normalization: bool",
    .shape = quantized_batch_norm_shape,
    .gradient = not_differentiable,
    .kernels = {make_quantized_batch_norm},
};

}  // namespace tenon
