// Convolutions whose filter is one tap: products with the image's pixels as rows. Where the window
// makes steps, the pixels that it reads are gathered first, or their gradients put in their places
// last.
#include <algorithm>
#include <utility>

#include "plugins/cuda/kernels/kernels.h"
#include "plugins/cuda/product.h"
#include "plugins/cuda/window.h"

namespace plugin::cuda {
namespace {

struct Pixels {
  ProductSpec spec;  // rows: pixels of y, inner: channels of x, columns: channels of y
  size_t width = 0;  // of an element
  bool steps = false;
  MoveShape pick, put;  // from the image to the pixels that are read, and back
  size_t place = 0;     // of those pixels, in the scratch memory
  int64_t image_count = 0;
  NodeProduct product;
};

// Of x, w and y.
TenonStatus* read_pixels(TenonPrepare* prepare, const TenonType& x, const TenonType& w,
                         const TenonType& y, Pixels& p) {
  if (x.rank != 4 || w.rank != 4 || y.rank != 4 || w.dims[0] != 1 || w.dims[1] != 1 ||
      w.dims[2] != x.dims[3] || element_count(x) == 0) {
    return unimplemented("a convolution of more than one tap");
  }
  Window2d window;
  if (TenonStatus* status =
          read_window(prepare, {1, 1}, {x.dims[1], x.dims[2]}, {y.dims[1], y.dims[2]}, window)) {
    return status;
  }
  const std::array<int64_t, 2> none{0, 0};
  if (window.pad_before != none || window.pad_after != none) {
    return unimplemented("a padded convolution of one tap");
  }
  const int64_t batch = y.dims[0], height = y.dims[1], row = y.dims[2], channels = x.dims[3];
  p.spec.rows = batch * height * row;
  p.spec.inner = channels;
  p.spec.columns = y.dims[3];
  p.spec.dtype = x.dtype;
  p.width = size_of(x.dtype);
  p.image_count = element_count(x);
  p.steps = window.stride[0] != 1 || window.stride[1] != 1;
  if (!p.steps) return nullptr;
  const int64_t line = x.dims[2] * channels;
  p.pick = {4,
            {batch, height, row, channels},
            {x.dims[1] * line, window.stride[0] * line, window.stride[1] * channels, 1},
            {height * row * channels, row * channels, channels, 1}};
  p.put = p.pick;
  std::swap(p.put.x_strides, p.put.y_strides);
  p.place = host->reserve_temporary(prepare, static_cast<size_t>(p.spec.rows * channels) * p.width);
  return nullptr;
}

// Input 0's pixels.
TenonStatus* load_pixels(const Pixels& p, TenonRun* r, const void*& x) {
  x = input<void>(r, 0);
  if (!p.steps) return nullptr;
  void* picked = temporary(r, p.place);
  const cudaError_t failed = move(enqueue(r), p.width, p.pick, x, picked);
  x = picked;
  return status_of(failed, "picking pixels");
}

TenonStatus* prepare_pixels(TenonPrepare* prepare, RunFunction& run) {
  Pixels p;
  if (TenonStatus* status =
          read_pixels(prepare, host->prepare_input(prepare, 0), host->prepare_input(prepare, 1),
                      host->prepare_output(prepare, 0), p)) {
    return status;
  }
  ProductEnd end;
  if (TenonStatus* status = read_product_end(host->prepare_attrs(prepare), end)) return status;
  if (TenonStatus* status = NodeProduct::create(prepare, p.spec, end, p.product)) return status;
  run = [p](TenonRun* r) -> TenonStatus* {
    const void* x = nullptr;
    if (TenonStatus* status = load_pixels(p, r, x)) return status;
    return p.product.run(r, x, input<void>(r, 1), output<void>(r, 0));
  };
  return nullptr;
}

// input_sizes, filter, out_backprop.
TenonStatus* prepare_pixels_gradient(TenonPrepare* prepare, RunFunction& run) {
  Pixels p;
  if (TenonStatus* status =
          read_pixels(prepare, host->prepare_output(prepare, 0), host->prepare_input(prepare, 1),
                      host->prepare_input(prepare, 2), p)) {
    return status;
  }
  std::swap(p.spec.inner, p.spec.columns);
  p.spec.transpose_b = true;
  if (TenonStatus* status = NodeProduct::create(prepare, p.spec, {}, p.product)) return status;
  run = [p](TenonRun* r) -> TenonStatus* {
    void* dx = output<void>(r, 0);
    void* made = p.steps ? temporary(r, p.place) : dx;
    if (TenonStatus* status = p.product.run(r, input<void>(r, 2), input<void>(r, 1), made)) {
      return status;
    }
    if (!p.steps) return nullptr;
    const cudaStream_t stream = enqueue(r);
    cudaError_t failed = fill(stream, p.width, p.image_count, nullptr, dx);
    if (!failed) failed = move(stream, p.width, p.put, made, dx);
    return status_of(failed, "putting pixels");
  };
  return nullptr;
}

// input, filter_sizes, out_backprop.
TenonStatus* prepare_pixels_filter(TenonPrepare* prepare, RunFunction& run) {
  Pixels p;
  if (TenonStatus* status =
          read_pixels(prepare, host->prepare_input(prepare, 0), host->prepare_output(prepare, 0),
                      host->prepare_input(prepare, 2), p)) {
    return status;
  }
  std::swap(p.spec.rows, p.spec.inner);
  p.spec.transpose_a = true;
  if (TenonStatus* status = NodeProduct::create(prepare, p.spec, {}, p.product)) return status;
  run = [p](TenonRun* r) -> TenonStatus* {
    const void* x = nullptr;
    if (TenonStatus* status = load_pixels(p, r, x)) return status;
    return p.product.run(r, x, input<void>(r, 2), output<void>(r, 0));
  };
  return nullptr;
}

}  // namespace

void add_pixel_rows(const AddRow& add) {
  add("Conv2D", prepare_pixels);
  add("_FusedConv2D", prepare_pixels);
  add("Conv2DBackpropInput", prepare_pixels_gradient);
  add("Conv2DBackpropFilter", prepare_pixels_filter);
}

}  // namespace plugin::cuda
