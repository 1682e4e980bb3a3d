// The kernels that nvcc compiles. Each function enqueues its work on `stream` and returns what the
// launch returned. Arrays are in the device's memory unless the name says otherwise; dtypes are
// tensorflow.DataType's. No kernel adds in an order that depends on timing: equal inputs give equal
// bits.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace plugin::cuda {

// Windows over images, channels last.
struct WindowShape {
  int batch, in_h, in_w, channels, out_h, out_w;
  int size_h, size_w, stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
};

// --- reduce.cu ---

enum class ReduceOp : int { kSum, kMax, kMin, kProd, kAll, kAny };

// x [outer, reduced, inner] to y [outer, inner]; `scale` multiplies what floating-point elements
// give (a mean). Of `dtype` float, double, half, bfloat16, int32, int64 or bool. `scratch` holds
// reduce_scratch() bytes.
struct ReduceShape {
  int64_t outer = 1, reduced = 1, inner = 1;
};
size_t reduce_scratch(const ReduceShape& shape);
cudaError_t reduce(cudaStream_t stream, ReduceOp op, int32_t dtype, const ReduceShape& shape,
                   double scale, const void* x, void* y, void* scratch);

// y of `dtype` (float, half or bfloat16) = scale * the sums of sums [parts, columns].
cudaError_t sum_parts(cudaStream_t stream, int32_t dtype, int64_t parts, int64_t columns,
                      double scale, const float* sums, void* y);

// The first index of the largest (smallest) of `reduced` elements, as int32 or int64.
cudaError_t arg_extreme(cudaStream_t stream, bool largest, int32_t dtype, int32_t index_dtype,
                        const ReduceShape& shape, const void* x, void* y);

// --- norm.cu: rows of channels, dtype float, half or bfloat16; vectors are float ---

struct NormShape {
  int64_t rows = 0, channels = 0;
};
// What of the statistics the op reports: each [channels], null where nobody wants it. `mean` and
// `variance` are the batch's own, `running_...` the unbiased variance and the mean, mixed into
// `old_...` by `factor`. `empty` points to one element that becomes 0.
struct NormStatistics {
  float *mean, *variance, *running_mean, *running_variance, *empty;
  const float *old_mean, *old_variance;
  float factor;
};
// What is done to the results: nothing, or a Relu, perhaps of their sum with `side`.
enum class NormEnd : int { kNone, kRelu, kAddRelu };
size_t batch_norm_scratch(int32_t dtype, const NormShape& shape);
// `bias` [channels], of x's dtype, is added to x before, each sum rounded to that; null: none.
struct NormTensors {
  const void *x, *bias, *side;
  const float *scale, *offset;
  void* y;
};
cudaError_t batch_norm_training(cudaStream_t stream, int32_t dtype, const NormShape& shape,
                                float epsilon, const NormTensors& tensors, NormEnd end,
                                const NormStatistics& statistics, void* scratch);
// `statistics` are copies of old_mean and old_variance. There is no bias and nothing behind it.
cudaError_t batch_norm_inference(cudaStream_t stream, int32_t dtype, const NormShape& shape,
                                 float epsilon, const NormTensors& tensors,
                                 const NormStatistics& statistics);
// dscale and doffset are always written; `training`: mean and variance depend on x. With `offset`,
// a Relu followed the normalisation, and dy is that of its result. `bias` as above.
struct NormGradient {
  const void *dy, *x, *bias;
  const float *scale, *mean, *variance, *offset;
  void* dx;
  float *dscale, *doffset;
};
cudaError_t batch_norm_gradient(cudaStream_t stream, int32_t dtype, const NormShape& shape,
                                float epsilon, bool training, const NormGradient& tensors,
                                void* scratch);

// --- depthwise.cu: channels last, dtype float, half or bfloat16 ---

struct DepthwiseShape : WindowShape {
  int multiplier = 1;  // results of a channel
};
cudaError_t depthwise(cudaStream_t stream, int32_t dtype, const DepthwiseShape& shape,
                      const void* x, const void* filter, void* y);
cudaError_t depthwise_input_gradient(cudaStream_t stream, int32_t dtype,
                                     const DepthwiseShape& shape, const void* filter,
                                     const void* dy, void* dx);
size_t depthwise_scratch(const DepthwiseShape& shape);
cudaError_t depthwise_filter_gradient(cudaStream_t stream, int32_t dtype,
                                      const DepthwiseShape& shape, const void* x, const void* dy,
                                      void* dfilter, void* scratch);

// --- segment.cu: sums of rows by number, each in the order of the rows ---

// Rows of `width` elements, of dtype float, double, half, bfloat16, int32 or int64.
struct SegmentShape {
  int64_t rows = 0, width = 0, segments = 0;
};
size_t segment_scratch(const SegmentShape& shape);
// y[segment] += the rows whose number it is: their coordinates, ids [rows, depth], within `dims`
// [depth] (in host memory), at most kMostAxes of them. Rows out of range are dropped.
cudaError_t scatter_sum(cudaStream_t stream, int32_t dtype, int32_t id_dtype,
                        const SegmentShape& shape, int depth, const int64_t* dims, const void* x,
                        const void* ids, void* y, void* scratch);

// --- softmax.cu, dtype float, double, half or bfloat16 ---

cudaError_t softmax(cudaStream_t stream, int32_t dtype, bool logarithm, int64_t rows,
                    int64_t columns, const void* x, void* y);
// `labels` int32 or int64; a label outside of [0, columns) gives NaN, as TensorFlow's GPU kernel.
cudaError_t sparse_cross_entropy(cudaStream_t stream, int32_t dtype, int32_t label_dtype,
                                 int64_t rows, int64_t columns, const void* logits,
                                 const void* labels, void* loss, void* gradient);
cudaError_t cross_entropy(cudaStream_t stream, int32_t dtype, int64_t rows, int64_t columns,
                          const void* logits, const void* labels, void* loss, void* gradient);

// --- move.cu ---

constexpr int kMostAxes = 8;

// y[sum of i_a * y_strides[a]] = x[sum of i_a * x_strides[a]] for all i below dims; elements.
struct MoveShape {
  int rank = 0;
  int64_t dims[kMostAxes] = {};
  int64_t x_strides[kMostAxes] = {};
  int64_t y_strides[kMostAxes] = {};
};
cudaError_t move(cudaStream_t stream, size_t element_bytes, const MoveShape& shape, const void* x,
                 void* y);
// `value` points to one element on the device, null for zeros.
cudaError_t fill(cudaStream_t stream, size_t element_bytes, int64_t count, const void* value,
                 void* y);
// x [outer, rows, row_bytes], y [outer, count, row_bytes]; an index out of range gives zeros.
cudaError_t gather(cudaStream_t stream, int32_t index_dtype, int64_t outer, int64_t rows,
                   int64_t count, int64_t row_bytes, const void* x, const void* indices, void* y);
// y [outer, depth, inner] of indices [outer, inner].
cudaError_t one_hot(cudaStream_t stream, size_t element_bytes, int32_t index_dtype, int64_t outer,
                    int64_t depth, int64_t inner, const void* indices, const void* on,
                    const void* off, void* y);

// --- pool.cu, channels last, dtype float, half or bfloat16 ---

struct PoolShape {
  int batch, in_h, in_w, channels, out_h, out_w;
  int size_h, size_w, stride_h, stride_w, pad_h, pad_w;
};
cudaError_t max_pool(cudaStream_t stream, int32_t dtype, const PoolShape& shape, const void* x,
                     void* y);
// The first largest element of each window gets its gradient.
size_t max_pool_scratch(const PoolShape& shape);
cudaError_t max_pool_gradient(cudaStream_t stream, int32_t dtype, const PoolShape& shape,
                              const void* x, const void* dy, void* dx, void* scratch);
cudaError_t avg_pool(cudaStream_t stream, int32_t dtype, const PoolShape& shape, const void* x,
                     void* y);
cudaError_t avg_pool_gradient(cudaStream_t stream, int32_t dtype, const PoolShape& shape,
                              const void* dy, void* dx);

// --- windows.cu, channels last, dtype float ---

// The windows of x as rows [batch * out_h * out_w, size_h * size_w * channels]; zeros outside.
cudaError_t window_rows(cudaStream_t stream, const WindowShape& shape, const float* x, float* y);

// --- optimizer.cu, float ---

// w -= alpha m / (sqrt(v) + epsilon), each scalar on the device.
struct AdamUpdate {
  const float *alpha, *one_minus_beta1, *one_minus_beta2, *epsilon;
  const float *g, *square;  // null where it is the gradient's
  float *w, *m, *v;
  int64_t count;
};
// Any number of updates, of different variables, in as few launches as may be.
cudaError_t keras_adam(cudaStream_t stream, const AdamUpdate* updates, size_t count);
cudaError_t adam(cudaStream_t stream, int64_t count, const float* const scalars[6], const float* g,
                 float* w, float* m, float* v);
cudaError_t gradient_descent(cudaStream_t stream, int64_t count, const float* lr, const float* g,
                             float* w);

// --- random.cu: the bits of Philox 4x32-10 as TensorFlow draws them ---

enum class RandomKind : int { kUniform, kNormal, kTruncatedNormal, kFullInt };
// dtype float (kUniform: half and bfloat16 too), or int32, uint32, int64 or uint64 for kFullInt.
// `key` [1], `counter` [2].
cudaError_t random_fill(cudaStream_t stream, RandomKind kind, int32_t dtype, int64_t count,
                        const uint64_t* key, const uint64_t* counter, void* y);
// Key [1] and counter [2] of a seed [2] of int32 or int64.
cudaError_t key_counter(cudaStream_t stream, int32_t seed_dtype, const void* seed, uint64_t* key,
                        uint64_t* counter);

}  // namespace plugin::cuda
