// FusedBatchNorm, V2, V3: batch normalisation over all but the channels, with running averages.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/norm.h"
#include "tenon/ops/nn/batch_norm_layout.h"

namespace tenon {
namespace {

// Outputs: y, batch_mean, batch_variance, two reserved for the gradient, and V3's empty third.
Status batch_norm_shape(ShapeContext& c) {
  // While training with no running average, mean and variance are not read.
  const bool reads_averages =
      !c.attr<bool>("is_training") || c.attr<float>("exponential_avg_factor") != 1.0f;
  TENON_ASSIGN_OR_RETURN(const int64_t channels,
                         batch_norm_channels(c, 0, 1, reads_averages ? 4 : 2));
  c.set_output(0, c.input(0));
  for (int i = 1; i < 5; ++i) c.set_output(i, {channels});
  if (c.num_outputs() > 5) c.set_output(5, Shape());
  return absl::OkStatus();
}

struct BatchNormForward {
  BatchNormLayout layout;
  float epsilon = 0;
  float average_factor = 1;
  bool training = false;
};

// What of the statistics TensorFlow's CPU kernel reports: the unbiased variance, mixed into the
// running averages; the gradient is given the batch's own.
void report_statistics(const BatchNormForward& op, KernelRun& r) {
  const int64_t rows = op.layout.rows();
  const float unbiased =
      static_cast<float>(rows) / static_cast<float>(std::max<int64_t>(rows - 1, 1));
  const float keep = 1.0f - op.average_factor;
  for (int64_t c = 0; c < op.layout.channels; ++c) {
    float mean = r.out<float>(3)[c];
    float variance = r.out<float>(4)[c] * unbiased;
    if (op.average_factor != 1.0f) {
      mean = keep * r.in<float>(3)[c] + op.average_factor * mean;
      variance = keep * r.in<float>(4)[c] + op.average_factor * variance;
    }
    r.out<float>(1)[c] = mean;
    r.out<float>(2)[c] = variance;
  }
}

// `bias`: is added to x before; null where there is none.
void run_batch_norm(const BatchNormForward& op, const Tensor* bias, KernelRun& r) {
  const BatchNormLayout& layout = op.layout;
  const size_t channels = static_cast<size_t>(layout.channels);
  if (r.num_outputs() > 5) *r.out<float>(5) = 0;
  if (layout.rows() == 0) {
    for (int i = 1; i < 5; ++i) std::fill_n(r.out<float>(i), channels, std::nanf(""));
    return;
  }
  float* const factors = r.scratch<float>();
  float* const scratch = factors + kernels::batch_norm_factors(layout.channels);
  const float* x = load_shifted_rows(layout, r.input(0), bias, scratch);
  float* y = layout.direct() ? r.out<float>(0) : scratch;
  const kernels::BatchNorm norm{layout.rows(), layout.channels, op.epsilon, r.in<float>(1)};
  if (op.training) {
    kernels::batch_norm_training(norm, x, r.in<float>(2), y, r.out<float>(3), r.out<float>(4),
                                 factors);
    report_statistics(op, r);
  } else {
    kernels::batch_norm_inference(norm.with(r.in<float>(3), r.in<float>(4)), x, r.in<float>(2), y,
                                  factors);
    for (int i : {3, 1}) std::copy_n(r.in<float>(3), channels, r.out<float>(i));
    for (int i : {4, 2}) std::copy_n(r.in<float>(4), channels, r.out<float>(i));
  }
  if (!layout.direct()) store_rows(layout, y, r.output(0));
}

StatusOr<BatchNormForward> read_batch_norm(Prepare& p) {
  if (p.input_dtype(1) != DType::kFloat) {
    return unimplemented("batch normalisation with statistics of dtype ", p.input_dtype(1));
  }
  BatchNormForward op;
  op.layout = batch_norm_layout(p.attrs(), p.input_shape(0), p.input_dtype(0));
  op.epsilon = p.attr<float>("epsilon");
  op.average_factor = p.attr<float>("exponential_avg_factor");
  op.training = p.attr<bool>("is_training");
  return op;
}

StatusOr<Kernel> make_batch_norm(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const BatchNormForward op, read_batch_norm(p));
  p.reserve_scratch(batch_norm_scratch(op.layout, 1));
  return Kernel([op](KernelRun& r) {
    run_batch_norm(op, nullptr, r);
    return absl::OkStatus();
  });
}

// y + side (if there is one), then what is above 0: each rounded, as the ops by themselves do.
template <class T>
void add_and_cut(const Tensor* side, bool relu, Tensor& y) {
  T* const values = y.mutable_data<T>();
  for (int64_t i = 0, count = y.num_elements(); i < count; ++i) {
    auto value = static_cast<float>(values[i]);
    if (side)
      value = static_cast<float>(static_cast<T>(value + static_cast<float>(side->data<T>()[i])));
    values[i] = static_cast<T>(relu && value < 0 ? 0.0f : value);
  }
}

// For devices, which have kernels of their own for it; on the host it is their measure.
StatusOr<Kernel> make_batch_norm_ex(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const BatchNormForward op, read_batch_norm(p));
  const bool relu = p.attr<std::string>("activation_mode") == "Relu";
  const int sides = static_cast<int>(p.attr<int64_t>("num_side_inputs"));
  const int biases = static_cast<int>(p.attr<int64_t>("num_biases"));
  if (sides > 1 || biases > 1) return unimplemented("more than one addend or bias");
  p.reserve_scratch(batch_norm_scratch(op.layout, 0) +
                    static_cast<size_t>(op.layout.elements()) * sizeof(float));
  return Kernel([op, relu, sides, biases](KernelRun& r) {
    run_batch_norm(op, biases > 0 ? &r.input(5 + sides) : nullptr, r);
    const Tensor* side = sides > 0 ? &r.input(5) : nullptr;
    visit<FloatTypes>(r.output(0).dtype(),
                      [&]<class T>() { add_and_cut<T>(side, relu, r.output(0)); });
    return absl::OkStatus();
  });
}

// tensorflow/python/ops/nn_grad.py, _BaseFusedBatchNormGrad.
Status batch_norm_gradient(Gradient& g) {
  const std::string name = g.forward().op->name();
  const std::string suffix = name.substr(std::string_view("FusedBatchNorm").size());
  const bool training = g.attr<bool>("is_training");
  std::vector<Endpoint> inputs{g.dy(0), g.input(0), g.input(1), training ? g.output(3) : g.input(3),
                               training ? g.output(4) : g.input(4)};
  if (suffix == "V3") inputs.push_back(g.output(5));
  const std::vector<Endpoint> dx =
      g.build().ops(cat("FusedBatchNormGrad", suffix), std::move(inputs),
                    {{"epsilon", g.attr<float>("epsilon")},
                     {"data_format", g.attr<std::string>("data_format")},
                     {"is_training", training}});
  for (size_t i = 0; i < 3 && i < dx.size(); ++i) g.set_dx(static_cast<int>(i), dx[i]);
  return absl::OkStatus();
}

}  // namespace

TENON_OP(FusedBatchNorm) = {
    .inputs = "x: T, scale: T, offset: T, mean: T, variance: T",
    .outputs = "y: T, batch_mean: T, batch_variance: T, reserve_space_1: T, reserve_space_2: T",
    .attrs =
        "T: {float}; epsilon: float = 0.0001; exponential_avg_factor: float = 1; "
        "data_format: {'NHWC', 'NCHW'} = 'NHWC'; is_training: bool = true",
    .shape = batch_norm_shape,
    .gradient = batch_norm_gradient,
    .kernels = {make_batch_norm},
};

TENON_OP(FusedBatchNormV2) = {
    .inputs = "x: T, scale: U, offset: U, mean: U, variance: U",
    .outputs = "y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U",
    .attrs =
        "T: {half, bfloat16, float}; U: {float}; epsilon: float = 0.0001; "
        "exponential_avg_factor: float = 1; data_format: {'NHWC', 'NCHW'} = 'NHWC'; "
        "is_training: bool = true",
    .shape = batch_norm_shape,
    .gradient = batch_norm_gradient,
    .kernels = {make_batch_norm},
};

TENON_OP(FusedBatchNormV3) = {
    .inputs = "x: T, scale: U, offset: U, mean: U, variance: U",
    .outputs =
        "y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U, "
        "reserve_space_3: U",
    .attrs =
        "T: {half, bfloat16, float}; U: {bfloat16, float}; epsilon: float = 0.0001; "
        "exponential_avg_factor: float = 1; "
        "data_format: {'NHWC', 'NCHW', 'NDHWC', 'NCDHW'} = 'NHWC'; is_training: bool = true",
    .shape = batch_norm_shape,
    .gradient = batch_norm_gradient,
    .kernels = {make_batch_norm},
};

// With an addition and an activation behind it, where attributes are those of TensorFlow's
// remapper, and perhaps a bias added before.
TENON_OP(_FusedBatchNormEx) = {
    .inputs =
        "x: T, scale: U, offset: U, mean: U, variance: U, side_input: num_side_inputs * T, "
        "bias: num_biases * T",
    .outputs =
        "y: T, batch_mean: U, batch_variance: U, reserve_space_1: U, reserve_space_2: U, "
        "reserve_space_3: U",
    .attrs =
        "T: {half, bfloat16, float}; U: {float}; epsilon: float = 0.0001; "
        "exponential_avg_factor: float = 1; num_side_inputs: int >= 0 = 0; num_biases: int >= 0 = "
        "0; "
        "activation_mode: string = 'Identity'; data_format: {'NHWC'} = 'NHWC'; "
        "is_training: bool = true",
    .shape = batch_norm_shape,
    .gradient = [](Gradient&) { return internal("gradients are taken before ops are fused"); },
    .kernels = {make_batch_norm_ex},
};

}  // namespace tenon
