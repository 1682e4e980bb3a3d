#include "tenon/ops/linalg/einsum_plan.h"

#include <cstring>

#include "tenon/kernels/elementwise.h"
#include "tenon/kernels/matmul.h"
#include "tenon/kernels/reduce.h"
#include "tenon/kernels/strided_copy.h"
#include "tenon/kernels/widened_operands.h"
#include "tenon/ops/linalg/einsum_equation.h"

namespace tenon {
namespace {

// A tensor by label: each once, with the stride of one step along all axes of that label. Axes of
// an ellipsis that are one long are left out: they broadcast.
struct LabelledView {
  EinsumLabels labels;
  std::map<int, int64_t> sizes, strides;

  LabelledView(const EinsumLabels& axes, const Shape& shape) {
    const Dims steps = kernels::contiguous_strides(shape.dims());
    for (size_t axis = 0; axis < axes.size(); ++axis) {
      const int label = axes[axis];
      const int64_t size = shape[static_cast<int>(axis)];
      if (label >= kEllipsis && size == 1) continue;
      if (strides.emplace(label, 0).second) labels.push_back(label);
      sizes[label] = size;
      strides[label] += steps[axis];
    }
  }
  bool has(int label) const { return sizes.contains(label); }

  int64_t count(const EinsumLabels& of) const {
    int64_t product = 1;
    for (int label : of) product *= sizes.at(label);
    return product;
  }
  // Do the elements stand in memory in this order, one behind the other?
  bool is_in_order(const EinsumLabels& order) const {
    int64_t expected = 1;
    for (size_t i = order.size(); i-- > 0;) {
      const int64_t size = sizes.at(order[i]);
      if (size == 1) continue;
      if (strides.at(order[i]) != expected) return false;
      expected *= size;
    }
    return true;
  }
  kernels::StridedCopy copy_in_order(const EinsumLabels& order) const {
    kernels::StridedCopy copy;
    for (int label : order) {
      copy.dims.push_back(sizes.at(label));
      copy.source_strides.push_back(strides.at(label));
    }
    copy.target_strides = kernels::contiguous_strides(copy.dims.span());
    return copy;
  }
};

EinsumLabels joined(const EinsumLabels& a, const EinsumLabels& b) {
  EinsumLabels all = a;
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

// What happens to one operand before the product: perhaps a copy into another order, perhaps a sum
// over labels that nobody else has. Offsets are into the scratch memory.
struct OperandSteps {
  bool copied = false;
  kernels::StridedCopy copy;
  size_t copy_at = 0;
  bool summed = false;
  kernels::ReducePlan sum;
  size_t sum_at = 0;
  bool transposed = false;

  const char* run(const char* x, DType dtype, char* scratch) const {
    if (copied) {
      kernels::run(copy, size_of(dtype), x, scratch + copy_at);
      x = scratch + copy_at;
    }
    if (summed) {
      kernels::reduce(kernels::ReduceOp::kSum, dtype, sum, x, scratch + sum_at);
      x = scratch + sum_at;
    }
    return x;
  }
};

class ScratchSizes {
 public:
  explicit ScratchSizes(DType dtype) : element_(size_of(dtype)) {}
  size_t add(int64_t elements) { return add_bytes(static_cast<size_t>(elements) * element_); }
  size_t add_bytes(size_t bytes) {
    const size_t at = used_;
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }
  size_t total() const { return used_; }

 private:
  size_t element_;
  size_t used_ = 0;
};

// Brings `view` into the order `order`, summing over all labels beyond it; `alternative`, if given,
// is an order that is as good, as a transposed operand.
OperandSteps operand_steps(const LabelledView& view, const EinsumLabels& order,
                           const EinsumLabels* alternative, ScratchSizes& scratch) {
  OperandSteps steps;
  EinsumLabels beyond;
  for (int label : view.labels) {
    if (std::find(order.begin(), order.end(), label) == order.end()) beyond.push_back(label);
  }
  if (beyond.empty() && alternative && !view.is_in_order(order) && view.is_in_order(*alternative)) {
    steps.transposed = true;
    return steps;
  }
  const EinsumLabels all = joined(order, beyond);
  if (!view.is_in_order(all)) {
    steps.copied = true;
    steps.copy = kernels::simplify(view.copy_in_order(all));
    steps.copy_at = scratch.add(view.count(all));
  }
  if (!beyond.empty()) {
    steps.summed = true;
    const bool reduced[] = {false, true};
    steps.sum = kernels::plan_reduce(Shape{view.count(order), view.count(beyond)}, reduced);
    steps.sum_at = scratch.add(view.count(order));
  }
  return steps;
}

// From the result in the order `order` to the output; repeated labels fill its diagonals.
struct OutputStep {
  bool direct = true;  // the result is the output
  bool diagonal = false;
  kernels::StridedCopy copy;
  size_t result_at = 0;
  size_t output_bytes = 0;

  void run(KernelRun& r, size_t element_size, const char* result) const {
    if (direct) return;
    if (diagonal) std::memset(r.output(0).mutable_raw(), 0, output_bytes);
    kernels::run(copy, element_size, result, r.output(0).mutable_raw());
  }
};

OutputStep output_step(const LabelledView& output, const EinsumLabels& order,
                       const std::map<int, int64_t>& sizes, const Shape& shape, DType dtype) {
  OutputStep step;
  step.output_bytes = static_cast<size_t>(shape.num_elements()) * size_of(dtype);
  int64_t count = 1;
  for (int label : order) {
    count *= sizes.at(label);
    step.copy.dims.push_back(sizes.at(label));
    step.copy.target_strides.push_back(output.strides.at(label));
  }
  step.copy.source_strides = kernels::contiguous_strides(step.copy.dims.span());
  step.diagonal = count != shape.num_elements();
  step.direct = !step.diagonal && output.is_in_order(order);
  step.copy = kernels::simplify(step.copy);
  return step;
}

StatusOr<Kernel> make_unary_einsum(Prepare& p, const LabelledView& x, const LabelledView& output) {
  const DType dtype = p.input_dtype(0);
  const Shape shape = p.output_shape(0).to_shape();
  ScratchSizes scratch(dtype);
  EinsumLabels order;
  for (int label : output.labels) {
    if (x.has(label)) order.push_back(label);
  }
  const OperandSteps steps = operand_steps(x, order, nullptr, scratch);
  const OutputStep out = output_step(output, order, x.sizes, shape, dtype);
  p.reserve_scratch(scratch.total());
  return Kernel([=](KernelRun& r) {
    if (out.output_bytes == 0) return absl::OkStatus();
    const char* result = steps.run(r.in<char>(0), dtype, r.scratch<char>());
    if (out.direct) {
      std::memcpy(r.output(0).mutable_raw(), result, out.output_bytes);
    } else {
      out.run(r, size_of(dtype), result);
    }
    return absl::OkStatus();
  });
}

// The labels of a product of two operands by their part in it.
struct ProductLabels {
  EinsumLabels batch, left, right, inner;
};

ProductLabels product_labels(const LabelledView& a, const LabelledView& b,
                             const LabelledView& output) {
  ProductLabels labels;
  for (int label : output.labels) {
    if (a.has(label) && b.has(label)) {
      labels.batch.push_back(label);
    } else if (a.has(label)) {
      labels.left.push_back(label);
    } else if (b.has(label)) {
      labels.right.push_back(label);
    }
  }
  for (int label : a.labels) {
    if (b.has(label) && !output.has(label)) labels.inner.push_back(label);
  }
  return labels;
}

struct ProductPlan {
  OperandSteps a, b;
  OutputStep output;
  int64_t batch = 1, m = 1, n = 1, k = 1;
  size_t product_at = 0;
  bool swapped = false;  // a is input 1
};

// One matrix product of `dtype` for each batch.
template <class T>
Kernel plain_product(const ProductPlan& plan) {
  return [plan](KernelRun& r) {
    const DType dtype = dtype_of<T>;
    char* scratch = r.scratch<char>();
    const auto* a =
        reinterpret_cast<const T*>(plan.a.run(r.in<char>(plan.swapped ? 1 : 0), dtype, scratch));
    const auto* b =
        reinterpret_cast<const T*>(plan.b.run(r.in<char>(plan.swapped ? 0 : 1), dtype, scratch));
    T* y = plan.output.direct ? r.out<T>(0) : reinterpret_cast<T*>(scratch + plan.product_at);
    for (int64_t i = 0; i < plan.batch; ++i) {
      kernels::reference_matmul<T>(plan.m, plan.k, plan.n, a + i * plan.m * plan.k,
                                   plan.a.transposed, b + i * plan.k * plan.n, plan.b.transposed,
                                   y + i * plan.m * plan.n);
    }
    plan.output.run(r, sizeof(T), reinterpret_cast<const char*>(y));
    return absl::OkStatus();
  };
}

// Products of numbers: what is left of a matrix product of one row and one column.
Kernel elementwise_product(const ProductPlan& plan, size_t terms_at) {
  bool kept[] = {false, true};
  const kernels::ReducePlan sum = kernels::plan_reduce(Shape{plan.batch, plan.k}, kept);
  return [=](KernelRun& r) {
    char* scratch = r.scratch<char>();
    const char* a = plan.a.run(r.in<char>(plan.swapped ? 1 : 0), DType::kFloat, scratch);
    const char* b = plan.b.run(r.in<char>(plan.swapped ? 0 : 1), DType::kFloat, scratch);
    char* y = plan.output.direct ? r.out<char>(0) : scratch + plan.product_at;
    char* terms = plan.k == 1 ? y : scratch + terms_at;
    kernels::apply_binary(kernels::find_binary(kernels::BinaryOp::kMul, DType::kFloat),
                          sizeof(float), a, b, terms, plan.batch * plan.k);
    if (plan.k != 1) {
      kernels::reduce(kernels::ReduceOp::kSum, DType::kFloat, sum, terms, y);
    }
    plan.output.run(r, sizeof(float), y);
    return absl::OkStatus();
  };
}

// Frozen weights of one matrix, in the layout that the Plan fixes; null when they stay.
StatusOr<Ref<Buffer>> packed_operand(Prepare& p, const ProductPlan& plan,
                                     kernels::MatMulSpec& spec) {
  const int input = plan.swapped ? 0 : 1;
  if (!p.frozen(input) || plan.batch != 1 || plan.b.summed) return Ref<Buffer>();
  const kernels::PackedLayout layout =
      kernels::matmul_packed_layout(spec.k, spec.n, spec.precision);
  if (layout.is_plain()) return Ref<Buffer>();
  const auto pack = [&](const Tensor& weights) -> StatusOr<Ref<Buffer>> {
    Ref<Buffer> buffer = Buffer::host(layout.bytes());
    Ref<Buffer> ordered = Buffer::host(plan.b.copied ? weights.num_bytes() : 1);
    if (!buffer || !ordered) {
      return resource_exhausted("no memory to pack weights of ", weights.shape());
    }
    const void* from = weights.raw();
    if (plan.b.copied) {
      kernels::run(plan.b.copy, sizeof(float), from, ordered->data());
      from = ordered->data();
    }
    TENON_RETURN_IF_ERROR(kernels::pack_matmul_weights(
        layout, spec.k, spec.n, spec.transpose_b, static_cast<const float*>(from), buffer->data()));
    return buffer;
  };
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> packed,
                         p.packed(input,
                                  cat("einsum ", p.attr<std::string>("equation"), " ", plan.swapped,
                                      " ", layout.name()),
                                  pack));
  spec.packed = layout;
  spec.transpose_b = false;
  return packed;
}

kernels::MatMulSpec product_spec(const Prepare& p, const ProductPlan& plan) {
  kernels::MatMulSpec spec;
  spec.m = plan.m;
  spec.k = plan.k;
  spec.n = plan.n;
  spec.transpose_a = plan.a.transposed;
  spec.transpose_b = plan.b.transposed;
  spec.precision = p.precision();
  if (plan.batch != 1) spec.batch_a = spec.batch_b = Dims{plan.batch};
  return spec;
}

StatusOr<Kernel> float_product(Prepare& p, const ProductPlan& plan, ScratchSizes& scratch) {
  kernels::MatMulSpec spec = product_spec(p, plan);
  TENON_ASSIGN_OR_RETURN(Ref<Buffer> packed, packed_operand(p, plan, spec));
  TENON_ASSIGN_OR_RETURN(kernels::MatMul made, kernels::MatMul::make(spec));
  const size_t own_at = scratch.add_bytes(made.scratch_bytes());
  auto matmul = std::make_shared<const kernels::MatMul>(std::move(made));
  return Kernel([plan, matmul, packed, own_at](KernelRun& r) {
    char* scratch = r.scratch<char>();
    kernels::MatMulPointers pointers;
    pointers.a = reinterpret_cast<const float*>(
        plan.a.run(r.in<char>(plan.swapped ? 1 : 0), DType::kFloat, scratch));
    pointers.b = packed ? packed->data()
                        : plan.b.run(r.in<char>(plan.swapped ? 0 : 1), DType::kFloat, scratch);
    pointers.y =
        plan.output.direct ? r.out<float>(0) : reinterpret_cast<float*>(scratch + plan.product_at);
    matmul->run(pointers, scratch + own_at);
    plan.output.run(r, sizeof(float), reinterpret_cast<const char*>(pointers.y));
    return absl::OkStatus();
  });
}

// Of float16 or bfloat16: multiplied and summed in float32, rounded once.
StatusOr<Kernel> half_product(Prepare& p, const ProductPlan& plan, ScratchSizes& scratch) {
  const DType dtype = p.input_dtype(0);
  TENON_ASSIGN_OR_RETURN(kernels::MatMul made, kernels::MatMul::make(product_spec(p, plan)));
  const kernels::WidenedOperands wide(
      dtype,
      {plan.batch * plan.m * plan.k, plan.batch * plan.k * plan.n, plan.batch * plan.m * plan.n});
  const size_t own_at = scratch.add_bytes(wide.bytes() + made.scratch_bytes());
  auto matmul = std::make_shared<const kernels::MatMul>(std::move(made));
  return Kernel([=](KernelRun& r) {
    char* const scratch = r.scratch<char>();
    char* const own = scratch + own_at;
    const char* a = plan.a.run(r.in<char>(plan.swapped ? 1 : 0), dtype, scratch);
    const char* b = plan.b.run(r.in<char>(plan.swapped ? 0 : 1), dtype, scratch);
    kernels::MatMulPointers pointers;
    pointers.a = wide.widen(0, a, own);
    pointers.b = wide.widen(1, b, own);
    pointers.y = wide.operand(2, own);
    matmul->run(pointers, wide.rest(own));
    char* const y = plan.output.direct ? r.out<char>(0) : scratch + plan.product_at;
    wide.round(2, own, y);
    plan.output.run(r, size_of(dtype), y);
    return absl::OkStatus();
  });
}

using EinsumPlainTypes =
    TypeList<double, int32_t, int64_t, std::complex<float>, std::complex<double>>;

// Which operand comes first is free: so that the product is in the output's order, if that can be.
StatusOr<Kernel> make_binary_einsum(Prepare& p, const LabelledView* a, const LabelledView* b,
                                    const LabelledView& output) {
  const DType dtype = p.input_dtype(0);
  ProductPlan plan;
  ProductLabels labels = product_labels(*a, *b, output);
  const auto in_order = [&](const EinsumLabels& left, const EinsumLabels& right) {
    return output.is_in_order(joined(joined(labels.batch, left), right));
  };
  if (!in_order(labels.left, labels.right) && in_order(labels.right, labels.left)) {
    std::swap(a, b);
    plan.swapped = true;
    labels = product_labels(*a, *b, output);
  }
  ScratchSizes scratch(dtype);
  const EinsumLabels a_order = joined(joined(labels.batch, labels.left), labels.inner);
  const EinsumLabels a_other = joined(joined(labels.batch, labels.inner), labels.left);
  const EinsumLabels b_order = joined(joined(labels.batch, labels.inner), labels.right);
  const EinsumLabels b_other = joined(joined(labels.batch, labels.right), labels.inner);
  plan.a = operand_steps(*a, a_order, &a_other, scratch);
  plan.b = operand_steps(*b, b_order, &b_other, scratch);
  plan.batch = a->count(labels.batch);
  plan.m = a->count(labels.left);
  plan.k = a->count(labels.inner);
  plan.n = b->count(labels.right);
  std::map<int, int64_t> sizes = a->sizes;
  sizes.insert(b->sizes.begin(), b->sizes.end());
  plan.output = output_step(output, joined(joined(labels.batch, labels.left), labels.right), sizes,
                            p.output_shape(0).to_shape(), dtype);
  if (!plan.output.direct) plan.product_at = scratch.add(plan.batch * plan.m * plan.n);
  Kernel kernel;
  if (p.output_shape(0).num_elements() == 0) {
    kernel = [](KernelRun&) { return absl::OkStatus(); };
  } else if (dtype == DType::kFloat && plan.m == 1 && plan.n == 1 && plan.batch > 1) {
    const size_t terms_at = plan.k == 1 ? 0 : scratch.add(plan.batch * plan.k);
    kernel = elementwise_product(plan, terms_at);
  } else if (dtype == DType::kFloat) {
    TENON_ASSIGN_OR_RETURN(kernel, float_product(p, plan, scratch));
  } else if (dtype == DType::kHalf || dtype == DType::kBfloat16) {
    TENON_ASSIGN_OR_RETURN(kernel, half_product(p, plan, scratch));
  } else {
    visit<EinsumPlainTypes>(dtype, [&]<class T>() { kernel = plain_product<T>(plan); });
  }
  if (!kernel) return unimplemented("Einsum has no CPU kernel for dtype ", dtype);
  p.reserve_scratch(scratch.total());
  return kernel;
}

}  // namespace

StatusOr<Kernel> make_einsum_kernel(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const EinsumEquation equation,
                         EinsumEquation::parse(p.attr<std::string>("equation"), p.num_inputs()));
  std::vector<LabelledView> views;
  int ellipsis = 0;
  for (int i = 0; i < p.num_inputs(); ++i) {
    const auto index = static_cast<size_t>(i);
    const Shape& shape = p.input_shape(i);
    TENON_ASSIGN_OR_RETURN(const EinsumLabels labels, equation.operand(index, shape.rank()));
    views.emplace_back(labels, shape);
    ellipsis = std::max(ellipsis, equation.ellipsis_rank(index, shape.rank()));
  }
  const LabelledView output(equation.output(ellipsis), p.output_shape(0).to_shape());
  if (is_object(p.input_dtype(0))) {
    return unimplemented("Einsum has no CPU kernel for dtype ", p.input_dtype(0));
  }
  return views.size() == 1 ? make_unary_einsum(p, views[0], output)
                           : make_binary_einsum(p, &views[0], &views[1], output);
}

}  // namespace tenon
