#include "plugins/base/node_reading.h"

#include <algorithm>

namespace plugin {

const TenonHost* host = nullptr;

TenonStatus* error(int32_t code, std::string_view message) {
  return host->make_status(code, {message.data(), message.size()});
}

bool is_known(const TenonType& type) {
  return type.rank >= 0 &&
         std::all_of(type.dims, type.dims + type.rank, [](int64_t dim) { return dim >= 0; });
}

int64_t element_count(const TenonType& type) {
  int64_t count = 1;
  for (int32_t axis = 0; axis < type.rank; ++axis) count *= type.dims[axis];
  return count;
}

bool same_shape(const TenonType& a, const TenonType& b) {
  return a.rank == b.rank && std::equal(a.dims, a.dims + std::max(a.rank, 0), b.dims);
}

TenonStatus* read_fused_program(const TenonPrepare* prepare, FusedProgram& program) {
  const TenonAttrs* attrs = host->prepare_attrs(prepare);
  const float* constants = nullptr;
  const int64_t* outputs = nullptr;
  size_t num_constants = 0, num_outputs = 0;
  if (!host->attr_floats(attrs, "constants", &constants, &num_constants) ||
      !host->attr_ints(attrs, "outputs", &outputs, &num_outputs)) {
    return error(kInvalidArgument, "a fused program lacks attributes");
  }
  program.constants.assign(constants, constants + num_constants);
  program.outputs.assign(outputs, outputs + num_outputs);
  TenonFusedInstruction one{};
  const int64_t words = host->attr_count(attrs, "instructions");
  int64_t values = host->prepare_num_inputs(prepare) + static_cast<int64_t>(num_constants);
  for (int64_t i = 0; host->attr_fused(attrs, i, &one); ++i, ++values) {
    for (int32_t operand : one.operands) {
      if (operand >= values) return error(kInvalidArgument, "a fused program reads what follows");
    }
    program.instructions.push_back(
        {one.op, {one.operands[0], one.operands[1], one.operands[2]}, one.alpha, one.dtype});
  }
  // Seven words an instruction: one without a name ends the list early.
  if (words != static_cast<int64_t>(program.instructions.size()) * 7) {
    return error(kUnimplemented, "an operation without a name");
  }
  const bool fits = std::all_of(program.outputs.begin(), program.outputs.end(),
                                [&](int64_t value) { return value >= 0 && value < values; });
  if (!fits || static_cast<int32_t>(num_outputs) != host->prepare_num_outputs(prepare)) {
    return error(kInvalidArgument, "a fused program has other outputs than its node");
  }
  return nullptr;
}

TenonStatus* read_product_end(const TenonAttrs* attrs, ProductEnd& end) {
  TenonText text{};
  int32_t next_input = 2;
  for (int64_t i = 0; host->attr_string_at(attrs, "fused_ops", i, &text); ++i) {
    const std::string_view name(text.data, text.size);
    const bool activated = !end.activation.empty();
    if (name == "BiasAdd" && end.bias < 0 && end.residual < 0 && !activated) {
      end.bias = next_input++;
    } else if (name == "Add" && end.residual < 0) {
      end.residual = next_input++;
      end.residual_after_activation = activated;
    } else if (name != "BiasAdd" && name != "Add" && !activated) {
      end.activation = name;
    } else {
      return error(kUnimplemented, "another end of a product than these");
    }
  }
  double alpha = 0;
  if (host->attr_float(attrs, "leakyrelu_alpha", &alpha)) end.alpha = static_cast<float>(alpha);
  return nullptr;
}

TenonStatus* refuse_rare_updates(const TenonPrepare* prepare) {
  int nesterov = 0;
  host->attr_bool(host->prepare_attrs(prepare), "use_nesterov", &nesterov);
  if (nesterov) return error(kUnimplemented, "the device has no Nesterov momentum");
  int64_t num_v_hat = 0;
  host->attr_int(host->prepare_attrs(prepare), "num_v_hat", &num_v_hat);
  if (num_v_hat > 0) return error(kUnimplemented, "the device has no amsgrad");
  return nullptr;
}

}  // namespace plugin
