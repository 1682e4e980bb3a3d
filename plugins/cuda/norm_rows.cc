// Batch normalisation and its gradient, channels last.
#include <algorithm>

#include "plugins/cuda/kernel.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

// Of x, and of scale, the vectors' dtype.
TenonStatus* read_norm(const TenonPrepare* prepare, const TenonType& x, const TenonType& scale,
                       NormShape& shape) {
  const std::string format = string_attr(prepare, "data_format");
  if (!is_float(x.dtype) || scale.dtype != kFloat || x.rank < 2 || element_count(x) == 0) {
    return unimplemented("batch normalisation of this dtype");
  }
  if (!format.empty() && format.back() != 'C') return unimplemented("channels-first data");
  shape.channels = x.dims[x.rank - 1];
  shape.rows = element_count(x) / shape.channels;
  return nullptr;
}

// Where _FusedBatchNormEx has what it adds: behind its result, and to x before; -1: nothing.
struct Addends {
  int32_t side = -1, bias = -1;
};
TenonStatus* read_addends(const TenonPrepare* prepare, const char* sides, int32_t first,
                          Addends& addends) {
  const int64_t count = int_attr(prepare, sides, 0), biases = int_attr(prepare, "num_biases", 0);
  if (count > 1 || biases > 1) return unimplemented("more than one addend or bias");
  if (count > 0) addends.side = first;
  if (biases > 0) addends.bias = first + static_cast<int32_t>(count);
  return nullptr;
}
const void* input_or_null(TenonRun* r, int32_t index) {
  return index < 0 ? nullptr : input<void>(r, index);
}

// x, scale, offset, mean, variance; y, batch_mean, batch_variance, two for the gradient, and V3's
// third, which is nothing. Of _FusedBatchNormEx perhaps what is added.
TenonStatus* prepare_batch_norm(TenonPrepare* prepare, RunFunction& run) {
  NormShape shape;
  const TenonType x = host->prepare_input(prepare, 0);
  if (TenonStatus* status = read_norm(prepare, x, host->prepare_input(prepare, 1), shape)) {
    return status;
  }
  const bool training = bool_attr(prepare, "is_training", true);
  const auto epsilon = static_cast<float>(float_attr(prepare, "epsilon", 1e-4));
  const auto factor = static_cast<float>(float_attr(prepare, "exponential_avg_factor", 1));
  const bool has_third = host->prepare_num_outputs(prepare) > 5;
  const bool relu = string_attr(prepare, "activation_mode") == "Relu";
  Addends adds;
  if (TenonStatus* status = read_addends(prepare, "num_side_inputs", 5, adds)) return status;
  if (adds.side >= 0 && !relu) return unimplemented("an addition without a Relu");
  if (!training && (relu || adds.bias >= 0)) {
    return unimplemented("a Relu or a bias beside averages that are constants");
  }
  const NormEnd end = adds.side >= 0 ? NormEnd::kAddRelu : relu ? NormEnd::kRelu : NormEnd::kNone;
  size_t scratch = 0;
  if (training) {
    scratch = host->reserve_temporary(prepare, batch_norm_scratch(x.dtype, shape));
  }
  host->may_overwrite(prepare, 0, 0);
  if (adds.side >= 0) host->may_overwrite(prepare, adds.side, 0);
  run = [=, dtype = x.dtype](TenonRun* r) {
    const NormStatistics statistics{output<float>(r, 3),
                                    output<float>(r, 4),
                                    output<float>(r, 1),
                                    output<float>(r, 2),
                                    has_third ? output<float>(r, 5) : nullptr,
                                    input<float>(r, 3),
                                    input<float>(r, 4),
                                    factor};
    const NormTensors tensors{input<void>(r, 0),           input_or_null(r, adds.bias),
                              input_or_null(r, adds.side), input<float>(r, 1),
                              input<float>(r, 2),          output<void>(r, 0)};
    const cudaStream_t stream = enqueue(r);
    return status_of(training
                         ? batch_norm_training(stream, dtype, shape, epsilon, tensors, end,
                                               statistics, temporary(r, scratch))
                         : batch_norm_inference(stream, dtype, shape, epsilon, tensors, statistics),
                     "a batch normalisation");
  };
  return nullptr;
}

// y_backprop, x, scale, mean, variance; x_backprop, scale_backprop, offset_backprop. Of
// _FusedBatchNormGradEx input 6 is the offset, of which and x follows what a Relu let through.
TenonStatus* prepare_batch_norm_grad(TenonPrepare* prepare, RunFunction& run) {
  NormShape shape;
  const TenonType x = host->prepare_input(prepare, 1);
  if (TenonStatus* status = read_norm(prepare, x, host->prepare_input(prepare, 2), shape)) {
    return status;
  }
  const bool training = bool_attr(prepare, "is_training", true);
  Addends adds;
  if (TenonStatus* status = read_addends(prepare, "num_relus", 7, adds)) return status;
  const bool cuts = adds.side >= 0;
  if (!training && (cuts || adds.bias >= 0)) {
    return unimplemented("a Relu or a bias beside averages that are constants");
  }
  const auto epsilon = static_cast<float>(float_attr(prepare, "epsilon", 1e-4));
  const size_t scratch = host->reserve_temporary(prepare, batch_norm_scratch(x.dtype, shape));
  host->may_overwrite(prepare, 0, 0);
  host->may_overwrite(prepare, 1, 0);
  run = [=, dtype = x.dtype](TenonRun* r) {
    const NormGradient tensors{input<void>(r, 0),
                               input<void>(r, 1),
                               input_or_null(r, adds.bias),
                               input<float>(r, 2),
                               input<float>(r, 3),
                               input<float>(r, 4),
                               cuts ? input<float>(r, 6) : nullptr,
                               output<void>(r, 0),
                               output<float>(r, 1),
                               output<float>(r, 2)};
    return status_of(batch_norm_gradient(enqueue(r), dtype, shape, epsilon, training, tensors,
                                         temporary(r, scratch)),
                     "the gradient of a batch normalisation");
  };
  return nullptr;
}

}  // namespace

void add_norm_rows(const AddRow& add) {
  for (const char* op : {"FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"}) {
    add(op, prepare_batch_norm);
  }
  for (const char* op : {"FusedBatchNormGrad", "FusedBatchNormGradV2", "FusedBatchNormGradV3"}) {
    add(op, prepare_batch_norm_grad);
  }
  add("_FusedBatchNormEx", prepare_batch_norm);
  add("_FusedBatchNormGradEx", prepare_batch_norm_grad);
}

}  // namespace plugin::cuda
