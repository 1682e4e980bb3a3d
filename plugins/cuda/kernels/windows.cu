// The windows of images as rows of a matrix, for products over them.
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void window_elements(WindowShape s, int64_t count, const float* x, float* y) {
  const int64_t at = blockIdx.x * int64_t{kThreads} + threadIdx.x;
  if (at >= count) return;
  const int width = s.size_h * s.size_w * s.channels;
  const int64_t row = at / width;
  int rest = static_cast<int>(at % width);
  const int channel = rest % s.channels;
  rest /= s.channels;
  const int tap_w = rest % s.size_w, tap_h = rest / s.size_w;
  const int64_t image = row / (s.out_h * s.out_w);
  const int place = static_cast<int>(row % (s.out_h * s.out_w));
  const int h = place / s.out_w * s.stride_h - s.pad_h + tap_h * s.dilation_h;
  const int w = place % s.out_w * s.stride_w - s.pad_w + tap_w * s.dilation_w;
  const bool inside = h >= 0 && h < s.in_h && w >= 0 && w < s.in_w;
  y[at] = inside ? x[((image * s.in_h + h) * s.in_w + w) * s.channels + channel] : 0.0f;
}

}  // namespace

cudaError_t window_rows(cudaStream_t stream, const WindowShape& s, const float* x, float* y) {
  const int64_t count = int64_t{s.batch} * s.out_h * s.out_w * s.size_h * s.size_w * s.channels;
  if (count == 0) return cudaSuccess;
  window_elements<<<static_cast<unsigned>((count + kThreads - 1) / kThreads), kThreads, 0,
                    stream>>>(s, count, x, y);
  return cudaGetLastError();
}

}  // namespace plugin::cuda
