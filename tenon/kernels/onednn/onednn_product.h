// Matrix products in bfloat16, summed in float32, by oneDNN: what MatMul runs where the processor
// multiplies bfloat16 natively. Private to this folder.
//
// y falls into tiles by its sizes alone; each is computed on one thread, so that bits are the same
// for any team.
#pragma once

#include "tenon/kernels/matmul.h"
#include "tenon/kernels/onednn/onednn_common.h"

namespace tenon::kernels {

// y = a b for one item of a batch; float32 operands are converted while it runs.
class Bfloat16Product {
 public:
  // Null when oneDNN refuses these sizes or would run its reference code. The spec's batches are
  // not looked at.
  static std::unique_ptr<Bfloat16Product> make(const MatMulSpec& spec);

  const std::string& name() const { return name_; }  // oneDNN's, of its implementation
  int64_t tiles() const { return row_bands_ * column_pieces_; }
  size_t worker_scratch_bytes() const { return scratch_bytes_; }
  void run_tile(int64_t tile, const MatMulPointers& p, char* scratch) const;

 private:
  // What computes a tile of some size.
  struct Kernel {
    std::unique_ptr<PreparedPrimitive> product;
    std::unique_ptr<PreparedPrimitive> convert_a;
    std::unique_ptr<PreparedPrimitive> convert_b;  // null: packed
    size_t a_bytes = 0;
    size_t b_bytes = 0;
    size_t y_bytes = 0;  // 0: y is written where it belongs
  };

  explicit Bfloat16Product(const MatMulSpec& spec);
  bool build();
  Kernel make_kernel(int64_t rows, int64_t columns, const dnnl::matmul::primitive_desc& chosen);

  MatMulSpec spec_;
  SplitPostOps post_;
  std::string name_;
  int64_t row_bands_ = 1;
  int64_t column_pieces_ = 1;
  std::array<std::array<Kernel, 2>, 2> kernels_;  // [last rows][last columns]
  size_t scratch_bytes_ = 0;
};

// The layout of packed weights, for every m; plain where oneDNN has none.
PackedLayout bfloat16_packed_layout(int64_t k, int64_t n);
Status pack_bfloat16_weights(const PackedLayout& layout, int64_t k, int64_t n, bool transposed,
                             const float* weights, void* packed);

}  // namespace tenon::kernels
