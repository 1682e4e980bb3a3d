// Assert: stops the run with the values given when a condition does not hold.
#include "tenon/core/op.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status assert_shape(ShapeContext& c) { return c.expect_rank(0, 0); }

StatusOr<Kernel> make_assert(Prepare& p) {
  return Kernel([node = std::string(p.node_name())](KernelRun& r) -> Status {
    if (*r.in<bool>(0)) return absl::OkStatus();
    std::string message = "assertion failed:";
    for (int i = 1; i < r.num_inputs(); ++i) {
      const Tensor& data = r.input(i);
      const bool text = data.dtype() == DType::kString && data.num_elements() == 1;
      message += text ? cat(" [", *data.data<std::string_view>(), "]") : cat(" [", data, "]");
    }
    return invalid_argument(message, " (node '", node, "')");
  });
}

}  // namespace

TENON_OP(Assert) = {
    .inputs = "condition: bool, data: T",
    .outputs = "",
    .attrs = "T: list(type) >= 1; summarize: int = 3",
    .effect = Effect::kOutside,
    .shape = assert_shape,
    .gradient = not_differentiable,
    .kernels = {make_assert},
};

}  // namespace tenon
