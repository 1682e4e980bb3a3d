#include "tenon/kernels/convolution/direct_conv.h"

#include "tenon/kernels/convolution/own_conv.h"
#include "tenon/kernels/simd/product_loops.h"

namespace tenon::kernels {
namespace {

// Terms of a result, at most: with more, oneDNN's blocked loops and a relu after them are faster.
constexpr int64_t kTerms = 32;
constexpr int64_t kFewChannels = 4;

bool is_padded(const ConvSpec& s) {
  return s.pad_before[0] + s.pad_before[1] + s.pad_after[0] + s.pad_after[1] > 0;
}

// Values of an input row with its padding.
int64_t padded_row(const ConvSpec& s) {
  return (s.pad_before[1] + s.input[1] + s.pad_after[1]) * s.in_channels;
}

// The input rows that output row `row` reads, with their padding.
void copy_rows(const ConvSpec& s, const float* image, int64_t row, float* rows) {
  const int64_t values = s.input[1] * s.in_channels;
  const int64_t before = s.pad_before[1] * s.in_channels;
  for (int64_t i = 0; i < s.kernel[0]; ++i, rows += padded_row(s)) {
    const int64_t y = row * s.stride[0] - s.pad_before[0] + i;
    std::fill_n(rows, padded_row(s), 0.0f);
    if (y >= 0 && y < s.input[0]) std::copy_n(image + y * values, values, rows + before);
  }
}

}  // namespace

bool direct_conv_suits(const ConvSpec& s) {
  return own_conv_form(s) && s.in_channels <= kFewChannels &&
         s.kernel[0] * s.kernel[1] * s.in_channels <= kTerms && s.out_channels % 16 == 0 &&
         s.out_channels <= kOwnConvChannels && product_loops().lanes >= 16;
}

size_t direct_conv_scratch_bytes(const ConvSpec& spec) {
  if (!is_padded(spec)) return 0;
  return static_cast<size_t>(team_size() * spec.kernel[0] * padded_row(spec)) * sizeof(float);
}

void direct_conv(const ConvSpec& s, const float* input, const float* filter, const float* bias,
                 float* output, void* scratch) {
  const bool padded = is_padded(s);
  const int64_t row_values = padded ? padded_row(s) : s.input[1] * s.in_channels;
  const TileFinish finish{.bias = bias, .limits = *limits_of(s.post.activation)};
  const TileProduct sizes{.m = s.output[1],
                          .n = s.out_channels,
                          .k = s.kernel[1] * s.in_channels,
                          .a_row = s.stride[1] * s.in_channels,
                          .b_row = s.out_channels,
                          .c_row = s.out_channels,
                          .runs = s.kernel[0],
                          .a_run = row_values,
                          .finish = &finish};
  for_workers(s.batch * s.output[0], [&](int64_t worker, int64_t first, int64_t last) {
    float* copied = static_cast<float*>(scratch) + worker * s.kernel[0] * row_values;
    for (int64_t i = first; i < last; ++i) {
      const float* image = input + i / s.output[0] * input_image(s);
      const int64_t row = i % s.output[0];
      const float* from = image + row * s.stride[0] * row_values;
      if (padded) {
        copy_rows(s, image, row, copied);
        from = copied;
      }
      float* to = output + i * s.output[1] * s.out_channels;
      product_loops().product(sizes, from, filter, to);
    }
  });
}

}  // namespace tenon::kernels
