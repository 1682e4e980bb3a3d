// Matrix product y = op(a) * op(b) with batches, bias, activation and residual.
//
// Shapes: a is [batch_a.., m, k] ([.., k, m] when transpose_a), b is [batch_b.., k, n] ([.., n, k]
// when transpose_b), y is [broadcast(batch_a, batch_b).., m, n]; all float32, row-major. Any size
// may be 0.
//
// Bits, in float32: a value of y depends on its row of a and its column of b alone, whatever m, the
// batch and the team are and whether b is packed. In bfloat16: equal for equal sizes and any team.
//
// A MatMul is immutable: threads may run one object at the same time, each with its own scratch. It
// must run on a thread whose team_size() is the one it was made under.
#pragma once

#include <vector>

#include "tenon/core/dtype.h"
#include "tenon/core/shape.h"
#include "tenon/kernels/packed_layout.h"
#include "tenon/kernels/post_ops.h"

namespace tenon::kernels {

struct MatMulSpec {
  int64_t m = 0;
  int64_t k = 0;
  int64_t n = 0;
  bool transpose_a = false;
  bool transpose_b = false;
  Dims batch_a = {};  // broadcast against each other
  Dims batch_b = {};
  Precision precision = Precision::kFloat32;
  PostOps post = {};
  // Layout of b when it is a packed constant, from matmul_packed_layout(); then batch_b is empty
  // and transpose_b is false (the transposition happened while packing).
  PackedLayout packed = {};
};

struct MatMulPointers {
  const float* a = nullptr;
  const void* b = nullptr;  // float, or bytes in spec.packed
  float* y = nullptr;
  const float* bias = nullptr;      // [n]
  const float* residual = nullptr;  // as y
};

class MatMul {
 public:
  // INVALID_ARGUMENT when sizes do not fit each other.
  static StatusOr<MatMul> make(const MatMulSpec& spec);
  MatMul(MatMul&&) noexcept;
  MatMul& operator=(MatMul&&) noexcept;
  ~MatMul();

  std::string name() const;  // of the implementation that was chosen

  // Bytes of 64-byte-aligned memory that run() needs for its own use.
  size_t scratch_bytes() const;
  void run(const MatMulPointers& pointers, void* scratch) const;

 private:
  struct Impl;
  explicit MatMul(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The layout that packed weights of a [k, n] matrix take for every m. Plain when packing does not
// pay or is not possible for these sizes.
PackedLayout matmul_packed_layout(int64_t k, int64_t n, Precision precision);

// Fills `packed` (layout.bytes() bytes) from a row-major [k, n] matrix, [n, k] when `transposed`.
Status pack_matmul_weights(const PackedLayout& layout, int64_t k, int64_t n, bool transposed,
                           const float* weights, void* packed);

// The plain loops, for the dtypes that MatMul does not take: double, int32, int64, complex (float
// for comparison); of float16 and bfloat16, widened_operands.h makes float32. One batch item; sums
// in the order of k. Splits rows over the team; same bits for any team size.
template <class T>
void reference_matmul(int64_t m, int64_t k, int64_t n, const T* a, bool transpose_a, const T* b,
                      bool transpose_b, T* y);

}  // namespace tenon::kernels
