// Variables: their handle, reading, assigning, adding, and whether they have a value.
#include "tenon/core/interfaces.h"
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/ops/state/variable_access.h"

namespace tenon {
namespace {

Status var_handle_shape(ShapeContext& c) {
  c.set_output(0, Shape());
  c.set_handle(0, {c.attr<DType>("dtype"), c.attr<PartialShape>("shape")});
  return absl::OkStatus();
}

// The handle is made once: all kernels of a model that name the variable share the object.
StatusOr<Kernel> make_var_handle(Prepare& p) {
  const DType dtype = p.attr<DType>("dtype");
  const PartialShape& shape = p.attr<PartialShape>("shape");
  std::string name = p.attr<std::string>("shared_name");
  if (name.empty()) name = std::string(p.node_name());
  if (!p.resources()) return failed_precondition("variable '", name, "' is used without a model");
  TENON_ASSIGN_OR_RETURN(Ref<Object> object, p.resources()->find_or_create(
                                                 p.attr<std::string>("container"), name,
                                                 [&]() -> StatusOr<Ref<Object>> {
                                                   return make_ref<Variable>(name, dtype, shape);
                                                 }));
  const Variable* variable = object_cast<Variable>(object.get());
  if (!variable) {
    return invalid_argument("resource '", name, "' is a ", object->type_name(),
                            ", a Variable is expected");
  }
  if (variable->dtype() != dtype || !PartialShape::merge(variable->shape(), shape).ok()) {
    return invalid_argument("variable '", name, "' is declared as ", dtype, shape,
                            ", it exists as ", variable->dtype(), variable->shape());
  }
  return Kernel([handle = Tensor::object(DType::kResource, object)](KernelRun& r) {
    r.set_output(0, handle);
    return absl::OkStatus();
  });
}

Status read_variable_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_RETURN_IF_ERROR(expect_variable_dtype(c, 0, c.attr<DType>("dtype")));
  c.set_output(0, variable_info(c, 0).shape);
  return absl::OkStatus();
}

StatusOr<Kernel> make_read_variable(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0), shape = p.output_shape(0)](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(const Variable* variable, variable_of(r, 0));
    Stream* stream = r.context().stream;
    TENON_ASSIGN_OR_RETURN(Tensor value, r.context().reads_in_place
                                             ? variable->read_in_place(*stream)
                                             : variable->read(stream));
    if (value.dtype() != dtype || !shape.matches(value.shape())) {
      return invalid_argument("variable '", variable->name(), "' holds ", value.dtype(),
                              value.shape(), ", ", dtype, shape, " is expected");
    }
    r.set_output(0, std::move(value));
    return absl::OkStatus();
  });
}

// Assigned values must fit what the variable is declared to hold.
Status write_variable_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_RETURN_IF_ERROR(expect_variable_dtype(c, 0, c.attr<DType>("dtype")));
  return PartialShape::merge(variable_info(c, 0).shape, c.input(1)).status();
}

StatusOr<Kernel> make_assign_variable(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
    return variable->assign(r.input(1), r.context().stream);
  });
}

template <kernels::BinaryOp op>
StatusOr<Kernel> make_update_variable(Prepare& p) {
  const DType dtype = p.input_dtype(1);
  const kernels::BinaryKernel kernel = kernels::find_binary(op, dtype);
  if (!kernel) return unimplemented("a variable of dtype ", dtype, " cannot be added to");
  return Kernel([kernel, dtype](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
    if (!variable->initialized()) {
      return not_found("variable '", variable->name(), "' is added to before it has a value");
    }
    const Tensor& value = r.input(1);
    return variable->update(
        [&](Tensor& held) -> Status {
          if (held.dtype() != dtype || held.shape() != value.shape()) {
            return invalid_argument("variable '", variable->name(), "' holds ", held.dtype(),
                                    held.shape(), ", ", dtype, value.shape(), " was added");
          }
          kernels::apply_binary(kernel, size_of(dtype), held.raw(), value.raw(), held.mutable_raw(),
                                held.num_elements());
          return absl::OkStatus();
        },
        r.context().stream);
  });
}

StatusOr<Kernel> make_var_is_initialized(Prepare&) {
  return Kernel([](KernelRun& r) {
    const Variable* variable = r.input(0).object_as<Variable>();
    *r.out<bool>(0) = variable && variable->initialized();
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_destroy_resource(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
    variable->clear();
    return absl::OkStatus();
  });
}

// Reads share the value and writes copy it when it is shared: there is nothing to switch off.
StatusOr<Kernel> make_disable_copy_on_read(Prepare&) {
  return Kernel([](KernelRun& r) { return variable_of(r, 0).status(); });
}

template <kernels::BinaryOp op>
constexpr OpDecl variable_update() {
  return {
      .inputs = "resource: resource, value: dtype",
      .outputs = "",
      .attrs = "dtype: type",
      .effect = Effect::kWrite,
      .shape = write_variable_shape,
      .gradient = not_differentiable,
      .kernels = {make_update_variable<op>},
  };
}

}  // namespace

TENON_OP(VarHandleOp) = {
    .inputs = "",
    .outputs = "resource: resource",
    .attrs =
        "container: string = ''; shared_name: string = ''; debug_name: string = ''; "
        "dtype: type; shape: shape; allowed_devices: list(string) = []",
    .supplies_outputs = true,
    .by_reference = true,
    .shape = var_handle_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_var_handle},
};

TENON_OP(ReadVariableOp) = {
    .inputs = "resource: resource",
    .outputs = "value: dtype",
    .attrs = "dtype: type",
    .effect = Effect::kRead,
    .supplies_outputs = true,
    .by_reference = true,
    .shape = read_variable_shape,
    .rows = Rows::kIndependent,
    // The gradient of a handle is the gradient of the variable's value.
    .gradient =
        [](Gradient& g) {
          g.set_dx(0, g.dy());
          return absl::OkStatus();
        },
    .kernels = {make_read_variable},
};

TENON_OP(AssignVariableOp) = {
    .inputs = "resource: resource, value: dtype",
    .outputs = "",
    .attrs = "dtype: type; validate_shape: bool = false",
    .effect = Effect::kWrite,
    .by_reference = true,
    .shape = write_variable_shape,
    .gradient = not_differentiable,
    .kernels = {make_assign_variable},
};

TENON_OP(AssignAddVariableOp) = variable_update<kernels::BinaryOp::kAdd>();
TENON_OP(AssignSubVariableOp) = variable_update<kernels::BinaryOp::kSub>();

TENON_OP(VarIsInitializedOp) = {
    .inputs = "resource: resource",
    .outputs = "is_initialized: bool",
    .effect = Effect::kRead,
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_var_is_initialized},
};

TENON_OP(DestroyResourceOp) = {
    .inputs = "resource: resource",
    .outputs = "",
    .attrs = "ignore_lookup_error: bool = true",
    .effect = Effect::kWrite,
    .shape = no_outputs,
    .gradient = not_differentiable,
    .kernels = {make_destroy_resource},
};

TENON_OP(DisableCopyOnRead) = {
    .inputs = "resource: resource",
    .outputs = "",
    .effect = Effect::kRead,
    .shape = no_outputs,
    .gradient = not_differentiable,
    .kernels = {make_disable_copy_on_read},
};

}  // namespace tenon
