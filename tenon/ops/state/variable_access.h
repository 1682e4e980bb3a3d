// What the ops that read and write variables share.
#pragma once

#include "tenon/core/kernel.h"
#include "tenon/core/shape_context.h"
#include "tenon/core/variable.h"

namespace tenon {

// The variable that input `index` refers to; NOT_FOUND when it refers to none, in TensorFlow's
// code for a resource that does not exist.
StatusOr<Variable*> variable_of(const KernelRun& r, int index);

// The dtype and shape of the variable at input `index`; unknown when nothing says so.
HandleInfo variable_info(const ShapeContext& c, int index);

// INVALID_ARGUMENT unless the variable at input `index` may hold `dtype`.
Status expect_variable_dtype(const ShapeContext& c, int index, DType dtype);

}  // namespace tenon
