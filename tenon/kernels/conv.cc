#include "tenon/kernels/conv.h"

#include "tenon/base/log.h"
#include "tenon/kernels/convolution/direct_conv.h"
#include "tenon/kernels/convolution/winograd.h"
#include "tenon/kernels/onednn/onednn_common.h"
#include "tenon/kernels/scalar/conv_reference.h"

namespace tenon::kernels {
namespace {

using Desc = dnnl::memory::desc;
using ConvDims = dnnl::memory::dims;
using ConvType = dnnl::memory::data_type;
using dnnl::algorithm;
using dnnl::prop_kind;

// oneDNN names dimensions N, C, spatial; strides say that they lie channels-last.
Desc activation_desc(const ConvSpec& spec, int64_t channels, const std::array<int64_t, 3>& sizes,
                     ConvType type) {
  ConvDims dims{spec.batch, channels};
  ConvDims strides{0, 1};
  dims.insert(dims.end(), sizes.begin(), sizes.begin() + spec.rank);
  strides.resize(dims.size());
  int64_t stride = channels;
  for (int i = spec.rank; i-- > 0;) {
    strides[static_cast<size_t>(i) + 2] = stride;
    stride *= sizes[static_cast<size_t>(i)];
  }
  strides[0] = stride;
  return {dims, type, strides};
}

ConvDims filter_dims(const ConvSpec& spec) {
  ConvDims dims;
  if (spec.groups > 1) dims.push_back(spec.groups);
  dims.push_back(spec.out_channels / spec.groups);
  dims.push_back(spec.in_channels / spec.groups);
  dims.insert(dims.end(), spec.kernel.begin(), spec.kernel.begin() + spec.rank);
  return dims;
}

// TensorFlow's [kernel.., in / groups, out] filter; groups split the output channels.
Desc plain_filter_desc(const ConvSpec& spec) {
  const ConvDims dims = filter_dims(spec);
  ConvDims strides;
  if (spec.groups > 1) strides.push_back(spec.out_channels / spec.groups);
  strides.push_back(1);
  strides.push_back(spec.out_channels);
  int64_t stride = spec.out_channels * (spec.in_channels / spec.groups);
  ConvDims kernel_strides(static_cast<size_t>(spec.rank));
  for (int i = spec.rank; i-- > 0;) {
    kernel_strides[static_cast<size_t>(i)] = stride;
    stride *= spec.kernel[static_cast<size_t>(i)];
  }
  strides.insert(strides.end(), kernel_strides.begin(), kernel_strides.end());
  return {dims, ConvType::f32, strides};
}

Desc any_filter_desc(const ConvSpec& spec, ConvType type) {
  return {filter_dims(spec), type, dnnl::memory::format_tag::any};
}

ConvDims first(const std::array<int64_t, 3>& sizes, int rank) {
  return {sizes.begin(), sizes.begin() + rank};
}

ConvDims dilation_of(const ConvSpec& spec) {
  ConvDims dims = first(spec.dilation, spec.rank);
  for (int64_t& d : dims) --d;  // oneDNN counts the cells between taps
  return dims;
}

struct ConvDescs {
  Desc input;
  Desc filter;
  Desc bias;
  Desc output;
};

ConvDescs descs_of(const ConvSpec& spec, const Desc& filter, ConvType type) {
  return {activation_desc(spec, spec.in_channels, spec.input, type), filter,
          plain_desc({spec.out_channels}),
          activation_desc(spec, spec.out_channels, spec.output, ConvType::f32)};
}

dnnl::convolution_forward::primitive_desc forward_desc(const ConvSpec& spec, const ConvDescs& d) {
  const ConvDims strides = first(spec.stride, spec.rank);
  const ConvDims before = first(spec.pad_before, spec.rank);
  const ConvDims after = first(spec.pad_after, spec.rank);
  const auto kind = prop_kind::forward_training;
  const auto direct = algorithm::convolution_direct;
  const dnnl::convolution_forward::desc desc =
      spec.post.bias
          ? dnnl::convolution_forward::desc(kind, direct, d.input, d.filter, d.bias, d.output,
                                            strides, dilation_of(spec), before, after)
          : dnnl::convolution_forward::desc(kind, direct, d.input, d.filter, d.output, strides,
                                            dilation_of(spec), before, after);
  return {desc, attributes_of(spec.post, d.output), cpu_engine()};
}

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

// Raises `scratch_bytes` to what the reorder needs for itself.
std::unique_ptr<PreparedPrimitive> make_reorder(const Desc& from, const Desc& to,
                                                size_t& scratch_bytes) {
  dnnl::primitive_attr user;
  user.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::reorder::primitive_desc desc(cpu_engine(), from, cpu_engine(), to, user);
  scratch_bytes = std::max(scratch_bytes, align_up(desc.scratchpad_desc().get_size()));
  return std::make_unique<PreparedPrimitive>(
      dnnl::reorder(desc),
      std::vector<PreparedPrimitive::Argument>{
          {DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}, {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
}

bool wants_bfloat16(const ConvSpec& spec) {
  return spec.precision == Precision::kBfloat16 && has_native_bfloat16();
}

}  // namespace

// A primitive whose filter (or input) may have to be converted first. Scratch memory: the
// primitive's own, then the converted filter, then the converted input.
struct PreparedConvolution {
  std::unique_ptr<PreparedPrimitive> primitive;
  std::unique_ptr<PreparedPrimitive> filter_reorder;  // null: used as it is
  std::unique_ptr<PreparedPrimitive> input_reorder;
  size_t own_bytes = 0;
  size_t filter_bytes = 0;
  size_t input_bytes = 0;
  bool winograd = false;  // winograd.h does it, there is no primitive
  bool direct = false;    // direct_conv.h does

  size_t scratch_bytes() const { return own_bytes + filter_bytes + input_bytes; }
  char* filter_scratch(void* scratch) const { return static_cast<char*>(scratch) + own_bytes; }
  char* input_scratch(void* scratch) const { return filter_scratch(scratch) + filter_bytes; }

  bool take_direct(const ConvSpec& spec, size_t (*scratch_bytes_of)(const ConvSpec&)) {
    direct = direct_conv_suits(spec);
    if (direct) own_bytes = scratch_bytes_of(spec);
    return direct;
  }
  bool take_winograd(const ConvSpec& spec) {
    winograd = winograd_suits(spec);
    if (winograd) own_bytes = winograd_scratch_bytes(spec);
    return winograd;
  }

  void reorder_filter(const Desc& from, const Desc& to) {
    if (from == to) return;
    filter_reorder = make_reorder(from, to, own_bytes);
    filter_bytes = align_up(std::max(to.get_size(), from.get_size()));
  }
};

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

struct Convolution::Impl : PreparedConvolution {
  ConvSpec spec;
  PostOps rest;  // of spec.post, which keeps what the primitive does
  void build();
};

void Convolution::Impl::build() {
  const SplitPostOps post = split_post_ops(spec.post);
  spec.post = post.primitive;
  rest = post.rest;
  const bool packed = !spec.packed.is_plain();
  const bool bfloat16 =
      packed ? spec.packed.description()->precision == Precision::kBfloat16 : wants_bfloat16(spec);
  const ConvType type = bfloat16 ? ConvType::bf16 : ConvType::f32;
  ConvDescs d =
      descs_of(spec, packed ? spec.packed.description()->desc : any_filter_desc(spec, type), type);
  const auto chosen = forward_desc(spec, d);
  d.filter = chosen.weights_desc();
  own_bytes = align_up(chosen.scratchpad_desc().get_size());
  std::vector<PreparedPrimitive::Argument> arguments{
      {DNNL_ARG_SRC, d.input},
      {DNNL_ARG_WEIGHTS, d.filter},
      {DNNL_ARG_DST, d.output},
      {DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc()}};
  if (spec.post.bias) arguments.push_back({DNNL_ARG_BIAS, d.bias});
  if (spec.post.residual != Residual::kNone) {
    arguments.push_back({residual_argument(spec.post), d.output});
  }
  primitive =
      std::make_unique<PreparedPrimitive>(dnnl::convolution_forward(chosen), std::move(arguments));
  if (!packed) reorder_filter(plain_filter_desc(spec), d.filter);
  if (bfloat16) {
    input_reorder = make_reorder(activation_desc(spec, spec.in_channels, spec.input, ConvType::f32),
                                 d.input, own_bytes);
    input_bytes = align_up(d.input.get_size());
  }
}

Convolution::Convolution(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Convolution::Convolution(Convolution&&) noexcept = default;
Convolution& Convolution::operator=(Convolution&&) noexcept = default;
Convolution::~Convolution() = default;

StatusOr<Convolution> Convolution::make(const ConvSpec& spec) {
  TENON_RETURN_IF_ERROR(check_spec(spec));
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
  if (!is_empty(spec) && !impl->take_direct(spec, direct_conv_scratch_bytes) &&
      !impl->take_winograd(spec)) {
    TENON_RETURN_IF_ERROR(guarded("convolution", [&] { impl->build(); }));
  }
  return Convolution(std::move(impl));
}

size_t Convolution::scratch_bytes() const { return impl_->scratch_bytes(); }

void Convolution::run(const ConvPointers& p, void* scratch) const {
  const Impl& impl = *impl_;
  if (impl.direct || impl.winograd) {
    const auto* plain = static_cast<const float*>(p.filter);
    const float* bias = impl.spec.post.bias ? p.bias : nullptr;
    return (impl.direct ? direct_conv : winograd_forward)(impl.spec, p.input, plain, bias, p.output,
                                                          scratch);
  }
  if (!impl.primitive) return;
  const void* filter = p.filter;
  const void* input = p.input;
  if (impl.filter_reorder) {
    filter = impl.filter_scratch(scratch);
    impl.filter_reorder->run({p.filter, filter, scratch});
  }
  if (impl.input_reorder) {
    input = impl.input_scratch(scratch);
    impl.input_reorder->run({p.input, input, scratch});
  }
  const bool with_residual = impl.spec.post.residual != Residual::kNone;
  if (impl.spec.post.bias && with_residual) {
    impl.primitive->run({input, filter, p.output, scratch, p.bias, p.residual});
  } else if (impl.spec.post.bias) {
    impl.primitive->run({input, filter, p.output, scratch, p.bias});
  } else if (with_residual) {
    impl.primitive->run({input, filter, p.output, scratch, p.residual});
  } else {
    impl.primitive->run({input, filter, p.output, scratch});
  }
  finish_post_ops(impl.rest, p.residual, p.output, conv_output_count(impl.spec));
}

PackedLayout conv_packed_layout(const ConvSpec& spec) {
  if (!check_spec(spec).ok()) return {};
  ConvSpec nominal = spec;
  nominal.batch = 1;  // measured: the layout chosen for one image is as fast for many
  // Our own kernels take the plain filter; to transform it is a small part of Winograd's time.
  if (is_empty(nominal) || winograd_suits(spec) || direct_conv_suits(spec)) return {};
  PackedLayout layout;
  const bool bfloat16 = wants_bfloat16(spec);
  const Status status = guarded("packing a filter", [&] {
    const ConvType type = bfloat16 ? ConvType::bf16 : ConvType::f32;
    const Desc chosen =
        forward_desc(nominal, descs_of(nominal, any_filter_desc(spec, type), type)).weights_desc();
    if (chosen == plain_filter_desc(spec)) return;
    layout = onednn_layout(chosen, bfloat16 ? Precision::kBfloat16 : Precision::kFloat32);
  });
  return status.ok() ? layout : PackedLayout();
}

Status pack_conv_filter(const PackedLayout& layout, const ConvSpec& spec, const float* filter,
                        void* packed) {
  if (layout.is_plain()) return invalid_argument("the plain layout needs no packing");
  return reorder(plain_filter_desc(spec), filter, layout.description()->desc, packed);
}

struct ConvolutionInputGradient::Impl : PreparedConvolution {
  ConvSpec spec;
  void build();
};

void ConvolutionInputGradient::Impl::build() {
  ConvDescs d = descs_of(spec, any_filter_desc(spec, ConvType::f32), ConvType::f32);
  const auto hint = forward_desc(spec, d);
  const dnnl::convolution_backward_data::primitive_desc chosen(
      {algorithm::convolution_direct, d.input, d.filter, d.output, first(spec.stride, spec.rank),
       dilation_of(spec), first(spec.pad_before, spec.rank), first(spec.pad_after, spec.rank)},
      attributes_of({}, d.output), cpu_engine(), hint);
  d.filter = chosen.weights_desc();
  own_bytes = align_up(chosen.scratchpad_desc().get_size());
  primitive = std::make_unique<PreparedPrimitive>(
      dnnl::convolution_backward_data(chosen),
      std::vector<PreparedPrimitive::Argument>{{DNNL_ARG_DIFF_DST, d.output},
                                               {DNNL_ARG_WEIGHTS, d.filter},
                                               {DNNL_ARG_DIFF_SRC, d.input},
                                               {DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc()}});
  reorder_filter(plain_filter_desc(spec), d.filter);
}

ConvolutionInputGradient::ConvolutionInputGradient(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)) {}
ConvolutionInputGradient::ConvolutionInputGradient(ConvolutionInputGradient&&) noexcept = default;
ConvolutionInputGradient& ConvolutionInputGradient::operator=(ConvolutionInputGradient&&) noexcept =
    default;
ConvolutionInputGradient::~ConvolutionInputGradient() = default;

StatusOr<ConvolutionInputGradient> ConvolutionInputGradient::make(const ConvSpec& spec) {
  TENON_RETURN_IF_ERROR(check_spec(spec));
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
  impl->spec.post = PostOps();
  if (!is_empty(spec) && !impl->take_winograd(impl->spec)) {
    TENON_RETURN_IF_ERROR(guarded("gradient of a convolution", [&] { impl->build(); }));
  }
  return ConvolutionInputGradient(std::move(impl));
}

size_t ConvolutionInputGradient::scratch_bytes() const { return impl_->scratch_bytes(); }

void ConvolutionInputGradient::run(const float* d_output, const float* filter, float* d_input,
                                   void* scratch) const {
  const Impl& impl = *impl_;
  if (impl.winograd) {
    return winograd_input_gradient(impl.spec, d_output, filter, d_input, scratch);
  }
  if (!impl.primitive) {
    std::fill_n(d_input, conv_input_count(impl.spec), 0.0f);
    return;
  }
  const void* converted = filter;
  if (impl.filter_reorder) {
    converted = impl.filter_scratch(scratch);
    impl.filter_reorder->run({filter, converted, scratch});
  }
  impl.primitive->run({d_output, converted, d_input, scratch});
}

struct ConvolutionFilterGradient::Impl : PreparedConvolution {
  ConvSpec spec;
  void build();
};

void ConvolutionFilterGradient::Impl::build() {
  ConvDescs d = descs_of(spec, any_filter_desc(spec, ConvType::f32), ConvType::f32);
  const auto hint = forward_desc(spec, d);
  const dnnl::convolution_backward_weights::primitive_desc chosen(
      {algorithm::convolution_direct, d.input, d.filter, d.output, first(spec.stride, spec.rank),
       dilation_of(spec), first(spec.pad_before, spec.rank), first(spec.pad_after, spec.rank)},
      attributes_of({}, d.output), cpu_engine(), hint);
  d.filter = chosen.diff_weights_desc();
  own_bytes = align_up(chosen.scratchpad_desc().get_size());
  primitive = std::make_unique<PreparedPrimitive>(
      dnnl::convolution_backward_weights(chosen),
      std::vector<PreparedPrimitive::Argument>{{DNNL_ARG_SRC, d.input},
                                               {DNNL_ARG_DIFF_DST, d.output},
                                               {DNNL_ARG_DIFF_WEIGHTS, d.filter},
                                               {DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc()}});
  reorder_filter(d.filter, plain_filter_desc(spec));
}

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
  impl->spec = spec;
  impl->spec.post = PostOps();
  if (!is_empty(spec) &&
      !impl->take_direct(impl->spec, direct_conv_filter_gradient_scratch_bytes) &&
      !impl->take_winograd(impl->spec)) {
    TENON_RETURN_IF_ERROR(guarded("gradient of a convolution", [&] { impl->build(); }));
  }
  return ConvolutionFilterGradient(std::move(impl));
}

size_t ConvolutionFilterGradient::scratch_bytes() const { return impl_->scratch_bytes(); }

void ConvolutionFilterGradient::run(const float* input, const float* d_output, float* d_filter,
                                    void* scratch) const {
  const Impl& impl = *impl_;
  if (impl.direct || impl.winograd) {
    return (impl.direct ? direct_conv_filter_gradient : winograd_filter_gradient)(
        impl.spec, input, d_output, d_filter, scratch);
  }
  if (!impl.primitive) {
    std::fill_n(d_filter, conv_filter_count(impl.spec), 0.0f);
    return;
  }
  if (!impl.filter_reorder) return impl.primitive->run({input, d_output, d_filter, scratch});
  char* converted = impl.filter_scratch(scratch);
  impl.primitive->run({input, d_output, converted, scratch});
  impl.filter_reorder->run({converted, d_filter, scratch});
}

}  // namespace tenon::kernels
