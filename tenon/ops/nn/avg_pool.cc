// AvgPool, AvgPool3D and their gradient ops: the mean of each window, over the cells inside the
// input.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

Status avg_pool_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape, pool_output_shape(c.attrs(), c.input(0)));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

Status avg_pool_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape input, c.shape_from_input(0));
  if (!input.has_rank()) {
    TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(c.attrs()));
    input = PartialShape::unknown_of_rank(window.rank + 2);
  }
  TENON_ASSIGN_OR_RETURN(const PartialShape output, pool_output_shape(c.attrs(), input));
  if (!PartialShape::merge(output, c.input(1)).ok()) {
    return invalid_argument("grad has shape ", c.input(1), ", pooling ", input, " gives ", output);
  }
  c.set_output(0, std::move(input));
  return absl::OkStatus();
}

StatusOr<Kernel> make_avg_pool(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(p.attrs(), p.input_shape(0)));
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = [spec](KernelRun& r) {
      kernels::average_pool<T>(spec, r.in<T>(0), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  return kernel;
}

StatusOr<Kernel> make_avg_pool_grad(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec,
                         pool_spec(p.attrs(), p.output_shape(0).to_shape()));
  Kernel kernel;
  visit<FloatTypes>(p.input_dtype(1), [&]<class T>() {
    kernel = [spec](KernelRun& r) {
      kernels::average_pool_gradient<T>(spec, r.in<T>(1), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  return kernel;
}

AttrMap avg_pool_attrs(const Gradient& g) {
  AttrMap attrs;
  for (const char* name : {"ksize", "strides", "padding", "data_format"}) {
    attrs.set(name, *g.forward().attrs.find(name));
  }
  return attrs;
}

Status avg_pool_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  g.set_dx(0, b.op(cat(g.forward().op->name(), "Grad"), {b.shape_of(g.input(0)), g.dy()},
                   avg_pool_attrs(g)));
  return absl::OkStatus();
}

// The gradient is linear: its own gradient is the pooling.
Status avg_pool_grad_gradient(Gradient& g) {
  const bool volumes = g.forward().op->name() == "AvgPool3DGrad";
  g.set_dx(1, g.build().op(volumes ? "AvgPool3D" : "AvgPool", {g.dy()}, avg_pool_attrs(g)));
  return absl::OkStatus();
}

constexpr OpDecl avg_pool(ArgsText inputs, AttrsText attrs) {
  return {
      .inputs = inputs,
      .outputs = "output: T",
      .attrs = attrs,
      .shape = avg_pool_shape,
      .rows = Rows::kIndependent,
      .gradient = avg_pool_gradient,
      .kernels = {make_avg_pool},
  };
}

constexpr OpDecl avg_pool_grad(AttrsText attrs) {
  return {
      .inputs = "orig_input_shape: int32, grad: T",
      .outputs = "output: T",
      .attrs = attrs,
      .host_inputs = {0},
      .shape = avg_pool_grad_shape,
      .gradient = avg_pool_grad_gradient,
      .kernels = {make_avg_pool_grad},
  };
}

#define TENON_AVG_POOL_ATTRS                                                     \
  "ksize: list(int) >= 4; strides: list(int) >= 4; padding: {'SAME', 'VALID'}; " \
  "data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: {floating}"
#define TENON_AVG_POOL_3D_ATTRS                                                  \
  "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; " \
  "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {floating}"

}  // namespace

TENON_OP(AvgPool) = avg_pool("value: T", TENON_AVG_POOL_ATTRS);
TENON_OP(AvgPoolGrad) = avg_pool_grad(TENON_AVG_POOL_ATTRS);
TENON_OP(AvgPool3D) = avg_pool("input: T", TENON_AVG_POOL_3D_ATTRS);
TENON_OP(AvgPool3DGrad) = avg_pool_grad(TENON_AVG_POOL_3D_ATTRS);

#undef TENON_AVG_POOL_3D_ATTRS
#undef TENON_AVG_POOL_ATTRS

}  // namespace tenon
