// Element-wise ops, one by one and fused.
#include <algorithm>
#include <cstring>
#include <string_view>

#include "plugins/cuda/elementwise.h"
#include "plugins/cuda/operations.h"

namespace plugin::cuda {
namespace {

// The program's tensors are the node's.
ElementwiseProgram program_of(const TenonPrepare* prepare) {
  ElementwiseProgram p;
  p.dims = dims_of(host->prepare_output(prepare, 0));
  for (int32_t i = 0; i < host->prepare_num_inputs(prepare); ++i) {
    const TenonType input = host->prepare_input(prepare, i);
    p.inputs.push_back({input.dtype, dims_of(input)});
  }
  for (int32_t i = 0; i < host->prepare_num_outputs(prepare); ++i) {
    p.outputs.push_back(host->prepare_output(prepare, i).dtype);
  }
  return p;
}

TenonStatus* finish(TenonPrepare* prepare, const ElementwiseProgram& p, RunFunction& run) {
  Elementwise made;
  if (TenonStatus* status = Elementwise::create(*device_of(prepare), p, made)) return status;
  for (size_t i = 0; i < p.inputs.size() && p.outputs.size() == 1; ++i) {
    if (p.inputs[i].dims == p.dims && size_of(p.inputs[i].dtype) == size_of(p.outputs[0])) {
      host->may_overwrite(prepare, static_cast<int32_t>(i), 0);
    }
  }
  run = [made](TenonRun* r) { return made.launch(r); };
  return nullptr;
}

bool has_zero(const TenonTensor& value) {
  const size_t width = size_of(value.type.dtype);
  const auto* bytes = static_cast<const char*>(value.data);
  for (int64_t i = 0; i < element_count(value.type); ++i, bytes += width) {
    if (std::all_of(bytes, bytes + width, [](char byte) { return byte == 0; })) return true;
  }
  return false;
}

TenonStatus* prepare_operation(TenonPrepare* prepare, RunFunction& run) {
  const TenonText name = host->prepare_op(prepare);
  const Operation* operation = find_operation({name.data, name.size});
  if (!operation || host->prepare_num_inputs(prepare) != operation->operands) {
    return unimplemented("an operation that the GPU has not");
  }
  ElementwiseProgram p = program_of(prepare);
  p.compute = p.inputs.back().dtype;
  if (operation->divides && p.compute != kFloat && p.compute != kDouble && p.compute != kHalf &&
      p.compute != kBfloat16) {
    TenonTensor divisor{};
    if (!host->prepare_constant(prepare, 1, &divisor) || has_zero(divisor)) {
      return unimplemented("a division by integers that may be 0");
    }
  }
  const float alpha = static_cast<float>(float_attr(prepare, "alpha", 0.2));
  p.program.instructions = {{operation->op, {0, 1, 2}, alpha}};
  p.program.outputs = {operation->operands};
  return finish(prepare, p, run);
}

// Of rank 1, a condition chooses rows.
TenonStatus* prepare_select(TenonPrepare* prepare, RunFunction& run) {
  ElementwiseProgram p = program_of(prepare);
  p.compute = p.inputs[1].dtype;
  const TenonText name = host->prepare_op(prepare);
  std::vector<int64_t>& condition = p.inputs[0].dims;
  if (std::string_view(name.data, name.size) == "Select" && condition.size() == 1) {
    condition.resize(std::max<size_t>(p.dims.size(), 1), 1);
  }
  p.program.instructions = {{"Select", {0, 1, 2}, 0}};
  p.program.outputs = {3};
  return finish(prepare, p, run);
}

TenonStatus* prepare_cast(TenonPrepare* prepare, RunFunction& run) {
  if (bool_attr(prepare, "Truncate")) return unimplemented("a cast that drops bits");
  ElementwiseProgram p = program_of(prepare);
  p.compute = p.inputs[0].dtype;
  p.program.outputs = {0};
  return finish(prepare, p, run);
}

// Input `value` spread over the output: Fill, BroadcastTo.
template <int value>
TenonStatus* prepare_spread(TenonPrepare* prepare, RunFunction& run) {
  ElementwiseProgram p = program_of(prepare);
  const ElementwiseProgram::Input spread = p.inputs[value];
  p.inputs = {spread};
  p.compute = spread.dtype;
  p.program.outputs = {0};
  Elementwise made;
  if (TenonStatus* status = Elementwise::create(*device_of(prepare), p, made)) return status;
  run = [made](TenonRun* r) {
    return made.launch(enqueue(r), {input<void>(r, value)}, {output<void>(r, 0)});
  };
  return nullptr;
}

// One constant for all elements, whatever the input holds: ZerosLike, OnesLike.
template <int constant>
TenonStatus* prepare_constant_like(TenonPrepare* prepare, RunFunction& run) {
  ElementwiseProgram p = program_of(prepare);
  p.inputs.clear();
  p.compute = p.outputs[0];
  p.program.constants = {static_cast<float>(constant)};
  p.program.outputs = {0};
  Elementwise made;
  if (TenonStatus* status = Elementwise::create(*device_of(prepare), p, made)) return status;
  run = [made](TenonRun* r) { return made.launch(enqueue(r), {nullptr}, {output<void>(r, 0)}); };
  return nullptr;
}

TenonStatus* prepare_add_n(TenonPrepare* prepare, RunFunction& run) {
  ElementwiseProgram p = program_of(prepare);
  p.compute = p.outputs[0];
  int32_t sum = 0;
  const auto count = static_cast<int32_t>(p.inputs.size());
  for (int32_t i = 1; i < count; ++i) {
    p.program.instructions.push_back({"AddV2", {sum, i, -1}, 0, p.compute});
    sum = count + i - 1;
  }
  p.program.outputs = {sum};
  return finish(prepare, p, run);
}

TenonStatus* prepare_bias_add(TenonPrepare* prepare, RunFunction& run) {
  ElementwiseProgram p = program_of(prepare);
  p.compute = p.outputs[0];
  if (string_attr(prepare, "data_format") == "NCHW") {
    p.inputs[1].dims.resize(p.dims.size() - 1, 1);
  }
  p.program.instructions = {{"AddV2", {0, 1, -1}, 0}};
  p.program.outputs = {2};
  return finish(prepare, p, run);
}

TenonStatus* prepare_fused(TenonPrepare* prepare, RunFunction& run) {
  ElementwiseProgram p = program_of(prepare);
  if (TenonStatus* status = read_fused_program(prepare, p.program)) return status;
  return finish(prepare, p, run);
}

}  // namespace

void add_elementwise_rows(const AddRow& add) {
  for (const Operation& operation : operations()) {
    const std::string_view name = operation.op;
    // These are not ops of their own.
    if (name == "Swish" || name.starts_with("Gelu") || name == "Select") continue;
    add(operation.op, prepare_operation);
  }
  add("Select", prepare_select);
  add("SelectV2", prepare_select);
  add("Cast", prepare_cast);
  add("Fill", prepare_spread<1>);
  add("BroadcastTo", prepare_spread<0>);
  add("ZerosLike", prepare_constant_like<0>);
  add("OnesLike", prepare_constant_like<1>);
  add("AddN", prepare_add_n);
  add("BiasAdd", prepare_bias_add);
  add("_FusedElementwise", prepare_fused);
  add("_FusedMixedElementwise", prepare_fused);
}

}  // namespace plugin::cuda
