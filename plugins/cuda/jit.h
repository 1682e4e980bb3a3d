// Kernels that are compiled when they are first needed, by NVRTC. Thread-safe.
#pragma once

#include <string>

#include "plugins/cuda/device.h"

namespace plugin::cuda {

// Machine code for `architecture` ("sm_90"); the floating-point operations are not contracted, so
// that results are those of the same operations one by one.
TenonStatus* compile_source(const std::string& source, const std::string& architecture,
                            std::string& image);

// The function `name` of `source` on the device; compiled once in the life of the process.
TenonStatus* find_kernel(const Device& device, const std::string& source, const char* name,
                         cudaKernel_t& kernel);

}  // namespace plugin::cuda
