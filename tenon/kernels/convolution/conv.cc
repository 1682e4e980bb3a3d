#include "tenon/kernels/conv.h"

#include "tenon/base/strings.h"
#include "tenon/kernels/convolution/bfloat16_conv.h"
#include "tenon/kernels/convolution/depthwise_conv.h"
#include "tenon/kernels/convolution/direct_conv.h"
#include "tenon/kernels/convolution/gathered_conv.h"
#include "tenon/kernels/convolution/winograd.h"
#include "tenon/kernels/product/bfloat16_panels.h"
#include "tenon/kernels/product/packed_description.h"
#include "tenon/kernels/scalar/conv_reference.h"

namespace tenon::kernels {
namespace {

bool is_empty(const ConvSpec& spec) { return conv_output_count(spec) == 0; }

Status check_spec(const ConvSpec& spec) {
  if (spec.rank < 1 || spec.rank > 3) {
    return invalid_argument("convolution of rank ", spec.rank, ", expected 1, 2 or 3");
  }
  if (spec.batch < 0 || spec.in_channels < 1 || spec.out_channels < 0) {
    return invalid_argument("convolution of batch ", spec.batch, " from ", spec.in_channels, " to ",
                            spec.out_channels, " channels: sizes must be positive");
  }
  if (spec.groups < 1 || spec.in_channels % spec.groups != 0 ||
      spec.out_channels % spec.groups != 0) {
    return invalid_argument("convolution from ", spec.in_channels, " to ", spec.out_channels,
                            " channels cannot be split into ", spec.groups, " groups");
  }
  for (size_t i = 0; i < static_cast<size_t>(spec.rank); ++i) {
    if (spec.kernel[i] < 1 || spec.stride[i] < 1 || spec.dilation[i] < 1) {
      return invalid_argument("convolution has kernel ", spec.kernel[i], ", stride ",
                              spec.stride[i], " and dilation ", spec.dilation[i],
                              " in spatial dimension ", i, ": each must be at least 1");
    }
    TENON_ASSIGN_OR_RETURN(
        const Window window,
        window_of(spec.input[i], spec.kernel[i], spec.stride[i], spec.dilation[i],
                  Padding::kExplicit, spec.pad_before[i], spec.pad_after[i]));
    if (window.output != spec.output[i]) {
      return invalid_argument("convolution has output size ", spec.output[i],
                              " in spatial dimension ", i, ", expected ", window.output);
    }
  }
  return absl::OkStatus();
}

// How constant filters are packed for our own kernels: in panels.
PackedLayout panels_layout(const ConvSpec& spec) {
  PackedLayout::Description description;
  description.name = cat("panels of ", volume(spec.kernel) * spec.in_channels / spec.groups, " x ",
                         spec.out_channels / spec.groups, ", ", spec.groups, " groups");
  description.bytes = static_cast<size_t>(conv_panels_size(spec)) * sizeof(float);
  return PackedLayout(std::make_shared<PackedLayout::Description>(std::move(description)));
}

PackedLayout winograd_layout(const ConvSpec& spec) {
  PackedLayout::Description description;
  description.name = cat("winograd of ", spec.in_channels, " x ", spec.out_channels);
  description.bytes = static_cast<size_t>(winograd_packed_size(spec)) * sizeof(float);
  description.winograd = true;
  return PackedLayout(std::make_shared<PackedLayout::Description>(std::move(description)));
}

bool has_winograd_filter(const ConvSpec& spec) {
  return !spec.packed.is_plain() && spec.packed.description()->winograd;
}

// What does not run in bfloat16 is a convolution in float32 like any other.
ConvSpec in_float32(const ConvSpec& spec) {
  ConvSpec exact = spec;
  exact.precision = Precision::kFloat32;
  return exact;
}

StatusOr<std::unique_ptr<ConvKernel>> make_forward(const ConvSpec& wanted) {
  if (runs_in_bfloat16(wanted)) return make_bfloat16_conv(wanted);
  const ConvSpec spec = in_float32(wanted);
  if (direct_conv_suits(spec)) return make_direct_conv(spec);
  if (is_depthwise(spec)) return make_depthwise_conv(spec);
  if (winograd_suits(spec) || has_winograd_filter(spec)) return make_winograd_conv(spec);
  return make_gathered_conv(spec);
}

std::unique_ptr<ConvGradientKernel> make_input_gradient(const ConvSpec& spec) {
  if (is_depthwise(spec)) return make_depthwise_input_gradient(spec);
  if (winograd_suits(spec)) return make_winograd_input_gradient(spec);
  return make_gathered_input_gradient(spec);
}

std::unique_ptr<ConvGradientKernel> make_filter_gradient(const ConvSpec& spec) {
  if (direct_conv_suits(spec)) return make_direct_conv_filter_gradient(spec);
  if (is_depthwise(spec)) return make_depthwise_filter_gradient(spec);
  if (winograd_suits(spec)) return make_winograd_filter_gradient(spec);
  return make_gathered_filter_gradient(spec);
}

// A gradient has no post-ops and takes the plain filter.
ConvSpec gradient_spec(const ConvSpec& spec) {
  ConvSpec plain = in_float32(spec);
  plain.post = PostOps();
  plain.packed = PackedLayout();
  return plain;
}

}  // namespace

StatusOr<Window> window_of(int64_t input, int64_t kernel, int64_t stride, int64_t dilation,
                           Padding padding, int64_t pad_before, int64_t pad_after) {
  if (kernel < 1 || stride < 1 || dilation < 1) {
    return invalid_argument("window of size ", kernel, ", stride ", stride, " and dilation ",
                            dilation, ": each must be at least 1");
  }
  const int64_t reach = (kernel - 1) * dilation + 1;
  Window window;
  if (padding == Padding::kSame) {
    window.output = (input + stride - 1) / stride;
    const int64_t needed = std::max<int64_t>(0, (window.output - 1) * stride + reach - input);
    window.pad_before = needed / 2;
    window.pad_after = needed - window.pad_before;
    return window;
  }
  if (padding == Padding::kExplicit) {
    if (pad_before < 0 || pad_after < 0) {
      return invalid_argument("explicit padding is ", pad_before, " and ", pad_after,
                              ", expected none negative");
    }
    window.pad_before = pad_before;
    window.pad_after = pad_after;
  }
  const int64_t padded = input + window.pad_before + window.pad_after;
  window.output = (padded - reach + stride) / stride;
  if (padded - reach + stride < 0) {
    return invalid_argument("Computed output size would be negative: input ", input, ", window ",
                            reach, ", stride ", stride);
  }
  return window;
}

struct Convolution::Impl {
  std::unique_ptr<ConvKernel> kernel;  // null: the result is empty
};

Convolution::Convolution(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;
Convolution::~Convolution() = default;

StatusOr<Convolution> Convolution::make(const ConvSpec& spec) {
  TENON_RETURN_IF_ERROR(check_spec(spec));
  auto impl = std::make_unique<Impl>();
  if (!is_empty(spec)) {
    TENON_ASSIGN_OR_RETURN(impl->kernel, make_forward(spec));
  }
  return Convolution(std::move(impl));
}

std::string Convolution::name() const { return impl_->kernel ? impl_->kernel->name() : "empty"; }

size_t Convolution::scratch_bytes() const {
  return impl_->kernel ? impl_->kernel->scratch_bytes() : 0;
}

void Convolution::run(const ConvPointers& pointers, void* scratch) const {
  if (impl_->kernel) impl_->kernel->run(pointers, scratch);
}

PackedLayout conv_packed_layout(const ConvSpec& wanted) {
  if (!check_spec(wanted).ok() || is_empty(wanted)) return {};
  if (runs_in_bfloat16(wanted)) return bfloat16_conv_layout(wanted);
  const ConvSpec spec = in_float32(wanted);
  // These take the plain filter.
  if (direct_conv_suits(spec) || is_depthwise(spec)) return {};
  if (winograd_packs(spec)) return winograd_layout(spec);
  return conv_panels_are_plain(spec) ? PackedLayout() : panels_layout(spec);
}

Status pack_conv_filter(const PackedLayout& layout, const ConvSpec& spec, const float* filter,
                        void* packed) {
  if (layout.is_plain()) return invalid_argument("the plain layout needs no packing");
  if (is_bfloat16_layout(layout)) {
    pack_bfloat16_filter(spec, filter, packed);
    return absl::OkStatus();
  }
  auto* const to = static_cast<float*>(packed);
  if (layout.description()->winograd) {
    pack_winograd_filter(spec, filter, to);
  } else {
    pack_conv_panels(spec, filter, to);
  }
  return absl::OkStatus();
}

struct ConvolutionInputGradient::Impl {
  std::unique_ptr<ConvGradientKernel> kernel;  // null: there is no output
  int64_t values = 0;                          // of the result
};

ConvolutionInputGradient::ConvolutionInputGradient(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
ConvolutionInputGradient::ConvolutionInputGradient(ConvolutionInputGradient&&) noexcept = default;
ConvolutionInputGradient& ConvolutionInputGradient::operator=(ConvolutionInputGradient&&) noexcept =
    default;
ConvolutionInputGradient::~ConvolutionInputGradient() = default;

StatusOr<ConvolutionInputGradient> ConvolutionInputGradient::make(const ConvSpec& spec) {
  TENON_RETURN_IF_ERROR(check_spec(spec));
  auto impl = std::make_unique<Impl>();
  impl->values = conv_input_count(spec);
  if (!is_empty(spec)) impl->kernel = make_input_gradient(gradient_spec(spec));
  return ConvolutionInputGradient(std::move(impl));
}

std::string ConvolutionInputGradient::name() const {
  return impl_->kernel ? impl_->kernel->name() : "empty";
}

size_t ConvolutionInputGradient::scratch_bytes() const {
  return impl_->kernel ? impl_->kernel->scratch_bytes() : 0;
}

void ConvolutionInputGradient::run(const float* d_output, const float* filter, float* d_input,
                                   void* scratch) const {
  if (impl_->kernel) return impl_->kernel->run(d_output, filter, d_input, scratch);
  std::fill_n(d_input, impl_->values, 0.0f);
}

struct ConvolutionFilterGradient::Impl {
  std::unique_ptr<ConvGradientKernel> kernel;  // null: there is no output
  int64_t values = 0;                          // of the result
};

ConvolutionFilterGradient::ConvolutionFilterGradient(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
ConvolutionFilterGradient::ConvolutionFilterGradient(ConvolutionFilterGradient&&) noexcept =
    default;
ConvolutionFilterGradient& ConvolutionFilterGradient::operator=(
    ConvolutionFilterGradient&&) noexcept = default;
ConvolutionFilterGradient::~ConvolutionFilterGradient() = default;

StatusOr<ConvolutionFilterGradient> ConvolutionFilterGradient::make(const ConvSpec& spec) {
  TENON_RETURN_IF_ERROR(check_spec(spec));
  auto impl = std::make_unique<Impl>();
  impl->values = conv_filter_count(spec);
  if (!is_empty(spec)) impl->kernel = make_filter_gradient(gradient_spec(spec));
  return ConvolutionFilterGradient(std::move(impl));
}

std::string ConvolutionFilterGradient::name() const {
  return impl_->kernel ? impl_->kernel->name() : "empty";
}

size_t ConvolutionFilterGradient::scratch_bytes() const {
  return impl_->kernel ? impl_->kernel->scratch_bytes() : 0;
}

void ConvolutionFilterGradient::run(const float* input, const float* d_output, float* d_filter,
                                    void* scratch) const {
  if (impl_->kernel) return impl_->kernel->run(input, d_output, d_filter, scratch);
  std::fill_n(d_filter, impl_->values, 0.0f);
}

}  // namespace tenon::kernels
