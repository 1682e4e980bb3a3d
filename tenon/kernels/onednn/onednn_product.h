// Matrix products in bfloat16, summed in float32, by oneDNN: what MatMul runs where the processor
// multiplies bfloat16 natively. Private to this folder.
#pragma once

#include "tenon/kernels/matmul.h"
#include "tenon/kernels/onednn/onednn_common.h"

namespace tenon::kernels {

// y = a b for `items` products, each y [m, n]; float32 operands are converted when it runs. With
// more items than one, a and b hold that many matrices or one.
class Bfloat16Product {
 public:
  // The spec's batches are not looked at. Throws dnnl::error.
  Bfloat16Product(const MatMulSpec& spec, int64_t items, bool one_a, bool one_b);
  size_t scratch_bytes() const;
  // With the team of the calling thread.
  void run(const MatMulPointers& p, void* scratch) const;

 private:
  SplitPostOps post_;
  int64_t a_elements_ = 0;  // that a run converts
  int64_t b_elements_ = 0;
  int64_t y_elements_ = 0;
  size_t primitive_scratch_ = 0;
  std::unique_ptr<PreparedPrimitive> product_;
  std::unique_ptr<PreparedPrimitive> convert_a_;
  std::unique_ptr<PreparedPrimitive> convert_b_;
};

// The layout of packed weights, for every m; plain where oneDNN has none.
PackedLayout bfloat16_packed_layout(int64_t k, int64_t n);
Status pack_bfloat16_weights(const PackedLayout& layout, int64_t k, int64_t n, bool transposed,
                             const float* weights, void* packed);

}  // namespace tenon::kernels
