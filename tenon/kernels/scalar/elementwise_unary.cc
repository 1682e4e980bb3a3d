#include <complex>
#include <limits>

#include "tenon/kernels/scalar/elementwise_generic.h"
#include "tenon/kernels/simd/elementwise_f32.h"

namespace tenon::kernels {
namespace {

using FloatAndComplex =
    TypeList<float, double, float16, bfloat16, std::complex<float>, std::complex<double>>;
using SignedAndComplex = TypeList<float, double, float16, bfloat16, int8_t, int16_t, int32_t,
                                  int64_t, std::complex<float>, std::complex<double>>;
using BoolOnly = TypeList<bool>;

// In float64 TensorFlow's is a rational function of the square, even where that is infinite.
template <class T>
T error_function(T x) {
  const bool overflows = std::is_same_v<T, double> && std::isinf(x * x);
  return overflows ? std::numeric_limits<T>::quiet_NaN() : std::erf(x);
}

template <class Op, class T>
void loop_unary(const void* from, void* to, int64_t count) {
  using C = Compute<T>;
  const T* x = static_cast<const T*>(from);
  if constexpr (Op::kPredicate) {
    bool* y = static_cast<bool*>(to);
    for (int64_t i = 0; i < count; ++i) y[i] = Op::run(static_cast<C>(x[i]));
  } else {
    T* y = static_cast<T*>(to);
    for (int64_t i = 0; i < count; ++i) y[i] = static_cast<T>(Op::run(static_cast<C>(x[i])));
  }
}

template <class Op>
UnaryKernel pick_unary(DType dtype) {
  UnaryKernel kernel = nullptr;
  visit<typename Op::Types>(dtype, [&]<class T>() { kernel = &loop_unary<Op, T>; });
  return kernel;
}

// The table: operation, dtypes, whether the result is bool, and the value for a T named x.
#define TENON_UNARY_ROWS(ROW)                                                                     \
  ROW(kNeg, NumericTypes, false, negative(x))                                                     \
  ROW(kAbs, RealTypes, false, absolute(x))                                                        \
  ROW(kSquare, NumericTypes, false, wrap_mul(x, x))                                               \
  ROW(kSqrt, FloatAndComplex, false, std::sqrt(x))                                                \
  ROW(kRsqrt, FloatAndComplex, false, T{1} / std::sqrt(x))                                        \
  ROW(kReciprocal, NumericTypes, false, safe_div(T{1}, x))                                        \
  ROW(kExp, FloatAndComplex, false, std::exp(x))                                                  \
  ROW(kExpm1, FloatAndComplex, false, exp_minus_1(x))                                             \
  ROW(kLog, FloatAndComplex, false, std::log(x))                                                  \
  ROW(kLog1p, FloatAndComplex, false, log_1_plus(x))                                              \
  ROW(kTanh, FloatAndComplex, false, std::tanh(x))                                                \
  ROW(kSigmoid, FloatAndComplex, false, sigmoid(x))                                               \
  ROW(kRelu, RealTypes, false, x < T{0} ? T{0} : x)                                               \
  ROW(kRelu6, RealTypes, false, x<T{0} ? T{0} : x> T{6} ? T{6} : x)                               \
  ROW(kElu, FloatTypes, false, x < 0 ? std::expm1(x) : x)                                         \
  ROW(kSelu, FloatTypes, false,                                                                   \
      x < 0 ? T(1.7580993408473768599) * std::expm1(x) : T(1.0507009873554804934) * x)            \
  ROW(kSoftplus, FloatTypes, false, softplus(x))                                                  \
  ROW(kSoftsign, FloatTypes, false, x / (T{1} + std::abs(x)))                                     \
  ROW(kGeluErf, FloatTypes, false, T(0.5) * x * (T{1} + std::erf(x * T(0.70710678118654752440)))) \
  ROW(kGeluTanh, FloatTypes, false,                                                               \
      T(0.5) * x * (T{1} + std::tanh(T(0.79788456080286535588) * (x + T(0.044715) * x * x * x)))) \
  ROW(kSwish, FloatTypes, false, x* sigmoid(x))                                                   \
  ROW(kErf, FloatTypes, false, error_function(x))                                                 \
  ROW(kErfc, FloatTypes, false, std::erfc(x))                                                     \
  ROW(kErfinv, FloatTypes, false, static_cast<T>(erf_inverse(static_cast<double>(x))))            \
  ROW(kNdtri, FloatTypes, false, static_cast<T>(normal_quantile(static_cast<double>(x))))         \
  ROW(kLgamma, FloatTypes, false, static_cast<T>(log_gamma(static_cast<double>(x))))              \
  ROW(kDigamma, FloatTypes, false, static_cast<T>(digamma(static_cast<double>(x))))               \
  ROW(kSin, FloatAndComplex, false, std::sin(x))                                                  \
  ROW(kCos, FloatAndComplex, false, std::cos(x))                                                  \
  ROW(kTan, FloatAndComplex, false, std::tan(x))                                                  \
  ROW(kAsin, FloatAndComplex, false, std::asin(x))                                                \
  ROW(kAcos, FloatAndComplex, false, std::acos(x))                                                \
  ROW(kAtan, FloatAndComplex, false, std::atan(x))                                                \
  ROW(kSinh, FloatAndComplex, false, std::sinh(x))                                                \
  ROW(kCosh, FloatAndComplex, false, std::cosh(x))                                                \
  ROW(kAsinh, FloatAndComplex, false, std::asinh(x))                                              \
  ROW(kAcosh, FloatAndComplex, false, std::acosh(x))                                              \
  ROW(kAtanh, FloatAndComplex, false, std::atanh(x))                                              \
  ROW(kFloor, FloatTypes, false, std::floor(x))                                                   \
  ROW(kCeil, FloatTypes, false, std::ceil(x))                                                     \
  ROW(kRint, FloatTypes, false, std::nearbyint(x))                                                \
  ROW(kSign, NumericTypes, false, sign_of(x))                                                     \
  ROW(kIsNan, FloatTypes, true, std::isnan(x))                                                    \
  ROW(kIsInf, FloatTypes, true, std::isinf(x))                                                    \
  ROW(kIsFinite, FloatTypes, true, std::isfinite(x))                                              \
  ROW(kLogicalNot, BoolOnly, true, !x)                                                            \
  ROW(kInvert, IntegerTypes, false, static_cast<T>(~x))

#define TENON_DEFINE_UNARY(op, types, predicate, expression) \
  struct Unary_##op {                                        \
    using Types = types;                                     \
    static constexpr bool kPredicate = predicate;            \
    template <class T>                                       \
    static auto run(T x) {                                   \
      return expression;                                     \
    }                                                        \
  };
TENON_UNARY_ROWS(TENON_DEFINE_UNARY)
#undef TENON_DEFINE_UNARY

struct UnaryRow {
  UnaryOp op;
  UnaryKernel (*pick)(DType);
};
#define TENON_LIST_UNARY(op, types, predicate, expression) {UnaryOp::op, &pick_unary<Unary_##op>},
constexpr UnaryRow kUnaryRows[] = {TENON_UNARY_ROWS(TENON_LIST_UNARY)};
#undef TENON_LIST_UNARY
// Apart from the loops: who asks for no loop needs none of them linked.
#define TENON_LIST_PREDICATE(op, types, predicate, expression) predicate,
constexpr bool kUnaryPredicates[] = {TENON_UNARY_ROWS(TENON_LIST_PREDICATE)};
#undef TENON_LIST_PREDICATE
#undef TENON_UNARY_ROWS

static_assert(std::size(kUnaryRows) == static_cast<size_t>(UnaryOp::kCount));

constexpr bool unary_rows_in_order() {
  for (size_t i = 0; i < std::size(kUnaryRows); ++i) {
    if (kUnaryRows[i].op != static_cast<UnaryOp>(i)) return false;
  }
  return true;
}
static_assert(unary_rows_in_order());

}  // namespace

UnaryKernel find_unary(UnaryOp op, DType dtype) {
  if (op >= UnaryOp::kCount) return nullptr;
  if (dtype == DType::kFloat) {
    if (const UnaryKernel kernel = find_unary_f32(op)) return kernel;
  }
  return kUnaryRows[static_cast<size_t>(op)].pick(dtype);
}

DType result_dtype(UnaryOp op, DType dtype) {
  return kUnaryPredicates[static_cast<size_t>(op)] ? DType::kBool : dtype;
}

}  // namespace tenon::kernels
