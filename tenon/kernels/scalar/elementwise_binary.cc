#include <complex>

#include "tenon/kernels/scalar/elementwise_generic.h"
#include "tenon/kernels/scalar/extremum.h"
#include "tenon/kernels/simd/elementwise_f32.h"

namespace tenon::kernels {
namespace {

using InexactTypes =
    TypeList<float, double, float16, bfloat16, std::complex<float>, std::complex<double>>;
using EqualityTypes =
    TypeList<bool, float, double, float16, bfloat16, int8_t, int16_t, int32_t, int64_t, uint8_t,
             uint16_t, uint32_t, uint64_t, std::complex<float>, std::complex<double>>;
using TruthTypes = TypeList<bool>;

template <class Op, class T>
void loop_binary(const void* left, int64_t a_step, const void* right, int64_t b_step, void* to,
                 int64_t count) {
  if (count <= 0) return;
  using C = Compute<T>;
  using Result = std::conditional_t<Op::kPredicate, bool, T>;
  const T* a = static_cast<const T*>(left);
  const T* b = static_cast<const T*>(right);
  Result* y = static_cast<Result*>(to);
  const auto each = [&](auto a_at, auto b_at) {
    for (int64_t i = 0; i < count; ++i) {
      y[i] = static_cast<Result>(Op::run(a_at(i), b_at(i)));
    }
  };
  const auto a_all = [&](int64_t i) { return static_cast<C>(a[i]); };
  const auto b_all = [&](int64_t i) { return static_cast<C>(b[i]); };
  const C a_first = static_cast<C>(*a);
  const C b_first = static_cast<C>(*b);
  if (a_step != 0 && b_step != 0) return each(a_all, b_all);
  if (a_step != 0) return each(a_all, [&](int64_t) { return b_first; });
  if (b_step != 0) return each([&](int64_t) { return a_first; }, b_all);
  each([&](int64_t) { return a_first; }, [&](int64_t) { return b_first; });
}

template <class Op>
BinaryKernel pick_binary(DType dtype) {
  BinaryKernel kernel = nullptr;
  visit<typename Op::Types>(dtype, [&]<class T>() { kernel = &loop_binary<Op, T>; });
  return kernel;
}

struct FirstOrLarger {
  using Types = RealTypes;
  static constexpr bool kPredicate = false;
  template <class T>
  static T run(T a, T b) {
    return a < b ? b : a;
  }
};
struct FirstOrSmaller {
  using Types = RealTypes;
  static constexpr bool kPredicate = false;
  template <class T>
  static T run(T a, T b) {
    return b < a ? b : a;
  }
};

template <class T>
T conjugate(T x) {
  if constexpr (is_complex_v<T>) {
    return std::conj(x);
  } else {
    return x;
  }
}

// The table: operation, dtypes, whether the result is bool, and the value for T's named a and b.
// Gradients of functions of a complex argument take the conjugate of the derivative.
#define TENON_BINARY_ROWS(ROW)                                                              \
  ROW(kAdd, NumericTypes, false, wrap_add(a, b))                                            \
  ROW(kSub, NumericTypes, false, wrap_sub(a, b))                                            \
  ROW(kMul, NumericTypes, false, wrap_mul(a, b))                                            \
  ROW(kDiv, NumericTypes, false, safe_div(a, b))                                            \
  ROW(kDivNoNan, InexactTypes, false, b == T{} ? T{} : a / b)                               \
  ROW(kMulNoNan, InexactTypes, false, b == T{} ? T{} : a * b)                               \
  ROW(kMaximum, RealTypes, false, larger(a, b))                                             \
  ROW(kMinimum, RealTypes, false, smaller(a, b))                                            \
  ROW(kSquaredDifference, NumericTypes, false,                                              \
      wrap_mul(wrap_sub(a, b), conjugate(wrap_sub(a, b))))                                  \
  ROW(kPow, NumericTypes, false, power(a, b))                                               \
  ROW(kFloorDiv, RealTypes, false, floor_div(a, b))                                         \
  ROW(kFloorMod, RealTypes, false, floor_mod(a, b))                                         \
  ROW(kTruncateMod, RealTypes, false, truncate_mod(a, b))                                   \
  ROW(kAtan2, FloatTypes, false, std::atan2(a, b))                                          \
  ROW(kXlogy, InexactTypes, false, a == T{} ? T{} : a * std::log(b))                        \
  ROW(kXlog1py, InexactTypes, false, a == T{} ? T{} : a * log_1_plus(b))                    \
  ROW(kXdivy, InexactTypes, false, a == T{} ? T{} : a / b)                                  \
  ROW(kEqual, EqualityTypes, true, a == b)                                                  \
  ROW(kNotEqual, EqualityTypes, true, a != b)                                               \
  ROW(kLess, RealTypes, true, a < b)                                                        \
  ROW(kLessEqual, RealTypes, true, a <= b)                                                  \
  ROW(kGreater, RealTypes, true, a > b)                                                     \
  ROW(kGreaterEqual, RealTypes, true, a >= b)                                               \
  ROW(kLogicalAnd, TruthTypes, true, a&& b)                                                 \
  ROW(kLogicalOr, TruthTypes, true, a || b)                                                 \
  ROW(kBitwiseAnd, IntegerTypes, false, a& b)                                               \
  ROW(kBitwiseOr, IntegerTypes, false, a | b)                                               \
  ROW(kBitwiseXor, IntegerTypes, false, a ^ b)                                              \
  ROW(kLeftShift, IntegerTypes, false, shift_left(a, b))                                    \
  ROW(kRightShift, IntegerTypes, false, shift_right(a, b))                                  \
  ROW(kTanhGrad, InexactTypes, false, b*(T{1} - a * a))                                     \
  ROW(kSigmoidGrad, InexactTypes, false, b* a*(T{1} - a))                                   \
  ROW(kSqrtGrad, InexactTypes, false, b == T{} ? T{} : b * T(0.5) / conjugate(a))           \
  ROW(kRsqrtGrad, InexactTypes, false, b == T{} ? T{} : b * T(-0.5) * conjugate(a * a * a)) \
  ROW(kReciprocalGrad, InexactTypes, false, b == T{} ? T{} : -b * conjugate(a * a))         \
  ROW(kReluGrad, RealTypes, false, wrap_mul(a, T(b > T{0})))                                \
  ROW(kRelu6Grad, RealTypes, false, wrap_mul(a, T(b > T{0} && b < T{6})))                   \
  ROW(kEluGrad, FloatTypes, false, b < 0 ? a * (b + T{1}) : a)                              \
  ROW(kSeluGrad, FloatTypes, false,                                                         \
      b < 0 ? a * (b + T(1.7580993408473768599)) : a * T(1.0507009873554804934))            \
  ROW(kSoftplusGrad, FloatTypes, false, a* sigmoid(b))                                      \
  ROW(kSoftsignGrad, FloatTypes, false, a / ((T{1} + std::abs(b)) * (T{1} + std::abs(b))))

#define TENON_DEFINE_BINARY(op, types, predicate, expression) \
  struct Binary_##op {                                        \
    using Types = types;                                      \
    static constexpr bool kPredicate = predicate;             \
    template <class T>                                        \
    static auto run(T a, T b) {                               \
      return expression;                                      \
    }                                                         \
  };
TENON_BINARY_ROWS(TENON_DEFINE_BINARY)
#undef TENON_DEFINE_BINARY

struct BinaryRow {
  BinaryOp op;
  BinaryKernel (*pick)(DType);
};
#define TENON_LIST_BINARY(op, types, predicate, expression) \
  {BinaryOp::op, &pick_binary<Binary_##op>},
constexpr BinaryRow kBinaryRows[] = {TENON_BINARY_ROWS(TENON_LIST_BINARY)};
#undef TENON_LIST_BINARY
// Apart from the loops: who asks for no loop needs none of them linked.
#define TENON_LIST_PREDICATE(op, types, predicate, expression) predicate,
constexpr bool kBinaryPredicates[] = {TENON_BINARY_ROWS(TENON_LIST_PREDICATE)};
#undef TENON_LIST_PREDICATE
#undef TENON_BINARY_ROWS

static_assert(std::size(kBinaryRows) == static_cast<size_t>(BinaryOp::kCount));

constexpr bool binary_rows_in_order() {
  for (size_t i = 0; i < std::size(kBinaryRows); ++i) {
    if (kBinaryRows[i].op != static_cast<BinaryOp>(i)) return false;
  }
  return true;
}
static_assert(binary_rows_in_order());

}  // namespace

BinaryKernel find_extremum(bool largest, DType dtype) {
  return largest ? pick_binary<FirstOrLarger>(dtype) : pick_binary<FirstOrSmaller>(dtype);
}

BinaryKernel find_binary(BinaryOp op, DType dtype) {
  if (op >= BinaryOp::kCount) return nullptr;
  if (dtype == DType::kFloat) {
    if (const BinaryKernel kernel = find_binary_f32(op)) return kernel;
  }
  return kBinaryRows[static_cast<size_t>(op)].pick(dtype);
}

DType result_dtype(BinaryOp op, DType dtype) {
  return kBinaryPredicates[static_cast<size_t>(op)] ? DType::kBool : dtype;
}

}  // namespace tenon::kernels
