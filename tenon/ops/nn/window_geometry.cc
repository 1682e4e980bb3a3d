#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

// The spatial entries of a list over all axes. `what` is the attribute's name.
Status spatial_entries(const AttrMap& attrs, std::string_view what, const WindowAttrs& window,
                       std::array<int64_t, 3>& entries) {
  const auto* list = attrs.get_if<std::vector<int64_t>>(what);
  if (!list) return absl::OkStatus();
  const size_t axes = static_cast<size_t>(window.rank) + 2;
  if (list->size() != axes) {
    return invalid_argument("attribute '", what, "' has ", list->size(), " values, ", axes,
                            " are expected");
  }
  if ((*list)[0] != 1 || (*list)[static_cast<size_t>(window.channel_axis())] != 1) {
    return unimplemented("attribute '", what, "' is ", to_string(AttrValue(*list)),
                         ": over batch or channels it must be 1");
  }
  for (int64_t value : *list) {
    if (value <= 0) {
      return invalid_argument("attribute '", what, "' is ", to_string(AttrValue(*list)),
                              ", its values must be positive");
    }
  }
  for (int i = 0; i < window.rank; ++i) {
    entries[static_cast<size_t>(i)] = (*list)[static_cast<size_t>(window.spatial_axis(i))];
  }
  return absl::OkStatus();
}

Status explicit_entries(const AttrMap& attrs, WindowAttrs& window) {
  const auto& list = attrs.get<std::vector<int64_t>>("explicit_paddings");
  const size_t values = 2 * (static_cast<size_t>(window.rank) + 2);
  if (list.size() != values) {
    return invalid_argument("attribute 'explicit_paddings' has ", list.size(), " values, ", values,
                            " are expected");
  }
  for (int64_t value : list) {
    if (value < 0) return invalid_argument("attribute 'explicit_paddings' has the value ", value);
  }
  for (int i = 0; i < window.rank; ++i) {
    const size_t at = static_cast<size_t>(window.spatial_axis(i)) * 2;
    window.pad_before[static_cast<size_t>(i)] = list[at];
    window.pad_after[static_cast<size_t>(i)] = list[at + 1];
  }
  const size_t channels = static_cast<size_t>(window.channel_axis()) * 2;
  if (list[0] != 0 || list[1] != 0 || list[channels] != 0 || list[channels + 1] != 0) {
    return invalid_argument("batch and channels cannot be padded");
  }
  return absl::OkStatus();
}

StatusOr<Window> window_along(const WindowAttrs& window, int axis, int64_t input, int64_t size) {
  const auto i = static_cast<size_t>(axis);
  return window_output(input, size, window.dilation[i], window.stride[i], window.padding,
                       window.pad_before[i], window.pad_after[i]);
}

// The output sizes of windows of `size(axis)` over `input`, which has the op's rank.
template <class Size>
StatusOr<std::array<int64_t, 3>> window_outputs(const WindowAttrs& window,
                                                const PartialShape& input, const Size& size) {
  std::array<int64_t, 3> outputs{1, 1, 1};
  for (int i = 0; i < window.rank; ++i) {
    TENON_ASSIGN_OR_RETURN(const Window along,
                           window_along(window, i, input[window.spatial_axis(i)], size(i)));
    outputs[static_cast<size_t>(i)] = along.output;
  }
  return outputs;
}

}  // namespace

StatusOr<WindowAttrs> window_attrs(const AttrMap& attrs) {
  WindowAttrs window;
  const std::string format = attrs.get_or<std::string>("data_format", "NHWC");
  if (format == "NCHW_VECT_C") return unimplemented("data_format NCHW_VECT_C");
  window.channels_first = format == "NCHW" || format == "NCDHW";
  const size_t axes = attrs.get<std::vector<int64_t>>("strides").size();
  if (axes != 4 && axes != 5) {
    return invalid_argument("attribute 'strides' has ", axes, " values, 4 or 5 are expected");
  }
  window.rank = static_cast<int>(axes) - 2;
  window.padding = attrs.get<std::string>("padding");
  TENON_RETURN_IF_ERROR(spatial_entries(attrs, "ksize", window, window.size));
  TENON_RETURN_IF_ERROR(spatial_entries(attrs, "strides", window, window.stride));
  TENON_RETURN_IF_ERROR(spatial_entries(attrs, "dilations", window, window.dilation));
  if (window.padding == "EXPLICIT") {
    TENON_RETURN_IF_ERROR(explicit_entries(attrs, window));
  } else if (const auto* list = attrs.get_if<std::vector<int64_t>>("explicit_paddings");
             list && !list->empty()) {
    return invalid_argument(
        "attribute 'explicit_paddings' must be empty if the padding is not EXPLICIT");
  }
  return window;
}

PartialShape window_shape(const WindowAttrs& window, int64_t batch,
                          std::span<const int64_t> spatial, int64_t channels) {
  std::vector<int64_t> dims{batch};
  if (window.channels_first) dims.push_back(channels);
  dims.insert(dims.end(), spatial.begin(), spatial.begin() + window.rank);
  if (!window.channels_first) dims.push_back(channels);
  return PartialShape(std::span<const int64_t>(dims));
}

StatusOr<PartialShape> conv_output_shape(const AttrMap& attrs, const PartialShape& input,
                                         const PartialShape& filter, bool depthwise) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(attrs));
  for (const PartialShape* shape : {&input, &filter}) {
    if (shape->has_rank() && shape->rank() != window.rank + 2) {
      return invalid_argument("a convolution needs an input and a filter of rank ", window.rank + 2,
                              ", found ", input, " and ", filter);
    }
  }
  if (!input.has_rank() || !filter.has_rank()) {
    return PartialShape::unknown_of_rank(window.rank + 2);
  }
  const int64_t channels = input[window.channel_axis()];
  const int64_t filter_in = filter[window.rank], filter_out = filter[window.rank + 1];
  int64_t out_channels = filter_out;
  if (depthwise) {
    out_channels = filter_in < 0 || filter_out < 0 ? -1 : filter_in * filter_out;
    if (channels >= 0 && filter_in >= 0 && channels != filter_in) {
      return invalid_argument("the input of shape ", input, " has ", channels,
                              " channels, the filter of shape ", filter, " is for ", filter_in);
    }
    if (window.stride[0] != window.stride[1]) {
      return invalid_argument("a depthwise convolution needs equal strides, found ",
                              window.stride[0], " and ", window.stride[1]);
    }
  } else if (channels >= 0 && filter_in >= 0) {
    if (filter_in == 0 || channels % filter_in != 0) {
      return invalid_argument("the input of shape ", input, " has ", channels,
                              " channels, no multiple of the filter's ", filter_in);
    }
    if (out_channels >= 0 && channels != 0 && out_channels % (channels / filter_in) != 0) {
      return invalid_argument("the filter of shape ", filter, " gives ", out_channels,
                              " channels, no multiple of the ", channels / filter_in, " groups");
    }
  }
  TENON_ASSIGN_OR_RETURN(const auto spatial,
                         window_outputs(window, input, [&](int axis) { return filter[axis]; }));
  return window_shape(window, input[0], spatial, out_channels);
}

StatusOr<PartialShape> pool_output_shape(const AttrMap& attrs, const PartialShape& input) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(attrs));
  if (!input.has_rank()) return PartialShape::unknown_of_rank(window.rank + 2);
  if (input.rank() != window.rank + 2) {
    return invalid_argument("a pooling needs an input of rank ", window.rank + 2, ", found ",
                            input);
  }
  for (size_t i = 0; i < static_cast<size_t>(window.rank) && window.padding == "EXPLICIT"; ++i) {
    const int64_t most = std::max(window.pad_before[i], window.pad_after[i]);
    if (most >= window.size[i]) {
      return invalid_argument("a padding of ", most, " needs to be smaller than the window size ",
                              window.size[i]);
    }
  }
  TENON_ASSIGN_OR_RETURN(const auto spatial, window_outputs(window, input, [&](int axis) {
                           return window.size[static_cast<size_t>(axis)];
                         }));
  return window_shape(window, input[0], spatial, input[window.channel_axis()]);
}

StatusOr<kernels::ConvSpec> conv_spec(const AttrMap& attrs, const Shape& input, const Shape& filter,
                                      bool depthwise) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(attrs));
  if (window.channels_first) return unimplemented("a convolution in NCHW; NHWC is available");
  const int64_t filter_in = filter[window.rank], filter_out = filter[window.rank + 1];
  kernels::ConvSpec spec;
  spec.rank = window.rank;
  spec.batch = input[0];
  spec.in_channels = input[window.rank + 1];
  spec.out_channels = depthwise ? filter_in * filter_out : filter_out;
  spec.groups = depthwise ? filter_in : filter_in == 0 ? 1 : spec.in_channels / filter_in;
  // Where dimensions were unknown, no shape function has compared them.
  spec.groups = std::max<int64_t>(spec.groups, 1);
  const bool fits = depthwise || filter_in == 0
                        ? filter_in == spec.in_channels
                        : spec.in_channels % filter_in == 0 && filter_out % spec.groups == 0;
  if (!fits) {
    return invalid_argument("a filter of shape ", filter, " does not fit an input of ",
                            spec.in_channels, " channels");
  }
  for (size_t i = 0; i < static_cast<size_t>(window.rank); ++i) {
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
  spec.rank = window.rank;
  spec.batch = input[0];
  spec.channels = input[window.rank + 1];
  for (size_t i = 0; i < static_cast<size_t>(window.rank); ++i) {
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
