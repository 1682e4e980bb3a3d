// Convolutions of rank 1 to 3 over channels-last activations: forward, and the gradients with
// respect to input and filter.
//
// Shapes, float32, row-major: input [batch, spatial.., in_channels], filter [kernel..,
// in_channels / groups, out_channels] (TensorFlow's HWIO), output [batch, output.., out_channels].
// A depthwise convolution is groups == in_channels: TensorFlow's [h, w, in, multiplier] filter has
// the same bytes as [h, w, 1, in * multiplier].
//
// Objects are immutable, shared by threads (scratch is per run), and run on a thread whose
// team_size() is the one they were made under. Bits, on one machine: an image's output and input
// gradient are the same for any batch that it is in and any team; the filter's gradient for any
// team.
#pragma once

#include <array>

#include "tenon/core/shape.h"
#include "tenon/kernels/packed_layout.h"
#include "tenon/kernels/post_ops.h"

namespace tenon::kernels {

struct ConvSpec {
  int rank = 2;  // spatial dimensions, the first `rank` entries of each array
  int64_t batch = 0;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t groups = 1;
  std::array<int64_t, 3> input{1, 1, 1};
  std::array<int64_t, 3> output{1, 1, 1};
  std::array<int64_t, 3> kernel{1, 1, 1};
  std::array<int64_t, 3> stride{1, 1, 1};
  std::array<int64_t, 3> dilation{1, 1, 1};  // 1: dense
  std::array<int64_t, 3> pad_before{0, 0, 0};
  std::array<int64_t, 3> pad_after{0, 0, 0};
  Precision precision = Precision::kFloat32;
  PostOps post = {};         // forward only
  PackedLayout packed = {};  // forward only: layout of a packed constant filter
};

// TensorFlow's paddings for one spatial dimension.
enum class Padding : uint8_t { kValid, kSame, kExplicit };

struct Window {
  int64_t output = 0;
  int64_t pad_before = 0;
  int64_t pad_after = 0;
};
// Output size and padding; kExplicit takes the two paddings given. INVALID_ARGUMENT when the output
// would be negative. Formulas: tensorflow/core/framework/common_shape_fns.cc
// (GetWindowedOutputSize).
StatusOr<Window> window_of(int64_t input, int64_t kernel, int64_t stride, int64_t dilation,
                           Padding padding, int64_t pad_before = 0, int64_t pad_after = 0);

struct ConvPointers {
  const float* input = nullptr;
  const void* filter = nullptr;  // float, or bytes in spec.packed
  float* output = nullptr;
  const float* bias = nullptr;      // [out_channels]
  const float* residual = nullptr;  // as output
};

class Convolution {
 public:
  // INVALID_ARGUMENT when sizes do not fit each other.
  static StatusOr<Convolution> make(const ConvSpec& spec);
  Convolution(Convolution&&) noexcept;
  Convolution& operator=(Convolution&&) noexcept;
  ~Convolution();
  std::string name() const;  // of the implementation that was chosen
  size_t scratch_bytes() const;
  void run(const ConvPointers& pointers, void* scratch) const;

 private:
  struct Impl;
  explicit Convolution(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Layout for packed filters, whatever the batch (the spec's spatial sizes are hints).
PackedLayout conv_packed_layout(const ConvSpec& spec);
Status pack_conv_filter(const PackedLayout& layout, const ConvSpec& spec, const float* filter,
                        void* packed);

// d_input = gradient of sum(output * d_output) with respect to input.
class ConvolutionInputGradient {
 public:
  static StatusOr<ConvolutionInputGradient> make(const ConvSpec& spec);
  ConvolutionInputGradient(ConvolutionInputGradient&&) noexcept;
  ConvolutionInputGradient& operator=(ConvolutionInputGradient&&) noexcept;
  ~ConvolutionInputGradient();
  std::string name() const;  // of the implementation that was chosen
  size_t scratch_bytes() const;
  void run(const float* d_output, const float* filter, float* d_input, void* scratch) const;

 private:
  struct Impl;
  explicit ConvolutionInputGradient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class ConvolutionFilterGradient {
 public:
  static StatusOr<ConvolutionFilterGradient> make(const ConvSpec& spec);
  ConvolutionFilterGradient(ConvolutionFilterGradient&&) noexcept;
  ConvolutionFilterGradient& operator=(ConvolutionFilterGradient&&) noexcept;
  ~ConvolutionFilterGradient();
  std::string name() const;  // of the implementation that was chosen
  size_t scratch_bytes() const;
  void run(const float* input, const float* d_output, float* d_filter, void* scratch) const;

 private:
  struct Impl;
  explicit ConvolutionFilterGradient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The plain loops, for double. No bias, no post-ops.
template <class T>
void reference_conv(const ConvSpec& spec, const T* input, const T* filter, T* output);
template <class T>
void reference_conv_input_gradient(const ConvSpec& spec, const T* d_output, const T* filter,
                                   T* d_input);
template <class T>
void reference_conv_filter_gradient(const ConvSpec& spec, const T* input, const T* d_output,
                                    T* d_filter);

}  // namespace tenon::kernels
