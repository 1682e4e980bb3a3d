// MaxPoolV2 and MaxPoolGradV2: poolings whose window is an input.
#include "tenon/core/op.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

// The dtypes of the op; its gradients have all.
using MaxPoolV2Types = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t,
                                uint8_t, uint16_t>;

// The attributes of MaxPool, whose window is input `first` and strides the one after it.
StatusOr<AttrMap> pool_v2_attrs(const AttrMap& attrs, const Tensor& window, const Tensor& strides) {
  for (const Tensor* sizes : {&window, &strides}) {
    if (sizes->rank() != 1 || sizes->num_elements() != 4) {
      return invalid_argument(
          "Sliding window ksize and stride fields must specify 4 dimensions, "
          "they have shape ",
          sizes->shape());
    }
  }
  AttrMap completed = attrs;
  completed.set("ksize", integers_of(window));
  completed.set("strides", integers_of(strides));
  completed.set("explicit_paddings", std::vector<int64_t>{});
  return completed;
}

Status max_pool_v2_shape(ShapeContext& c) {
  if (!c.constant(1) || !c.constant(2)) {
    c.set_output(0, PartialShape::unknown_of_rank(4));
    return absl::OkStatus();
  }
  TENON_ASSIGN_OR_RETURN(const AttrMap attrs,
                         pool_v2_attrs(c.attrs(), *c.constant(1), *c.constant(2)));
  TENON_ASSIGN_OR_RETURN(PartialShape shape, pool_output_shape(attrs, c.input(0)));
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_max_pool_v2(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const AttrMap attrs,
                         pool_v2_attrs(p.attrs(), *p.constant(1), *p.constant(2)));
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(attrs, p.input_shape(0)));
  Kernel kernel;
  if (!visit<MaxPoolV2Types>(p.input_dtype(0), [&]<class T>() {
        kernel = [spec](KernelRun& r) {
          kernels::max_pool<T>(spec, r.in<T>(0), r.out<T>(0));
          return absl::OkStatus();
        };
      })) {
    return unimplemented("a pooling of dtype ", p.input_dtype(0));
  }
  return kernel;
}

// Inputs: the pooling's input, its output, its output's gradient, window, strides.
Status max_pool_grad_v2_shape(ShapeContext& c) {
  if (c.constant(3) && c.constant(4)) {
    TENON_ASSIGN_OR_RETURN(const AttrMap attrs,
                           pool_v2_attrs(c.attrs(), *c.constant(3), *c.constant(4)));
    TENON_ASSIGN_OR_RETURN(const PartialShape y, pool_output_shape(attrs, c.input(0)));
    for (int i = 1; i < 3; ++i) {
      if (!PartialShape::merge(y, c.input(i)).ok()) {
        return invalid_argument("input ", i, " has shape ", c.input(i), ", pooling ", c.input(0),
                                " gives ", y);
      }
    }
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_max_pool_grad_v2(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const AttrMap attrs,
                         pool_v2_attrs(p.attrs(), *p.constant(3), *p.constant(4)));
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(attrs, p.input_shape(0)));
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

// Inputs: as MaxPoolGradV2's, `grad` being like the pooling's input: its elements at the maxima.
Status max_pool_grad_grad_v2_shape(ShapeContext& c) {
  if (!PartialShape::merge(c.input(0), c.input(2)).ok()) {
    return invalid_argument("inputs 0 and 2 have shapes ", c.input(0), " and ", c.input(2));
  }
  if (c.constant(3) && c.constant(4)) {
    TENON_ASSIGN_OR_RETURN(const AttrMap attrs,
                           pool_v2_attrs(c.attrs(), *c.constant(3), *c.constant(4)));
    TENON_ASSIGN_OR_RETURN(const PartialShape y, pool_output_shape(attrs, c.input(0)));
    if (!PartialShape::merge(y, c.input(1)).ok()) {
      return invalid_argument("input 1 has shape ", c.input(1), ", pooling ", c.input(0), " gives ",
                              y);
    }
  }
  c.set_output(0, c.input(1));
  return absl::OkStatus();
}

StatusOr<Kernel> make_max_pool_grad_grad_v2(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const AttrMap attrs,
                         pool_v2_attrs(p.attrs(), *p.constant(3), *p.constant(4)));
  TENON_ASSIGN_OR_RETURN(const kernels::PoolSpec spec, pool_spec(attrs, p.input_shape(0)));
  Kernel kernel;
  if (!visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
        kernel = [spec](KernelRun& r) {
          kernels::max_pool_second_gradient<T>(spec, r.in<T>(0), r.in<T>(1), r.in<T>(2),
                                               r.out<T>(0));
          return absl::OkStatus();
        };
      })) {
    return unimplemented("a pooling of dtype ", p.input_dtype(0));
  }
  return kernel;
}

Status max_pool_v2_gradient(Gradient& g) {
  g.set_dx(0,
           g.build().op("MaxPoolGradV2", {g.input(0), g.output(0), g.dy(), g.input(1), g.input(2)},
                        {{"padding", g.attr<std::string>("padding")},
                         {"data_format", g.attr<std::string>("data_format")}}));
  return absl::OkStatus();
}

// nn_grad.py, _MaxPoolGradGradV2: the values at the maxima.
Status max_pool_grad_v2_gradient(Gradient& g) {
  for (int i : {0, 1}) g.set_dx(i, g.build().op("ZerosLike", {g.input(i)}));
  g.set_dx(
      2, g.build().op("MaxPoolGradGradV2", {g.input(0), g.input(1), g.dy(), g.input(3), g.input(4)},
                      {{"padding", g.attr<std::string>("padding")},
                       {"data_format", g.attr<std::string>("data_format")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(MaxPoolV2) = {
    .inputs = "input: T, ksize: int32, strides: int32",
    .outputs = "output: T",
    .attrs =
        "T: {floating, int32, int64, uint8, int16, int8, uint16, qint8} = float; "
        "padding: {'SAME', 'VALID'}; data_format: {'NHWC', 'NCHW', 'NCHW_VECT_C'} = 'NHWC'",
    .host_inputs = {1, 2},
    .shape = max_pool_v2_shape,
    .rows = Rows::kIndependent,
    .gradient = max_pool_v2_gradient,
    .kernels = {make_max_pool_v2},
};
TENON_OP(MaxPoolGradV2) = {
    .inputs = "orig_input: T, orig_output: T, grad: T, ksize: int32, strides: int32",
    .outputs = "output: T",
    .attrs =
        "padding: {'SAME', 'VALID'}; data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: {real} = float",
    .host_inputs = {3, 4},
    .shape = max_pool_grad_v2_shape,
    .gradient = max_pool_grad_v2_gradient,
    .kernels = {make_max_pool_grad_v2},
};

TENON_OP(MaxPoolGradGradV2) = {
    .inputs = "orig_input: T, orig_output: T, grad: T, ksize: int32, strides: int32",
    .outputs = "output: T",
    .attrs = "padding: {'SAME', 'VALID'}; data_format: {'NHWC', 'NCHW'} = 'NHWC'; T: {real}",
    .host_inputs = {3, 4},
    .shape = max_pool_grad_grad_v2_shape,
    .gradient = not_differentiable,
    .kernels = {make_max_pool_grad_grad_v2},
};

}  // namespace tenon
