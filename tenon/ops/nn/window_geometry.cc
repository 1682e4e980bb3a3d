#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

// The spatial entries of a list over all four axes. `what` is the attribute's name.
Status spatial_entries(const AttrMap& attrs, std::string_view what, const WindowAttrs& window,
                       int64_t (&entries)[2]) {
  const auto* list = attrs.get_if<std::vector<int64_t>>(what);
  if (!list) return absl::OkStatus();
  if (list->size() != 4) {
    return invalid_argument("attribute '", what, "' has ", list->size(), " values, 4 are expected");
  }
  for (int64_t value : *list) {
    if (value <= 0) {
      return invalid_argument("attribute '", what, "' is ", to_string(AttrValue(*list)),
                              ", its values must be positive");
    }
  }
  if ((*list)[0] != 1 || (*list)[static_cast<size_t>(window.channel_axis())] != 1) {
    return unimplemented("attribute '", what, "' is ", to_string(AttrValue(*list)),
                         ": over batch or channels it must be 1");
  }
  for (int i = 0; i < 2; ++i) entries[i] = (*list)[static_cast<size_t>(window.spatial_axis(i))];
  return absl::OkStatus();
}

Status explicit_entries(const AttrMap& attrs, WindowAttrs& window) {
  const auto& list = attrs.get<std::vector<int64_t>>("explicit_paddings");
  if (list.size() != 8) {
    return invalid_argument("attribute 'explicit_paddings' has ", list.size(),
                            " values, 8 are expected");
  }
  for (int64_t value : list) {
    if (value < 0) return invalid_argument("attribute 'explicit_paddings' has the value ", value);
  }
  for (int i = 0; i < 2; ++i) {
    const size_t at = static_cast<size_t>(window.spatial_axis(i)) * 2;
    window.pad_before[i] = list[at];
    window.pad_after[i] = list[at + 1];
  }
  const size_t channels = static_cast<size_t>(window.channel_axis()) * 2;
  if (list[0] != 0 || list[1] != 0 || list[channels] != 0 || list[channels + 1] != 0) {
    return invalid_argument("batch and channels cannot be padded");
  }
  return absl::OkStatus();
}

StatusOr<Window> window_along(const WindowAttrs& window, int axis, int64_t input, int64_t size) {
  return window_output(input, size, window.dilation[axis], window.stride[axis], window.padding,
                       window.pad_before[axis], window.pad_after[axis]);
}

}  // namespace

StatusOr<WindowAttrs> window_attrs(const AttrMap& attrs) {
  WindowAttrs window;
  const std::string format = attrs.get_or<std::string>("data_format", "NHWC");
  if (format == "NCHW_VECT_C") return unimplemented("data_format NCHW_VECT_C");
  window.channels_first = format == "NCHW";
  window.padding = attrs.get<std::string>("padding");
  TENON_RETURN_IF_ERROR(spatial_entries(attrs, "ksize", window, window.size));
  TENON_RETURN_IF_ERROR(spatial_entries(attrs, "strides", window, window.stride));
  TENON_RETURN_IF_ERROR(spatial_entries(attrs, "dilations", window, window.dilation));
  if (window.padding == "EXPLICIT") TENON_RETURN_IF_ERROR(explicit_entries(attrs, window));
  return window;
}

PartialShape window_shape(const WindowAttrs& window, int64_t batch, int64_t height, int64_t width,
                          int64_t channels) {
  if (window.channels_first) return {batch, channels, height, width};
  return {batch, height, width, channels};
}

StatusOr<PartialShape> conv_output_shape(const AttrMap& attrs, const PartialShape& input,
                                         const PartialShape& filter, bool depthwise) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(attrs));
  for (const PartialShape* shape : {&input, &filter}) {
    if (shape->has_rank() && shape->rank() != 4) {
      return invalid_argument("a convolution needs an input and a filter of rank 4, found ", input,
                              " and ", filter);
    }
  }
  if (!input.has_rank() || !filter.has_rank()) return PartialShape::unknown_of_rank(4);
  const int64_t channels = input[window.channel_axis()];
  int64_t out_channels = filter[3];
  if (depthwise) {
    out_channels = filter[2] < 0 || filter[3] < 0 ? -1 : filter[2] * filter[3];
    if (channels >= 0 && filter[2] >= 0 && channels != filter[2]) {
      return invalid_argument("the input of shape ", input, " has ", channels,
                              " channels, the filter of shape ", filter, " is for ", filter[2]);
    }
  } else if (channels >= 0 && filter[2] >= 0) {
    if (filter[2] == 0 || channels % filter[2] != 0) {
      return invalid_argument("the input of shape ", input, " has ", channels,
                              " channels, no multiple of the filter's ", filter[2]);
    }
    if (out_channels >= 0 && channels != 0 && out_channels % (channels / filter[2]) != 0) {
      return invalid_argument("the filter of shape ", filter, " gives ", out_channels,
                              " channels, no multiple of the ", channels / filter[2], " groups");
    }
  }
  TENON_ASSIGN_OR_RETURN(const Window height,
                         window_along(window, 0, input[window.spatial_axis(0)], filter[0]));
  TENON_ASSIGN_OR_RETURN(const Window width,
                         window_along(window, 1, input[window.spatial_axis(1)], filter[1]));
  return window_shape(window, input[0], height.output, width.output, out_channels);
}

StatusOr<PartialShape> pool_output_shape(const AttrMap& attrs, const PartialShape& input) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(attrs));
  if (!input.has_rank()) return PartialShape::unknown_of_rank(4);
  if (input.rank() != 4) {
    return invalid_argument("a pooling needs an input of rank 4, found ", input);
  }
  TENON_ASSIGN_OR_RETURN(const Window height,
                         window_along(window, 0, input[window.spatial_axis(0)], window.size[0]));
  TENON_ASSIGN_OR_RETURN(const Window width,
                         window_along(window, 1, input[window.spatial_axis(1)], window.size[1]));
  return window_shape(window, input[0], height.output, width.output, input[window.channel_axis()]);
}

StatusOr<kernels::ConvSpec> conv_spec(const AttrMap& attrs, const Shape& input, const Shape& filter,
                                      bool depthwise) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(attrs));
  if (window.channels_first) return unimplemented("a convolution in NCHW; NHWC is available");
  kernels::ConvSpec spec;
  spec.batch = input[0];
  spec.in_channels = input[3];
  spec.out_channels = depthwise ? filter[2] * filter[3] : filter[3];
  spec.groups = depthwise ? filter[2] : filter[2] == 0 ? 1 : input[3] / filter[2];
  for (size_t i = 0; i < 2; ++i) {
    const int axis = static_cast<int>(i);
    TENON_ASSIGN_OR_RETURN(const Window along,
                           window_along(window, axis, input[1 + axis], filter[axis]));
    spec.input[i] = input[1 + axis];
    spec.kernel[i] = filter[axis];
    spec.output[i] = along.output;
    spec.stride[i] = window.stride[i];
    spec.dilation[i] = window.dilation[i];
    spec.pad_before[i] = along.before;
    spec.pad_after[i] = along.after;
  }
  return spec;
}

StatusOr<kernels::PoolSpec> pool_spec(const AttrMap& attrs, const Shape& input) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(attrs));
  if (window.channels_first) return unimplemented("a pooling in NCHW; NHWC is available");
  kernels::PoolSpec spec;
  spec.batch = input[0];
  spec.channels = input[3];
  for (size_t i = 0; i < 2; ++i) {
    const int axis = static_cast<int>(i);
    TENON_ASSIGN_OR_RETURN(const Window along,
                           window_along(window, axis, input[1 + axis], window.size[i]));
    spec.input[i] = input[1 + axis];
    spec.output[i] = along.output;
    spec.window[i] = window.size[i];
    spec.stride[i] = window.stride[i];
    spec.pad_before[i] = along.before;
  }
  return spec;
}

}  // namespace tenon
