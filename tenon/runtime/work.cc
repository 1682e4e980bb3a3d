#include "tenon/runtime/work.h"

#include <cstdlib>

#include "tenon/core/op.h"

namespace tenon {
namespace {

// What one thread does in a nanosecond, on a processor with AVX-512: the best of our kernels reach
// twice of it, and slower processors half.
constexpr double kMultiplyAdds = 50;
constexpr double kBytes = 20;     // read or written, within the caches
constexpr double kOperands = 50;  // bytes that a product streams
constexpr double kFunctions = 1;  // elements of exp, tanh, erf, ...

// Multiply-adds of a step, from the shapes.
using MultiplyAdds = double (*)(const Prepare& p);

double count(const Shape& shape) { return static_cast<double>(shape.num_elements()); }

double output_count(const Prepare& p, int index) {
  return std::max(0.0, static_cast<double>(p.output_shape(index).num_elements()));
}

// The reduced dimension is what the first input has beside the output's rows.
double of_product(const Prepare& p) {
  const Shape& left = p.input_shape(0);
  const PartialShape& product = p.output_shape(0);
  if (left.rank() < 2 || !product.has_rank() || product.rank() < 2) return 0;
  const double rows = static_cast<double>(product[product.rank() - 2]);
  if (rows <= 0) return 0;
  const double matrix = static_cast<double>(left.product(left.rank() - 2, left.rank()));
  return output_count(p, 0) * matrix / rows;
}

// Each value of the convolution's output takes the filter's values of one output channel.
double of_filter(double outputs, const Shape& filter) {
  if (filter.rank() == 0) return 0;
  return outputs * count(filter) / std::max(1.0, static_cast<double>(filter[filter.rank() - 1]));
}
double of_conv(const Prepare& p) { return of_filter(output_count(p, 0), p.input_shape(1)); }
double of_conv_input_gradient(const Prepare& p) {
  return of_filter(count(p.input_shape(2)), p.input_shape(1));
}
double of_conv_filter_gradient(const Prepare& p) {
  const PartialShape& filter = p.output_shape(0);
  if (!filter.is_fully_known()) return 0;
  return of_filter(count(p.input_shape(2)), filter.to_shape());
}

// Channels do not meet: each output takes a window of the filter.
double of_window(double values, double filter, double channels_and_multiplier) {
  return values * filter / std::max(1.0, channels_and_multiplier);
}
double last_two(std::span<const int64_t> dims) {
  if (dims.size() < 2) return 1;
  return static_cast<double>(dims[dims.size() - 1]) * static_cast<double>(dims[dims.size() - 2]);
}
// Loops of ours reach a quarter of a product's speed on them.
constexpr double kDepthwiseCost = 4;
double of_depthwise(const Prepare& p) {
  const Shape& filter = p.input_shape(1);
  return kDepthwiseCost * of_window(output_count(p, 0), count(filter), last_two(filter.dims()));
}
double of_depthwise_input_gradient(const Prepare& p) {
  const Shape& filter = p.input_shape(1);
  return kDepthwiseCost *
         of_window(count(p.input_shape(2)), count(filter), last_two(filter.dims()));
}
double of_depthwise_filter_gradient(const Prepare& p) {
  const PartialShape& filter = p.output_shape(0);
  if (!filter.is_fully_known()) return 0;
  const Shape known = filter.to_shape();
  return kDepthwiseCost * of_window(count(p.input_shape(2)), count(known), last_two(known.dims()));
}
// Filters of levels lie output channel by output channel; depthwise ones as others do.
double of_level_filter(const Prepare& p) {
  const Shape& filter = p.input_shape(1);
  if (filter.rank() == 0) return 0;
  return output_count(p, 0) * count(filter) / std::max(1.0, static_cast<double>(filter[0]));
}
double of_level_depthwise(const Prepare& p) {
  const Shape& filter = p.input_shape(1);
  return filter.rank() == 0 ? 0 : kDepthwiseCost * of_filter(output_count(p, 0), filter);
}

struct Row {
  std::string_view op;
  MultiplyAdds multiply_adds;
};

constexpr Row kRows[] = {
    {"MatMul", of_product},
    {"_FusedMatMul", of_product},
    {"BatchMatMul", of_product},
    {"BatchMatMulV2", of_product},
    {"BatchMatMulV3", of_product},
    {"Conv2D", of_conv},
    {"_FusedConv2D", of_conv},
    {"Conv3D", of_conv},
    {"Conv2DBackpropInput", of_conv_input_gradient},
    {"Conv3DBackpropInputV2", of_conv_input_gradient},
    {"Conv2DBackpropFilter", of_conv_filter_gradient},
    {"Conv3DBackpropFilterV2", of_conv_filter_gradient},
    {"DepthwiseConv2dNative", of_depthwise},
    {"_FusedDepthwiseConv2dNative", of_depthwise},
    {"DepthwiseConv2dNativeBackpropInput", of_depthwise_input_gradient},
    {"DepthwiseConv2dNativeBackpropFilter", of_depthwise_filter_gradient},
    {"_LiteConv2D", of_level_filter},
    {"_LiteTransposeConv", of_level_filter},
    {"_LiteFullyConnected", of_level_filter},
    {"_LiteDepthwiseConv2D", of_level_depthwise},
};

// Ops whose elements cost as much as a function of the mathematical library, or several.
constexpr std::string_view kFunctionOps[] = {"_FusedElementwise",
                                             "Softmax",
                                             "LogSoftmax",
                                             "Exp",
                                             "Expm1",
                                             "Log",
                                             "Log1p",
                                             "Tanh",
                                             "Sigmoid",
                                             "Erf",
                                             "Erfc",
                                             "Pow",
                                             "Sin",
                                             "Cos",
                                             "Softplus",
                                             "Elu",
                                             "Selu",
                                             "SoftmaxCrossEntropyWithLogits",
                                             "SparseSoftmaxCrossEntropyWithLogits",
                                             "RandomUniform",
                                             "RandomStandardNormal",
                                             "StatelessRandomUniformV2",
                                             "StatelessRandomNormalV2",
                                             "StatelessTruncatedNormalV2",
                                             "Where",
                                             "MaxPool",
                                             "AvgPool",
                                             "MaxPoolGrad",
                                             "AvgPoolGrad"};

// Sums of steps stay within int64.
int64_t whole_ns(double ns) { return static_cast<int64_t>(std::min(ns, 1e15)); }

// An optimizer reads and writes a variable and its slots for each gradient that it is given, most
// of which lie in the caches of other processors.
constexpr double kUpdatedBytes = 16;

}  // namespace

int64_t estimated_work(const Prepare& p) {
  if (p.op().decl().touches_no_elements()) return 0;
  const std::string_view name = p.op().name();
  double bytes = 0, elements = 0;
  for (int i = 0; i < p.num_inputs(); ++i) {
    const double values = count(p.input_shape(i));
    bytes += values * static_cast<double>(size_of(p.input_dtype(i)));
    elements = std::max(elements, values);
  }
  for (int i = 0; i < p.num_outputs(); ++i) {
    const double values = output_count(p, i);
    bytes += values * static_cast<double>(size_of(p.output_dtype(i)));
    elements = std::max(elements, values);
  }
  if (name.starts_with("ResourceApply") || name.starts_with("_Keras")) bytes *= kUpdatedBytes;
  const Row* const row = std::find_if(std::begin(kRows), std::end(kRows),
                                      [&](const Row& candidate) { return candidate.op == name; });
  if (row != std::end(kRows)) {
    return whole_ns(bytes / kOperands + row->multiply_adds(p) / kMultiplyAdds);
  }
  double ns = bytes / kBytes;
  if (std::find(std::begin(kFunctionOps), std::end(kFunctionOps), name) != std::end(kFunctionOps)) {
    ns += elements / kFunctions;
  }
  return whole_ns(ns);
}

int team_for(int64_t work_ns, int most) {
  constexpr int64_t kAlone = 12'000;        // waking others for less costs more than they do
  constexpr int64_t kWorkOfThread = 4'000;  // 16 threads take some 4 us to come together
  if (work_ns < kAlone) return 1;
  return static_cast<int>(std::clamp<int64_t>(work_ns / kWorkOfThread, 1, most));
}

int team_of_environment() {
  static const int team = [] {
    const char* text = std::getenv("TENON_TEAM");
    return text ? std::clamp(std::atoi(text), 0, 4096) : 0;
  }();
  return team;
}

}  // namespace tenon
