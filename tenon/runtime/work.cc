#include "tenon/runtime/work.h"

#include <cmath>
#include <cstdlib>

#include "tenon/core/op.h"
#include "tenon/kernels/fused_program.h"

namespace tenon {
namespace {

// What one thread does in a nanosecond, on a processor with AVX-512: the best of our kernels reach
// twice of it, and slower processors half.
constexpr double kMultiplyAdds = 50;
constexpr double kBytes = 30;     // read or written, within the caches
constexpr double kOperands = 50;  // bytes that a product streams

// Multiply-adds of a step, from the shapes.
using MultiplyAdds = double (*)(const Prepare& p);

double count(const Shape& shape) { return static_cast<double>(shape.num_elements()); }

double output_count(const Prepare& p, int index) {
  return std::max(0.0, static_cast<double>(p.output_shape(index).num_elements()));
}

// Columns of a product, each of which costs as much as a whole vector's.
constexpr double kVector = 16;
double whole_vectors(double columns) { return std::ceil(columns / kVector) * kVector; }

// The reduced dimension is what the first input has beside the output's rows.
double of_product(const Prepare& p) {
  const Shape& left = p.input_shape(0);
  const PartialShape& product = p.output_shape(0);
  if (left.rank() < 2 || !product.has_rank() || product.rank() < 2) return 0;
  const double rows = static_cast<double>(product[product.rank() - 2]);
  if (rows <= 0) return 0;
  const double matrix = static_cast<double>(left.product(left.rank() - 2, left.rank()));
  const double columns = std::max(1.0, static_cast<double>(product[product.rank() - 1]));
  return output_count(p, 0) / columns * whole_vectors(columns) * matrix / rows;
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

// What ops take beside the passes over their tensors: ns for each element of the largest, and for
// each of its rows (last dimensions). Measured on 16 processors (`./dev bench teams`).
struct ElementCost {
  std::string_view op;
  double element;
  double row = 0;
};

constexpr double kFunction = 0.7;  // exp, tanh, erf, ...
constexpr double kLight = 0.1;     // an addition that is fused with others
constexpr double kRandom = 2.5;
constexpr double kShortRow = 50;

constexpr ElementCost kElementCosts[] = {{"AvgPool", 0.25},
                                         {"AvgPoolGrad", 0.5},
                                         {"Cos", kFunction},
                                         {"Elu", kFunction},
                                         {"Erf", kFunction},
                                         {"Erfc", kFunction},
                                         {"Exp", kFunction},
                                         {"Expm1", kFunction},
                                         {"Log", kFunction},
                                         {"Log1p", kFunction},
                                         {"LogSoftmax", 1, kShortRow},
                                         {"MaxPool", 0.25},
                                         {"MaxPoolGrad", 0.5},
                                         {"Pow", 2 * kFunction},
                                         {"RandomStandardNormal", 2 * kRandom},
                                         {"RandomUniform", kRandom},
                                         {"SelectV2", kFunction},
                                         {"Selu", kFunction},
                                         {"Sigmoid", kFunction},
                                         {"Sin", kFunction},
                                         {"Softmax", 1, kShortRow},
                                         {"SoftmaxCrossEntropyWithLogits", 1, kShortRow},
                                         {"Softplus", kFunction},
                                         {"SparseSoftmaxCrossEntropyWithLogits", 1, kShortRow},
                                         {"StatelessRandomNormalV2", 2 * kRandom},
                                         {"StatelessRandomUniformV2", kRandom},
                                         {"StatelessTruncatedNormalV2", 2 * kRandom},
                                         {"Tanh", kFunction},
                                         {"Transpose", kFunction},
                                         {"Where", kFunction}};

bool is_function(const kernels::FusedInstruction& instruction) {
  using kernels::BinaryOp;
  using kernels::UnaryOp;
  switch (instruction.kind) {
    case kernels::FusedInstruction::Kind::kUnary:
      return instruction.unary >= UnaryOp::kExp && instruction.unary <= UnaryOp::kAtanh &&
             instruction.unary != UnaryOp::kRelu && instruction.unary != UnaryOp::kRelu6 &&
             instruction.unary != UnaryOp::kSoftsign;
    case kernels::FusedInstruction::Kind::kBinary:
      return instruction.binary >= BinaryOp::kPow && instruction.binary <= BinaryOp::kXdivy;
    default:
      return false;
  }
}

// ns for each element.
double of_fused_program(const Prepare& p) {
  const auto program = kernels::read_fused_program(p.attrs());
  if (!program.ok()) return 0;  // the kernel's factory says why
  double ns = 0;
  for (const kernels::FusedInstruction& instruction : program->instructions) {
    ns += is_function(instruction) ? kFunction : kLight;
  }
  return ns;
}

double last_dimension(const Prepare& p) {
  const PartialShape& shape = p.num_inputs() > 0 ? p.input_shape(0) : p.output_shape(0);
  if (!shape.has_rank() || shape.rank() == 0) return 1;
  return std::max(1.0, static_cast<double>(shape[shape.rank() - 1]));
}

// ns of the arithmetic on `elements`.
double of_elements(const Prepare& p, double elements) {
  const std::string_view name = p.op().name();
  if (name == "_FusedElementwise" || name == "_FusedMixedElementwise") {
    return elements * of_fused_program(p);
  }
  const auto* const cost =
      std::find_if(std::begin(kElementCosts), std::end(kElementCosts),
                   [&](const ElementCost& candidate) { return candidate.op == name; });
  if (cost == std::end(kElementCosts)) return 0;
  return elements * cost->element + elements / last_dimension(p) * cost->row;
}

// Sums of steps stay within int64.
int64_t whole_ns(double ns) { return static_cast<int64_t>(std::min(ns, 1e15)); }

// An optimizer reads and writes a variable and its slots for each gradient that it is given.
constexpr double kUpdatedBytes = 5;

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
  return whole_ns(bytes / kBytes + of_elements(p, elements));
}

int team_for(int64_t work_ns, int64_t far_bytes, int most) {
  constexpr int64_t kFarBytes = 7;          // that one thread fetches from other caches in a ns
  constexpr int64_t kAlone = 20'000;        // to wake others for less costs more than they do
  constexpr int64_t kWorkOfThread = 4'000;  // 16 threads take 4 to 8 us to come together
  const int64_t alone = work_ns + far_bytes / kFarBytes;
  if (alone < kAlone) return 1;
  return static_cast<int>(std::clamp<int64_t>(alone / kWorkOfThread, 1, most));
}

int team_of_environment() {
  static const int team = [] {
    const char* text = std::getenv("TENON_TEAM");
    return text ? std::clamp(std::atoi(text), 0, 4096) : 0;
  }();
  return team;
}

}  // namespace tenon
