#include "plugins/lazy/lazy_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace plugin::lazy {

Captured::Captured(const TenonTensor& tensor)
    : dims(tensor.type.dims, tensor.type.dims + std::max(tensor.type.rank, 0)),
      dtype(tensor.type.dtype),
      data(tensor.data) {}

int64_t Captured::size() const {
  int64_t count = 1;
  for (int64_t dim : dims) count *= dim;
  return count;
}

namespace {

Failure failure_of(TenonStatus* status) {
  if (!status) return {};
  const TenonText text = host->status_message(status);
  Failure failure{host->status_code(status), std::string(text.data, text.size)};
  host->free_status(status);
  return failure;
}

// --- the host's kernels ---

struct LateKernel {
  std::shared_ptr<TenonHostKernel> kernel;
  const void* device;  // that it was prepared for
};

TenonStatus* run_late(void* state, TenonRun* run) {
  std::vector<Captured> inputs, outputs;
  for (int32_t i = 0; i < host->run_num_inputs(run); ++i) {
    inputs.emplace_back(host->run_input(run, i));
  }
  for (int32_t i = 0; i < host->run_num_outputs(run); ++i) {
    outputs.emplace_back(host->run_output(run, i));
  }
  const Device& device = *stream_of(run).device();
  const LateKernel& late = *static_cast<LateKernel*>(state);
  if (&device != late.device) return error(kInternal, "the kernel was made for another device");
  stream_of(run).enqueue([kernel = late.kernel, inputs = std::move(inputs),
                          outputs = std::move(outputs), scratch = host->run_scratch(run), &device] {
    std::vector<TenonTensor> in, out;
    for (const Captured& input : inputs) in.push_back(input.on(device));
    for (const Captured& output : outputs) out.push_back(output.on(device));
    return failure_of(
        host->run_host_kernel(kernel.get(), in.data(), static_cast<int32_t>(in.size()), out.data(),
                              static_cast<int32_t>(out.size()), device.reachable(scratch)));
  });
  return nullptr;
}

bool is_plain(int32_t dtype) { return dtype != kString && dtype != kResource && dtype != kVariant; }

TenonStatus* prepare_late(void*, TenonPrepare* prepare, TenonKernel* kernel) {
  for (int32_t i = 0; i < host->prepare_num_inputs(prepare); ++i) {
    if (!is_plain(host->prepare_input(prepare, i).dtype)) {
      return error(kUnimplemented, "the lazy device has numbers only");
    }
  }
  for (int32_t i = 0; i < host->prepare_num_outputs(prepare); ++i) {
    const TenonType output = host->prepare_output(prepare, i);
    bool known = is_plain(output.dtype) && output.rank >= 0;
    for (int32_t axis = 0; known && axis < output.rank; ++axis) known = output.dims[axis] >= 0;
    if (!known) return error(kUnimplemented, "the lazy device has numbers of known shapes only");
  }
  TenonHostKernel* made = nullptr;
  if (TenonStatus* status = host->make_host_kernel(prepare, &made)) return status;
  void* device = nullptr;
  host->prepare_device(prepare, &device);
  *kernel = {new LateKernel{{made, host->free_host_kernel}, device}, run_late,
             [](void* state) { delete static_cast<LateKernel*>(state); }};
  return nullptr;
}

// --- kernels that change variables ---

// The variables' values and all inputs, as they are when the work is done.
struct Update {
  std::vector<Captured> variables;
  std::vector<Captured> inputs;
  const Device* device;
  template <class T>
  T* variable(size_t i) const {
    return variables[i].as<T>(*device);
  }
  template <class T>
  const T* input(size_t i) const {
    return inputs[i].as<const T>(*device);
  }
  int64_t size() const { return variables[0].size(); }
};

// Enqueues `body(update)`; the first `count` inputs are the variables, of the shape of the last.
template <class Body>
TenonStatus* enqueue_update(TenonRun* run, int32_t count, Body body) {
  struct Call {
    TenonRun* run;
    int32_t count;
    Body body;
  } call{run, count, body};
  const auto change = [](void* data, TenonTensor* values) -> TenonStatus* {
    const Call& c = *static_cast<Call*>(data);
    const TenonTensor last = host->run_input(c.run, host->run_num_inputs(c.run) - 1);
    if (!same_shape(values[0].type, last.type)) {
      return error(kInvalidArgument, "the variable has another shape than what changes it");
    }
    Update update{{}, {}, stream_of(c.run).device()};
    for (int32_t i = 0; i < c.count; ++i) update.variables.emplace_back(values[i]);
    for (int32_t i = 0; i < host->run_num_inputs(c.run); ++i) {
      update.inputs.emplace_back(host->run_input(c.run, i));
    }
    stream_of(c.run).enqueue([update = std::move(update), body = c.body] {
      body(update);
      return Failure{};
    });
    return nullptr;
  };
  return host->update_variables(run, 0, count, change, &call);
}

template <class T>
TenonStatus* run_assign_add(void*, TenonRun* run) {
  TenonStatus* status = enqueue_update(run, 1, [](const Update& u) {
    for (int64_t i = 0; i < u.size(); ++i) u.variable<T>(0)[i] += u.input<T>(1)[i];
  });
  // A variable without a value is NOT_FOUND to this op of TensorFlow's.
  if (host->status_code(status) != kFailedPrecondition) return status;
  host->free_status(status);
  return error(kNotFound, "the variable is added to before it has a value");
}

TenonStatus* run_gradient_descent(void*, TenonRun* run) {
  return enqueue_update(run, 1, [](const Update& u) {
    const float rate = *u.input<float>(1);
    for (int64_t i = 0; i < u.size(); ++i) u.variable<float>(0)[i] -= rate * u.input<float>(2)[i];
  });
}

struct AdamScalars {
  float alpha, one_minus_beta1, one_minus_beta2, epsilon;
};

// Of variables var, m, v; the gradient is the last input. `square` is null where it is the
// gradient's.
void apply_adam(const Update& u, const AdamScalars& p, const float* square = nullptr) {
  float *w = u.variable<float>(0), *m = u.variable<float>(1), *v = u.variable<float>(2);
  const float* g = u.input<float>(u.inputs.size() - 1);
  for (int64_t i = 0; i < u.size(); ++i) {
    m[i] += (g[i] - m[i]) * p.one_minus_beta1;
    v[i] += ((square ? square[i] : g[i] * g[i]) - v[i]) * p.one_minus_beta2;
    w[i] -= p.alpha * m[i] / (std::sqrt(v[i]) + p.epsilon);
  }
}

// tensorflow/core/kernels/training_ops.cc, ApplyAdam: var, m, v, beta1_power, beta2_power, lr,
// beta1, beta2, epsilon, grad.
TenonStatus* run_adam(void*, TenonRun* run) {
  return enqueue_update(run, 3, [](const Update& u) {
    const auto scalar = [&](size_t i) { return *u.input<float>(i); };
    const float alpha = scalar(5) * std::sqrt(1 - scalar(4)) / (1 - scalar(3));
    apply_adam(u, {alpha, 1 - scalar(6), 1 - scalar(7), scalar(8)});
  });
}

// tenon/ops/state/apply_adam.cc: var, m, v, alpha, one_minus_beta1, one_minus_beta2, epsilon, the
// square `of_rows`, grad.
template <bool of_rows>
TenonStatus* run_keras_adam(void*, TenonRun* run) {
  return enqueue_update(run, 3, [](const Update& u) {
    const auto scalar = [&](size_t i) { return *u.input<float>(i); };
    apply_adam(u, {scalar(3), scalar(4), scalar(5), scalar(6)},
               of_rows ? u.input<float>(7) : nullptr);
  });
}

template <TenonStatus* (*run)(void*, TenonRun*)>
TenonStatus* prepare_update(void*, TenonPrepare* prepare, TenonKernel* kernel) {
  if (TenonStatus* status = refuse_rare_updates(prepare)) return status;
  *kernel = {nullptr, run, nullptr};
  return nullptr;
}

constexpr int32_t kFloatOnly[] = {kFloat};
constexpr int32_t kDoubleOnly[] = {kDouble};
constexpr int32_t kInt64Only[] = {kInt64};

constexpr KernelRow kUpdates[] = {
    {"AssignAddVariableOp", "dtype", kFloatOnly, prepare_update<run_assign_add<float>>},
    {"AssignAddVariableOp", "dtype", kDoubleOnly, prepare_update<run_assign_add<double>>},
    {"AssignAddVariableOp", "dtype", kInt64Only, prepare_update<run_assign_add<int64_t>>},
    {"ResourceApplyGradientDescent", "T", kFloatOnly, prepare_update<run_gradient_descent>},
    {"ResourceApplyAdam", "T", kFloatOnly, prepare_update<run_adam>},
    {"_KerasAdam", "T", kFloatOnly, prepare_update<run_keras_adam<false>>},
    {"_KerasAdamOfRows", "T", kFloatOnly, prepare_update<run_keras_adam<true>>},
};

// What a device has a row for and does not take when it sees it, so that the host does.
TenonStatus* prepare_refusal(void*, TenonPrepare*, TenonKernel*) {
  return error(kUnimplemented, "the lazy device takes no running products");
}
constexpr KernelRow kRefused = {"Cumprod", nullptr, nullptr, prepare_refusal};

// The rest runs on the host, between copies.
constexpr const char* kLate[] = {
    "Abs",
    "Acos",
    "Acosh",
    "Add",
    "AddN",
    "AddV2",
    "All",
    "Any",
    "ArgMax",
    "ArgMin",
    "Asin",
    "Asinh",
    "Atan",
    "Atan2",
    "Atanh",
    "AvgPool",
    "AvgPoolGrad",
    "BatchMatMul",
    "BatchMatMulV2",
    "BatchMatMulV3",
    "BiasAdd",
    "BiasAddGrad",
    "BitwiseAnd",
    "BitwiseOr",
    "BitwiseXor",
    "BroadcastTo",
    "Cast",
    "Ceil",
    "CheckNumerics",
    "ClipByValue",
    "Complex",
    "ConcatV2",
    "Conj",
    "Conv2D",
    "Conv2DBackpropFilter",
    "Conv2DBackpropInput",
    "Cos",
    "Cosh",
    "Cumsum",
    "DepthwiseConv2dNative",
    "DepthwiseConv2dNativeBackpropFilter",
    "DepthwiseConv2dNativeBackpropInput",
    "Div",
    "DivNoNan",
    "Elu",
    "EluGrad",
    "Equal",
    "Erf",
    "Exp",
    "Expm1",
    "Fill",
    "Floor",
    "FloorDiv",
    "FloorMod",
    "FusedBatchNormGradV3",
    "FusedBatchNormV3",
    "GatherNd",
    "GatherV2",
    "Greater",
    "GreaterEqual",
    "IsFinite",
    "IsInf",
    "IsNan",
    "L2Loss",
    "LeakyRelu",
    "LeakyReluGrad",
    "Less",
    "LessEqual",
    "Log",
    "Log1p",
    "LogSoftmax",
    "LogicalAnd",
    "LogicalNot",
    "LogicalOr",
    "MatMul",
    "Max",
    "MaxPool",
    "MaxPoolGrad",
    "Maximum",
    "Mean",
    "Min",
    "Minimum",
    "Mul",
    "MulNoNan",
    "Neg",
    "NotEqual",
    "OneHot",
    "OnesLike",
    "Pack",
    "Pad",
    "PadV2",
    "Pow",
    "Prod",
    "RealDiv",
    "Reciprocal",
    "Relu",
    "Relu6",
    "Relu6Grad",
    "ReluGrad",
    "ReverseV2",
    "Round",
    "Rsqrt",
    "RsqrtGrad",
    "Select",
    "SelectV2",
    "Selu",
    "SeluGrad",
    "Sigmoid",
    "SigmoidGrad",
    "Sign",
    "Sin",
    "Slice",
    "Softmax",
    "SoftmaxCrossEntropyWithLogits",
    "Softplus",
    "SoftplusGrad",
    "Softsign",
    "SparseSoftmaxCrossEntropyWithLogits",
    "Split",
    "SplitV",
    "Sqrt",
    "SqrtGrad",
    "Square",
    "SquaredDifference",
    "StatelessRandomGetKeyCounter",
    "StatelessRandomUniformV2",
    "StridedSlice",
    "StridedSliceGrad",
    "Sub",
    "Sum",
    "Tan",
    "Tanh",
    "TanhGrad",
    "Tile",
    "Transpose",
    "Unpack",
    "UnsortedSegmentSum",
    "Xdivy",
    "Xlogy",
    "ZerosLike",
    "_FusedConv2D",
    "_FusedElementwise",
    "_FusedMatMul",
    "_FusedMixedElementwise",
};

}  // namespace

const std::vector<const TenonKernelFactory*>& kernels() {
  static std::vector<TenonKernelFactory> factories;
  static std::vector<const TenonKernelFactory*> pointers;
  if (!pointers.empty()) return pointers;
  const auto add = [](const KernelRow& row) {
    factories.push_back({sizeof(TenonKernelFactory), row.op, "LAZY", row.attr, row.types,
                         row.types ? size_t{1} : 0, nullptr, row.prepare});
  };
  for (const KernelRow& row : kUpdates) add(row);
  add(kRefused);
  // Before the host's kernels for the same ops, which take what these do not.
  for (const KernelRow& row : fused_kernels()) add(row);
  for (const char* op : kLate) {
    add({op, nullptr, nullptr, prepare_late});
  }
  for (const TenonKernelFactory& each : factories) pointers.push_back(&each);
  return pointers;
}

}  // namespace plugin::lazy
