#include "tenon/kernels/onednn/onednn_product.h"

namespace tenon::kernels {
namespace {

using Type = dnnl::memory::data_type;

// m for which the packed layout is chosen: where packing pays most. oneDNN runs every m from 1 to
// 512 on that layout at full speed.
constexpr int64_t kNominalM = 256;

// [items, rows, columns] of a matrix that may be stored transposed; without `items` when 0.
dnnl::memory::desc matrix_desc(int64_t items, int64_t rows, int64_t columns, bool transposed,
                               Type type) {
  dnnl::memory::dims dims{rows, columns};
  dnnl::memory::dims strides =
      transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{columns, 1};
  if (items > 0) {
    dims.insert(dims.begin(), items);
    strides.insert(strides.begin(), rows * columns);
  }
  return {dims, type, strides};
}

std::unique_ptr<PreparedPrimitive> converter(int64_t elements) {
  const auto from = plain_desc({elements});
  const auto to = plain_desc({elements}, Type::bf16);
  dnnl::primitive_attr user;
  user.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::reorder::primitive_desc reorder(cpu_engine(), from, cpu_engine(), to, user);
  return std::make_unique<PreparedPrimitive>(
      dnnl::reorder(reorder),
      std::vector<PreparedPrimitive::Argument>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

size_t converted_bytes(int64_t elements) { return align_up(static_cast<size_t>(elements) * 2); }

}  // namespace

Bfloat16Product::Bfloat16Product(const MatMulSpec& spec, int64_t items, bool one_a, bool one_b)
    : post_(split_post_ops(spec.post)), y_elements_(items * spec.m * spec.n) {
  const int64_t batch = items == 1 ? 0 : items;
  const int64_t a_batch = one_a ? std::min<int64_t>(batch, 1) : batch;
  const int64_t b_batch = one_b ? std::min<int64_t>(batch, 1) : batch;
  const bool packed = !spec.packed.is_plain();
  const auto a = matrix_desc(a_batch, spec.m, spec.k, spec.transpose_a, Type::bf16);
  const auto b = packed ? spec.packed.description()->desc
                        : matrix_desc(b_batch, spec.k, spec.n, spec.transpose_b, Type::bf16);
  const auto y = matrix_desc(batch, spec.m, spec.n, false, Type::f32);
  const auto bias =
      plain_desc(batch > 0 ? dnnl::memory::dims{1, 1, spec.n} : dnnl::memory::dims{1, spec.n});
  const PostOps& post = post_.primitive;
  const dnnl::matmul::primitive_desc primitive(
      post.bias ? dnnl::matmul::desc(a, b, bias, y) : dnnl::matmul::desc(a, b, y),
      attributes_of(post, y), cpu_engine());
  std::vector<PreparedPrimitive::Argument> arguments{
      {DNNL_ARG_SRC, a},
      {DNNL_ARG_WEIGHTS, b},
      {DNNL_ARG_DST, y},
      {DNNL_ARG_SCRATCHPAD, primitive.scratchpad_desc()}};
  if (post.bias) arguments.push_back({DNNL_ARG_BIAS, bias});
  if (post.residual != Residual::kNone) arguments.push_back({residual_argument(post), y});
  product_ = std::make_unique<PreparedPrimitive>(dnnl::matmul(primitive), std::move(arguments));
  primitive_scratch_ = align_up(primitive.scratchpad_desc().get_size());
  a_elements_ = std::max<int64_t>(a_batch, 1) * spec.m * spec.k;
  convert_a_ = converter(a_elements_);
  if (packed) return;
  b_elements_ = std::max<int64_t>(b_batch, 1) * spec.k * spec.n;
  convert_b_ = converter(b_elements_);
}

size_t Bfloat16Product::scratch_bytes() const {
  return primitive_scratch_ + converted_bytes(a_elements_) + converted_bytes(b_elements_);
}

void Bfloat16Product::run(const MatMulPointers& p, void* scratch) const {
  char* const a = static_cast<char*>(scratch) + primitive_scratch_;
  convert_a_->run({p.a, a});
  const void* b = p.b;
  if (convert_b_) {
    b = a + converted_bytes(a_elements_);
    convert_b_->run({p.b, b});
  }
  const bool with_residual = post_.primitive.residual != Residual::kNone;
  if (post_.primitive.bias && with_residual) {
    product_->run({a, b, p.y, scratch, p.bias, p.residual});
  } else if (post_.primitive.bias) {
    product_->run({a, b, p.y, scratch, p.bias});
  } else if (with_residual) {
    product_->run({a, b, p.y, scratch, p.residual});
  } else {
    product_->run({a, b, p.y, scratch});
  }
  finish_post_ops(post_.rest, p.residual, p.y, y_elements_);
}

PackedLayout bfloat16_packed_layout(int64_t k, int64_t n) {
  PackedLayout layout;
  const Status status = guarded("packing weights", [&] {
    const dnnl::memory::desc any({k, n}, Type::bf16, dnnl::memory::format_tag::any);
    const dnnl::matmul::primitive_desc primitive(
        {matrix_desc(0, kNominalM, k, false, Type::bf16), any,
         matrix_desc(0, kNominalM, n, false, Type::f32)},
        cpu_engine());
    layout = onednn_layout(primitive.weights_desc(), Precision::kBfloat16);
  });
  return status.ok() ? layout : PackedLayout();
}

Status pack_bfloat16_weights(const PackedLayout& layout, int64_t k, int64_t n, bool transposed,
                             const float* weights, void* packed) {
  return reorder(matrix_desc(0, k, n, transposed, Type::f32), weights, layout.description()->desc,
                 packed);
}

}  // namespace tenon::kernels
