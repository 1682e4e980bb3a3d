#include "tenon/graph/import_ops.h"

#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

struct ImportOp {
  std::string_view name;
  OpDecl decl;
};

// No shape is inferred and nothing runs before the node is replaced.
constexpr OpDecl declare(ArgsText inputs, ArgsText outputs, AttrsText attrs) {
  return {.inputs = inputs,
          .outputs = outputs,
          .attrs = attrs,
          .shape = unknown_shape,
          .gradient = not_differentiable,
          .kernels = {}};
}

constexpr OpDecl kEnter = declare("data: T", "output: T",
                                  "T: type; frame_name: string; is_constant: bool = false; "
                                  "parallel_iterations: int = 10");
constexpr OpDecl kPass = declare("data: T", "output: T", "T: type");
constexpr OpDecl kSwitch =
    declare("data: T, pred: bool", "output_false: T, output_true: T", "T: type");
constexpr OpDecl kMerge =
    declare("inputs: N * T", "output: T, value_index: int32", "T: type; N: int >= 1");

// The flow of a TensorArray is declared as what it becomes, the TensorList itself.
constexpr ImportOp kImportOps[] = {
    {"Enter", kEnter},
    {"Exit", kPass},
    {"NextIteration", kPass},
    {"LoopCond", declare("input: bool", "output: bool", "")},
    {"Switch", kSwitch},
    {"Merge", kMerge},
    {"TensorArrayV3",
     declare("size: int32", "handle: resource, flow: variant",
             "dtype: type; element_shape: shape = unknown; dynamic_size: bool = false; "
             "clear_after_read: bool = true; identical_element_shapes: bool = false; "
             "tensor_array_name: string = ''")},
    {"TensorArrayWriteV3", declare("handle: resource, index: int32, value: T, flow_in: variant",
                                   "flow_out: variant", "T: type")},
    {"TensorArrayReadV3",
     declare("handle: resource, index: int32, flow_in: variant", "value: dtype", "dtype: type")},
    {"TensorArrayGatherV3", declare("handle: resource, indices: int32, flow_in: variant",
                                    "value: dtype", "dtype: type; element_shape: shape = unknown")},
    {"TensorArrayScatterV3", declare("handle: resource, indices: int32, value: T, flow_in: variant",
                                     "flow_out: variant", "T: type")},
    {"TensorArrayConcatV3",
     declare("handle: resource, flow_in: variant", "value: dtype, lengths: int64",
             "dtype: type; element_shape_except0: shape = unknown")},
    {"TensorArraySplitV3", declare("handle: resource, value: T, lengths: int64, flow_in: variant",
                                   "flow_out: variant", "T: type")},
    {"TensorArraySizeV3", declare("handle: resource, flow_in: variant", "size: int32", "")},
    {"TensorArrayCloseV3", declare("handle: resource", "", "")},
};

using ImportOpDefs = std::map<std::string_view, std::unique_ptr<OpDef>>;

const ImportOpDefs& import_op_defs() {
  static const ImportOpDefs defs = [] {
    ImportOpDefs parsed;
    for (const ImportOp& row : kImportOps) {
      StatusOr<std::unique_ptr<OpDef>> def = OpDef::parse(row.name, row.decl);
      if (def.ok()) parsed.emplace(row.name, *std::move(def));
    }
    return parsed;
  }();
  return defs;
}

}  // namespace

const OpDef* find_op_for_import(std::string_view name) {
  if (const OpDef* op = OpRegistry::global().find(name)) return op;
  const auto it = import_op_defs().find(name);
  return it == import_op_defs().end() ? nullptr : it->second.get();
}

bool exists_only_during_import(const OpDef& op) {
  const auto it = import_op_defs().find(op.name());
  return it != import_op_defs().end() && it->second.get() == &op;
}

}  // namespace tenon
