// Poolings and their gradients.
#include <algorithm>

#include "plugins/cuda/kernels/kernels.h"
#include "plugins/cuda/window.h"

namespace plugin::cuda {
namespace {

TenonStatus* read_pool(const TenonPrepare* prepare, const TenonType& x, const TenonType& y,
                       PoolShape& shape) {
  const std::vector<int64_t> size = ints_attr(prepare, "ksize");
  if (!is_float(x.dtype) || x.rank != 4 || y.rank != 4 || size.size() != 4 || size[0] != 1 ||
      size[3] != 1) {
    return unimplemented("this pooling");
  }
  Window2d window;
  if (TenonStatus* status = read_window(prepare, {size[1], size[2]}, {x.dims[1], x.dims[2]},
                                        {y.dims[1], y.dims[2]}, window)) {
    return status;
  }
  const auto narrow = [](int64_t value) { return static_cast<int>(value); };
  shape = {narrow(x.dims[0]),
           narrow(x.dims[1]),
           narrow(x.dims[2]),
           narrow(x.dims[3]),
           narrow(y.dims[1]),
           narrow(y.dims[2]),
           narrow(size[1]),
           narrow(size[2]),
           narrow(window.stride[0]),
           narrow(window.stride[1]),
           narrow(window.pad_before[0]),
           narrow(window.pad_before[1])};
  return nullptr;
}

template <cudaError_t (*pool)(cudaStream_t, int32_t, const PoolShape&, const void*, void*)>
TenonStatus* prepare_pool(TenonPrepare* prepare, RunFunction& run) {
  PoolShape shape{};
  if (TenonStatus* status = read_pool(prepare, host->prepare_input(prepare, 0),
                                      host->prepare_output(prepare, 0), shape)) {
    return status;
  }
  run = [shape, dtype = host->prepare_input(prepare, 0).dtype](TenonRun* r) {
    return status_of(pool(enqueue(r), dtype, shape, input<void>(r, 0), output<void>(r, 0)),
                     "a pooling");
  };
  return nullptr;
}

// orig_input, orig_output, grad.
TenonStatus* prepare_max_pool_grad(TenonPrepare* prepare, RunFunction& run) {
  PoolShape shape{};
  if (TenonStatus* status = read_pool(prepare, host->prepare_input(prepare, 0),
                                      host->prepare_input(prepare, 2), shape)) {
    return status;
  }
  const size_t scratch =
      host->reserve_temporary(prepare, std::max<size_t>(max_pool_scratch(shape), 1));
  run = [shape, scratch, dtype = host->prepare_input(prepare, 0).dtype](TenonRun* r) {
    return status_of(
        max_pool_gradient(enqueue(r), dtype, shape, input<void>(r, 0), input<void>(r, 2),
                          output<void>(r, 0), temporary(r, scratch)),
        "the gradient of a pooling");
  };
  return nullptr;
}

// orig_input_shape, grad.
TenonStatus* prepare_avg_pool_grad(TenonPrepare* prepare, RunFunction& run) {
  PoolShape shape{};
  if (TenonStatus* status = read_pool(prepare, host->prepare_output(prepare, 0),
                                      host->prepare_input(prepare, 1), shape)) {
    return status;
  }
  run = [shape, dtype = host->prepare_output(prepare, 0).dtype](TenonRun* r) {
    return status_of(
        avg_pool_gradient(enqueue(r), dtype, shape, input<void>(r, 1), output<void>(r, 0)),
        "the gradient of a pooling");
  };
  return nullptr;
}

}  // namespace

void add_pool_rows(const AddRow& add) {
  add("MaxPool", prepare_pool<max_pool>);
  add("AvgPool", prepare_pool<avg_pool>);
  add("MaxPoolGrad", prepare_max_pool_grad);
  add("AvgPoolGrad", prepare_avg_pool_grad);
}

}  // namespace plugin::cuda
