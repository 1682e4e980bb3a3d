// The gradient of a convolution's filter as a product for each image, which are then added: the
// deterministic algorithms of cuDNN take several times as long where the filter is small. Larger
// ones are cuDNN's (conv_rows.cc).
#include <algorithm>

#include "plugins/cuda/kernels/kernels.h"
#include "plugins/cuda/product.h"
#include "plugins/cuda/window.h"

namespace plugin::cuda {
namespace {

constexpr int64_t kMostElements = int64_t{16} << 20;  // of all windows, and of all products

struct FilterGradient {
  WindowShape windows;
  NodeProduct product;
  ReduceShape sum;
  size_t rows = 0, products = 0, scratch = 0;  // in the scratch memory
};

TenonStatus* run_gradient(const FilterGradient& it, TenonRun* r) {
  const cudaStream_t stream = enqueue(r);
  auto* rows = reinterpret_cast<float*>(temporary(r, it.rows));
  auto* products = reinterpret_cast<float*>(temporary(r, it.products));
  if (TenonStatus* status = status_of(window_rows(stream, it.windows, input<float>(r, 0), rows),
                                      "the windows of images")) {
    return status;
  }
  if (TenonStatus* status = it.product.run(r, rows, input<void>(r, 2), products)) return status;
  return status_of(reduce(stream, ReduceOp::kSum, kFloat, it.sum, 1.0, products, output<void>(r, 0),
                          temporary(r, it.scratch)),
                   "a sum over images");
}

// input, filter_sizes, out_backprop.
TenonStatus* prepare_small(TenonPrepare* prepare, RunFunction& run) {
  const TenonType x = host->prepare_input(prepare, 0), y = host->prepare_input(prepare, 2);
  const TenonType w = host->prepare_output(prepare, 0);
  if (x.dtype != kFloat || x.rank != 4 || w.rank != 4 || y.rank != 4 || x.dims[3] != w.dims[2] ||
      element_count(y) == 0 || element_count(w) == 0 || element_count(x) == 0) {
    return unimplemented("another convolution than of one group of float32");
  }
  FilterGradient it;
  if (TenonStatus* status = read_window_shape(prepare, {w.dims[0], w.dims[1]}, x, y, it.windows)) {
    return status;
  }
  const int64_t batch = y.dims[0], cells = y.dims[1] * y.dims[2], filters = w.dims[3];
  const int64_t width = element_count(w) / filters;
  if (batch * cells * width > kMostElements || batch * width * filters > kMostElements) {
    return unimplemented("more windows than are laid out");
  }
  ProductSpec spec;
  spec.rows = width;
  spec.columns = filters;
  spec.inner = cells;
  spec.batch = batch;
  spec.a_step = cells * width;
  spec.b_step = cells * filters;
  spec.transpose_a = true;
  if (TenonStatus* status = NodeProduct::create(prepare, spec, {}, it.product)) return status;
  it.sum = {1, batch, width * filters};
  const auto reserve = [&](int64_t elements) {
    return host->reserve_temporary(prepare, static_cast<size_t>(elements) * sizeof(float));
  };
  it.rows = reserve(batch * cells * width);
  it.products = reserve(batch * width * filters);
  it.scratch = host->reserve_temporary(prepare, std::max<size_t>(reduce_scratch(it.sum), 1));
  run = [it](TenonRun* r) { return run_gradient(it, r); };
  return nullptr;
}

}  // namespace

void add_filter_gradient_rows(const AddRow& add) { add("Conv2DBackpropFilter", prepare_small); }

}  // namespace plugin::cuda
