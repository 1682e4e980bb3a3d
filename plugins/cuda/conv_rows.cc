// Convolutions by cuDNN, channels last. Filters are TensorFlow's [height, width, in, out]; cuDNN
// takes [out, height, width, in], so that they are turned before and their gradients after.
#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "plugins/cuda/elementwise.h"
#include "plugins/cuda/kernels/kernels.h"
#include "plugins/cuda/window.h"

namespace plugin::cuda {
namespace {

constexpr size_t kMostWorkspace = size_t{2} << 30;

TenonStatus* dnn_status(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return nullptr;
  return error(kInternal, std::string(what) + ": " + cudnn().GetErrorString(status));
}

enum class Pass : int { kForward, kInput, kFilter };

// Descriptions of one convolution and the algorithm that was chosen; immutable once made.
struct Convolution {
  Convolution() = default;
  Convolution(const Convolution&) = delete;
  Convolution& operator=(const Convolution&) = delete;
  ~Convolution() {
    if (x) cudnn().DestroyTensorDescriptor(x);
    if (y) cudnn().DestroyTensorDescriptor(y);
    if (filter) cudnn().DestroyFilterDescriptor(filter);
    if (conv) cudnn().DestroyConvolutionDescriptor(conv);
  }
  cudnnTensorDescriptor_t x = nullptr, y = nullptr;
  cudnnFilterDescriptor_t filter = nullptr;
  cudnnConvolutionDescriptor_t conv = nullptr;
  cudnnMathType_t math = CUDNN_FMA_MATH;
  size_t width = sizeof(float);  // of an element
  int algorithm = 0;
  size_t workspace_bytes = 0;
  MoveShape turn, turn_back;  // of the filter, to cuDNN's order and back
  int64_t filter_count = 0;
  void* packed_filter = nullptr;  // turned once, where it is frozen
  // cuDNN pads both sides alike: where they differ, by a padded copy of the image.
  int64_t padded_count = 0;  // of elements; 0: there is no copy
  int64_t padded_first = 0;  // where the image begins in it
  MoveShape pad, crop;
  size_t first_byte() const { return static_cast<size_t>(padded_first) * width; }
};

// The image becomes its padded copy, the window one without paddings.
void plan_padding(Window2d& window, std::array<int64_t, 4>& image, Convolution& c) {
  const auto [batch, height, width, channels] = image;
  image[1] += window.pad_before[0] + window.pad_after[0];
  image[2] += window.pad_before[1] + window.pad_after[1];
  const int64_t row = width * channels, padded_row = image[2] * channels;
  c.padded_count = batch * image[1] * padded_row;
  c.padded_first = window.pad_before[0] * padded_row + window.pad_before[1] * channels;
  c.pad = {3, {batch, height, row}, {height * row, row, 1}, {image[1] * padded_row, padded_row, 1}};
  c.crop = c.pad;
  std::swap(c.crop.x_strides, c.crop.y_strides);
  window.pad_before = window.pad_after = {0, 0};
}

// Of x, w (TensorFlow's order) and y.
TenonStatus* describe(const TenonPrepare* prepare, const TenonType& x, const TenonType& w,
                      const TenonType& y, Convolution& c) {
  if (!is_float(x.dtype) || w.dtype != x.dtype || x.rank != 4 || w.rank != 4 || y.rank != 4) {
    return unimplemented("convolutions of this dtype");
  }
  if (element_count(x) == 0 || element_count(w) == 0 || element_count(y) == 0) {
    return unimplemented("a convolution of nothing");
  }
  Window2d window;
  if (TenonStatus* status = read_window(prepare, {w.dims[0], w.dims[1]}, {x.dims[1], x.dims[2]},
                                        {y.dims[1], y.dims[2]}, window)) {
    return status;
  }
  std::array<int64_t, 4> image = {x.dims[0], x.dims[1], x.dims[2], x.dims[3]};
  if (window.pad_before != window.pad_after) plan_padding(window, image, c);
  if (x.dims[3] % w.dims[2] != 0) return unimplemented("these groups");
  const auto groups = static_cast<int>(x.dims[3] / w.dims[2]);
  const Cudnn& lib = cudnn();
  const auto n = [](int64_t value) { return static_cast<int>(value); };
  const cudnnDataType_t type = x.dtype == kHalf       ? CUDNN_DATA_HALF
                               : x.dtype == kBfloat16 ? CUDNN_DATA_BFLOAT16
                                                      : CUDNN_DATA_FLOAT;
  const auto tensor = [&](const int64_t* dims, cudnnTensorDescriptor_t& of) {
    lib.CreateTensorDescriptor(&of);
    return lib.SetTensor4dDescriptor(of, CUDNN_TENSOR_NHWC, type, n(dims[0]), n(dims[3]),
                                     n(dims[1]), n(dims[2]));
  };
  if (TenonStatus* status = dnn_status(tensor(image.data(), c.x), "an image")) return status;
  if (TenonStatus* status = dnn_status(tensor(y.dims, c.y), "an image")) return status;
  lib.CreateFilterDescriptor(&c.filter);
  if (TenonStatus* status =
          dnn_status(lib.SetFilter4dDescriptor(c.filter, type, CUDNN_TENSOR_NHWC, n(w.dims[3]),
                                               n(w.dims[2]), n(w.dims[0]), n(w.dims[1])),
                     "a filter")) {
    return status;
  }
  lib.CreateConvolutionDescriptor(&c.conv);
  if (TenonStatus* status =
          dnn_status(lib.SetConvolution2dDescriptor(
                         c.conv, n(window.pad_before[0]), n(window.pad_before[1]),
                         n(window.stride[0]), n(window.stride[1]), n(window.dilation[0]),
                         n(window.dilation[1]), CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
                     "a convolution")) {
    return status;
  }
  lib.SetConvolutionGroupCount(c.conv, groups);
  // What may be multiplied in bfloat16 is in tf32, which rounds less and needs no copies.
  c.math = x.dtype != kFloat                       ? CUDNN_TENSOR_OP_MATH
           : host->prepare_precision(prepare) != 0 ? CUDNN_DEFAULT_MATH
                                                   : CUDNN_FMA_MATH;
  lib.SetConvolutionMathType(c.conv, c.math);
  c.width = size_of(x.dtype);
  const int64_t taps = w.dims[0] * w.dims[1] * w.dims[2], out = w.dims[3];
  c.turn = {2, {out, taps}, {1, out}, {taps, 1}};
  c.turn_back = {2, {out, taps}, {taps, 1}, {1, out}};
  c.filter_count = taps * out;
  return nullptr;
}

// The first algorithm that gives the same bits each time.
template <class Perf>
TenonStatus* choose(const std::vector<Perf>& found, Convolution& c) {
  for (const Perf& one : found) {
    if (one.status == CUDNN_STATUS_SUCCESS && one.determinism == CUDNN_DETERMINISTIC &&
        one.memory <= kMostWorkspace) {
      c.algorithm = one.algo;
      c.workspace_bytes = one.memory;
      if (c.math != CUDNN_FMA_MATH) cudnn().SetConvolutionMathType(c.conv, one.mathType);
      return nullptr;
    }
  }
  return unimplemented("cuDNN has no deterministic algorithm for the convolution");
}

template <class Perf>
TenonStatus* ask(Convolution& c, const auto& get) {
  constexpr int kMost = 10;
  std::vector<Perf> found(kMost);
  int count = 0;
  if (TenonStatus* status = dnn_status(get(kMost, &count, found.data()), "cuDNN's algorithms")) {
    return status;
  }
  found.resize(static_cast<size_t>(count));
  return choose(found, c);
}

TenonStatus* choose_algorithm(const Device& device, Pass pass, Convolution& c) {
  // A handle for questions alone; cuDNN's are of one thread.
  static std::mutex mutex;
  static std::map<int, cudnnHandle_t> handles;
  std::lock_guard lock(mutex);
  device.use();
  cudnnHandle_t& h = handles[device.ordinal()];
  const Cudnn& lib = cudnn();
  if (!h) {
    if (TenonStatus* status = dnn_status(lib.Create(&h), "cuDNN does not start")) return status;
  }
  switch (pass) {
    case Pass::kForward:
      return ask<cudnnConvolutionFwdAlgoPerf_t>(c, [&](int most, int* count, auto* found) {
        return lib.GetConvolutionForwardAlgorithm_v7(h, c.x, c.filter, c.conv, c.y, most, count,
                                                     found);
      });
    case Pass::kInput:
      return ask<cudnnConvolutionBwdDataAlgoPerf_t>(c, [&](int most, int* count, auto* found) {
        return lib.GetConvolutionBackwardDataAlgorithm_v7(h, c.filter, c.y, c.conv, c.x, most,
                                                          count, found);
      });
    default:
      return ask<cudnnConvolutionBwdFilterAlgoPerf_t>(c, [&](int most, int* count, auto* found) {
        return lib.GetConvolutionBackwardFilterAlgorithm_v7(h, c.x, c.y, c.conv, c.filter, most,
                                                            count, found);
      });
  }
}

// Where in the scratch memory the turned filter, cuDNN's workspace and the padded image are.
struct ConvolutionMemory {
  size_t filter, workspace, padded;
};
ConvolutionMemory reserve(TenonPrepare* prepare, const Convolution& c) {
  const size_t filter =
      host->reserve_temporary(prepare, static_cast<size_t>(c.filter_count) * c.width);
  const size_t workspace = host->reserve_temporary(prepare, std::max<size_t>(c.workspace_bytes, 1));
  const size_t padded =
      host->reserve_temporary(prepare, static_cast<size_t>(c.padded_count) * c.width);
  return {filter, workspace, padded};
}

// Input 0 as cuDNN reads it.
TenonStatus* load_image(const Convolution& c, const ConvolutionMemory& memory, TenonRun* r,
                        const void*& x) {
  x = input<void>(r, 0);
  if (c.padded_count == 0) return nullptr;
  char* padded = temporary(r, memory.padded);
  const cudaStream_t stream = enqueue(r);
  cudaError_t failed = fill(stream, c.width, c.padded_count, nullptr, padded);
  if (!failed) failed = move(stream, c.width, c.pad, x, padded + c.first_byte());
  x = padded;
  return status_of(failed, "padding an image");
}

// Input 1 as cuDNN reads it.
TenonStatus* load_filter(const Convolution& c, const ConvolutionMemory& memory, TenonRun* r,
                         void*& filter) {
  filter = c.packed_filter;
  if (filter) return nullptr;
  filter = temporary(r, memory.filter);
  return status_of(move(enqueue(r), c.width, c.turn, input<void>(r, 1), filter), "a filter");
}

// A filter [taps, out] of Convolution `data` becomes [out, taps] in `memory`.
TenonStatus* pack_filter(void* data, const TenonTensor* constant, void* stream, void* memory) {
  const auto& c = *static_cast<const Convolution*>(data);
  const auto out = static_cast<size_t>(c.turn.dims[0]), taps = static_cast<size_t>(c.turn.dims[1]);
  std::vector<char> turned(out * taps * c.width);
  const auto* from = static_cast<const char*>(constant->data);
  for (size_t o = 0; o < out; ++o) {
    for (size_t tap = 0; tap < taps; ++tap) {
      std::memcpy(&turned[(o * taps + tap) * c.width], from + (tap * out + o) * c.width, c.width);
    }
  }
  // Memory that is not pinned has been read when the call returns.
  return status_of(cudaMemcpyAsync(memory, turned.data(), turned.size(), cudaMemcpyHostToDevice,
                                   static_cast<Stream*>(stream)->enqueue()),
                   "a filter");
}

TenonStatus* pack_frozen_filter(TenonPrepare* prepare, Convolution& c) {
  if (!host->prepare_frozen(prepare, 1)) return nullptr;
  return host->prepare_packed(prepare, 1, {"out, height, width, in", 22},
                              static_cast<size_t>(c.filter_count) * c.width, pack_filter, &c,
                              &c.packed_filter);
}

constexpr float kOne = 1, kZero = 0;

TenonStatus* run_forward(const Convolution& c, const ConvolutionMemory& memory, TenonRun* r) {
  cudnnHandle_t h = nullptr;
  enqueue(r);
  if (TenonStatus* status = stream_of(r)->cudnn_handle(&h)) return status;
  void* filter = nullptr;
  if (TenonStatus* status = load_filter(c, memory, r, filter)) return status;
  const void* x = nullptr;
  if (TenonStatus* status = load_image(c, memory, r, x)) return status;
  return dnn_status(cudnn().ConvolutionForward(h, &kOne, c.x, x, c.filter, filter, c.conv,
                                               static_cast<cudnnConvolutionFwdAlgo_t>(c.algorithm),
                                               temporary(r, memory.workspace), c.workspace_bytes,
                                               &kZero, c.y, output<void>(r, 0)),
                    "a convolution");
}

// Conv2D and _FusedConv2D.
TenonStatus* prepare_forward(TenonPrepare* prepare, RunFunction& run) {
  const auto c = std::make_shared<Convolution>();
  if (TenonStatus* status =
          describe(prepare, host->prepare_input(prepare, 0), host->prepare_input(prepare, 1),
                   host->prepare_output(prepare, 0), *c)) {
    return status;
  }
  ProductEnd end;
  if (TenonStatus* status = read_product_end(host->prepare_attrs(prepare), end)) return status;
  OutputEnd after;
  if (TenonStatus* status = OutputEnd::create(prepare, end, after)) return status;
  if (TenonStatus* status = choose_algorithm(*device_of(prepare), Pass::kForward, *c)) {
    return status;
  }
  const ConvolutionMemory memory = reserve(prepare, *c);
  if (TenonStatus* status = pack_frozen_filter(prepare, *c)) return status;
  run = [c, memory, after](TenonRun* r) -> TenonStatus* {
    if (TenonStatus* status = run_forward(*c, memory, r)) return status;
    return after.launch(r);
  };
  return nullptr;
}

// input_sizes, filter, out_backprop.
TenonStatus* prepare_input_gradient(TenonPrepare* prepare, RunFunction& run) {
  const auto c = std::make_shared<Convolution>();
  if (TenonStatus* status =
          describe(prepare, host->prepare_output(prepare, 0), host->prepare_input(prepare, 1),
                   host->prepare_input(prepare, 2), *c)) {
    return status;
  }
  if (TenonStatus* status = choose_algorithm(*device_of(prepare), Pass::kInput, *c)) return status;
  const ConvolutionMemory memory = reserve(prepare, *c);
  run = [c, memory](TenonRun* r) -> TenonStatus* {
    cudnnHandle_t h = nullptr;
    const cudaStream_t stream = enqueue(r);
    if (TenonStatus* status = stream_of(r)->cudnn_handle(&h)) return status;
    void* filter = nullptr;
    if (TenonStatus* status = load_filter(*c, memory, r, filter)) return status;
    void* dx = output<void>(r, 0);
    char* padded = temporary(r, memory.padded);
    if (TenonStatus* status =
            dnn_status(cudnn().ConvolutionBackwardData(
                           h, &kOne, c->filter, filter, c->y, input<void>(r, 2), c->conv,
                           static_cast<cudnnConvolutionBwdDataAlgo_t>(c->algorithm),
                           temporary(r, memory.workspace), c->workspace_bytes, &kZero, c->x,
                           c->padded_count ? static_cast<void*>(padded) : dx),
                       "the gradient of a convolution's input")) {
      return status;
    }
    if (c->padded_count == 0) return nullptr;
    return status_of(move(stream, c->width, c->crop, padded + c->first_byte(), dx),
                     "cropping an image");
  };
  return nullptr;
}

// input, filter_sizes, out_backprop.
TenonStatus* prepare_filter_gradient(TenonPrepare* prepare, RunFunction& run) {
  const auto c = std::make_shared<Convolution>();
  if (TenonStatus* status =
          describe(prepare, host->prepare_input(prepare, 0), host->prepare_output(prepare, 0),
                   host->prepare_input(prepare, 2), *c)) {
    return status;
  }
  if (TenonStatus* status = choose_algorithm(*device_of(prepare), Pass::kFilter, *c)) {
    return status;
  }
  const ConvolutionMemory memory = reserve(prepare, *c);
  run = [c, memory](TenonRun* r) -> TenonStatus* {
    cudnnHandle_t h = nullptr;
    const cudaStream_t stream = enqueue(r);
    if (TenonStatus* status = stream_of(r)->cudnn_handle(&h)) return status;
    void* filter = temporary(r, memory.filter);
    const void* x = nullptr;
    if (TenonStatus* status = load_image(*c, memory, r, x)) return status;
    if (TenonStatus* status = dnn_status(
            cudnn().ConvolutionBackwardFilter(
                h, &kOne, c->x, x, c->y, input<void>(r, 2), c->conv,
                static_cast<cudnnConvolutionBwdFilterAlgo_t>(c->algorithm),
                temporary(r, memory.workspace), c->workspace_bytes, &kZero, c->filter, filter),
            "the gradient of a convolution's filter")) {
      return status;
    }
    return status_of(move(stream, c->width, c->turn_back, filter, output<void>(r, 0)), "a filter");
  };
  return nullptr;
}

}  // namespace

void add_conv_rows(const AddRow& add) {
  add("Conv2D", prepare_forward);
  add("_FusedConv2D", prepare_forward);
  add("Conv2DBackpropInput", prepare_input_gradient);
  add("Conv2DBackpropFilter", prepare_filter_gradient);
}

}  // namespace plugin::cuda
