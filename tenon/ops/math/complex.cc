// Conj, Real, Imag, ComplexAbs, Angle, Complex: between complex numbers and their parts.
#include <complex>

#include "tenon/core/shape_context.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/ops/math/value.h"

namespace tenon {
namespace {

using ComplexTypes = TypeList<std::complex<float>, std::complex<double>>;

// y[i] = function(x[i]) for complex x.
template <class Function>
StatusOr<Kernel> make_of_complex(Prepare& p) {
  Kernel kernel;
  const int64_t count = p.input_shape(0).num_elements();
  visit<ComplexTypes>(p.input_dtype(0), [&]<class T>() {
    using Result = decltype(Function{}(T{}));
    if (dtype_of<Result> != p.output_dtype(0)) return;
    kernel = [count](KernelRun& r) {
      std::transform(r.in<T>(0), r.in<T>(0) + count, r.out<Result>(0), Function{});
      return absl::OkStatus();
    };
  });
  if (!kernel) {
    return unimplemented(p.op().name(), " has no CPU kernel from ", p.input_dtype(0), " to ",
                         p.output_dtype(0));
  }
  return kernel;
}

struct ConjugateOf {
  template <class T>
  std::complex<T> operator()(std::complex<T> x) const {
    return std::conj(x);
  }
};
struct RealOf {
  template <class T>
  T operator()(std::complex<T> x) const {
    return x.real();
  }
};
struct ImagOf {
  template <class T>
  T operator()(std::complex<T> x) const {
    return x.imag();
  }
};

struct SizeOf {
  template <class T>
  T operator()(std::complex<T> x) const {
    return std::abs(x);
  }
};
struct AngleOf {
  template <class T>
  T operator()(std::complex<T> x) const {
    return std::arg(x);
  }
};

// TensorFlow registers the kernel for the input's dtype alone; it refuses the other output itself.
StatusOr<Kernel> make_complex_abs(Prepare& p) {
  StatusOr<Kernel> kernel = make_of_complex<SizeOf>(p);
  if (!absl::IsUnimplemented(kernel.status())) return kernel;
  return invalid_argument("Signature mismatch: ", message_of(kernel.status()));
}

StatusOr<Kernel> make_complex(Prepare& p) {
  const Shape shapes[] = {p.input_shape(0), p.input_shape(1)};
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, kernels::plan_broadcast(shapes));
  Kernel kernel;
  visit<TypeList<float, double>>(p.input_dtype(0), [&]<class T>() {
    if (dtype_of<std::complex<T>> != p.output_dtype(0)) return;
    kernel = [plan](KernelRun& r) {
      auto* y = r.out<std::complex<T>>(0);
      kernels::for_each_run(
          plan, [&](const int64_t* offsets, const int64_t* steps, int64_t first, int64_t count) {
            const T* real = r.in<T>(0) + offsets[0];
            const T* imaginary = r.in<T>(1) + offsets[1];
            for (int64_t i = 0; i < count; ++i) {
              y[first + i] = {real[i * steps[0]], imaginary[i * steps[1]]};
            }
          });
      return absl::OkStatus();
    };
  });
  if (!kernel) return invalid_argument("Complex makes complex64 of float, complex128 of double");
  return kernel;
}

Value complex_of(Value real, Value imaginary, DType dtype) {
  return {real.builder, real.builder->op("Complex", {real, imaginary}, {{"Tout", dtype}})};
}

Status conj_gradient(Gradient& g) {
  g.set_dx(0, conj({&g.build(), g.dy()}));
  return absl::OkStatus();
}
Status real_gradient(Gradient& g) {
  const Value dy{&g.build(), g.dy()};
  g.set_dx(0, complex_of(dy, zeros_like(dy), g.attr<DType>("T")));
  return absl::OkStatus();
}
Status imag_gradient(Gradient& g) {
  const Value dy{&g.build(), g.dy()};
  g.set_dx(0, complex_of(zeros_like(dy), dy, g.attr<DType>("T")));
  return absl::OkStatus();
}
Status complex_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const AttrMap attrs{{"Tout", g.attr<DType>("T")}};
  g.set_dx_broadcast(0, b.op("Real", {g.dy()}, attrs));
  g.set_dx_broadcast(1, b.op("Imag", {g.dy()}, attrs));
  return absl::OkStatus();
}

// math_grad.py, _ComplexAbsGrad and _AngleGrad.
Status complex_abs_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value share = apply("DivNoNan", Value{b, g.dy()}, Value{b, g.output(0)});
  g.set_dx(0, complex_of(share, zeros_like(share), g.attr<DType>("T")) * Value{b, g.input(0)});
  return absl::OkStatus();
}
Status angle_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const AttrMap attrs{{"Tout", b->dtype(g.dy())}};
  const Value real{b, b->op("Real", {g.input(0)}, attrs)};
  const Value imaginary{b, b->op("Imag", {g.input(0)}, attrs)};
  const DType type = g.attr<DType>("T");
  const Value dy{b, g.dy()};
  const Value inverse = apply("Reciprocal", complex_of(imaginary, real, type));
  g.set_dx(0, -(complex_of(dy, zeros_like(dy), type) * inverse));
  return absl::OkStatus();
}

constexpr OpDecl complex_part(GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = "input: T",
      .outputs = "output: Tout",
      .attrs = "T: {complex64, complex128} = complex64; Tout: {float, double} = float",
      .shape = same_as_input<0>,
      .rows = Rows::kIndependent,
      .gradient = gradient,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(Conj) = {
    .inputs = "input: T",
    .outputs = "output: T",
    .attrs = "T: {complex64, complex128, variant} = complex64",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = conj_gradient,
    .kernels = {make_of_complex<ConjugateOf>},
};
TENON_OP(Real) = complex_part(real_gradient, make_of_complex<RealOf>);
TENON_OP(Imag) = complex_part(imag_gradient, make_of_complex<ImagOf>);
TENON_OP(Angle) = complex_part(angle_gradient, make_of_complex<AngleOf>);
TENON_OP(ComplexAbs) = {
    .inputs = "x: T",
    .outputs = "y: Tout",
    .attrs = "T: {complex64, complex128} = complex64; Tout: {float, double} = float",
    .shape = same_as_input<0>,
    .rows = Rows::kIndependent,
    .gradient = complex_abs_gradient,
    .kernels = {make_complex_abs},
};
TENON_OP(Complex) = {
    .inputs = "real: T, imag: T",
    .outputs = "out: Tout",
    .attrs = "T: {float, double} = float; Tout: {complex64, complex128} = complex64",
    .shape = broadcast_inputs,
    .rows = Rows::kIndependent,
    .gradient = complex_gradient,
    .kernels = {make_complex},
};

}  // namespace tenon
