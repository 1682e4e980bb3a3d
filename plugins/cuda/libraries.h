// cuBLASLt, cuDNN, NVRTC and NCCL, opened at run time, so that the plug-in can say which one is
// missing and where it was looked for. Each table holds the functions that the plug-in calls, by
// their names without the library's prefix.
#pragma once

#include <cublasLt.h>
#include <cudnn.h>
#include <nccl.h>
#include <nvrtc.h>

#include "plugins/base/node_reading.h"

namespace plugin::cuda {

// It does not come to rest on these.
// clang-format off
#define TENON_CUBLASLT_FUNCTIONS(X) \
  X(Create) X(Matmul) X(MatmulDescCreate) X(MatmulDescDestroy) X(MatmulDescSetAttribute) \
  X(MatrixLayoutCreate) X(MatrixLayoutDestroy) X(MatrixLayoutSetAttribute) \
  X(MatmulPreferenceCreate) X(MatmulPreferenceDestroy) X(MatmulPreferenceSetAttribute) \
  X(MatmulAlgoGetHeuristic) X(GetStatusString)
#define TENON_CUDNN_FUNCTIONS(X) \
  X(Create) X(Destroy) X(SetStream) X(GetErrorString) X(CreateTensorDescriptor) \
  X(DestroyTensorDescriptor) X(SetTensor4dDescriptor) X(CreateFilterDescriptor) \
  X(DestroyFilterDescriptor) X(SetFilter4dDescriptor) X(CreateConvolutionDescriptor) \
  X(DestroyConvolutionDescriptor) X(SetConvolution2dDescriptor) X(SetConvolutionMathType) \
  X(SetConvolutionGroupCount) X(GetConvolutionForwardAlgorithm_v7) \
  X(GetConvolutionBackwardDataAlgorithm_v7) X(GetConvolutionBackwardFilterAlgorithm_v7) \
  X(GetConvolutionForwardWorkspaceSize) X(GetConvolutionBackwardDataWorkspaceSize) \
  X(GetConvolutionBackwardFilterWorkspaceSize) X(ConvolutionForward) X(ConvolutionBackwardData) \
  X(ConvolutionBackwardFilter)
#define TENON_NVRTC_FUNCTIONS(X) \
  X(CreateProgram) X(DestroyProgram) X(CompileProgram) X(GetCUBINSize) X(GetCUBIN) X(GetPTXSize) \
  X(GetPTX) X(GetProgramLogSize) X(GetProgramLog) X(GetErrorString) X(Version)
#define TENON_NCCL_FUNCTIONS(X) \
  X(CommInitAll) X(CommDestroy) X(CommAbort) X(AllReduce) X(GroupStart) X(GroupEnd) \
  X(GetErrorString)
// clang-format on

struct CublasLt {
#define X(name) decltype(&cublasLt##name) name;
  TENON_CUBLASLT_FUNCTIONS(X)
#undef X
};
struct Cudnn {
#define X(name) decltype(&cudnn##name) name;
  TENON_CUDNN_FUNCTIONS(X)
#undef X
};
struct Nvrtc {
#define X(name) decltype(&nvrtc##name) name;
  TENON_NVRTC_FUNCTIONS(X)
#undef X
};

struct Nccl {
#define X(name) decltype(&nccl##name) name;
  TENON_NCCL_FUNCTIONS(X)
#undef X
};

// Once, before the tables are used. FAILED_PRECONDITION names what is missing. Looked for by the
// loader, then in $CUDA_HOME, /usr/local/cuda and the folders of NVIDIA's wheels below
// $TENON_CUDA_WHEELS (a site-packages folder).
TenonStatus* open_libraries();
// The same for NCCL alone, which only several GPUs need. The sentence that says what is missing, or
// empty.
const std::string& open_nccl();

const CublasLt& cublas_lt();
const Cudnn& cudnn();
const Nvrtc& nvrtc();
const Nccl* nccl();  // null where it is missing

}  // namespace plugin::cuda
