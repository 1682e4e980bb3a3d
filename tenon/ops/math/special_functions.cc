// BesselI0, I0e, I1, I1e, Igamma, Igammac, IgammaGradA, RandomGammaGrad, Betainc, Zeta, Polygamma,
// NextAfter.
#include <cmath>

#include "tenon/kernels/broadcast.h"
#include "tenon/ops/math/special.h"
#include "tenon/ops/math/special_unary.h"

namespace tenon {
namespace {

double bessel_i0(double x) { return bessel_i0e(x) * std::exp(std::abs(x)); }
double bessel_i1(double x) { return bessel_i1e(x) * std::exp(std::abs(x)); }

// y = f(a, b), broadcast.
template <class T, class Function>
StatusOr<Kernel> make_special_binary_of(Prepare& p, Function f) {
  const Shape shapes[] = {p.input_shape(0), p.input_shape(1)};
  TENON_ASSIGN_OR_RETURN(kernels::BroadcastPlan plan, kernels::plan_broadcast(shapes));
  return Kernel([plan = std::move(plan), f](KernelRun& r) {
    const T* a = r.in<T>(0);
    const T* b = r.in<T>(1);
    T* y = r.out<T>(0);
    kernels::for_each_run(
        plan, [&](const int64_t* offsets, const int64_t* steps, int64_t y_offset, int64_t count) {
          for (int64_t j = 0; j < count; ++j) {
            y[y_offset + j] = f(a[offsets[0] + j * steps[0]], b[offsets[1] + j * steps[1]]);
          }
        });
    return absl::OkStatus();
  });
}

template <double (*f)(double, double)>
StatusOr<Kernel> make_special_binary(Prepare& p) {
  StatusOr<Kernel> kernel = unimplemented(p.op().name(), " of dtype ", p.input_dtype(0));
  visit<FloatTypes>(p.input_dtype(0), [&]<class T>() {
    kernel = make_special_binary_of<T>(p, [](T a, T b) {
      return static_cast<T>(f(static_cast<double>(a), static_cast<double>(b)));
    });
  });
  return kernel;
}

// How a sample of the gamma distribution moves with its parameter: -(dP / da) / (dP / dx).
double gamma_sample_slope(double alpha, double sample) {
  const double density = std::exp((alpha - 1) * std::log(sample) - sample - std::lgamma(alpha));
  return -lower_gamma_by_a(alpha, sample) / density;
}

// The neighbour in the type itself.
StatusOr<Kernel> make_next_after(Prepare& p) {
  StatusOr<Kernel> kernel = unimplemented("NextAfter of dtype ", p.input_dtype(0));
  visit<TypeList<float, double>>(p.input_dtype(0), [&]<class T>() {
    kernel = make_special_binary_of<T>(p, [](T a, T b) { return std::nextafter(a, b); });
  });
  return kernel;
}

// Scalars go with everything; the others have one shape.
Status betainc_shape(ShapeContext& c) {
  PartialShape shape = Shape();
  for (int i = 0; i < 3; ++i) {
    const PartialShape& x = c.input(i);
    if (x.has_rank() && x.rank() == 0) continue;
    if (shape.has_rank() && shape.rank() == 0) {
      shape = x;
    } else {
      const auto merged = PartialShape::merge(shape, x);
      if (!merged.ok()) {
        return invalid_argument("Shapes of a, b and x are inconsistent: ", shape, " and ", x);
      }
      shape = *merged;
    }
  }
  c.set_output(0, std::move(shape));
  return absl::OkStatus();
}

StatusOr<Kernel> make_betainc(Prepare& p) {
  const int64_t count = p.output_shape(0).num_elements();
  Kernel kernel;
  visit<TypeList<float, double>>(p.input_dtype(0), [&]<class T>() {
    kernel = [count](KernelRun& r) {
      const auto at = [&](int input, int64_t i) {
        return static_cast<double>(r.in<T>(input)[r.input(input).rank() == 0 ? 0 : i]);
      };
      parallel_for(count, kSpecialGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          r.out<T>(0)[i] = static_cast<T>(incomplete_beta(at(0, i), at(1, i), at(2, i)));
        }
      });
      return absl::OkStatus();
    };
  });
  return kernel;
}

// math_grad.py, _BetaincGrad: with respect to x only.
Status betainc_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const Value a{b, g.input(0)}, c{b, g.input(1)}, x{b, g.input(2)}, dy{b, g.dy()};
  const Value log_beta = apply("Lgamma", a) + apply("Lgamma", c) - apply("Lgamma", a + c);
  const Value density =
      apply("Exp", apply("Xlog1py", c - 1.0, -x) + apply("Xlogy", a - 1.0, x) - log_beta);
  g.set_dx_broadcast(2, density * dy);
  return absl::OkStatus();
}

// math_grad.py: _IgammaGrad, _IgammacGrad, _ZetaGrad, _PolygammaGrad, _NextAfterGrad.
BinaryGradients igamma_gradients(BinaryValues v, bool lower) {
  const Value by_a = apply("IgammaGradA", v.a, v.b);
  const Value by_x = apply("Exp", (v.a - 1.0) * apply("Log", v.b) - v.b - apply("Lgamma", v.a));
  return lower ? BinaryGradients{by_a * v.dy, by_x * v.dy}
               : BinaryGradients{-(by_a * v.dy), -(by_x * v.dy)};
}
struct IgammaFormula {
  BinaryGradients operator()(BinaryValues v) const { return igamma_gradients(v, true); }
};
struct IgammacFormula {
  BinaryGradients operator()(BinaryValues v) const { return igamma_gradients(v, false); }
};
struct ZetaFormula {
  BinaryGradients operator()(BinaryValues v) const {
    return {{}, -v.a * apply("Zeta", v.a + 1.0, v.b) * v.dy};
  }
};
struct PolygammaFormula {
  BinaryGradients operator()(BinaryValues v) const {
    return {{}, apply("Polygamma", v.a + 1.0, v.b) * v.dy};
  }
};
struct NextAfterFormula {
  BinaryGradients operator()(BinaryValues v) const { return {v.dy, v.dy * 0.0}; }
};
struct BesselI0Formula {
  Value operator()(UnaryValues v) const { return v.dy * apply("BesselI1", v.x); }
};
struct BesselI0eFormula {
  Value operator()(UnaryValues v) const {
    return v.dy * (apply("BesselI1e", v.x) - apply("Sign", v.x) * v.y);
  }
};
// At 0 the derivative of I1 is 1/2; TensorFlow's math_grad.py gives 1.
struct BesselI1Formula {
  Value operator()(UnaryValues v) const {
    const Value zero = apply("Equal", v.x, v.x.like(0));
    const Value divided = apply("DivNoNan", v.y, v.x);
    return v.dy * select(zero, v.x.like(1), apply("BesselI0", v.x) - divided);
  }
};
struct BesselI1eFormula {
  Value operator()(UnaryValues v) const {
    const Value zero = apply("Equal", v.x, v.x.like(0));
    const Value rest = v.y * (apply("Sign", v.x) + apply("DivNoNan", v.x.like(1), v.x));
    return v.dy * select(zero, v.x.like(0.5), apply("BesselI0e", v.x) - rest);
  }
};

constexpr OpDecl special_binary(ArgsText inputs, ArgsText outputs, AttrsText attrs,
                                GradientFn gradient, KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = outputs,
      .attrs = attrs,
      .shape = broadcast_inputs,
      .rows = Rows::kIndependent,
      .gradient = gradient,
      .kernels = {factory},
  };
}

}  // namespace

TENON_OP(BesselI0) = special_unary<bessel_i0, BesselI0Formula>();
TENON_OP(BesselI0e) = special_unary<bessel_i0e, BesselI0eFormula>();
TENON_OP(BesselI1) = special_unary<bessel_i1, BesselI1Formula>();
TENON_OP(BesselI1e) = special_unary<bessel_i1e, BesselI1eFormula>();

TENON_OP(Igamma) = special_binary("a: T, x: T", "z: T", "T: {bfloat16, half, float, double}",
                                  binary_gradient<IgammaFormula>, make_special_binary<lower_gamma>);
TENON_OP(Igammac) = special_binary("a: T, x: T", "z: T", "T: {bfloat16, half, float, double}",
                                   binary_gradient<IgammacFormula>,
                                   make_special_binary<upper_gamma>);
TENON_OP(IgammaGradA) = special_binary("a: T, x: T", "z: T", "T: {float, double}",
                                       not_differentiable, make_special_binary<lower_gamma_by_a>);
TENON_OP(RandomGammaGrad) = special_binary("alpha: T, sample: T", "output: T", "T: {float, double}",
                                           not_differentiable,
                                           make_special_binary<gamma_sample_slope>);
TENON_OP(Zeta) = special_binary("x: T, q: T", "z: T", "T: {float, double}",
                                binary_gradient<ZetaFormula>, make_special_binary<hurwitz_zeta>);
TENON_OP(Polygamma) = special_binary("a: T, x: T", "z: T", "T: {float, double}",
                                     binary_gradient<PolygammaFormula>,
                                     make_special_binary<polygamma>);
TENON_OP(NextAfter) = special_binary("x1: T, x2: T", "output: T", "T: {double, float} = float",
                                     binary_gradient<NextAfterFormula>, make_next_after);

TENON_OP(Betainc) = {
    .inputs = "a: T, b: T, x: T",
    .outputs = "z: T",
    .attrs = "T: {float, double}",
    .shape = betainc_shape,
    .rows = Rows::kIndependent,
    .gradient = betainc_gradient,
    .kernels = {make_betainc},
};

}  // namespace tenon
