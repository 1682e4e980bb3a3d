#include "tenon/ops/nn/conv_kernel.h"

#include "tenon/kernels/widened_operands.h"
#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

bool is_half(DType dtype) { return dtype == DType::kHalf || dtype == DType::kBfloat16; }

StatusOr<Ref<Buffer>> packed_filter(Prepare& p, kernels::ConvSpec& spec) {
  if (!p.frozen(1)) return Ref<Buffer>();
  const kernels::PackedLayout layout = kernels::conv_packed_layout(spec);
  if (layout.is_plain()) return Ref<Buffer>();
  const auto pack = [&](const Tensor& filter) -> StatusOr<Ref<Buffer>> {
    Ref<Buffer> buffer = Buffer::host(layout.bytes());
    if (!buffer) return resource_exhausted("no memory to pack a filter of shape ", filter.shape());
    TENON_RETURN_IF_ERROR(
        kernels::pack_conv_filter(layout, spec, filter.data<float>(), buffer->data()));
    return buffer;
  };
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> packed, p.packed(1, layout.name(), pack));
  spec.packed = layout;
  return packed;
}

StatusOr<Kernel> make_float_conv(Prepare& p, kernels::ConvSpec spec, const ConvInputs& inputs) {
  spec.precision = p.precision();
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> packed, packed_filter(p, spec));
  TENON_ASSIGN_OR_RETURN(kernels::Convolution made, kernels::Convolution::make(spec));
  p.reserve_scratch(made.scratch_bytes());
  auto conv = std::make_shared<const kernels::Convolution>(std::move(made));
  return Kernel([conv, packed, inputs](KernelRun& r) {
    kernels::ConvPointers pointers;
    pointers.input = r.in<float>(0);
    pointers.filter = packed ? packed->data() : r.input(1).raw();
    pointers.output = r.out<float>(0);
    if (inputs.bias >= 0) pointers.bias = r.in<float>(inputs.bias);
    if (inputs.residual >= 0) pointers.residual = r.in<float>(inputs.residual);
    conv->run(pointers, r.scratch());
    return absl::OkStatus();
  });
}

// Of float16 or bfloat16: multiplied and summed in float32, rounded once. Forward, of inputs 0 and
// 1 of the op.
StatusOr<Kernel> make_half_conv(Prepare& p, const kernels::ConvSpec& spec) {
  TENON_ASSIGN_OR_RETURN(kernels::Convolution made, kernels::Convolution::make(spec));
  const kernels::WidenedOperands wide(
      p.input_dtype(0), {p.input_shape(0).num_elements(), p.input_shape(1).num_elements(),
                         p.output_shape(0).to_shape().num_elements()});
  p.reserve_scratch(wide.bytes() + made.scratch_bytes());
  auto conv = std::make_shared<const kernels::Convolution>(std::move(made));
  return Kernel([conv, wide](KernelRun& r) {
    void* const scratch = r.scratch();
    kernels::ConvPointers pointers;
    pointers.input = wide.widen(0, r.input(0).raw(), scratch);
    pointers.filter = wide.widen(1, r.input(1).raw(), scratch);
    pointers.output = wide.operand(2, scratch);
    conv->run(pointers, wide.rest(scratch));
    wide.round(2, scratch, r.output(0).mutable_raw());
    return absl::OkStatus();
  });
}

// A gradient, of the op's inputs `left` and `right`.
template <class Gradient>
StatusOr<Kernel> make_gradient(Prepare& p, const kernels::ConvSpec& spec, int left, int right) {
  TENON_ASSIGN_OR_RETURN(Gradient made, Gradient::make(spec));
  const DType dtype = p.input_dtype(right);
  auto gradient = std::make_shared<const Gradient>(std::move(made));
  if (dtype == DType::kFloat) {
    p.reserve_scratch(gradient->scratch_bytes());
    return Kernel([gradient, left, right](KernelRun& r) {
      gradient->run(r.in<float>(left), r.in<float>(right), r.out<float>(0), r.scratch());
      return absl::OkStatus();
    });
  }
  const kernels::WidenedOperands wide(
      dtype, {p.input_shape(left).num_elements(), p.input_shape(right).num_elements(),
              p.output_shape(0).to_shape().num_elements()});
  p.reserve_scratch(wide.bytes() + gradient->scratch_bytes());
  return Kernel([gradient, wide, left, right](KernelRun& r) {
    void* const scratch = r.scratch();
    const float* a = wide.widen(0, r.input(left).raw(), scratch);
    const float* b = wide.widen(1, r.input(right).raw(), scratch);
    gradient->run(a, b, wide.operand(2, scratch), wide.rest(scratch));
    wide.round(2, scratch, r.output(0).mutable_raw());
    return absl::OkStatus();
  });
}

}  // namespace

StatusOr<Kernel> make_conv_kernel(Prepare& p, bool depthwise, const kernels::PostOps& post,
                                  const ConvInputs& inputs) {
  TENON_ASSIGN_OR_RETURN(kernels::ConvSpec spec,
                         conv_spec(p.attrs(), p.input_shape(0), p.input_shape(1), depthwise));
  const DType dtype = p.input_dtype(0);
  if (dtype == DType::kFloat) {
    spec.post = post;
    return make_float_conv(p, std::move(spec), inputs);
  }
  if (post != kernels::PostOps()) return unimplemented("a fused convolution of dtype ", dtype);
  if (is_half(dtype)) return make_half_conv(p, spec);
  Kernel kernel;
  visit<TypeList<double, int32_t>>(dtype, [&]<class T>() {
    kernel = [spec](KernelRun& r) {
      kernels::reference_conv(spec, r.in<T>(0), r.in<T>(1), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  if (!kernel || (depthwise && dtype == DType::kInt32)) {
    return unimplemented("a convolution of dtype ", dtype);
  }
  return kernel;
}

StatusOr<Kernel> make_conv_input_gradient_kernel(Prepare& p, bool depthwise) {
  TENON_ASSIGN_OR_RETURN(kernels::ConvSpec spec, conv_spec(p.attrs(), p.output_shape(0).to_shape(),
                                                           p.input_shape(1), depthwise));
  const DType dtype = p.input_dtype(1);
  if (dtype == DType::kFloat || is_half(dtype)) {
    return make_gradient<kernels::ConvolutionInputGradient>(p, spec, 2, 1);
  }
  Kernel kernel;
  visit<TypeList<double, int32_t>>(dtype, [&]<class T>() {
    kernel = [spec](KernelRun& r) {
      kernels::reference_conv_input_gradient(spec, r.in<T>(2), r.in<T>(1), r.out<T>(0));
      return absl::OkStatus();
    };
  });
  if (!kernel || (depthwise && dtype == DType::kInt32)) {
    return unimplemented("a convolution of dtype ", dtype);
  }
  return kernel;
}

StatusOr<Kernel> make_conv_filter_gradient_kernel(Prepare& p, bool depthwise) {
  TENON_ASSIGN_OR_RETURN(
      kernels::ConvSpec spec,
      conv_spec(p.attrs(), p.input_shape(0), p.output_shape(0).to_shape(), depthwise));
  const DType dtype = p.input_dtype(0);
  if (dtype == DType::kFloat || is_half(dtype)) {
    return make_gradient<kernels::ConvolutionFilterGradient>(p, spec, 0, 2);
  }
  if (dtype != DType::kDouble) return unimplemented("a convolution of dtype ", dtype);
  return Kernel([spec](KernelRun& r) {
    kernels::reference_conv_filter_gradient(spec, r.in<double>(0), r.in<double>(2),
                                            r.out<double>(0));
    return absl::OkStatus();
  });
}

Status conv_gradient_shape(ShapeContext& c, bool depthwise, bool of_filter) {
  TENON_ASSIGN_OR_RETURN(const WindowAttrs window, window_attrs(c.attrs()));
  const int sizes = of_filter ? 1 : 0;
  TENON_ASSIGN_OR_RETURN(PartialShape result, c.shape_from_input(sizes));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, window.rank + 2));
  const PartialShape& other = c.input(of_filter ? 0 : 1);
  const PartialShape& dy = c.input(2);
  // TensorFlow also takes only the two spatial sizes of the input.
  if (!of_filter && result.has_rank() && window.rank == 2 && result.rank() == 2 && dy.has_rank() &&
      other.has_rank()) {
    result = window_shape(window, dy[0], result.dims(), other[2]);
  }
  if (!result.has_rank()) result = PartialShape::unknown_of_rank(window.rank + 2);
  if (result.rank() != window.rank + 2) {
    return invalid_argument("input ", sizes, " names ", result.rank(), " sizes, ", window.rank + 2,
                            " are expected");
  }
  const PartialShape& input = of_filter ? other : result;
  const PartialShape& filter = of_filter ? result : other;
  TENON_ASSIGN_OR_RETURN(const PartialShape expected,
                         conv_output_shape(c.attrs(), input, filter, depthwise));
  if (!PartialShape::merge(expected, dy).ok()) {
    return invalid_argument("out_backprop has shape ", dy, ", a convolution of ", input, " by ",
                            filter, " gives ", expected);
  }
  c.set_output(0, std::move(result));
  return absl::OkStatus();
}

}  // namespace tenon
