#include "tenon/kernels/matmul.h"

#include <complex>

#include "tenon/base/parallel.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/kernels/product/bfloat16_product.h"
#include "tenon/kernels/product/float_panels.h"
#include "tenon/kernels/product/float_product.h"
#include "tenon/kernels/product/packed_description.h"
#include "tenon/kernels/product/worker_scratch.h"

namespace tenon::kernels {
namespace {

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

// Packed weights say in which precision they are multiplied.
bool runs_in_bfloat16(const MatMulSpec& spec) {
  if (!spec.packed.is_plain()) return is_bfloat16_layout(spec.packed);
  return spec.precision == Precision::kBfloat16 && bfloat16_loops() && spec.k > 0;
}

// Which of the matrices of a and b an item of the batch multiplies.
struct Factors {
  int64_t a = 0;
  int64_t b = 0;
};

}  // namespace

// One of the two products.
struct MatMul::Impl {
  MatMulSpec spec;
  BroadcastPlan batches;  // collapsed: inputs are a and b, in matrices
  std::unique_ptr<FloatProduct> in_float;
  std::unique_ptr<Bfloat16Product> in_bfloat16;
  std::optional<WorkerScratch> bfloat16_scratch;

  Status plan();
  void plan_bfloat16();
  int64_t matrices_of_b() const { return Shape(spec.batch_b).num_elements(); }
  Factors factors_of(int64_t item) const;
  MatMulPointers item_of(const MatMulPointers& p, int64_t item, const void* b,
                         int64_t bytes_of_b) const;
  void run_float(const MatMulPointers& p, char* scratch) const;
  void run_bfloat16(const MatMulPointers& p, void* scratch) const;
};

Status MatMul::Impl::plan() {
  // Rows of all batches are one tall matrix where b does not change between them.
  if (matrices_of_b() == 1 && !spec.transpose_a) {
    spec.m *= Shape(spec.batch_a).num_elements();
    spec.batch_a.clear();
    spec.batch_b.clear();
  }
  const std::array<Shape, 2> shapes{Shape(spec.batch_a), Shape(spec.batch_b)};
  TENON_ASSIGN_OR_RETURN(batches, plan_broadcast(shapes));
  return absl::OkStatus();
}

void MatMul::Impl::plan_bfloat16() {
  in_bfloat16 = std::make_unique<Bfloat16Product>(spec, batches.count);
  const int64_t panels =
      spec.packed.is_plain() ? matrices_of_b() * bfloat16_panels_size(spec.k, spec.n) : 0;
  bfloat16_scratch.emplace(static_cast<size_t>(panels) * sizeof(uint16_t),
                           in_bfloat16->worker_scratch_bytes());
}

MatMul::MatMul(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
MatMul::MatMul(MatMul&&) noexcept = default;
MatMul& MatMul::operator=(MatMul&&) noexcept = default;
MatMul::~MatMul() = default;

StatusOr<MatMul> MatMul::make(const MatMulSpec& spec) {
  TENON_RETURN_IF_ERROR(check_sizes(spec));
  auto impl = std::make_unique<Impl>();
  impl->spec = spec;
  TENON_RETURN_IF_ERROR(impl->plan());
  if (impl->batches.count * impl->spec.m * impl->spec.n == 0) return MatMul(std::move(impl));
  if (runs_in_bfloat16(spec)) {
    impl->plan_bfloat16();
  } else {
    impl->in_float = std::make_unique<FloatProduct>(impl->spec, impl->batches.count, team_size());
  }
  return MatMul(std::move(impl));
}

std::string MatMul::name() const {
  if (impl_->in_bfloat16) return std::string(bfloat16_loops()->name);
  return impl_->in_float ? "panels" : "empty";
}

size_t MatMul::scratch_bytes() const {
  if (impl_->in_bfloat16) return impl_->bfloat16_scratch->bytes();
  if (!impl_->in_float) return 0;  // empty result
  return static_cast<size_t>(impl_->in_float->workers()) * impl_->in_float->worker_scratch_bytes();
}

Factors MatMul::Impl::factors_of(int64_t item) const {
  Factors found;
  for (size_t i = batches.dims.size(); i-- > 0;) {
    const int64_t index = item % batches.dims[i];
    item /= batches.dims[i];
    found.a += index * batches.strides[0][i];
    found.b += index * batches.strides[1][i];
  }
  return found;
}

// `b`: the matrices of b as the product reads them, `bytes_of_b` each.
MatMulPointers MatMul::Impl::item_of(const MatMulPointers& p, int64_t item, const void* b,
                                     int64_t bytes_of_b) const {
  MatMulPointers found = p;
  const Factors factors = factors_of(item);
  found.a = p.a + factors.a * spec.m * spec.k;
  found.b = static_cast<const char*>(b) + factors.b * bytes_of_b;
  found.y = p.y + item * spec.m * spec.n;
  if (p.residual) found.residual = p.residual + item * spec.m * spec.n;
  return found;
}

void MatMul::Impl::run_float(const MatMulPointers& p, char* scratch) const {
  const int64_t workers = in_float->workers();
  const int64_t pieces = in_float->jobs();
  const int64_t jobs = batches.count * pieces;
  const size_t bytes = in_float->worker_scratch_bytes();
  const int64_t bytes_of_b = spec.k * spec.n * static_cast<int64_t>(sizeof(float));
  parallel_for(workers, 1, [&](int64_t first, int64_t last) {
    char* const own = scratch + static_cast<size_t>(first) * bytes;
    for (int64_t job = jobs * first / workers; job < jobs * last / workers; ++job) {
      in_float->run_job(job % pieces, item_of(p, job / pieces, p.b, bytes_of_b),
                        reinterpret_cast<float*>(own));
    }
  });
}

void MatMul::Impl::run_bfloat16(const MatMulPointers& p, void* scratch) const {
  const void* panels = p.b;
  if (spec.packed.is_plain()) {
    const Bfloat16Source b{.values = static_cast<const float*>(p.b),
                           .k = spec.k,
                           .n = spec.n,
                           .row = spec.transpose_b ? spec.k : spec.n,
                           .transposed = spec.transpose_b};
    pack_bfloat16(matrices_of_b(), b, spec.k * spec.n, static_cast<uint16_t*>(scratch));
    panels = scratch;
  }
  const int64_t bytes_of_b =
      bfloat16_panels_size(spec.k, spec.n) * static_cast<int64_t>(sizeof(uint16_t));
  parallel_workers(in_bfloat16->blocks(), in_bfloat16->grain(),
                   [&](int64_t worker, int64_t first, int64_t last) {
                     auto* const own =
                         static_cast<char*>(bfloat16_scratch->of_worker(scratch, worker));
                     for (int64_t i = first; i < last; ++i) {
                       const int64_t item = in_bfloat16->item_of(i);
                       in_bfloat16->run_block(i, item_of(p, item, panels, bytes_of_b), own);
                     }
                   });
}

void MatMul::run(const MatMulPointers& pointers, void* scratch) const {
  if (impl_->in_bfloat16) return impl_->run_bfloat16(pointers, scratch);
  if (impl_->in_float) impl_->run_float(pointers, static_cast<char*>(scratch));
}

PackedLayout matmul_packed_layout(int64_t k, int64_t n, Precision precision) {
  if (k <= 0 || n <= 0) return {};
  if (precision == Precision::kBfloat16 && bfloat16_loops()) return bfloat16_layout(1, k, n);
  if (float_panels_are_plain(n)) return {};
  PackedLayout::Description description;
  description.name = cat("panels of ", k, " x ", n);
  description.bytes = static_cast<size_t>(float_panels_size(k, n)) * sizeof(float);
  return PackedLayout(std::make_shared<PackedLayout::Description>(std::move(description)));
}

Status pack_matmul_weights(const PackedLayout& layout, int64_t k, int64_t n, bool transposed,
                           const float* weights, void* packed) {
  if (layout.is_plain()) return invalid_argument("the plain layout needs no packing");
  if (is_bfloat16_layout(layout)) {
    const Bfloat16Source source{
        .values = weights, .k = k, .n = n, .row = transposed ? k : n, .transposed = transposed};
    pack_bfloat16(1, source, 0, static_cast<uint16_t*>(packed));
    return absl::OkStatus();
  }
  pack_float_panels(k, n, transposed, weights, static_cast<float*>(packed));
  return absl::OkStatus();
}

namespace {

template <class T>
struct SumOf {
  using Type = T;
};
template <>
struct SumOf<int16_t> {
  using Type = uint32_t;  // uint16_t's products would be computed as int
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
TENON_INSTANTIATE(int16_t)
TENON_INSTANTIATE(int32_t)
TENON_INSTANTIATE(int64_t)
TENON_INSTANTIATE(std::complex<float>)
TENON_INSTANTIATE(std::complex<double>)
#undef TENON_INSTANTIATE

}  // namespace tenon::kernels
