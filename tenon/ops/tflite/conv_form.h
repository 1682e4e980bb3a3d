// What the products of levels share: convolutions, transposed ones, fully connected layers.
//
// Filters lie as in TensorFlow Lite. Sums are in 32 bits that wrap; with 16-bit activations and a
// 64-bit bias in 64.
#pragma once

#include "tenon/base/parallel.h"
#include "tenon/ops/tflite/quantized_args.h"

namespace tenon::lite {

struct LiteConvForm {
  int64_t batch = 0, rows = 0, columns = 0, in = 0, out = 0, kernel_rows = 0, kernel_columns = 0,
          out_rows = 0, out_columns = 0;
  int64_t stride[2]{1, 1}, dilation[2]{1, 1}, before[2]{0, 0};
  std::vector<Multiplier> factors;
  int32_t zero_x = 0, zero_w = 0, zero_y = 0;
  LevelRange range{0, 0};

  Multiplier factor(int64_t channel) const {
    return factors[factors.size() == 1 ? 0 : static_cast<size_t>(channel)];
  }
  template <class Sum>
  int32_t finish(Sum sum, int64_t channel) const {
    return clamped(wrapping_add(scaled(sum, factor(channel)), zero_y), range.low, range.high);
  }
  int32_t finish_once(int64_t sum, int64_t channel) const {
    return clamped(wrapping_add(scaled_once(sum, factor(channel)), zero_y), range.low, range.high);
  }
};

// INVALID_ARGUMENT where the factors are neither one nor one for each of `out` channels, or a zero
// point is no level of its tensor.
Status check_conv(const ShapeContext& c, int64_t out);
// Input 2 is a vector of `out` values.
Status check_bias(const ShapeContext& c, int64_t out);
// INVALID_ARGUMENT where the dimensions of one output channel's filter do not fit in int64.
Status check_filter_size(const PartialShape& w);
// An attribute of two positive numbers.
StatusOr<std::pair<int64_t, int64_t>> pair_of(const AttrMap& attrs, std::string_view name);
// Sets strides, dilations and paddings of `form`, and `output`, -1 where it is not known.
Status window_of(const AttrMap& attrs, const PartialShape& x, const PartialShape& w,
                 LiteConvForm& form, int64_t (&output)[2]);
// Factors, zero points and range, from the attributes.
void set_factors(const Prepare& p, LiteConvForm& form);

// Sums of products that wrap, in the accumulator's width.
template <class Sum, class X, class W>
Sum dot_levels(const X* x, const W* w, int64_t count, int32_t zero_x, int32_t zero_w) {
  using Wrapping = std::make_unsigned_t<Sum>;
  Wrapping sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += static_cast<Wrapping>(static_cast<Sum>(int32_t{x[i]} - zero_x) *
                                 static_cast<Sum>(int32_t{w[i]} - zero_w));
  }
  return static_cast<Sum>(sum);
}

template <class Sum>
Sum wrapped_sum(Sum a, Sum b) {
  using Wrapping = std::make_unsigned_t<Sum>;
  return static_cast<Sum>(static_cast<Wrapping>(a) + static_cast<Wrapping>(b));
}

// The same of a row whose zero point is taken off already. Blocks of products are short enough for
// 32 bits, so that the compiler may multiply and add pairs.
template <class Sum, int64_t kBlock, class W>
Sum dot_centred(const int16_t* x, const W* w, int64_t count, int32_t zero_w) {
  Sum sum = 0;
  for (int64_t begin = 0; begin < count; begin += kBlock) {
    const int64_t end = std::min(count, begin + kBlock);
    int32_t block = 0;
    if (zero_w == 0) {
      for (int64_t i = begin; i < end; ++i) block += int32_t{x[i]} * int32_t{w[i]};
    } else {
      for (int64_t i = begin; i < end; ++i) block += int32_t{x[i]} * (int32_t{w[i]} - zero_w);
    }
    sum = wrapped_sum(sum, static_cast<Sum>(block));
  }
  return sum;
}

// body(image, row, column, first element of the result's channels, worker) for all places, in
// parallel.
template <class Body>
void for_each_place(const LiteConvForm& form, const Body& body) {
  if (form.out == 0) return;
  const double work =
      static_cast<double>(form.kernel_rows * form.kernel_columns) * static_cast<double>(form.out);
  const int64_t grain = std::max<int64_t>(1, static_cast<int64_t>((1 << 14) / (work + 1)));
  parallel_workers(form.batch * form.out_rows * form.out_columns, grain,
                   [&](int64_t worker, int64_t begin, int64_t end) {
                     for (int64_t place = begin; place < end; ++place) {
                       const int64_t column = place % form.out_columns;
                       const int64_t row = place / form.out_columns % form.out_rows;
                       body(place / form.out_columns / form.out_rows, row, column, place * form.out,
                            worker);
                     }
                   });
}

// Calls f<X, W, Sum>() for the dtypes of activations, weights and bias that go together.
template <class F>
Status visit_conv(const Prepare& p, const F& f) {
  const DType x = p.input_dtype(0), w = p.input_dtype(1), bias = p.input_dtype(2);
  if (x == DType::kInt8 && w == DType::kInt8 && bias == DType::kInt32) {
    f.template operator()<int8_t, int8_t, int32_t>();
  } else if (x == DType::kUint8 && w == DType::kUint8 && bias == DType::kInt32) {
    f.template operator()<uint8_t, uint8_t, int32_t>();
  } else if (x == DType::kInt16 && w == DType::kInt8 && bias == DType::kInt32) {
    f.template operator()<int16_t, int8_t, int32_t>();
  } else if (x == DType::kInt16 && w == DType::kInt8 && bias == DType::kInt64) {
    f.template operator()<int16_t, int8_t, int64_t>();
  } else {
    return unimplemented("activations of ", x, ", weights of ", w, " and a bias of ", bias);
  }
  return absl::OkStatus();
}

}  // namespace tenon::lite
