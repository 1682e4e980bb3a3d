#include "tenon/ops/state/variable_access.h"

namespace tenon {

StatusOr<Variable*> variable_of(const KernelRun& r, int index) {
  if (Variable* variable = r.input(index).object_as<Variable>()) return variable;
  const Object* object = r.input(index).object_as<Object>();
  if (object)
    return invalid_argument("input ", index, " is a ", object->type_name(),
                            ", a Variable is expected");
  return not_found("input ", index, " refers to no variable");
}

HandleInfo variable_info(const ShapeContext& c, int index) {
  const HandleInfo* info = c.handle(index);
  return info ? *info : HandleInfo();
}

Status expect_variable_dtype(const ShapeContext& c, int index, DType dtype) {
  const DType held = variable_info(c, index).dtype;
  if (held == DType::kInvalid || held == dtype) return absl::OkStatus();
  return invalid_argument("the variable at input ", index, " holds ", held, ", the op is for ",
                          dtype);
}

}  // namespace tenon
