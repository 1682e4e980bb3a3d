#include "tenon/kernels/onednn/onednn_conv.h"

#include "tenon/base/log.h"
#include "tenon/kernels/onednn/onednn_common.h"
#include "tenon/kernels/product/worker_scratch.h"
#include "tenon/kernels/scalar/conv_reference.h"

namespace tenon::kernels {
namespace {

using Desc = dnnl::memory::desc;
using ConvDims = dnnl::memory::dims;
using ConvType = dnnl::memory::data_type;

constexpr int64_t kBandTerms = 20'000'000;  // multiplications that are worth a band of their own
constexpr int64_t kBandRows = 4;            // of a band, at least
constexpr int64_t kMostBands = 8;           // of an image

// Rows of one image's output and the rows of its input that they read.
struct RowBand {
  int64_t first_output = 0, outputs = 0;
  int64_t first_input = 0, inputs = 0;
  int64_t pad_before = 0, pad_after = 0;
  bool same_shape(const RowBand& other) const {
    return outputs == other.outputs && inputs == other.inputs && pad_before == other.pad_before &&
           pad_after == other.pad_after;
  }
};

// Null bands where some would read no row at all: then the image is one band.
std::vector<RowBand> bands_of(const ConvSpec& s) {
  const int64_t terms =
      volume(s.output) * s.out_channels * volume(s.kernel) * (s.in_channels / s.groups);
  const int64_t rows = s.output[0];
  const int64_t wanted = std::min({terms / kBandTerms, rows / kBandRows, kMostBands});
  const int64_t height = (rows + std::max<int64_t>(wanted, 1) - 1) / std::max<int64_t>(wanted, 1);
  const int64_t reach = (s.kernel[0] - 1) * s.dilation[0] + 1;
  std::vector<RowBand> bands;
  for (int64_t row = 0; row < rows; row += height) {
    const int64_t outputs = std::min(height, rows - row);
    const int64_t begin = row * s.stride[0] - s.pad_before[0];
    const int64_t end = begin + (outputs - 1) * s.stride[0] + reach;
    const int64_t first = std::clamp<int64_t>(begin, 0, s.input[0]);
    const int64_t last = std::clamp<int64_t>(end, first, s.input[0]);
    if (first == last) return {};
    bands.push_back({row, outputs, first, last - first, first - begin, end - last});
  }
  return bands;
}

// oneDNN names dimensions N, C, spatial; strides say that they lie channels-last.
Desc activation_desc(int rank, int64_t channels, const std::array<int64_t, 3>& sizes,
                     ConvType type) {
  ConvDims dims{1, channels};
  ConvDims strides{0, 1};
  dims.insert(dims.end(), sizes.begin(), sizes.begin() + rank);
  strides.resize(dims.size());
  int64_t stride = channels;
  for (int i = rank; i-- > 0;) {
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
  return {filter_dims(spec), ConvType::f32, strides};
}

Desc any_filter_desc(const ConvSpec& spec) {
  return {filter_dims(spec), ConvType::bf16, dnnl::memory::format_tag::any};
}

// The convolution of one band of one image.
dnnl::convolution_forward::primitive_desc band_desc(const ConvSpec& spec, const RowBand& band,
                                                    const PostOps& post, const Desc& filter) {
  std::array<int64_t, 3> input = spec.input, output = spec.output;
  input[0] = band.inputs;
  output[0] = band.outputs;
  const auto first = [&](const std::array<int64_t, 3>& sizes) {
    return ConvDims(sizes.begin(), sizes.begin() + spec.rank);
  };
  const Desc x = activation_desc(spec.rank, spec.in_channels, input, ConvType::bf16);
  const Desc y = activation_desc(spec.rank, spec.out_channels, output, ConvType::f32);
  const Desc bias = plain_desc({spec.out_channels});
  ConvDims dilation = first(spec.dilation);
  for (int64_t& d : dilation) --d;  // oneDNN counts the cells between taps
  ConvDims before = first(spec.pad_before), after = first(spec.pad_after);
  before[0] = band.pad_before;
  after[0] = band.pad_after;
  const auto kind = dnnl::prop_kind::forward_training;
  const auto direct = dnnl::algorithm::convolution_direct;
  const ConvDims stride = first(spec.stride);
  const dnnl::convolution_forward::desc desc =
      post.bias ? dnnl::convolution_forward::desc(kind, direct, x, filter, bias, y, stride,
                                                  dilation, before, after)
                : dnnl::convolution_forward::desc(kind, direct, x, filter, y, stride, dilation,
                                                  before, after);
  return {desc, attributes_of(post, y), cpu_engine()};
}

bool wants_bfloat16(const ConvSpec& spec) {
  if (!has_native_bfloat16()) return false;
  return spec.packed.is_plain() ? spec.precision == Precision::kBfloat16
                                : spec.packed.description()->onednn != nullptr;
}

class OneDnnConv : public ConvKernel {
 public:
  // Throws dnnl::error.
  explicit OneDnnConv(const ConvSpec& spec) : spec_(spec), post_(split_post_ops(spec.post)) {
    const bool packed = !spec.packed.is_plain();
    if (!build(packed ? piece_desc(spec.packed, true) : any_filter_desc(spec)) && packed) {
      build(any_filter_desc(spec));
    }
    const Desc given = packed ? piece_desc(spec.packed, true) : plain_filter_desc(spec);
    size_t filter_bytes = 0;
    if (!name_.empty() && given != filter_) {
      convert_filter_ = Conversion(given, filter_);
      filter_bytes = whole_lines(filter_.get_size()) + convert_filter_.scratch;
    }
    scratch_.emplace(filter_bytes, own_bytes_);
  }

  // Did oneDNN have more than its reference code?
  bool is_fast() const { return !name_.empty(); }
  const Desc& filter() const { return filter_; }

  std::string name() const override { return cat("onednn:", name_); }
  size_t scratch_bytes() const override { return scratch_->bytes(); }

  void run(const ConvPointers& p, void* scratch) const override {
    const void* filter = p.filter;
    if (convert_filter_.reorder) {
      char* const own = static_cast<char*>(scratch) + whole_lines(filter_.get_size());
      convert_filter_.reorder->run({p.filter, scratch, own});
      filter = scratch;
    }
    const auto count = static_cast<int64_t>(bands_.size());
    parallel_workers(spec_.batch * count, 1, [&](int64_t worker, int64_t first, int64_t last) {
      char* const own = static_cast<char*>(scratch_->of_worker(scratch, worker));
      for (int64_t i = first; i < last; ++i) {
        run_band(bands_[static_cast<size_t>(i % count)], i / count, p, filter, own);
      }
    });
  }

 private:
  struct Conversion {
    Conversion() = default;
    Conversion(const Desc& from, const Desc& to) {
      dnnl::primitive_attr user;
      user.set_scratchpad_mode(dnnl::scratchpad_mode::user);
      const dnnl::reorder::primitive_desc desc(cpu_engine(), from, cpu_engine(), to, user);
      scratch = whole_lines(desc.scratchpad_desc().get_size());
      reorder = std::make_unique<PreparedPrimitive>(
          dnnl::reorder(desc),
          std::vector<PreparedPrimitive::Argument>{{DNNL_ARG_FROM, from},
                                                   {DNNL_ARG_TO, to},
                                                   {DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc()}});
    }
    std::unique_ptr<PreparedPrimitive> reorder;
    size_t scratch = 0;
  };
  // Bands of one shape share it.
  struct BandKernel {
    RowBand shape;
    std::unique_ptr<PreparedPrimitive> primitive;
    Conversion convert_input;
    size_t input_bytes = 0;
  };
  struct Band {
    RowBand rows;
    size_t kernel;
  };

  // False when oneDNN would run its reference code for some band.
  bool build(Desc filter) {
    bands_.clear();
    kernels_.clear();
    own_bytes_ = 0;
    for (const RowBand& rows : bands_of(spec_)) {
      size_t kernel = 0;
      while (kernel < kernels_.size() && !kernels_[kernel].shape.same_shape(rows)) ++kernel;
      if (kernel == kernels_.size()) {
        const auto chosen = band_desc(spec_, rows, post_.primitive, filter);
        if (is_reference(chosen.impl_info_str())) return false;
        filter = chosen.weights_desc();
        name_ = chosen.impl_info_str();
        add_kernel(rows, chosen);
      }
      bands_.push_back({rows, kernel});
    }
    filter_ = filter;
    return !bands_.empty();
  }

  void add_kernel(const RowBand& rows, const dnnl::convolution_forward::primitive_desc& chosen) {
    std::vector<PreparedPrimitive::Argument> arguments{
        {DNNL_ARG_SRC, chosen.src_desc()},
        {DNNL_ARG_WEIGHTS, chosen.weights_desc()},
        {DNNL_ARG_DST, chosen.dst_desc()},
        {DNNL_ARG_SCRATCHPAD, chosen.scratchpad_desc()}};
    if (post_.primitive.bias) arguments.push_back({DNNL_ARG_BIAS, chosen.bias_desc()});
    if (post_.primitive.residual != Residual::kNone) {
      arguments.push_back({residual_argument(post_.primitive), chosen.dst_desc()});
    }
    BandKernel kernel{rows, nullptr, {}, whole_lines(chosen.src_desc().get_size())};
    const int64_t values = rows.inputs * input_row();
    kernel.convert_input = Conversion(plain_desc({values}), plain_desc({values}, ConvType::bf16));
    own_bytes_ =
        std::max({own_bytes_, kernel.input_bytes + std::max(chosen.scratchpad_desc().get_size(),
                                                            kernel.convert_input.scratch)});
    kernel.primitive = std::make_unique<PreparedPrimitive>(dnnl::convolution_forward(chosen),
                                                           std::move(arguments));
    kernels_.push_back(std::move(kernel));
  }

  int64_t input_row() const { return spec_.input[1] * spec_.input[2] * spec_.in_channels; }
  int64_t output_row() const { return spec_.output[1] * spec_.output[2] * spec_.out_channels; }

  void run_band(const Band& band, int64_t image, const ConvPointers& p, const void* filter,
                char* own) const {
    const BandKernel& kernel = kernels_[band.kernel];
    char* const rest = own + kernel.input_bytes;
    const float* const from =
        p.input + (image * spec_.input[0] + band.rows.first_input) * input_row();
    const int64_t at = (image * spec_.output[0] + band.rows.first_output) * output_row();
    float* const to = p.output + at;
    const float* const residual = p.residual ? p.residual + at : nullptr;
    kernel.convert_input.reorder->run({from, own, rest});
    const bool with_residual = post_.primitive.residual != Residual::kNone;
    if (post_.primitive.bias && with_residual) {
      kernel.primitive->run({own, filter, to, rest, p.bias, residual});
    } else if (post_.primitive.bias) {
      kernel.primitive->run({own, filter, to, rest, p.bias});
    } else if (with_residual) {
      kernel.primitive->run({own, filter, to, rest, residual});
    } else {
      kernel.primitive->run({own, filter, to, rest});
    }
    if (post_.rest == PostOps()) return;
    apply_post_ops(post_.rest, residual, to, band.rows.outputs * output_row());
  }

  ConvSpec spec_;
  SplitPostOps post_;
  std::string name_;
  Desc filter_;
  std::vector<Band> bands_;
  std::vector<BandKernel> kernels_;
  Conversion convert_filter_;
  size_t own_bytes_ = 0;
  std::optional<WorkerScratch> scratch_;
};

// Null when oneDNN refuses or would run its reference code.
std::unique_ptr<OneDnnConv> fast_conv(const ConvSpec& spec) {
  std::unique_ptr<OneDnnConv> made;
  const Status status = guarded("convolution", [&] { made = std::make_unique<OneDnnConv>(spec); });
  return status.ok() && made->is_fast() ? std::move(made) : nullptr;
}

}  // namespace

std::unique_ptr<ConvKernel> make_onednn_conv(const ConvSpec& spec) {
  if (!wants_bfloat16(spec)) return nullptr;
  return fast_conv(spec);
}

PackedLayout onednn_conv_layout(const ConvSpec& spec) {
  if (!wants_bfloat16(spec)) return {};
  ConvSpec nominal = spec;
  nominal.post = PostOps();
  const auto made = fast_conv(nominal);
  return made ? onednn_layout(made->filter(), Precision::kBfloat16, 1, made->filter())
              : PackedLayout();
}

Status pack_onednn_conv_filter(const PackedLayout& layout, const ConvSpec& spec,
                               const float* filter, void* packed) {
  return reorder(plain_filter_desc(spec), filter, piece_desc(layout, true), packed);
}

}  // namespace tenon::kernels
