// Strides, paddings and shapes of the convolutions and poolings.
#pragma once

#include "tenon/core/shape_context.h"
#include "tenon/kernels/conv.h"
#include "tenon/kernels/pool.h"

namespace tenon {

// The attributes strides, padding, explicit_paddings, data_format and dilations (or ksize) of a 2-D
// window op, in the order of the spatial axes.
struct WindowAttrs {
  bool channels_first = false;
  int64_t size[2] = {1, 1};  // ksize; of convolutions the filter decides
  int64_t stride[2] = {1, 1};
  int64_t dilation[2] = {1, 1};
  std::string padding;
  int64_t pad_before[2] = {0, 0};
  int64_t pad_after[2] = {0, 0};

  int channel_axis() const { return channels_first ? 1 : 3; }
  int spatial_axis(int index) const { return (channels_first ? 2 : 1) + index; }
};

// INVALID_ARGUMENT for lists of another length than 4 (8 for paddings) and for values that are not
// positive; UNIMPLEMENTED for strides and windows over batch or channels.
StatusOr<WindowAttrs> window_attrs(const AttrMap& attrs);

// [batch, spatial.., channels] in the op's data format, from its parts.
PartialShape window_shape(const WindowAttrs& window, int64_t batch, int64_t height, int64_t width,
                          int64_t channels);

// Output shape of a convolution of `input` by `filter`; `depthwise`: channels are in * multiplier.
StatusOr<PartialShape> conv_output_shape(const AttrMap& attrs, const PartialShape& input,
                                         const PartialShape& filter, bool depthwise);

// Output shape of a pooling of `input`.
StatusOr<PartialShape> pool_output_shape(const AttrMap& attrs, const PartialShape& input);

// What the kernels need. Shapes have been checked by the functions above; UNIMPLEMENTED for
// channels-first data.
StatusOr<kernels::ConvSpec> conv_spec(const AttrMap& attrs, const Shape& input, const Shape& filter,
                                      bool depthwise);
StatusOr<kernels::PoolSpec> pool_spec(const AttrMap& attrs, const Shape& input);

}  // namespace tenon
