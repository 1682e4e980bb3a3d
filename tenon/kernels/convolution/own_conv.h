// What our own convolution kernels (winograd.h, direct_conv.h) share. Private: used by .cc files of
// this folder.
#pragma once

#include <algorithm>

#include "tenon/base/parallel.h"
#include "tenon/kernels/convolution/conv_kernel.h"

namespace tenon::kernels {

constexpr int64_t kOwnConvChannels = 256;  // at most

// Is it two-dimensional, dense, float32, and followed by no more than bias, relu and relu6?
inline bool own_conv_form(const ConvSpec& s) {
  return s.rank == 2 && s.groups == 1 && s.precision == Precision::kFloat32 &&
         s.post.residual == Residual::kNone && s.dilation[0] == 1 && s.dilation[1] == 1 &&
         limits_of(s.post.activation);
}

// The sum over images of a filter's gradient is kept in so many parts, whatever the team is: at
// most so many threads take part.
inline int64_t gradient_parts(const ConvSpec& s) { return std::min<int64_t>(s.batch, 16); }

inline int64_t input_image(const ConvSpec& s) { return s.input[0] * s.input[1] * s.in_channels; }
inline int64_t output_image(const ConvSpec& s) {
  return s.output[0] * s.output[1] * s.out_channels;
}

// A kernel made of a function, its spec and the scratch memory that it needs.
class OwnConv : public ConvKernel {
 public:
  using Run = void (*)(const ConvSpec&, const ConvPointers&, void* scratch);
  OwnConv(std::string name, const ConvSpec& spec, size_t scratch_bytes, Run run)
      : name_(std::move(name)), spec_(spec), scratch_bytes_(scratch_bytes), run_(run) {}
  std::string name() const override { return name_; }
  size_t scratch_bytes() const override { return scratch_bytes_; }
  void run(const ConvPointers& pointers, void* scratch) const override {
    run_(spec_, pointers, scratch);
  }

 private:
  std::string name_;
  ConvSpec spec_;
  size_t scratch_bytes_;
  Run run_;
};

class OwnConvGradient : public ConvGradientKernel {
 public:
  using Run = void (*)(const ConvSpec&, const float* left, const float* right, float* result,
                       void* scratch);
  OwnConvGradient(std::string name, const ConvSpec& spec, size_t scratch_bytes, Run run)
      : name_(std::move(name)), spec_(spec), scratch_bytes_(scratch_bytes), run_(run) {}
  std::string name() const override { return name_; }
  size_t scratch_bytes() const override { return scratch_bytes_; }
  void run(const float* left, const float* right, float* result, void* scratch) const override {
    run_(spec_, left, right, result, scratch);
  }

 private:
  std::string name_;
  ConvSpec spec_;
  size_t scratch_bytes_;
  Run run_;
};

}  // namespace tenon::kernels
