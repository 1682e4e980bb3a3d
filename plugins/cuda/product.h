// Matrix products by cuBLASLt.
#pragma once

#include "plugins/cuda/elementwise.h"

namespace plugin::cuda {

// y = a b of row-major matrices, `batch` times. cuBLASLt knows column-major ones, in which the same
// memory holds the transposed matrices: it computes y' = b' a'.
struct ProductSpec {
  int64_t rows = 0, columns = 0, inner = 0, batch = 1;
  int64_t a_step = 0, b_step = 0;  // between the matrices of a batch; 0: one for all
  bool transpose_a = false, transpose_b = false;
  int32_t dtype = kFloat;  // or kDouble, kHalf, kBfloat16
  bool reduced_precision = false;
  bool bias = false, relu = false;
};

// A product that was prepared; immutable.
class Product {
 public:
  // UNIMPLEMENTED where cuBLASLt has no algorithm.
  static TenonStatus* create(const Device& device, const ProductSpec& spec,
                             std::shared_ptr<const Product>& made);
  Product() = default;
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;
  ~Product();
  // `workspace` holds workspace_bytes(), aligned as temporaries are.
  TenonStatus* run(cudaStream_t stream, const void* a, const void* b, const void* bias, void* y,
                   void* workspace) const;
  size_t workspace_bytes() const {
    return chosen_.workspaceSize == 0 ? 0 : chosen_.workspaceSize + kWorkspaceAlignment;
  }

 private:
  // cuBLASLt refuses a workspace that is aligned to less; temporaries are to 64.
  static constexpr size_t kWorkspaceAlignment = 256;
  TenonStatus* choose(const Device& device);

  cublasLtHandle_t handle_ = nullptr;
  ProductSpec spec_;
  cublasLtMatmulDesc_t desc_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, y_ = nullptr;
  cublasLtMatmulHeuristicResult_t chosen_{};
};

// A product within a node, with what follows it there.
class NodeProduct {
 public:
  // `spec` says nothing of precision and epilogue. UNIMPLEMENTED for a product over nothing.
  static TenonStatus* create(TenonPrepare* prepare, ProductSpec spec, const ProductEnd& end,
                             NodeProduct& made);
  // What follows is computed on the node's output 0, which is `y` then.
  TenonStatus* run(TenonRun* run, const void* a, const void* b, void* y) const;

 private:
  std::shared_ptr<const Product> product_;
  size_t workspace_ = 0;  // in the scratch memory
  int32_t bias_ = -1;     // input of the node that cuBLASLt adds
  OutputEnd after_;
};

}  // namespace plugin::cuda
