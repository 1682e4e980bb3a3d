// Matrix products by cuBLASLt, with bias and ReLU in its epilogue and any other end behind it.
#include <algorithm>

#include "plugins/cuda/kernels/kernels.h"
#include "plugins/cuda/product.h"

namespace plugin::cuda {
namespace {

constexpr size_t kWorkspaceBytes = size_t{32} << 20;
constexpr uint32_t kLeastAlignment = 16;

TenonStatus* blas_status(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return nullptr;
  return error(kInternal, std::string(what) + ": " + cublas_lt().GetStatusString(status));
}

cudaDataType_t data_type(int32_t dtype) {
  return dtype == kDouble     ? CUDA_R_64F
         : dtype == kHalf     ? CUDA_R_16F
         : dtype == kBfloat16 ? CUDA_R_16BF
                              : CUDA_R_32F;
}

// Rows, columns and leading dimension of the column-major view of a row-major matrix.
TenonStatus* make_layout(cudaDataType_t type, int64_t rows, int64_t columns, int64_t batch,
                         int64_t step, cublasLtMatrixLayout_t& layout) {
  const CublasLt& lib = cublas_lt();
  if (TenonStatus* status =
          blas_status(lib.MatrixLayoutCreate(&layout, type, static_cast<uint64_t>(columns),
                                             static_cast<uint64_t>(rows), columns),
                      "a matrix")) {
    return status;
  }
  if (batch == 1) return nullptr;
  const auto count = static_cast<int32_t>(batch);
  lib.MatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count);
  return blas_status(lib.MatrixLayoutSetAttribute(
                         layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof step),
                     "a batch of matrices");
}

}  // namespace

TenonStatus* Product::create(const Device& device, const ProductSpec& spec,
                             std::shared_ptr<const Product>& made) {
  const CublasLt& lib = cublas_lt();
  const auto product = std::make_shared<Product>();
  product->spec_ = spec;
  product->handle_ = device.cublas_lt();
  const cudaDataType_t type = data_type(spec.dtype);
  const cublasComputeType_t compute = spec.dtype == kDouble    ? CUBLAS_COMPUTE_64F
                                      : spec.reduced_precision ? CUBLAS_COMPUTE_32F_FAST_16BF
                                                               : CUBLAS_COMPUTE_32F;
  if (TenonStatus* status =
          blas_status(lib.MatmulDescCreate(&product->desc_, compute,
                                           spec.dtype == kDouble ? CUDA_R_64F : CUDA_R_32F),
                      "a product")) {
    return status;
  }
  const cublasOperation_t first = spec.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second = spec.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  lib.MatmulDescSetAttribute(product->desc_, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first);
  lib.MatmulDescSetAttribute(product->desc_, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second);
  const cublasLtEpilogue_t epilogue = spec.bias && spec.relu ? CUBLASLT_EPILOGUE_RELU_BIAS
                                      : spec.bias            ? CUBLASLT_EPILOGUE_BIAS
                                      : spec.relu            ? CUBLASLT_EPILOGUE_RELU
                                                             : CUBLASLT_EPILOGUE_DEFAULT;
  lib.MatmulDescSetAttribute(product->desc_, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                             sizeof epilogue);
  const auto layout = [&](bool turned, int64_t rows, int64_t columns, int64_t step,
                          cublasLtMatrixLayout_t& of) {
    return make_layout(type, turned ? columns : rows, turned ? rows : columns, spec.batch, step,
                       of);
  };
  TenonStatus* status = layout(spec.transpose_a, spec.rows, spec.inner, spec.a_step, product->a_);
  if (!status) {
    status = layout(spec.transpose_b, spec.inner, spec.columns, spec.b_step, product->b_);
  }
  if (!status) {
    status = layout(false, spec.rows, spec.columns, spec.rows * spec.columns, product->y_);
  }
  if (!status) status = product->choose(device);
  if (!status) made = product;
  return status;
}

// The first algorithm that cuBLASLt names: the same one each time for the same product.
TenonStatus* Product::choose(const Device& device) {
  device.use();
  const CublasLt& lib = cublas_lt();
  cublasLtMatmulPreference_t preference = nullptr;
  if (TenonStatus* status = blas_status(lib.MatmulPreferenceCreate(&preference), "a preference")) {
    return status;
  }
  lib.MatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                   &kWorkspaceBytes, sizeof kWorkspaceBytes);
  for (const cublasLtMatmulPreferenceAttributes_t attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    lib.MatmulPreferenceSetAttribute(preference, attribute, &kLeastAlignment,
                                     sizeof kLeastAlignment);
  }
  int found = 0;
  const cublasStatus_t asked =
      lib.MatmulAlgoGetHeuristic(handle_, desc_, b_, a_, y_, y_, preference, 1, &chosen_, &found);
  lib.MatmulPreferenceDestroy(preference);
  if (asked == CUBLAS_STATUS_SUCCESS && found == 1) return nullptr;
  return unimplemented("cuBLASLt has no algorithm for the product");
}

Product::~Product() {
  const CublasLt& lib = cublas_lt();
  for (cublasLtMatrixLayout_t layout : {a_, b_, y_}) {
    if (layout) lib.MatrixLayoutDestroy(layout);
  }
  if (desc_) lib.MatmulDescDestroy(desc_);
}

TenonStatus* Product::run(cudaStream_t stream, const void* a, const void* b, const void* bias,
                          void* y, void* workspace) const {
  // The bias is part of the description: each run has a copy of its own.
  cublasLtMatmulDescOpaque_t desc = *desc_;
  if (spec_.bias) {
    cublas_lt().MatmulDescSetAttribute(&desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                       sizeof bias);
  }
  const uintptr_t given = reinterpret_cast<uintptr_t>(workspace);
  void* aligned = reinterpret_cast<void*>((given + kWorkspaceAlignment - 1) / kWorkspaceAlignment *
                                          kWorkspaceAlignment);
  const double one = 1, zero = 0;
  const float one_float = 1, zero_float = 0;
  const bool wide = spec_.dtype == kDouble;
  return blas_status(
      cublas_lt().Matmul(handle_, &desc, wide ? static_cast<const void*>(&one) : &one_float, b, b_,
                         a, a_, wide ? static_cast<const void*>(&zero) : &zero_float, y, y_, y, y_,
                         &chosen_.algo, aligned, chosen_.workspaceSize, stream),
      "a matrix product");
}

namespace {

bool has_products(int32_t dtype) { return is_float(dtype) || dtype == kDouble; }

}  // namespace

TenonStatus* NodeProduct::create(TenonPrepare* prepare, ProductSpec spec, const ProductEnd& end,
                                 NodeProduct& made) {
  if (!has_products(spec.dtype)) return unimplemented("products of this dtype");
  if (spec.rows * spec.columns * spec.batch * spec.inner == 0) {
    return unimplemented("a product over nothing");
  }
  spec.reduced_precision = host->prepare_precision(prepare) != 0 && spec.dtype == kFloat;
  const bool in_epilogue = end.residual < 0 && (end.activation.empty() || end.activation == "Relu");
  if (in_epilogue) {
    spec.bias = end.bias >= 0;
    spec.relu = !end.activation.empty();
    made.bias_ = end.bias;
  } else if (TenonStatus* status = OutputEnd::create(prepare, end, made.after_)) {
    return status;
  }
  if (TenonStatus* status = Product::create(*device_of(prepare), spec, made.product_)) {
    return status;
  }
  made.workspace_ = host->reserve_temporary(prepare, made.product_->workspace_bytes());
  return nullptr;
}

TenonStatus* NodeProduct::run(TenonRun* run, const void* a, const void* b, void* y) const {
  void* workspace = product_->workspace_bytes() ? temporary(run, workspace_) : nullptr;
  const void* bias = bias_ >= 0 ? input<void>(run, bias_) : nullptr;
  if (TenonStatus* status = product_->run(enqueue(run), a, b, bias, y, workspace)) return status;
  return after_.launch(run);
}

namespace {

TenonStatus* prepare_product(TenonPrepare* prepare, const ProductSpec& spec, const ProductEnd& end,
                             RunFunction& run) {
  const bool plain = end.bias < 0 && end.residual < 0 && end.activation.empty();
  const bool empty = spec.rows == 0 || spec.columns == 0 || spec.batch == 0;
  if (has_products(spec.dtype) && (empty || (spec.inner == 0 && plain))) {
    const size_t bytes =
        static_cast<size_t>(spec.rows * spec.columns * spec.batch) * size_of(spec.dtype);
    run = [bytes](TenonRun* r) {
      return status_of(
          fill(enqueue(r), 1, static_cast<int64_t>(bytes), nullptr, output<void>(r, 0)), "zeros");
    };
    return nullptr;
  }
  NodeProduct product;
  if (TenonStatus* status = NodeProduct::create(prepare, spec, end, product)) return status;
  run = [product](TenonRun* r) {
    return product.run(r, input<void>(r, 0), input<void>(r, 1), output<void>(r, 0));
  };
  return nullptr;
}

TenonStatus* prepare_matmul(TenonPrepare* prepare, RunFunction& run) {
  const TenonType a = host->prepare_input(prepare, 0), y = host->prepare_output(prepare, 0);
  if (a.rank != 2 || y.rank != 2) return unimplemented("a product of other than matrices");
  ProductSpec spec;
  spec.transpose_a = bool_attr(prepare, "transpose_a");
  spec.transpose_b = bool_attr(prepare, "transpose_b");
  spec.rows = y.dims[0];
  spec.columns = y.dims[1];
  spec.inner = a.dims[spec.transpose_a ? 0 : 1];
  spec.dtype = a.dtype;
  ProductEnd end;
  if (TenonStatus* status = read_product_end(host->prepare_attrs(prepare), end)) return status;
  return prepare_product(prepare, spec, end, run);
}

TenonStatus* prepare_batch_matmul(TenonPrepare* prepare, RunFunction& run) {
  const TenonType a = host->prepare_input(prepare, 0), b = host->prepare_input(prepare, 1);
  const TenonType y = host->prepare_output(prepare, 0);
  if (a.rank < 2 || b.rank < 2 || a.dtype != y.dtype || b.dtype != y.dtype) {
    return unimplemented("other operands than matrices of one dtype");
  }
  ProductSpec spec;
  spec.transpose_a = bool_attr(prepare, "adj_x");
  spec.transpose_b = bool_attr(prepare, "adj_y");
  spec.rows = y.dims[y.rank - 2];
  spec.columns = y.dims[y.rank - 1];
  spec.inner = a.dims[a.rank - (spec.transpose_a ? 2 : 1)];
  spec.dtype = y.dtype;
  const auto batch_of = [](const TenonType& type) {
    return element_count({type.dtype, type.rank - 2, type.dims});
  };
  spec.batch = batch_of(y);
  const auto step = [&](const TenonType& type, int64_t& of) {
    const int64_t own = batch_of(type);
    of = own == 1 ? 0 : type.dims[type.rank - 2] * type.dims[type.rank - 1];
    return own == 1 || own == spec.batch;
  };
  if (!step(a, spec.a_step) || !step(b, spec.b_step)) {
    return unimplemented("batches that are broadcast in part");
  }
  return prepare_product(prepare, spec, {}, run);
}

}  // namespace

void add_matmul_rows(const AddRow& add) {
  add("MatMul", prepare_matmul);
  add("_FusedMatMul", prepare_matmul);
  add("BatchMatMul", prepare_batch_matmul);
  add("BatchMatMulV2", prepare_batch_matmul);
  add("BatchMatMulV3", prepare_batch_matmul);
}

}  // namespace plugin::cuda
