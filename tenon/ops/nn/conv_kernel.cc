#include "tenon/ops/nn/conv_kernel.h"

#include "tenon/ops/nn/window_geometry.h"

namespace tenon {
namespace {

using ConvPlainTypes = TypeList<double, float16, bfloat16>;

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

// Calls `body.operator()<T>()`, which gives the kernel of that dtype.
template <class Body>
StatusOr<Kernel> plain_conv(DType dtype, Body body) {
  Kernel kernel;
  if (!visit<ConvPlainTypes>(dtype, [&]<class T>() { kernel = body.template operator()<T>(); })) {
    return unimplemented("a convolution of dtype ", dtype);
  }
  return kernel;
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
  return plain_conv(dtype, [&]<class T>() -> Kernel {
    return [spec](KernelRun& r) {
      kernels::reference_conv<T>(spec, r.in<T>(0), r.in<T>(1), r.out<T>(0));
      return absl::OkStatus();
    };
  });
}

StatusOr<Kernel> make_conv_input_gradient_kernel(Prepare& p, bool depthwise) {
  TENON_ASSIGN_OR_RETURN(kernels::ConvSpec spec, conv_spec(p.attrs(), p.output_shape(0).to_shape(),
                                                           p.input_shape(1), depthwise));
  const DType dtype = p.input_dtype(1);
  if (dtype != DType::kFloat) {
    return plain_conv(dtype, [&]<class T>() -> Kernel {
      return [spec](KernelRun& r) {
        kernels::reference_conv_input_gradient<T>(spec, r.in<T>(2), r.in<T>(1), r.out<T>(0));
        return absl::OkStatus();
      };
    });
  }
  spec.precision = p.precision();
  TENON_ASSIGN_OR_RETURN(kernels::ConvolutionInputGradient made,
                         kernels::ConvolutionInputGradient::make(spec));
  p.reserve_scratch(made.scratch_bytes());
  auto gradient = std::make_shared<const kernels::ConvolutionInputGradient>(std::move(made));
  return Kernel([gradient](KernelRun& r) {
    gradient->run(r.in<float>(2), r.in<float>(1), r.out<float>(0), r.scratch());
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_conv_filter_gradient_kernel(Prepare& p, bool depthwise) {
  TENON_ASSIGN_OR_RETURN(
      kernels::ConvSpec spec,
      conv_spec(p.attrs(), p.input_shape(0), p.output_shape(0).to_shape(), depthwise));
  const DType dtype = p.input_dtype(0);
  if (dtype != DType::kFloat) {
    return plain_conv(dtype, [&]<class T>() -> Kernel {
      return [spec](KernelRun& r) {
        kernels::reference_conv_filter_gradient<T>(spec, r.in<T>(0), r.in<T>(2), r.out<T>(0));
        return absl::OkStatus();
      };
    });
  }
  spec.precision = p.precision();
  TENON_ASSIGN_OR_RETURN(kernels::ConvolutionFilterGradient made,
                         kernels::ConvolutionFilterGradient::make(spec));
  p.reserve_scratch(made.scratch_bytes());
  auto gradient = std::make_shared<const kernels::ConvolutionFilterGradient>(std::move(made));
  return Kernel([gradient](KernelRun& r) {
    gradient->run(r.in<float>(0), r.in<float>(2), r.out<float>(0), r.scratch());
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
