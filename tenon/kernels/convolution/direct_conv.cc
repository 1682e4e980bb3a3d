#include "tenon/kernels/convolution/direct_conv.h"

#include "tenon/kernels/convolution/own_conv.h"
#include "tenon/kernels/product/worker_scratch.h"
#include "tenon/kernels/scalar/conv_reference.h"
#include "tenon/kernels/simd/product_loops.h"

namespace tenon::kernels {
namespace {

constexpr int64_t kFewChannels = 4;  // more are worth a pointer to each cell (gathered_conv.h)

bool is_padded(const ConvSpec& s) {
  return s.pad_before[0] + s.pad_before[1] + s.pad_after[0] + s.pad_after[1] > 0;
}

// Values of an input row with its padding.
int64_t padded_row(const ConvSpec& s) {
  return (s.pad_before[1] + s.input[1] + s.pad_after[1]) * s.in_channels;
}

// Rows [first, first + count) of an image, counted with its padding, with their own.
void copy_rows(const ConvSpec& s, const float* image, int64_t first, int64_t count, float* rows) {
  const int64_t values = s.input[1] * s.in_channels;
  const int64_t before = s.pad_before[1] * s.in_channels;
  for (int64_t i = 0; i < count; ++i, rows += padded_row(s)) {
    const int64_t y = first + i - s.pad_before[0];
    if (y < 0 || y >= s.input[0]) {
      std::fill_n(rows, padded_row(s), 0.0f);
      continue;
    }
    std::fill_n(rows, before, 0.0f);
    std::copy_n(image + y * values, values, rows + before);
    std::fill_n(rows + before + values, s.pad_after[1] * s.in_channels, 0.0f);
  }
}

int64_t padded_image(const ConvSpec& s) {
  return is_padded(s) ? (s.pad_before[0] + s.input[0] + s.pad_after[0]) * padded_row(s) : 0;
}

size_t direct_conv_scratch_bytes(const ConvSpec& spec) {
  if (!is_padded(spec)) return 0;
  return static_cast<size_t>(team_size() * spec.kernel[0] * padded_row(spec)) * sizeof(float);
}

void direct_conv(const ConvSpec& s, const ConvPointers& p, void* scratch) {
  const bool padded = is_padded(s);
  const int64_t row_values = padded_row(s);
  const auto* const filter = static_cast<const float*>(p.filter);
  const TileFinish finish{.bias = s.post.bias ? p.bias : nullptr,
                          .limits = *limits_of(s.post.activation)};
  const TileProduct sizes{.m = s.output[1],
                          .n = s.out_channels,
                          .k = s.kernel[1] * s.in_channels,
                          .a_row = s.stride[1] * s.in_channels,
                          .b_row = s.out_channels,
                          .c_row = s.out_channels,
                          .runs = s.kernel[0],
                          .a_run = row_values,
                          .finish = &finish};
  parallel_workers(s.batch * s.output[0], 1, [&](int64_t worker, int64_t first, int64_t last) {
    float* copied = static_cast<float*>(scratch) + worker * s.kernel[0] * row_values;
    for (int64_t i = first; i < last; ++i) {
      const float* image = p.input + i / s.output[0] * input_image(s);
      const int64_t row = i % s.output[0];
      const float* from = image + row * s.stride[0] * row_values;
      if (padded) {
        copy_rows(s, image, row * s.stride[0], s.kernel[0], copied);
        from = copied;
      }
      float* to = p.output + i * s.output[1] * s.out_channels;
      product_loops().product(sizes, from, filter, to);
    }
  });
}

size_t direct_conv_filter_gradient_scratch_bytes(const ConvSpec& s) {
  const int64_t values = gradient_parts(s) * conv_filter_count(s) + team_size() * padded_image(s);
  return static_cast<size_t>(values) * sizeof(float);
}

// A row of taps is one product for each image: its terms are the image's outputs.
void direct_conv_filter_gradient(const ConvSpec& s, const float* input, const float* d_output,
                                 float* d_filter, void* scratch) {
  const int64_t parts = gradient_parts(s);
  const int64_t row_values = padded_row(s);
  const int64_t filter_values = conv_filter_count(s);
  const int64_t tap_row = s.kernel[1] * s.in_channels * s.out_channels;
  auto* const sums = static_cast<float*>(scratch);
  const TileProduct sizes{.m = s.kernel[1] * s.in_channels,
                          .n = s.out_channels,
                          .k = s.output[1],
                          .a_row = 1,
                          .a_column = s.stride[1] * s.in_channels,
                          .b_row = s.out_channels,
                          .c_row = s.out_channels,
                          .runs = s.output[0],
                          .a_run = s.stride[0] * row_values};
  // The filter's rows are cut where there are fewer parts than threads; each piece copies for
  // itself.
  const int64_t pieces =
      std::clamp<int64_t>((team_size() + parts - 1) / std::max<int64_t>(parts, 1), 1, s.kernel[0]);
  parallel_workers(parts * pieces, 1, [&](int64_t worker, int64_t first, int64_t last) {
    float* const copied = sums + parts * filter_values + worker * padded_image(s);
    TileProduct product = sizes;
    for (int64_t unit = first; unit < last; ++unit) {
      const int64_t part = unit / pieces;
      const int64_t row = s.kernel[0] * (unit % pieces) / pieces;
      const int64_t row_end = s.kernel[0] * (unit % pieces + 1) / pieces;
      const int64_t end = s.batch * (part + 1) / parts;
      product.add = false;
      for (int64_t item = s.batch * part / parts; item < end; ++item, product.add = true) {
        const float* image = input + item * input_image(s);
        if (is_padded(s)) {
          copy_rows(s, image, 0, padded_image(s) / row_values, copied);
          image = copied;
        }
        for (int64_t i = row; i < row_end; ++i) {
          product_loops().product(product, image + i * row_values,
                                  d_output + item * output_image(s),
                                  sums + part * filter_values + i * tap_row);
        }
      }
    }
  });
  add_parts(sums, parts, filter_values, d_filter);
}

}  // namespace

bool direct_conv_suits(const ConvSpec& s) {
  return own_conv_form(s) && s.packed.is_plain() && s.in_channels <= kFewChannels &&
         s.out_channels % product_loops().lanes == 0 && s.out_channels <= kOwnConvChannels;
}

std::unique_ptr<ConvKernel> make_direct_conv(const ConvSpec& spec) {
  return std::make_unique<OwnConv>("direct", spec, direct_conv_scratch_bytes(spec), &direct_conv);
}

std::unique_ptr<ConvGradientKernel> make_direct_conv_filter_gradient(const ConvSpec& spec) {
  return std::make_unique<OwnConvGradient>("direct", spec,
                                           direct_conv_filter_gradient_scratch_bytes(spec),
                                           &direct_conv_filter_gradient);
}

}  // namespace tenon::kernels
