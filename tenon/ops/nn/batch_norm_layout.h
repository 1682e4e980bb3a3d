// What the batch normalisation ops do around kernels/norm.h: other dtypes and channels-first data.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"

namespace tenon {

// A [batch, spatial.., channels] or [batch, channels, spatial..] tensor as rows of channels.
struct BatchNormLayout {
  int64_t batch = 0;
  int64_t spatial = 1;
  int64_t channels = 0;
  bool channels_first = false;
  DType dtype = DType::kFloat;

  int64_t rows() const { return batch * spatial; }
  int64_t elements() const { return rows() * channels; }
  // The kernels read and write this layout as it is.
  bool direct() const { return !channels_first && dtype == DType::kFloat; }
};

// The index of the channels in a tensor of `rank`.
int batch_norm_channel_axis(const AttrMap& attrs, int rank);

BatchNormLayout batch_norm_layout(const AttrMap& attrs, const Shape& shape, DType dtype);

// Bytes of scratch: the kernels' factors and, where they cannot work in place, `copies` of the
// rows.
size_t batch_norm_scratch(const BatchNormLayout& layout, int64_t copies);

// [rows, channels] in float32: `tensor` itself, or a copy at `scratch`.
const float* load_rows(const BatchNormLayout& layout, const Tensor& tensor, float* scratch);

// The same plus `bias` [channels], each sum rounded to the tensor's dtype: always a copy at
// `scratch`. Without a bias (null) load_rows().
const float* load_shifted_rows(const BatchNormLayout& layout, const Tensor& tensor,
                               const Tensor* bias, float* scratch);

// From float32 [rows, channels] back to `layout`.
void store_rows(const BatchNormLayout& layout, const float* rows, Tensor& tensor);

// The common length of the channel vectors among inputs [first, last] and of the channels of input
// `x`; -1 when unknown. INVALID_ARGUMENT when they differ.
StatusOr<int64_t> batch_norm_channels(const ShapeContext& c, int x, int first, int last);

}  // namespace tenon
