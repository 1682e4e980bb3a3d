#include "tenon/ops/linalg/matmul_kernel.h"

#include "tenon/kernels/widened_operands.h"

namespace tenon {
namespace {

kernels::MatMulSpec matmul_spec(const Shape& a, const Shape& b, bool transpose_a,
                                bool transpose_b) {
  const int ra = a.rank(), rb = b.rank();
  kernels::MatMulSpec spec;
  spec.transpose_a = transpose_a;
  spec.transpose_b = transpose_b;
  spec.m = a[transpose_a ? ra - 1 : ra - 2];
  spec.k = a[transpose_a ? ra - 2 : ra - 1];
  spec.n = b[transpose_b ? rb - 2 : rb - 1];
  spec.batch_a = Dims(a.dims().first(static_cast<size_t>(ra - 2)));
  spec.batch_b = Dims(b.dims().first(static_cast<size_t>(rb - 2)));
  // One matrix for all batches: the batches are only more rows.
  if (spec.batch_b.empty() && !transpose_a) {
    for (int64_t size : spec.batch_a) spec.m *= size;
    spec.batch_a = Dims();
  }
  return spec;
}

// Puts frozen weights into the layout that the Plan fixes; null when they stay as they are.
StatusOr<Ref<Buffer>> packed_weights(Prepare& p, int input, kernels::MatMulSpec& spec) {
  if (!p.frozen(input) || !spec.batch_b.empty()) return Ref<Buffer>();
  const kernels::PackedLayout layout =
      kernels::matmul_packed_layout(spec.k, spec.n, spec.precision);
  if (layout.is_plain()) return Ref<Buffer>();
  const bool transposed = spec.transpose_b;
  const auto pack = [&](const Tensor& weights) -> StatusOr<Ref<Buffer>> {
    Ref<Buffer> buffer = Buffer::host(layout.bytes());
    if (!buffer) return resource_exhausted("no memory to pack weights of ", weights.shape());
    std::vector<float> widened;
    if (weights.dtype() != DType::kFloat) {
      widened.resize(static_cast<size_t>(weights.num_elements()));
      kernels::find_cast(weights.dtype(), DType::kFloat)(weights.raw(), widened.data(),
                                                         weights.num_elements());
    }
    const float* values = widened.empty() ? weights.data<float>() : widened.data();
    TENON_RETURN_IF_ERROR(
        kernels::pack_matmul_weights(layout, spec.k, spec.n, transposed, values, buffer->data()));
    return buffer;
  };
  TENON_ASSIGN_OR_RETURN(
      Ref<Buffer> packed,
      p.packed(input, cat(transposed ? "transposed " : "", layout.name()), pack));
  spec.packed = layout;
  spec.transpose_b = false;
  return packed;
}

StatusOr<Kernel> make_float_matmul(Prepare& p, const MatMulInputs& inputs,
                                   kernels::MatMulSpec spec) {
  spec.precision = p.precision();
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> packed, packed_weights(p, inputs.b, spec));
  TENON_ASSIGN_OR_RETURN(kernels::MatMul made, kernels::MatMul::make(spec));
  p.reserve_scratch(made.scratch_bytes());
  auto matmul = std::make_shared<const kernels::MatMul>(std::move(made));
  return Kernel([matmul, packed, inputs](KernelRun& r) {
    kernels::MatMulPointers pointers;
    pointers.a = r.in<float>(inputs.a);
    pointers.b = packed ? packed->data() : r.input(inputs.b).raw();
    pointers.y = r.out<float>(0);
    if (inputs.bias >= 0) pointers.bias = r.in<float>(inputs.bias);
    if (inputs.residual >= 0) pointers.residual = r.in<float>(inputs.residual);
    matmul->run(pointers, r.scratch());
    return absl::OkStatus();
  });
}

// Of float16 or bfloat16: multiplied and summed in float32, rounded once.
StatusOr<Kernel> make_half_matmul(Prepare& p, kernels::MatMulSpec spec) {
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> packed, packed_weights(p, 1, spec));
  TENON_ASSIGN_OR_RETURN(kernels::MatMul made, kernels::MatMul::make(spec));
  const kernels::WidenedOperands wide(
      p.input_dtype(0),
      {p.input_shape(0).num_elements(), p.output_shape(0).to_shape().num_elements(),
       packed ? 0 : p.input_shape(1).num_elements()});
  p.reserve_scratch(wide.bytes() + made.scratch_bytes());
  auto matmul = std::make_shared<const kernels::MatMul>(std::move(made));
  return Kernel([matmul, packed, wide](KernelRun& r) {
    void* const scratch = r.scratch();
    kernels::MatMulPointers pointers;
    pointers.a = wide.widen(0, r.input(0).raw(), scratch);
    pointers.y = wide.operand(1, scratch);
    pointers.b = packed ? packed->data() : wide.widen(2, r.input(1).raw(), scratch);
    matmul->run(pointers, wide.rest(scratch));
    wide.round(1, scratch, r.output(0).mutable_raw());
    return absl::OkStatus();
  });
}

// For each batch of the output, which batch of an operand it reads.
std::vector<int64_t> operand_batches(const Dims& operand, std::span<const int64_t> output) {
  std::vector<int64_t> batches{0};
  int64_t stride = 1;
  for (int64_t size : operand) stride *= size;
  const size_t missing = output.size() - operand.size();
  for (size_t axis = 0; axis < output.size(); ++axis) {
    const int64_t size = axis < missing ? 1 : operand[axis - missing];
    if (size != 0) stride /= size;
    std::vector<int64_t> wider;
    for (int64_t base : batches) {
      for (int64_t i = 0; i < output[axis]; ++i) {
        wider.push_back(base + (size == 1 || axis < missing ? 0 : i * stride));
      }
    }
    batches = std::move(wider);
  }
  return batches;
}

using MatMulPlainTypes =
    TypeList<double, int16_t, int32_t, int64_t, std::complex<float>, std::complex<double>>;

template <class T>
Kernel plain_matmul(const kernels::MatMulSpec& spec, std::span<const int64_t> batch) {
  return [spec, in_a = operand_batches(spec.batch_a, batch),
          in_b = operand_batches(spec.batch_b, batch)](KernelRun& r) {
    const T* a = r.in<T>(0);
    const T* b = r.in<T>(1);
    T* y = r.out<T>(0);
    for (size_t i = 0; i < in_a.size(); ++i) {
      kernels::reference_matmul<T>(spec.m, spec.k, spec.n, a + in_a[i] * spec.m * spec.k,
                                   spec.transpose_a, b + in_b[i] * spec.k * spec.n,
                                   spec.transpose_b, y + static_cast<int64_t>(i) * spec.m * spec.n);
    }
    return absl::OkStatus();
  };
}

// y = sum of term(a, b) over the inner dimension, from an element of each operand; kept in a Sum.
template <class A, class B, class Y, class Sum, class Term>
Kernel summed_terms(const kernels::MatMulSpec& spec, std::span<const int64_t> batch, Term term) {
  return [spec, term, in_a = operand_batches(spec.batch_a, batch),
          in_b = operand_batches(spec.batch_b, batch)](KernelRun& r) {
    const int64_t a_row = spec.transpose_a ? 1 : spec.k, a_step = spec.transpose_a ? spec.m : 1;
    const int64_t b_row = spec.transpose_b ? 1 : spec.n, b_step = spec.transpose_b ? spec.k : 1;
    Y* y = r.out<Y>(0);
    for (size_t i = 0; i < in_a.size(); ++i) {
      const A* a = r.in<A>(0) + in_a[i] * spec.m * spec.k;
      const B* b = r.in<B>(1) + in_b[i] * spec.k * spec.n;
      for (int64_t row = 0; row < spec.m; ++row) {
        for (int64_t column = 0; column < spec.n; ++column) {
          Sum sum{};
          for (int64_t k = 0; k < spec.k; ++k) {
            sum += term(a[row * a_row + k * a_step], b[k * b_row + column * b_step]);
          }
          *y++ = static_cast<Y>(sum);
        }
      }
    }
    return absl::OkStatus();
  };
}

// op(a) op(b) with one or both operands conjugated.
template <class T>
Kernel conjugated_matmul(const kernels::MatMulSpec& spec, std::span<const int64_t> batch,
                         bool conjugate_a, bool conjugate_b) {
  using Wide = std::complex<double>;
  return summed_terms<T, T, T, Wide>(spec, batch, [=](Wide left, Wide right) {
    return (conjugate_a ? std::conj(left) : left) * (conjugate_b ? std::conj(right) : right);
  });
}

// Eight-bit operands, summed in 32 bits that wrap around, as TensorFlow's do.
template <class A, class B>
Kernel widening_matmul(const kernels::MatMulSpec& spec, std::span<const int64_t> batch) {
  return summed_terms<A, B, int32_t, uint32_t>(
      spec, batch, [](A a, B b) { return static_cast<uint32_t>(int32_t{a} * int32_t{b}); });
}

// The batch dimensions of the output that `spec` runs over (those that became rows are gone).
Dims plain_batch(const kernels::MatMulSpec& spec, const PartialShape& output) {
  const size_t rank = std::max(spec.batch_a.size(), spec.batch_b.size());
  return Dims(output.dims().first(rank));
}

}  // namespace

StatusOr<Kernel> make_matmul_kernel(Prepare& p, const MatMulInputs& inputs, bool transpose_a,
                                    bool transpose_b, const kernels::PostOps& post) {
  kernels::MatMulSpec spec =
      matmul_spec(p.input_shape(inputs.a), p.input_shape(inputs.b), transpose_a, transpose_b);
  const DType dtype = p.input_dtype(inputs.a);
  using Bytes = TypeList<int8_t, uint8_t>;
  if (p.output_dtype(0) == DType::kInt32 && dtype != DType::kInt32) {
    Kernel kernel;
    visit<Bytes>(dtype, [&]<class A>() {
      visit<Bytes>(p.input_dtype(inputs.b), [&]<class B>() {
        kernel = widening_matmul<A, B>(spec, plain_batch(spec, p.output_shape(0)).span());
      });
    });
    if (kernel) return kernel;
  }
  if (p.input_dtype(inputs.b) != dtype || p.output_dtype(0) != dtype) {
    return unimplemented("a matrix product of ", dtype, " and ", p.input_dtype(inputs.b), " to ",
                         p.output_dtype(0));
  }
  if (dtype == DType::kFloat) {
    spec.post = post;
    return make_float_matmul(p, inputs, std::move(spec));
  }
  if (post != kernels::PostOps()) return unimplemented("a fused matrix product of dtype ", dtype);
  if (dtype == DType::kHalf || dtype == DType::kBfloat16)
    return make_half_matmul(p, std::move(spec));
  const Dims batch = plain_batch(spec, p.output_shape(0));
  Kernel kernel;
  if (!visit<MatMulPlainTypes>(dtype,
                               [&]<class T>() { kernel = plain_matmul<T>(spec, batch.span()); })) {
    return unimplemented("a matrix product of dtype ", dtype);
  }
  return kernel;
}

StatusOr<Kernel> make_adjoint_matmul_kernel(Prepare& p, bool adjoint_a, bool adjoint_b) {
  const DType dtype = p.input_dtype(0);
  if (!is_complex(dtype) || !(adjoint_a || adjoint_b)) {
    return make_matmul_kernel(p, {}, adjoint_a, adjoint_b);
  }
  if (p.input_dtype(1) != dtype || p.output_dtype(0) != dtype) {
    return unimplemented("a matrix product of ", dtype, " and ", p.input_dtype(1), " to ",
                         p.output_dtype(0));
  }
  const kernels::MatMulSpec spec =
      matmul_spec(p.input_shape(0), p.input_shape(1), adjoint_a, adjoint_b);
  const Dims batch = plain_batch(spec, p.output_shape(0));
  Kernel kernel;
  visit<TypeList<std::complex<float>, std::complex<double>>>(dtype, [&]<class T>() {
    kernel = conjugated_matmul<T>(spec, batch.span(), adjoint_a, adjoint_b);
  });
  return kernel;
}

}  // namespace tenon
