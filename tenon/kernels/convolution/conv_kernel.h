// What a Convolution and its gradients run: one of the ways of this folder, made for a spec under a
// team. Immutable. Private: used by conv.cc and the .cc files of this folder.
#pragma once

#include <string>

#include "tenon/kernels/conv.h"

namespace tenon::kernels {

class ConvKernel {
 public:
  virtual ~ConvKernel() = default;
  virtual std::string name() const = 0;
  virtual size_t scratch_bytes() const = 0;  // 64-byte-aligned
  virtual void run(const ConvPointers& pointers, void* scratch) const = 0;
};

class ConvGradientKernel {
 public:
  virtual ~ConvGradientKernel() = default;
  virtual std::string name() const = 0;
  virtual size_t scratch_bytes() const = 0;
  // Of the input: left is d_output, right the filter. Of the filter: the input and d_output.
  virtual void run(const float* left, const float* right, float* result, void* scratch) const = 0;
};

}  // namespace tenon::kernels
