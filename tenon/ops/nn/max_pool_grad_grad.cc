// MaxPoolGradGrad, MaxPool3DGradGrad: the gradient of a max pooling's gradient with respect to what
// flowed into it: the elements at the maxima.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

// Inputs: the pooling's input and output, and a tensor like its input.
Status max_pool_grad_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape pooled, pool_output_shape(c.attrs(), c.input(0)));
  auto output = PartialShape::merge(pooled, c.input(1));
  if (!output.ok() || !PartialShape::merge(c.input(0), c.input(2)).ok()) {
    return invalid_argument("inputs 1 and 2 have shapes ", c.input(1), " and ", c.input(2),
                            ", pooling ", c.input(0), " gives ", pooled);
  }
  c.set_output(0, *std::move(output));
  return absl::OkStatus();
}

StatusOr<Kernel> make_max_pool_grad_grad(Prepare& p) {
  if (p.attr<std::string>("data_format").starts_with("NC")) {
    return unimplemented(p.op().name(), " has a CPU kernel for channels last only");
  }
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(p.attrs(), p.input_shape(0)));
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [spec](KernelRun& r) {
      kernels::max_pool_second_gradient<T>(spec, r.in<T>(0), r.in<T>(1), r.in<T>(2), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented(p.op().name(), " has no CPU kernel for ", p.input_dtype(0));
  return kernel;
}

// nn_grad.py, _MaxPoolGradGradGrad: where a maximum lies has the slope 0.
Status max_pool_grad_grad_gradient(Gradient& g) {
  std::string name = g.forward().op->name();
  name.resize(name.size() - 4);
  AttrMap attrs;
  for (const char* one : {"ksize", "strides", "padding", "data_format"}) {
    attrs.set(one, *g.forward().attrs.find(one));
  }
  for (int i : {0, 1}) g.set_dx(i, g.build().op("ZerosLike", {g.input(i)}));
  g.set_dx(2, g.build().op(name, {g.input(0), g.input(1), g.dy()}, std::move(attrs)));
  return absl::OkStatus();
}

constexpr OpDecl second_pool(AttrsText attrs) {
  return {
      .inputs = "orig_input: T, orig_output: T, grad: T",
      .outputs = "output: T",
      .attrs = attrs,
      .shape = max_pool_grad_grad_shape,
      .rows = Rows::kIndependent,
      .gradient = max_pool_grad_grad_gradient,
      .kernels = {make_max_pool_grad_grad},
  };
}

}  // namespace

TENON_OP(MaxPoolGradGrad) = second_pool(
    "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID'}; "
    "data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: {real}");
TENON_OP(MaxPool3DGradGrad) = second_pool(
    "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
    "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {real}");

}  // namespace tenon
