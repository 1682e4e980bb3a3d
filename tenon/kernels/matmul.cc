#include "tenon/kernels/matmul.h"

#include <complex>

#include "tenon/base/parallel.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/kernels/onednn/onednn_common.h"

namespace tenon::kernels {
namespace {

using Type = dnnl::memory::data_type;

// m for which the packed layout is chosen: where packing pays most. Measured (docs/kernels.md):
// oneDNN runs every m from 1 to 512 on that layout at full speed.
constexpr int64_t kNominalM = 256;

// [batch, rows, columns] of a matrix that may be stored transposed, or without `batch` when 0.
dnnl::memory::desc matrix_desc(int64_t batch, int64_t rows, int64_t columns, bool transposed,
                               Type type) {
  dnnl::memory::dims dims{rows, columns};
  dnnl::memory::dims strides =
      transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{columns, 1};
  if (batch > 0) {
    dims.insert(dims.begin(), batch);
    strides.insert(strides.begin(), rows * columns);
  }
  return {dims, type, strides};
}

Status check_sizes(const MatMulSpec& spec) {
  if (spec.m < 0 || spec.k < 0 || spec.n < 0) {
    return invalid_argument("matrix product has a negative size: m ", spec.m, ", k ", spec.k,
                            ", n ", spec.n);
  }
  if (!spec.packed.is_plain() && (spec.transpose_b || !spec.batch_b.empty())) {
    return invalid_argument("packed weights cannot be transposed or batched");
  }
  return absl::OkStatus();
}

}  // namespace

// The batch dimensions are collapsed; the innermost is oneDNN's batch, the others are a loop.
struct MatMul::Impl {
  MatMulSpec spec;
  PostOps rest;  // of spec.post, which keeps what the primitive does
  BroadcastPlan batches;
  int64_t a_size = 0;  // elements of one item
  int64_t b_size = 0;
  int64_t inner_batch = 0;     // 0: two-dimensional primitive
  int64_t primitive_runs = 1;  // product of the looped dimensions
  std::vector<float> zeros;    // stands in for a and b when k is 0
  bool bfloat16 = false;
  int64_t a_elements = 0;  // of the operands that one run converts to bfloat16
  int64_t b_elements = 0;
  size_t primitive_scratch = 0;
  std::unique_ptr<PreparedPrimitive> product;
  std::unique_ptr<PreparedPrimitive> convert_a;
  std::unique_ptr<PreparedPrimitive> convert_b;

  Status plan();
  void build();
  void run_one(const MatMulPointers& p, int64_t y_item, const void* a, const void* b,
               void* scratch) const;
};

Status MatMul::Impl::plan() {
  // Rows of all batches are one tall matrix where b does not change between them.
  const int64_t b_batches = Shape(spec.batch_b).product(0, static_cast<int>(spec.batch_b.size()));
  if (b_batches == 1 && !spec.transpose_a) {
    spec.m *= Shape(spec.batch_a).num_elements();
    spec.batch_a.clear();
    spec.batch_b.clear();
  }
  const std::array<Shape, 2> shapes{Shape(spec.batch_a), Shape(spec.batch_b)};
  TENON_ASSIGN_OR_RETURN(batches, plan_broadcast(shapes));
  if (spec.k == 0) {
    zeros.assign(static_cast<size_t>(std::max(spec.m, spec.n)), 0.0f);
    spec.k = 1;
    for (Dims& strides : batches.strides) std::fill(strides.begin(), strides.end(), 0);
    spec.packed = PackedLayout();
  }
  a_size = spec.m * spec.k;
  b_size = spec.k * spec.n;
  return absl::OkStatus();
}

void MatMul::Impl::build() {
  const int64_t inner = batches.dims.back();
  // One product for all batches (k was 0) is computed for each of them.
  const bool same_product = batches.strides[0].back() == 0 && batches.strides[1].back() == 0;
  const bool looped_only = !spec.packed.is_plain() || inner == 1 || same_product;
  inner_batch = looped_only ? 0 : inner;
  primitive_runs = looped_only ? batches.count : batches.count / inner;
  const auto batch_of = [&](int input) {
    return looped_only ? 0 : batches.strides[input].back() == 0 ? 1 : inner;
  };
  const bool packed = !spec.packed.is_plain();
  bfloat16 = packed ? spec.packed.description()->precision == Precision::kBfloat16
                    : spec.precision == Precision::kBfloat16 && has_native_bfloat16();
  const Type type = bfloat16 ? Type::bf16 : Type::f32;
  const auto a = matrix_desc(batch_of(0), spec.m, spec.k, spec.transpose_a, type);
  const auto b = packed ? spec.packed.description()->desc
                        : matrix_desc(batch_of(1), spec.k, spec.n, spec.transpose_b, type);
  const auto y = matrix_desc(inner_batch, spec.m, spec.n, false, Type::f32);
  const dnnl::primitive_attr attributes = attributes_of(spec.post, y);
  const dnnl::memory::dims bias_dims =
      inner_batch > 0 ? dnnl::memory::dims{1, 1, spec.n} : dnnl::memory::dims{1, spec.n};
  const auto bias = plain_desc(bias_dims);
  const dnnl::matmul::primitive_desc primitive(
      spec.post.bias ? dnnl::matmul::desc(a, b, bias, y) : dnnl::matmul::desc(a, b, y), attributes,
      cpu_engine());
  std::vector<PreparedPrimitive::Argument> arguments{
      {DNNL_ARG_SRC, a},
      {DNNL_ARG_WEIGHTS, b},
      {DNNL_ARG_DST, y},
      {DNNL_ARG_SCRATCHPAD, primitive.scratchpad_desc()}};
  if (spec.post.bias) arguments.push_back({DNNL_ARG_BIAS, bias});
  if (spec.post.residual != Residual::kNone) {
    arguments.push_back({residual_argument(spec.post), y});
  }
  product = std::make_unique<PreparedPrimitive>(dnnl::matmul(primitive), std::move(arguments));
  primitive_scratch = align_up(primitive.scratchpad_desc().get_size());
  if (!bfloat16) return;
  const auto converter = [](int64_t elements) {
    const auto from = plain_desc({elements});
    const auto to = plain_desc({elements}, Type::bf16);
    dnnl::primitive_attr user;
    user.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::reorder::primitive_desc reorder(cpu_engine(), from, cpu_engine(), to, user);
    return std::make_unique<PreparedPrimitive>(
        dnnl::reorder(reorder),
        std::vector<PreparedPrimitive::Argument>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
  };
  a_elements = a_size * std::max<int64_t>(batch_of(0), 1);
  convert_a = converter(a_elements);
  if (packed) return;
  b_elements = b_size * std::max<int64_t>(batch_of(1), 1);
  convert_b = converter(b_elements);
}

void MatMul::Impl::run_one(const MatMulPointers& p, int64_t y_item, const void* a, const void* b,
                           void* scratch) const {
  char* free_scratch = static_cast<char*>(scratch) + primitive_scratch;
  if (convert_a) {
    convert_a->run({a, free_scratch});
    a = free_scratch;
    free_scratch += align_up(static_cast<size_t>(a_elements) * 2);
  }
  if (convert_b) {
    convert_b->run({b, free_scratch});
    b = free_scratch;
  }
  const int64_t offset = y_item * spec.m * spec.n;
  float* y = p.y + offset;
  const float* residual = p.residual == nullptr ? nullptr : p.residual + offset;
  const bool with_residual = spec.post.residual != Residual::kNone;
  if (spec.post.bias && with_residual) {
    product->run({a, b, y, scratch, p.bias, residual});
  } else if (spec.post.bias) {
    product->run({a, b, y, scratch, p.bias});
  } else if (with_residual) {
    product->run({a, b, y, scratch, residual});
  } else {
    product->run({a, b, y, scratch});
  }
  finish_post_ops(rest, residual, y, std::max<int64_t>(inner_batch, 1) * spec.m * spec.n);
}

MatMul::MatMul(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MatMul::MatMul(MatMul&&) noexcept = default;
MatMul& MatMul::operator=(MatMul&&) noexcept = default;
MatMul::~MatMul() = default;

StatusOr<MatMul> MatMul::make(const MatMulSpec& spec) {
  TENON_RETURN_IF_ERROR(check_sizes(spec));
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
  const SplitPostOps post = split_post_ops(spec.post);
  impl->spec.post = post.primitive;
  impl->rest = post.rest;
  TENON_RETURN_IF_ERROR(impl->plan());
  if (impl->batches.count * impl->spec.m * impl->spec.n > 0) {
    TENON_RETURN_IF_ERROR(guarded("matrix product", [&] { impl->build(); }));
  }
  return MatMul(std::move(impl));
}

size_t MatMul::scratch_bytes() const {
  return impl_->primitive_scratch + align_up(static_cast<size_t>(impl_->a_elements) * 2) +
         align_up(static_cast<size_t>(impl_->b_elements) * 2);
}

void MatMul::run(const MatMulPointers& pointers, void* scratch) const {
  const Impl& impl = *impl_;
  if (!impl.product) return;  // empty result
  const bool no_terms = !impl.zeros.empty();
  const char* a = reinterpret_cast<const char*>(no_terms ? impl.zeros.data() : pointers.a);
  const char* b = no_terms ? reinterpret_cast<const char*>(impl.zeros.data())
                           : static_cast<const char*>(pointers.b);
  const Dims& dims = impl.batches.dims;
  const int64_t per_run = std::max<int64_t>(impl.inner_batch, 1);
  for (int64_t run = 0; run < impl.primitive_runs; ++run) {
    int64_t rest = run * per_run;
    int64_t a_item = 0;
    int64_t b_item = 0;
    for (size_t i = dims.size(); i-- > 0;) {
      const int64_t index = rest % dims[i];
      rest /= dims[i];
      a_item += index * impl.batches.strides[0][i];
      b_item += index * impl.batches.strides[1][i];
    }
    impl.run_one(pointers, run * per_run, a + a_item * impl.a_size * 4,
                 b + b_item * impl.b_size * 4, scratch);
  }
}

PackedLayout matmul_packed_layout(int64_t k, int64_t n, Precision precision) {
  if (k <= 0 || n <= 0) return {};
  const bool bfloat16 = precision == Precision::kBfloat16 && has_native_bfloat16();
  const Type type = bfloat16 ? Type::bf16 : Type::f32;
  PackedLayout layout;
  const Status status = guarded("packing weights", [&] {
    const dnnl::memory::desc any({k, n}, type, dnnl::memory::format_tag::any);
    const dnnl::matmul::primitive_desc primitive({matrix_desc(0, kNominalM, k, false, type), any,
                                                  matrix_desc(0, kNominalM, n, false, Type::f32)},
                                                 cpu_engine());
    const dnnl::memory::desc desc = primitive.weights_desc();
    if (desc == matrix_desc(0, k, n, false, Type::f32)) return;
    layout = PackedLayout(std::make_shared<PackedLayout::Description>(
        PackedLayout::Description{desc, bfloat16 ? Precision::kBfloat16 : Precision::kFloat32}));
  });
  return status.ok() ? layout : PackedLayout();
}

Status pack_matmul_weights(const PackedLayout& layout, int64_t k, int64_t n, bool transposed,
                           const float* weights, void* packed) {
  if (layout.is_plain()) return invalid_argument("the plain layout needs no packing");
  return reorder(matrix_desc(0, k, n, transposed, Type::f32), weights, layout.description()->desc,
                 packed);
}

namespace {

template <class T>
struct SumOf {
  using Type = T;
};
template <>
struct SumOf<float16> {
  using Type = float;
};
template <>
struct SumOf<bfloat16> {
  using Type = float;
};
template <>
struct SumOf<int32_t> {
  using Type = uint32_t;  // wraps around as TensorFlow's does, without undefined behaviour
};
template <>
struct SumOf<int64_t> {
  using Type = uint64_t;
};

}  // namespace

template <class T>
void reference_matmul(int64_t m, int64_t k, int64_t n, const T* a, bool transpose_a, const T* b,
                      bool transpose_b, T* y) {
  using Sum = typename SumOf<T>::Type;
  const int64_t grain = std::max<int64_t>(1, 65536 / std::max<int64_t>(1, k * n));
  parallel_for(m, grain, [&](int64_t begin, int64_t end) {
    std::vector<Sum> row(static_cast<size_t>(n));
    for (int64_t i = begin; i < end; ++i) {
      std::fill(row.begin(), row.end(), Sum{});
      for (int64_t p = 0; p < k; ++p) {
        const Sum left = static_cast<Sum>(transpose_a ? a[p * m + i] : a[i * k + p]);
        const T* right = transpose_b ? b + p : b + p * n;
        const int64_t step = transpose_b ? k : 1;
        for (int64_t j = 0; j < n; ++j) {
          row[static_cast<size_t>(j)] += left * static_cast<Sum>(right[j * step]);
        }
      }
      for (int64_t j = 0; j < n; ++j) y[i * n + j] = static_cast<T>(row[static_cast<size_t>(j)]);
    }
  });
}

#define TENON_INSTANTIATE(T) \
  template void reference_matmul(int64_t, int64_t, int64_t, const T*, bool, const T*, bool, T*);
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float16)
TENON_INSTANTIATE(bfloat16)
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
TENON_INSTANTIATE(std::complex<float>)
TENON_INSTANTIATE(std::complex<double>)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
