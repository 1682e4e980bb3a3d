// FusedElementwise: a chain of element-wise operations run as one pass over memory.
//
// A program is a list of instructions in order; each names the values it reads. Values are
// numbered: inputs first, then constants, then one per instruction. It runs over tiles small enough
// that every value of a tile stays in the L1 cache, with the same kernels as elementwise.h, so the
// results have the same bits as the unfused operations.
//
// A value is of float32, float16 or bfloat16, as its instruction says, and rounded to that; between
// them stand casts. The iteration space is [rows, columns]. Truth values are 1.0f and 0.0f inside a
// program, of dtype float32.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tenon/base/status.h"
#include "tenon/kernels/elementwise.h"

namespace tenon::kernels {

enum class FusedKind : uint8_t { kFull, kScalar, kRow, kColumn };

struct FusedInput {
  FusedKind kind = FusedKind::kFull;  // [rows, columns], [1], [columns], or [rows, 1]
  DType dtype = DType::kFloat;        // kFloat, kHalf or kBfloat16, or is_read_as_float()
};

struct FusedInstruction {
  enum class Kind : uint8_t { kUnary, kBinary, kSelect, kLeakyRelu, kClip, kCast };
  Kind kind = Kind::kUnary;
  UnaryOp unary = UnaryOp::kNeg;
  BinaryOp binary = BinaryOp::kAdd;
  // kSelect: a ? b : c. kLeakyRelu: a, slope `alpha`. kClip: min(max(a, b), c). kCast: a, of any
  // dtype, as `dtype`.
  int a = -1;
  int b = -1;
  int c = -1;
  float alpha = 0.0f;
  // kFloat, kHalf or kBfloat16: of operands and result, but for conditions and truth.
  DType dtype = DType::kFloat;
};

struct FusedOutput {
  int value = 0;
  DType dtype = DType::kFloat;  // the value's, or kBool for one of float32
};

// Whether instructions may have it.
constexpr bool is_fused_dtype(DType dtype) {
  return dtype == DType::kFloat || dtype == DType::kHalf || dtype == DType::kBfloat16;
}

// Inputs that the program sees as values of float32: truth, and integers.
constexpr bool is_read_as_float(DType dtype) {
  return dtype == DType::kBool || dtype == DType::kInt32 || dtype == DType::kInt64;
}

struct FusedProgram {
  std::vector<FusedInput> inputs;
  std::vector<float> constants;
  std::vector<FusedInstruction> instructions;
  std::vector<FusedOutput> outputs;
};

// Immutable; threads may run one object at the same time. run() allocates nothing and splits over
// the team.
class FusedElementwise {
 public:
  // INVALID_ARGUMENT for a malformed program; UNIMPLEMENTED when an operation has no kernel for its
  // dtype or more than kMaxLive tiles would be live at once.
  static StatusOr<FusedElementwise> compile(const FusedProgram& program);
  FusedElementwise(FusedElementwise&&) noexcept;
  FusedElementwise& operator=(FusedElementwise&&) noexcept;
  ~FusedElementwise();

  static constexpr int kMaxLive = 32;

  // One pointer per input and output of the program. An output may be a kFull input of the same
  // element size.
  void run(std::span<const void* const> inputs, std::span<void* const> outputs, int64_t rows,
           int64_t columns) const;

 private:
  struct Impl;
  explicit FusedElementwise(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::kernels
