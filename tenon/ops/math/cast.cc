#include "tenon/kernels/cast.h"

#include "tenon/core/shape_context.h"
#include "tenon/graph/gradient.h"

namespace tenon {
namespace {

StatusOr<Kernel> make_cast(Prepare& p) {
  const DType from = p.input_dtype(0);
  const DType to = p.output_dtype(0);
  const int64_t count = p.input_shape(0).num_elements();
  const size_t from_size = size_of(from);
  const size_t to_size = size_of(to);
  if (from_size == to_size && !is_object(from)) p.may_overwrite(0, 0);
  if (from == to && !is_object(from)) {
    return [=](KernelRun& r) {
      const void* x = r.input(0).raw();
      void* y = r.output(0).mutable_raw();
      if (x != y && count > 0) std::memcpy(y, x, static_cast<size_t>(count) * to_size);
      return absl::OkStatus();
    };
  }
  const kernels::CastKernel kernel = kernels::find_cast(from, to, p.attr<bool>("Truncate"));
  if (!kernel) return unimplemented("Cast from ", from, " to ", to, " is not supported");
  return [=](KernelRun& r) {
    kernels::run_cast(kernel, from_size, r.input(0).raw(), to_size, r.output(0).mutable_raw(),
                      count);
    return absl::OkStatus();
  };
}

// Through dtypes that have derivatives only (math_grad.py, _CastGrad).
Status cast_gradient(Gradient& g) {
  const DType from = g.attr<DType>("SrcT");
  const DType to = g.attr<DType>("DstT");
  const auto continuous = [](DType t) { return is_floating(t) || is_complex(t); };
  if (continuous(from) && continuous(to)) g.set_dx(0, g.build().cast(g.dy(), from));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(Cast) = {
    .inputs = "x: SrcT",
    .outputs = "y: DstT",
    .attrs = "SrcT: type; DstT: type; Truncate: bool = false",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = cast_gradient,
    .kernels = {make_cast},
};

}  // namespace tenon
