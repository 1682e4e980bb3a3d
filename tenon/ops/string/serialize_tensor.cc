// SerializeTensor, ParseTensor: a tensor as the bytes of a TensorProto.
#include "tenon/core/shape_context.h"
#include "tenon/core/tensor_message.h"

namespace tenon {
namespace {

Status serialized_shape(ShapeContext& c) {
  c.set_output(0, Shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_serialize_tensor(Prepare& p) {
  const DType dtype = p.input_dtype(0);
  if (dtype == DType::kResource || dtype == DType::kVariant) {
    return unimplemented("SerializeTensor takes numbers and strings, not ", dtype);
  }
  return Kernel([](KernelRun& r) -> Status {
    std::string message;
    append_tensor(message, r.input(0));
    r.set_output(0, Tensor::string(message));
    return absl::OkStatus();
  });
}

Status parsed_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  return unknown_shape(c);
}

StatusOr<Kernel> make_parse_tensor(Prepare& p) {
  return Kernel([dtype = p.output_dtype(0)](KernelRun& r) -> Status {
    StatusOr<Tensor> parsed = parse_tensor(*r.in<std::string_view>(0));
    if (!parsed.ok()) {
      return with_context(parsed.status(), "Could not parse `serialized` as TensorProto");
    }
    if (parsed->dtype() != dtype) {
      return invalid_argument("Type mismatch between parsed tensor (", parsed->dtype(),
                              ") and dtype (", dtype, ")");
    }
    r.set_output(0, *std::move(parsed));
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(SerializeTensor) = {
    .inputs = "tensor: T",
    .outputs = "serialized: string",
    .attrs = "T: type",
    .supplies_outputs = true,
    .shape = serialized_shape,
    .gradient = not_differentiable,
    .kernels = {make_serialize_tensor},
};
TENON_OP(ParseTensor) = {
    .inputs = "serialized: string",
    .outputs = "output: out_type",
    .attrs = "out_type: type",
    .supplies_outputs = true,
    .shape = parsed_shape,
    .gradient = not_differentiable,
    .kernels = {make_parse_tensor},
};

}  // namespace tenon
