// Convolutions of each channel by itself and their gradients.
#include <algorithm>

#include "plugins/cuda/elementwise.h"
#include "plugins/cuda/window.h"

namespace plugin::cuda {
namespace {

// Of x, w [height, width, channels, multiplier] and y.
TenonStatus* read_depthwise(const TenonPrepare* prepare, const TenonType& x, const TenonType& w,
                            const TenonType& y, DepthwiseShape& shape) {
  if (!is_float(x.dtype) || x.dtype != w.dtype || x.rank != 4 || w.rank != 4 || y.rank != 4 ||
      element_count(x) == 0 || element_count(w) == 0 || element_count(y) == 0) {
    return unimplemented("this depthwise convolution");
  }
  if (TenonStatus* status = read_window_shape(prepare, {w.dims[0], w.dims[1]}, x, y, shape)) {
    return status;
  }
  shape.multiplier = static_cast<int>(w.dims[3]);
  return nullptr;
}

// DepthwiseConv2dNative and _FusedDepthwiseConv2dNative.
TenonStatus* prepare_depthwise(TenonPrepare* prepare, RunFunction& run) {
  DepthwiseShape shape{};
  const TenonType x = host->prepare_input(prepare, 0);
  if (TenonStatus* status = read_depthwise(prepare, x, host->prepare_input(prepare, 1),
                                           host->prepare_output(prepare, 0), shape)) {
    return status;
  }
  ProductEnd end;
  if (TenonStatus* status = read_product_end(host->prepare_attrs(prepare), end)) return status;
  OutputEnd after;
  if (TenonStatus* status = OutputEnd::create(prepare, end, after)) return status;
  run = [=, dtype = x.dtype](TenonRun* r) -> TenonStatus* {
    if (TenonStatus* status = status_of(depthwise(enqueue(r), dtype, shape, input<void>(r, 0),
                                                  input<void>(r, 1), output<void>(r, 0)),
                                        "a depthwise convolution")) {
      return status;
    }
    return after.launch(r);
  };
  return nullptr;
}

// input_sizes, filter, out_backprop.
TenonStatus* prepare_input_gradient(TenonPrepare* prepare, RunFunction& run) {
  DepthwiseShape shape{};
  const TenonType x = host->prepare_output(prepare, 0);
  if (TenonStatus* status = read_depthwise(prepare, x, host->prepare_input(prepare, 1),
                                           host->prepare_input(prepare, 2), shape)) {
    return status;
  }
  run = [=, dtype = x.dtype](TenonRun* r) {
    return status_of(depthwise_input_gradient(enqueue(r), dtype, shape, input<void>(r, 1),
                                              input<void>(r, 2), output<void>(r, 0)),
                     "the gradient of a depthwise convolution's input");
  };
  return nullptr;
}

// input, filter_sizes, out_backprop.
TenonStatus* prepare_filter_gradient(TenonPrepare* prepare, RunFunction& run) {
  DepthwiseShape shape{};
  const TenonType x = host->prepare_input(prepare, 0);
  if (TenonStatus* status = read_depthwise(prepare, x, host->prepare_output(prepare, 0),
                                           host->prepare_input(prepare, 2), shape)) {
    return status;
  }
  const size_t scratch = host->reserve_temporary(prepare, depthwise_scratch(shape));
  run = [=, dtype = x.dtype](TenonRun* r) {
    return status_of(
        depthwise_filter_gradient(enqueue(r), dtype, shape, input<void>(r, 0), input<void>(r, 2),
                                  output<void>(r, 0), temporary(r, scratch)),
        "the gradient of a depthwise convolution's filter");
  };
  return nullptr;
}

}  // namespace

void add_depthwise_rows(const AddRow& add) {
  add("DepthwiseConv2dNative", prepare_depthwise);
  add("_FusedDepthwiseConv2dNative", prepare_depthwise);
  add("DepthwiseConv2dNativeBackpropInput", prepare_input_gradient);
  add("DepthwiseConv2dNativeBackpropFilter", prepare_filter_gradient);
}

}  // namespace plugin::cuda
