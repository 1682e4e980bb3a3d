#include "plugins/cuda/window.h"

#include <algorithm>

namespace plugin::cuda {

TenonStatus* read_window(const TenonPrepare* prepare, const std::array<int64_t, 2>& size,
                         const std::array<int64_t, 2>& in, const std::array<int64_t, 2>& out,
                         Window2d& window) {
  const std::string format = string_attr(prepare, "data_format");
  if (!format.empty() && format != "NHWC") return unimplemented("channels-first data");
  const std::vector<int64_t> strides = ints_attr(prepare, "strides");
  const std::vector<int64_t> dilations = ints_attr(prepare, "dilations");
  const std::vector<int64_t> paddings = ints_attr(prepare, "explicit_paddings");
  const std::string padding = string_attr(prepare, "padding");
  if (strides.size() != 4 || strides[0] != 1 || strides[3] != 1) {
    return unimplemented("windows over batch or channels");
  }
  if (padding == "EXPLICIT" && paddings.size() != 8) return unimplemented("these paddings");
  for (size_t i = 0; i < 2; ++i) {
    window.stride[i] = strides[i + 1];
    if (dilations.size() == 4) window.dilation[i] = dilations[i + 1];
    if (padding == "EXPLICIT") {
      window.pad_before[i] = paddings[2 * i + 2];
      window.pad_after[i] = paddings[2 * i + 3];
    } else if (padding == "SAME") {
      const int64_t reach = (size[i] - 1) * window.dilation[i] + 1;
      const int64_t needed = (out[i] - 1) * window.stride[i] + reach - in[i];
      const int64_t total = std::max<int64_t>(needed, 0);
      window.pad_before[i] = total / 2;
      window.pad_after[i] = total - total / 2;
    }
  }
  return nullptr;
}

TenonStatus* read_window_shape(const TenonPrepare* prepare, const std::array<int64_t, 2>& size,
                               const TenonType& x, const TenonType& y, WindowShape& shape) {
  Window2d window;
  if (TenonStatus* status =
          read_window(prepare, size, {x.dims[1], x.dims[2]}, {y.dims[1], y.dims[2]}, window)) {
    return status;
  }
  const auto n = [](int64_t value) { return static_cast<int>(value); };
  shape = {n(x.dims[0]),
           n(x.dims[1]),
           n(x.dims[2]),
           n(x.dims[3]),
           n(y.dims[1]),
           n(y.dims[2]),
           n(size[0]),
           n(size[1]),
           n(window.stride[0]),
           n(window.stride[1]),
           n(window.dilation[0]),
           n(window.dilation[1]),
           n(window.pad_before[0]),
           n(window.pad_before[1])};
  return nullptr;
}

}  // namespace plugin::cuda
