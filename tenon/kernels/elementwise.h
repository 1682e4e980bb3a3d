// Element-wise operations as tables of kernels.
//
// find_unary() and find_binary() give a plain function for an operation and a dtype, already the
// best one for this processor; null when the operation has no meaning for the dtype. Kernels run on
// the calling thread; apply_unary(), apply_binary() and run_binary() (broadcast.h) split over
// the team. An element's bits do not depend on its position, on `count` or on the team size.
//
// float32 is vectorised to within 2 ulp, in most places 1 (elementwise_test.cc measures); float16
// and bfloat16 compute in float32 and round once; integers wrap around as in TensorFlow.
#pragma once

#include <cstdint>

#include "tenon/core/dtype.h"

namespace tenon::kernels {

enum class UnaryOp : uint8_t {
  kNeg,
  kAbs,
  kSquare,
  kSqrt,
  kRsqrt,
  kReciprocal,
  kExp,
  kExpm1,
  kLog,
  kLog1p,
  kTanh,
  kSigmoid,
  kRelu,
  kRelu6,
  kElu,
  kSelu,
  kSoftplus,
  kSoftsign,
  kGeluErf,
  kGeluTanh,
  kSwish,
  kErf,
  kErfc,
  kErfinv,
  kNdtri,
  kLgamma,
  kDigamma,
  kSin,
  kCos,
  kTan,
  kAsin,
  kAcos,
  kAtan,
  kSinh,
  kCosh,
  kAsinh,
  kAcosh,
  kAtanh,
  kFloor,
  kCeil,
  kRint,  // to even; TensorFlow's Round is the same
  kSign,
  kIsNan,  // these three: result bool
  kIsInf,
  kIsFinite,
  kLogicalNot,  // bool
  kInvert,      // integers: bitwise
  kCount,
};

enum class BinaryOp : uint8_t {
  kAdd,
  kSub,
  kMul,
  kDiv,  // integers: C++ division (towards zero), 0 where b is 0: see contains_zero()
  kDivNoNan,
  kMulNoNan,
  kMaximum,  // NaN if either is
  kMinimum,
  kSquaredDifference,
  kPow,
  kFloorDiv,
  kFloorMod,
  kTruncateMod,
  kAtan2,
  kXlogy,
  kXlog1py,
  kXdivy,
  kEqual,  // the six comparisons: result bool
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kLogicalAnd,  // bool
  kLogicalOr,
  kBitwiseAnd,  // integers
  kBitwiseOr,
  kBitwiseXor,
  kLeftShift,  // amounts are clamped to [0, bits - 1]
  kRightShift,
  kTanhGrad,  // gradients as TensorFlow's ops: (y, dy)
  kSigmoidGrad,
  kSqrtGrad,
  kRsqrtGrad,
  kReciprocalGrad,
  kReluGrad,  // gradients as TensorFlow's ops: (dy, x or y)
  kRelu6Grad,
  kEluGrad,
  kSeluGrad,
  kSoftplusGrad,
  kSoftsignGrad,
  kCount,
};

// y[i] = op(x[i]). `y` may be `x` when the element sizes agree.
using UnaryKernel = void (*)(const void* x, void* y, int64_t count);

// y[i] = op(a[i * a_step], b[i * b_step]); a step is 0 (one value for all) or 1. `y` may be `a` or
// `b` where that one has step 1 and an equal element size.
using BinaryKernel = void (*)(const void* a, int64_t a_step, const void* b, int64_t b_step, void* y,
                              int64_t count);

UnaryKernel find_unary(UnaryOp op, DType dtype);
BinaryKernel find_binary(BinaryOp op, DType dtype);

// dtype of the result: bool for the predicates and comparisons, else `dtype`.
DType result_dtype(UnaryOp op, DType dtype);
DType result_dtype(BinaryOp op, DType dtype);

// Runs `kernel` over `count` elements, split over the team.
void apply_unary(UnaryKernel kernel, size_t x_size, const void* x, size_t y_size, void* y,
                 int64_t count);

// y[i] = kernel(a[i], b[i]), split over the team; all three of one element size. As the kernel, `y`
// may be `a` or `b`.
void apply_binary(BinaryKernel kernel, size_t element_size, const void* a, const void* b, void* y,
                  int64_t count);

// y = x > 0 ? x : alpha * x, and dx = x > 0 ? dy : alpha * dy. T: float, double, float16, bfloat16.
template <class T>
void leaky_relu(float alpha, const T* x, T* y, int64_t count);
template <class T>
void leaky_relu_gradient(float alpha, const T* dy, const T* x, T* dx, int64_t count);

// y[i] = condition[i] ? a[i] : b[i] for elements of 1, 2, 4, 8 or 16 bytes; steps 0 or 1.
void select(size_t element_size, const bool* condition, int64_t condition_step, const void* a,
            int64_t a_step, const void* b, int64_t b_step, void* y, int64_t count);

// y[i] = sum over s of inputs[s][i], in the order of the inputs. Real dtypes.
bool add_n(DType dtype, const void* const* inputs, int input_count, void* y, int64_t count);

// Is any of `count` integers 0? For the error of an integer division by zero.
bool contains_zero(DType dtype, const void* values, int64_t count);

// y[i] = value for elements of any size.
void fill(size_t element_size, const void* value, void* y, int64_t count);

// Name of the vector instruction set in use: "AVX3", "AVX2", "SSE4", ...
const char* simd_target();

}  // namespace tenon::kernels
