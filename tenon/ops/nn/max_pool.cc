// MaxPool, MaxPool3D and their gradient ops: the largest value of each window.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

// The dtypes of the op; uint32 and uint64 are not among them.
using MaxPoolTypes = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                              uint8_t, uint16_t>;

Status max_pool_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(PartialShape shape, pool_output_shape(c.attrs(), c.input(0)));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

// Inputs: the pooling's input, its output and (for the first gradient) its output's gradient.
Status max_pool_grad_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape output, pool_output_shape(c.attrs(), c.input(0)));
  for (int i = 1; i < 3; ++i) {
    if (!PartialShape::merge(output, c.input(i)).ok()) {
      return invalid_argument("input ", i, " has shape ", c.input(i), ", pooling ", c.input(0),
                              " gives ", output);
    }
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_max_pool(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(p.attrs(), p.input_shape(0)));
  Kernel kernel;
  if (!visit<MaxPoolTypes>(p.input_dtype(0), [&]<class T>() {
        kernel = [spec](KernelRun& r) {
          kernels::max_pool<T>(spec, r.in<T>(0), r.out<T>(0));
          return absl::OkStatus();
        };
      })) {
    return unimplemented("a pooling of dtype ", p.input_dtype(0));
  }
  return kernel;
}

StatusOr<Kernel> make_max_pool_grad(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(p.attrs(), p.input_shape(0)));
  Kernel kernel;
  if (!visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
        kernel = [spec](KernelRun& r) {
          kernels::max_pool_gradient<T>(spec, r.in<T>(0), r.in<T>(1), r.in<T>(2), r.out<T>(0));
          return absl::OkStatus();
        };
      })) {
    return unimplemented("the gradient of a pooling of dtype ", p.input_dtype(0));
  }
  return kernel;
}

AttrMap max_pool_attrs(const Gradient& g) {
  AttrMap attrs;
  for (const char* name : {"ksize", "strides", "padding", "explicit_paddings", "data_format"}) {
    if (const AttrValue* value = g.forward().attrs.find(name)) attrs.set(name, *value);
  }
  return attrs;
}

Status max_pool_gradient(Gradient& g) {
  g.set_dx(0, g.build().op(cat(g.forward().op->name(), "Grad"), {g.input(0), g.output(0), g.dy()},
                           max_pool_attrs(g)));
  return absl::OkStatus();
}

// nn_grad.py, _MaxPoolGradGrad: the values at the maxima; where they lie has the slope 0.
Status max_pool_grad_gradient(Gradient& g) {
  if (!g.has_dy(0)) return absl::OkStatus();
  AttrMap attrs = max_pool_attrs(g);
  if (attrs.get<std::string>("padding") == "EXPLICIT") {
    return unimplemented("TensorFlow has no second gradient of MaxPool with explicit paddings");
  }
  attrs.erase("explicit_paddings");
  for (int i : {0, 1}) g.set_dx(i, g.build().op("ZerosLike", {g.input(i)}));
  g.set_dx(2, g.build().op(cat(g.forward().op->name(), "Grad"), {g.input(0), g.input(1), g.dy()},
                           std::move(attrs)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MaxPool) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs =
        "T: {floating, int32, int64, uint8, int16, int8, uint16, qint8} = float; "
        "ksize: list(int) >= 4; strides: list(int) >= 4; "
        "padding: {'SAME', 'VALID', 'EXPLICIT'}; explicit_paddings: list(int) = []; "
        "data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'",
    .shape = max_pool_shape,
    .rows = Rows::kIndependent,
    .gradient = max_pool_gradient,
    .kernels = {make_max_pool},
};

TENON_OP(MaxPoolGrad) = {
    .inputs = "orig_input: T, orig_output: T, grad: T",
    .outputs = "output: T",
    .attrs =
        "ksize: list(int) >= 4; strides: list(int) >= 4; "
        "padding: {'SAME', 'VALID', 'EXPLICIT'}; explicit_paddings: list(int) = []; "
        "data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: {real} = float",
    .shape = max_pool_grad_shape,
    .rows = Rows::kIndependent,
    .gradient = max_pool_grad_gradient,
    .kernels = {make_max_pool_grad},
};

TENON_OP(MaxPool3D) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs =
        "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
        "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {half, bfloat16, float}",
    .shape = max_pool_shape,
    .rows = Rows::kIndependent,
    .gradient = max_pool_gradient,
    .kernels = {make_max_pool},
};

TENON_OP(MaxPool3DGrad) = {
    .inputs = "orig_input: TInput, orig_output: TInput, grad: T",
    .outputs = "output: T",
    .attrs =
        "ksize: list(int) >= 5; strides: list(int) >= 5; padding: {'SAME', 'VALID'}; "
        "data_format: {'NDHWC', 'NCDHW'} = 'NDHWC'; T: {half, bfloat16, float} = float; "
        "TInput: {half, bfloat16, float} = float",
    .shape = max_pool_grad_shape,
    .rows = Rows::kIndependent,
    .gradient = max_pool_grad_gradient,
    .kernels = {make_max_pool_grad},
};

}  // namespace tenon
