// _FusedMatMul and _FusedElementwise from their attributes, as a device's own kernels read them.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <string_view>

#include "plugins/lazy/lazy_kernels.h"

namespace plugin::lazy {
namespace {

float relu(float x) { return std::max(x, 0.0f); }
float sigmoid(float x) { return 1 / (1 + std::exp(-x)); }

// --- operations by TensorFlow's names ---

// Of up to three values and alpha.
using Operation = float (*)(float a, float b, float c, float alpha);

struct NamedOperation {
  std::string_view name;
  Operation run;
};

constexpr NamedOperation kOperations[] = {
    {"Neg", [](float a, float, float, float) { return -a; }},
    {"Abs", [](float a, float, float, float) { return std::fabs(a); }},
    {"Square", [](float a, float, float, float) { return a * a; }},
    {"Sqrt", [](float a, float, float, float) { return std::sqrt(a); }},
    {"Reciprocal", [](float a, float, float, float) { return 1 / a; }},
    {"Exp", [](float a, float, float, float) { return std::exp(a); }},
    {"Log", [](float a, float, float, float) { return std::log(a); }},
    {"Tanh", [](float a, float, float, float) { return std::tanh(a); }},
    {"Sigmoid", [](float a, float, float, float) { return sigmoid(a); }},
    {"AddV2", [](float a, float b, float, float) { return a + b; }},
    {"Sub", [](float a, float b, float, float) { return a - b; }},
    {"Mul", [](float a, float b, float, float) { return a * b; }},
    {"RealDiv", [](float a, float b, float, float) { return a / b; }},
    {"SquaredDifference", [](float a, float b, float, float) { return (a - b) * (a - b); }},
    {"ReluGrad", [](float dy, float x, float, float) { return x > 0 ? dy : 0; }},
    {"TanhGrad", [](float y, float dy, float, float) { return dy * (1 - y * y); }},
    {"SigmoidGrad", [](float y, float dy, float, float) { return dy * y * (1 - y); }},
    {"Select", [](float a, float b, float c, float) { return a != 0 ? b : c; }},
    {"LeakyRelu", [](float a, float, float, float alpha) { return a > 0 ? a : alpha * a; }},
};

Operation find_operation(std::string_view name) {
  for (const NamedOperation& each : kOperations) {
    if (each.name == name) return each.run;
  }
  return nullptr;
}

bool is_float(const TenonType& type) { return type.dtype == kFloat && is_known(type); }

// --- _FusedElementwise ---

struct Program {
  struct Instruction {
    Operation run;
    std::array<int32_t, 3> operands;
    float alpha;
  };
  std::vector<float> constants;
  std::vector<Instruction> instructions;
  std::vector<int64_t> outputs;
};

// Where element `at` of the output finds its element in `input`.
int64_t broadcast_index(const Captured& input, const Captured& output, int64_t at) {
  int64_t index = 0, step = 1;
  const size_t more = output.dims.size() - input.dims.size();
  for (size_t axis = output.dims.size(); axis-- > 0;) {
    const int64_t place = at % output.dims[axis];
    at /= output.dims[axis];
    if (axis < more) continue;
    const int64_t dim = input.dims[axis - more];
    if (dim > 1) index += place * step;
    step *= dim;
  }
  return index;
}

Failure run_program(const Program& program, const std::vector<Captured>& inputs,
                    const std::vector<Captured>& outputs, const Device& device) {
  std::vector<float> values(inputs.size() + program.constants.size() + program.instructions.size());
  for (int64_t at = 0; at < outputs[0].size(); ++at) {
    size_t next = 0;
    for (const Captured& input : inputs) {
      values[next++] = input.as<float>(device)[broadcast_index(input, outputs[0], at)];
    }
    for (float constant : program.constants) values[next++] = constant;
    for (const Program::Instruction& one : program.instructions) {
      const auto operand = [&](size_t i) {
        return one.operands[i] < 0 ? 0.0f : values[static_cast<size_t>(one.operands[i])];
      };
      values[next++] = one.run(operand(0), operand(1), operand(2), one.alpha);
    }
    for (size_t i = 0; i < outputs.size(); ++i) {
      outputs[i].as<float>(device)[at] = values[static_cast<size_t>(program.outputs[i])];
    }
  }
  return {};
}

TenonStatus* run_elementwise(void* state, TenonRun* run) {
  std::vector<Captured> inputs, outputs;
  for (int32_t i = 0; i < host->run_num_inputs(run); ++i) {
    inputs.emplace_back(host->run_input(run, i));
  }
  for (int32_t i = 0; i < host->run_num_outputs(run); ++i) {
    outputs.emplace_back(host->run_output(run, i));
  }
  const auto program = *static_cast<std::shared_ptr<const Program>*>(state);
  // Beside the run's other work, for the sake of the second stream: what follows waits for it.
  void* second = nullptr;
  if (TenonStatus* status = host->run_fork(run, &second)) return status;
  const Device& device = *stream_behind(second).device();
  stream_behind(second).enqueue([program, inputs, outputs, &device] {
    return run_program(*program, inputs, outputs, device);
  });
  return host->run_join(run);
}

TenonStatus* prepare_elementwise(void*, TenonPrepare* prepare, TenonKernel* kernel) {
  for (int32_t i = 0; i < host->prepare_num_inputs(prepare); ++i) {
    if (!is_float(host->prepare_input(prepare, i))) return error(kUnimplemented, "not of float32");
  }
  for (int32_t i = 0; i < host->prepare_num_outputs(prepare); ++i) {
    if (!is_float(host->prepare_output(prepare, i))) return error(kUnimplemented, "not of float32");
  }
  FusedProgram read;
  if (TenonStatus* status = read_fused_program(prepare, read)) return status;
  Program program{read.constants, {}, read.outputs};
  for (const FusedProgram::Instruction& one : read.instructions) {
    const Operation operation = find_operation(one.op);
    if (!operation) return error(kUnimplemented, "an operation that the lazy device has not");
    program.instructions.push_back({operation, one.operands, one.alpha});
  }
  *kernel = {new std::shared_ptr<const Program>(std::make_shared<Program>(std::move(program))),
             run_elementwise,
             [](void* state) { delete static_cast<std::shared_ptr<const Program>*>(state); }};
  return nullptr;
}

// --- _FusedMatMul ---

// Larger products are the host's, which is faster.
constexpr int64_t kMostProducts = int64_t{1} << 20;

struct Product {
  int64_t rows = 0, columns = 0, inner = 0;
  bool transpose_b = false;
  const void* packed = nullptr;  // b as [columns, inner]
  int32_t bias = -1, residual = -1;
  float (*activation)(float) = nullptr;
  size_t sums = 0;  // where in the scratch memory a row's sums are
};

struct ProductRun {
  Product product;
  std::vector<Captured> inputs;
  Captured output;
  void* scratch;
};

void run_product(const ProductRun& run, const Device& device) {
  const Product& p = run.product;
  const float* a = run.inputs[0].as<float>(device);
  const bool by_column = p.packed || p.transpose_b;
  const float* b = p.packed ? static_cast<const float*>(device.reachable(p.packed))
                            : run.inputs[1].as<float>(device);
  auto* sums =
      reinterpret_cast<double*>(static_cast<char*>(device.reachable(run.scratch)) + p.sums);
  float* y = run.output.as<float>(device);
  for (int64_t i = 0; i < p.rows; ++i) {
    std::fill_n(sums, p.columns, 0.0);
    for (int64_t j = 0; j < p.columns; ++j) {
      for (int64_t k = 0; k < p.inner; ++k) {
        const float factor = by_column ? b[j * p.inner + k] : b[k * p.columns + j];
        sums[j] += static_cast<double>(a[i * p.inner + k]) * static_cast<double>(factor);
      }
    }
    for (int64_t j = 0; j < p.columns; ++j) {
      auto value = static_cast<float>(sums[j]);
      if (p.bias >= 0) value += run.inputs[static_cast<size_t>(p.bias)].as<float>(device)[j];
      if (p.residual >= 0) {
        value += run.inputs[static_cast<size_t>(p.residual)].as<float>(device)[i * p.columns + j];
      }
      y[i * p.columns + j] = p.activation ? p.activation(value) : value;
    }
  }
}

TenonStatus* run_matmul(void* state, TenonRun* run) {
  ProductRun late{*static_cast<Product*>(state),
                  {},
                  Captured(host->run_output(run, 0)),
                  host->run_scratch(run)};
  for (int32_t i = 0; i < host->run_num_inputs(run); ++i) {
    late.inputs.emplace_back(host->run_input(run, i));
  }
  const Device& device = *stream_of(run).device();
  stream_of(run).enqueue([late, &device] {
    run_product(late, device);
    return Failure{};
  });
  return nullptr;
}

// [inner, columns] as [columns, inner].
TenonStatus* pack_columns(void*, const TenonTensor* constant, void* stream, void* memory) {
  const int64_t inner = constant->type.dims[0], columns = constant->type.dims[1];
  const auto* from = static_cast<const float*>(constant->data);
  std::vector<float> turned(static_cast<size_t>(inner * columns));
  for (int64_t k = 0; k < inner; ++k) {
    for (int64_t j = 0; j < columns; ++j) {
      turned[static_cast<size_t>(j * inner + k)] = from[k * columns + j];
    }
  }
  const Device& device = *stream_behind(stream).device();
  stream_behind(stream).enqueue([turned = std::move(turned), memory, &device] {
    std::memcpy(device.reachable(memory), turned.data(), turned.size() * sizeof(float));
    return Failure{};
  });
  return nullptr;
}

struct NamedActivation {
  std::string_view name;
  float (*run)(float);
};
constexpr NamedActivation kActivations[] = {
    {"Relu", relu},
    {"Sigmoid", sigmoid},
    {"Tanh", [](float x) { return std::tanh(x); }},
    {"Swish", [](float x) { return x * sigmoid(x); }},
};

TenonStatus* read_end(const TenonAttrs* attrs, Product& product) {
  ProductEnd end;
  if (TenonStatus* status = read_product_end(attrs, end)) return status;
  product.bias = end.bias;
  product.residual = end.residual;
  for (const NamedActivation& each : kActivations) {
    if (each.name == end.activation) product.activation = each.run;
  }
  const bool taken = end.activation.empty() || product.activation;
  return taken && !end.residual_after_activation ? nullptr
                                                 : error(kUnimplemented, "another end than these");
}

TenonStatus* prepare_matmul(void*, TenonPrepare* prepare, TenonKernel* kernel) {
  const TenonAttrs* attrs = host->prepare_attrs(prepare);
  const TenonType a = host->prepare_input(prepare, 0), y = host->prepare_output(prepare, 0);
  int transpose_a = 0, transpose_b = 0;
  host->attr_bool(attrs, "transpose_a", &transpose_a);
  host->attr_bool(attrs, "transpose_b", &transpose_b);
  Product product;
  if (!is_float(a) || !is_float(y) || a.rank != 2 || y.rank != 2 || transpose_a) {
    return error(kUnimplemented, "not of float32 matrices as they are");
  }
  product.rows = y.dims[0];
  product.columns = y.dims[1];
  product.inner = a.dims[1];
  product.transpose_b = transpose_b != 0;
  if (TenonStatus* status = read_end(attrs, product)) return status;
  if (product.columns > kMostProducts || product.inner > kMostProducts ||
      product.rows > kMostProducts / std::max<int64_t>(1, product.columns) ||
      product.rows * product.columns > kMostProducts / std::max<int64_t>(1, product.inner)) {
    return error(kUnimplemented, "too much for the lazy device");
  }
  if (host->prepare_frozen(prepare, 1) && !transpose_b) {
    void* memory = nullptr;
    if (TenonStatus* status = host->prepare_packed(
            prepare, 1, {"columns", 7},
            static_cast<size_t>(product.inner * product.columns) * sizeof(float), pack_columns,
            nullptr, &memory)) {
      return status;
    }
    product.packed = memory;
  }
  product.sums =
      host->reserve_temporary(prepare, static_cast<size_t>(product.columns) * sizeof(double));
  *kernel = {new Product(product), run_matmul,
             [](void* state) { delete static_cast<Product*>(state); }};
  return nullptr;
}

}  // namespace

const std::vector<KernelRow>& fused_kernels() {
  static constexpr int32_t kFloatOnly[] = {kFloat};
  static const std::vector<KernelRow> rows = {
      {"_FusedElementwise", nullptr, nullptr, prepare_elementwise},
      {"_FusedMatMul", "T", kFloatOnly, prepare_matmul},
  };
  return rows;
}

}  // namespace plugin::lazy
