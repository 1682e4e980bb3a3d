// Activations and their gradient ops. Gradients: tensorflow/python/ops/nn_grad.py.
#include "tenon/ops/math/elementwise.h"

namespace tenon {

using kernels::BinaryOp;
using kernels::UnaryOp;

namespace {

template <UnaryOp op, class Formula>
constexpr OpDecl activation(AttrsText attrs, Formula formula) {
  return unary<op>(attrs, formula, "features: T", "activations: T");
}
template <BinaryOp op, class Formula>
constexpr OpDecl activation_gradient(AttrsText attrs, ArgsText inputs, Formula formula) {
  return binary_same_shape<op>(attrs, formula, inputs, "backprops: T");
}

// Where the forward result is negative the slope is y + its limit; else it is constant.
Value exponential_part(BinaryValues v) {
  return select(apply("Less", v.b, v.b.like(0)), v.dy * v.a, zeros_like(v.b));
}

}  // namespace

TENON_OP(Relu) = activation<UnaryOp::kRelu>("T: {real, qint8}", [](UnaryValues v) {
  return apply("ReluGrad", v.dy, v.y);
});
TENON_OP(Relu6) = activation<UnaryOp::kRelu6>("T: {real}", [](UnaryValues v) {
  return apply("Relu6Grad", v.dy, v.y);
});
TENON_OP(Elu) = activation<UnaryOp::kElu>("T: {floating}", [](UnaryValues v) {
  return apply("EluGrad", v.dy, v.y);
});
TENON_OP(Selu) = activation<UnaryOp::kSelu>("T: {floating}", [](UnaryValues v) {
  return apply("SeluGrad", v.dy, v.y);
});
TENON_OP(Softplus) = activation<UnaryOp::kSoftplus>("T: {floating}", [](UnaryValues v) {
  return apply("SoftplusGrad", v.dy, v.x);
});
TENON_OP(Softsign) = activation<UnaryOp::kSoftsign>("T: {floating}", [](UnaryValues v) {
  return apply("SoftsignGrad", v.dy, v.x);
});

TENON_OP(ReluGrad) = activation_gradient<BinaryOp::kReluGrad>(
    "T: {real}", "gradients: T, features: T", [](BinaryValues v) {
      return BinaryGradients{apply("ReluGrad", v.dy, v.b), zeros_like(v.b)};
    });
TENON_OP(Relu6Grad) = activation_gradient<BinaryOp::kRelu6Grad>(
    "T: {real}", "gradients: T, features: T", [](BinaryValues v) {
      return BinaryGradients{apply("Relu6Grad", v.dy, v.b), zeros_like(v.b)};
    });
TENON_OP(EluGrad) = activation_gradient<BinaryOp::kEluGrad>(
    "T: {floating}", "gradients: T, outputs: T", [](BinaryValues v) {
      return BinaryGradients{apply("EluGrad", v.dy, v.b), exponential_part(v)};
    });
TENON_OP(SeluGrad) = activation_gradient<BinaryOp::kSeluGrad>(
    "T: {floating}", "gradients: T, outputs: T", [](BinaryValues v) {
      return BinaryGradients{apply("SeluGrad", v.dy, v.b), exponential_part(v)};
    });
TENON_OP(SoftplusGrad) = activation_gradient<BinaryOp::kSoftplusGrad>(
    "T: {floating}", "gradients: T, features: T", [](BinaryValues v) {
      const Value dx = v.a * v.dy;
      const Value width = apply("Exp", -v.b) + 2.0 + apply("Exp", v.b);
      return BinaryGradients{apply("SoftplusGrad", v.dy, v.b), dx / width};
    });
TENON_OP(SoftsignGrad) = activation_gradient<BinaryOp::kSoftsignGrad>("T: {floating}",
                                                                      "gradients: T, features: T",
                                                                      no_gradient);

namespace {

template <class Body>
StatusOr<Kernel> make_leaky(Prepare& p, Body body) {
  Kernel kernel;
  const int64_t count = p.input_shape(0).num_elements();
  const float alpha = p.attr<float>("alpha");
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() { kernel = body(T{}, alpha, count); });
  p.may_overwrite(0, 0);
  return kernel;
}

StatusOr<Kernel> make_leaky_relu(Prepare& p) {
  return make_leaky(p, []<class T>(T, float alpha, int64_t count) -> Kernel {
    return [=](KernelRun& r) {
      kernels::leaky_relu(alpha, r.in<T>(0), r.out<T>(0), count);
      return absl::OkStatus();
    };
  });
}

StatusOr<Kernel> make_leaky_relu_grad(Prepare& p) {
  return make_leaky(p, []<class T>(T, float alpha, int64_t count) -> Kernel {
    return [=](KernelRun& r) {
      kernels::leaky_relu_gradient(alpha, r.in<T>(0), r.in<T>(1), r.out<T>(0), count);
      return absl::OkStatus();
    };
  });
}

Status leaky_relu_gradient_of(Gradient& g, Endpoint features, int input) {
  g.set_dx(input,
           g.build().op("LeakyReluGrad", {g.dy(), features}, {{"alpha", g.attr<float>("alpha")}}));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(LeakyRelu) = {
    .inputs = "features: T",
    .outputs = "activations: T",
    .attrs = "alpha: float = 0.2; T: {floating} = float",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = [](Gradient& g) { return leaky_relu_gradient_of(g, g.input(0), 0); },
    .kernels = {make_leaky_relu},
};
TENON_OP(LeakyReluGrad) = {
    .inputs = "gradients: T, features: T",
    .outputs = "backprops: T",
    .attrs = "alpha: float = 0.2; T: {floating} = float",
    .shape = same_shape_inputs,
    .rows = Rows::kIndependent,
    .gradient = [](Gradient& g) { return leaky_relu_gradient_of(g, g.input(1), 0); },
    .kernels = {make_leaky_relu_grad},
};

}  // namespace tenon
