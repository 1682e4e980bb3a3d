// Strides, paddings and shapes of the convolutions and poolings.
#pragma once

#include "tenon/core/shape_context.h"
#include "tenon/kernels/conv.h"
#include "tenon/kernels/pool.h"

namespace tenon {

// The attributes strides, padding, explicit_paddings, data_format and dilations (or ksize) of a 2-D
// or 3-D window op, in the order of the spatial axes.
struct WindowAttrs {
  int rank = 2;  // spatial axes
  bool channels_first = false;
  std::array<int64_t, 3> size{1, 1, 1};  // ksize; of convolutions the filter decides
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<int64_t, 3> dilation{1, 1, 1};
  std::string padding;
  std::array<int64_t, 3> pad_before{0, 0, 0};
  std::array<int64_t, 3> pad_after{0, 0, 0};

  int channel_axis() const { return channels_first ? 1 : rank + 1; }
  int spatial_axis(int index) const { return (channels_first ? 2 : 1) + index; }
};

// The length of strides says how many axes there are. INVALID_ARGUMENT for lists of another length
// (twice that for paddings) and for values that are not positive; UNIMPLEMENTED for strides and
// windows over batch or channels.
StatusOr<WindowAttrs> window_attrs(const AttrMap& attrs);

// [batch, spatial.., channels] in the op's data format, from its parts.
PartialShape window_shape(const WindowAttrs& window, int64_t batch,
                          std::span<const int64_t> spatial, int64_t channels);

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
