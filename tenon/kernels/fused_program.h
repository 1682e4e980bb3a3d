// FusedProgram as attributes of a node, so that a pass can write it and the op _FusedElementwise
// read it.
//
//   constants:    list(float)
//   instructions: list(int), seven for each: kind, operation, a, b, c, the bits of alpha, dtype
//   outputs:      list(int), the value that each output is
//
// Kinds of the inputs are not written: they follow from the shapes when the node is bound.
#pragma once

#include "tenon/core/attributes.h"
#include "tenon/kernels/fused_elementwise.h"

namespace tenon::kernels {

// TensorFlow's op for an operation, as devices know it; null for one that programs don't hold.
const char* fused_op_name(UnaryOp operation);
const char* fused_op_name(BinaryOp operation);

// Sets the three attributes.
void write_fused_program(const FusedProgram& program, AttrMap& attrs);

// All but the inputs' kinds and the dtypes of inputs and outputs, which the caller fills in.
// INVALID_ARGUMENT when the attributes do not decode. (FusedElementwise::compile checks the rest.)
StatusOr<FusedProgram> read_fused_program(const AttrMap& attrs);

}  // namespace tenon::kernels
