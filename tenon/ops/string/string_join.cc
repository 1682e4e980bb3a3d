// StringJoin: the strings at each place joined; scalars go with every place.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status string_join_shape(ShapeContext& c) {
  PartialShape shape = Shape();
  for (int i = 0; i < c.num_inputs(); ++i) {
    const PartialShape& input = c.input(i);
    if (input.has_rank() && input.rank() == 0) continue;
    if (shape.has_rank() && shape.rank() == 0) {
      shape = input;
      continue;
    }
    TENON_ASSIGN_OR_RETURN(shape, PartialShape::merge(shape, input));
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_string_join(Prepare& p) {
  return Kernel([separator = p.attr<std::string>("separator"),
                 shape = p.output_shape(0).to_shape()](KernelRun& r) {
    StringTensorBuilder builder(shape);
    std::string joined;
    for (int64_t i = 0; i < shape.num_elements(); ++i) {
      joined.clear();
      for (int n = 0; n < r.num_inputs(); ++n) {
        if (n > 0) joined += separator;
        joined += r.in<std::string_view>(n)[r.input(n).rank() == 0 ? 0 : i];
      }
      builder.set(i, joined);
    }
    r.set_output(0, std::move(builder).build());
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(StringJoin) = {
    .inputs = "inputs: N * string",
    .outputs = "output: string",
    .attrs = "N: int >= 0; separator: string = ''",
    .supplies_outputs = true,
    .shape = string_join_shape,
    .rows = Rows::kIndependent,
    .gradient = not_differentiable,
    .kernels = {make_string_join},
};

}  // namespace tenon
