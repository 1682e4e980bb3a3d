// Matrix products: MatMul beside oneDNN's primitive, in turn, one JSON line a shape. With `bf16`
// both multiply in bfloat16 and convert float32 operands, but packed ones, while they run.
//
//   build/product_bench [threads] [bf16]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <dnnl.hpp>

#include "tenon/base/parallel.h"
#include "tenon/base/strings.h"
#include "tenon/base/thread_pool.h"
#include "tenon/kernels/elementwise.h"
#include "tenon/kernels/matmul.h"

extern "C" void omp_set_num_threads(int);

namespace tenon::kernels {
namespace {

constexpr double kSecondsOfRound = 0.1;
constexpr int kRounds = 5;

struct Product {
  const char* what;
  int64_t m, k, n;
  bool transpose_a = false, transpose_b = false;
  bool packed = false;  // constant weights
};

constexpr Product kProducts[] = {
    {"784-128 forward, b64", 64, 784, 128},
    {"784-128 d_weights, b64", 784, 64, 128, true},
    {"128-10 forward, b64", 64, 128, 10},
    {"128-10 d_weights, b64", 128, 64, 10, true},
    {"128-10 d_input, b64", 64, 10, 128, false, true},
    {"1600-10 forward, b64", 64, 1600, 10},
    {"1600-10 d_weights, b64", 1600, 64, 10, true},
    {"1600-10 d_input, b64", 64, 10, 1600, false, true},
    {"784-128 constant, b1", 1, 784, 128, false, false, true},
    {"784-128 constant, b32", 32, 784, 128, false, false, true},
    {"784-128 constant, b256", 256, 784, 128, false, false, true},
    {"768-768 constant, b8", 8, 768, 768, false, false, true},
    {"768-3072 constant, b1", 1, 768, 3072, false, false, true},
    {"768-3072 constant, b32", 32, 768, 3072, false, false, true},
    {"768-3072 constant, b256", 256, 768, 3072, false, false, true},
    {"768-3072 forward, b256", 256, 768, 3072},
    {"768-3072 d_input, b256", 256, 3072, 768, false, true},
    {"768-3072 d_weights, b256", 3072, 256, 768, true},
    {"2048-1000 constant, b1", 1, 2048, 1000, false, false, true},
    {"2048-1000 forward, b1", 1, 2048, 1000},
    {"2048-1000 forward, b64", 64, 2048, 1000},
    {"1x1 convolution 64-256, 56x56", 3136, 64, 256, false, false, true},
    {"attention scores, 128 rows", 128, 64, 128, false, true},
    {"attention values, 128 rows", 128, 128, 64},
    {"1024 cubed", 1024, 1024, 1024},
    {"4096-4096 forward, b512", 512, 4096, 4096},
};

struct Aligned {
  explicit Aligned(size_t bytes) : memory(std::aligned_alloc(64, (bytes + 127) / 64 * 64)) {}
  Aligned(const Aligned&) = delete;
  Aligned& operator=(const Aligned&) = delete;
  ~Aligned() { std::free(memory); }
  float* floats() const { return static_cast<float*>(memory); }
  void* memory;
};

class Ours {
 public:
  Ours(const Product& p, Precision precision, const float* a, const float* b, float* y)
      : precision_(precision),
        layout_(p.packed ? matmul_packed_layout(p.k, p.n, precision) : PackedLayout()),
        packed_(layout_.bytes()),
        product_(make(p)),
        scratch_(product_->scratch_bytes()),
        pointers_{.a = a, .b = b, .y = y} {
    if (layout_.is_plain()) return;
    pack_matmul_weights(layout_, p.k, p.n, false, b, packed_.memory).IgnoreError();
    pointers_.b = packed_.memory;
  }
  void run() { product_->run(pointers_, scratch_.memory); }

 private:
  StatusOr<MatMul> make(const Product& p) const {
    MatMulSpec spec{.m = p.m, .k = p.k, .n = p.n, .precision = precision_};
    spec.transpose_a = p.transpose_a;
    spec.transpose_b = p.transpose_b;
    spec.packed = layout_;
    return MatMul::make(spec);
  }
  Precision precision_;
  PackedLayout layout_;
  Aligned packed_;
  StatusOr<MatMul> product_;
  Aligned scratch_;
  MatMulPointers pointers_;
};

class OneDnn {
 public:
  OneDnn(const Product& p, Precision precision, float* a, float* b, float* y)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using Type = dnnl::memory::data_type;
    const auto type = precision == Precision::kBfloat16 ? Type::bf16 : Type::f32;
    const auto plain = [](int64_t rows, int64_t columns, bool transposed, Type of) {
      return dnnl::memory::desc(
          {rows, columns}, of,
          transposed ? dnnl::memory::dims{1, rows} : dnnl::memory::dims{columns, 1});
    };
    const auto left = plain(p.m, p.k, p.transpose_a, Type::f32);
    const auto right = plain(p.k, p.n, p.transpose_b, Type::f32);
    const auto result = plain(p.m, p.n, false, Type::f32);
    const bool converts = type == Type::bf16;
    const dnnl::memory::desc any({p.k, p.n}, type, dnnl::memory::format_tag::any);
    const dnnl::matmul::primitive_desc chosen({converts ? plain(p.m, p.k, false, type) : left,
                                               converts || p.packed ? any : right, result},
                                              engine_);
    product_ = dnnl::matmul(chosen);
    const dnnl::memory from_a(left, engine_, a), from_b(right, engine_, b);
    arguments_ = {
        {DNNL_ARG_SRC, from_a}, {DNNL_ARG_WEIGHTS, from_b}, {DNNL_ARG_DST, {result, engine_, y}}};
    if (converts) convert(DNNL_ARG_SRC, from_a, chosen.src_desc());
    if (converts && !p.packed) convert(DNNL_ARG_WEIGHTS, from_b, chosen.weights_desc());
    if (!p.packed) return;
    dnnl::memory packed(chosen.weights_desc(), engine_);
    dnnl::reorder(from_b, packed).execute(stream_, arguments_[DNNL_ARG_WEIGHTS], packed);
    arguments_[DNNL_ARG_WEIGHTS] = packed;
  }
  void run() {
    for (Conversion& c : conversions_) c.reorder.execute(stream_, c.from, c.to);
    product_.execute(stream_, arguments_);
  }

 private:
  struct Conversion {
    dnnl::memory from, to;
    dnnl::reorder reorder;
  };
  void convert(int argument, const dnnl::memory& from, const dnnl::memory::desc& to_desc) {
    const dnnl::memory to(to_desc, engine_);
    conversions_.push_back({from, to, dnnl::reorder(from, to)});
    arguments_[argument] = to;
  }
  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::primitive product_;
  std::vector<Conversion> conversions_;
  std::unordered_map<int, dnnl::memory> arguments_;
};

template <class Run>
void measure(Run& side, std::vector<double>& microseconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(kSecondsOfRound);
  while (Clock::now() < end) {
    const auto start = Clock::now();
    side.run();
    microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
}

double median(std::vector<double>& values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

void compare(const Product& p, Precision precision, int threads) {
  const auto fill = [](const Aligned& memory, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      memory.floats()[i] = static_cast<float>(i * 7 % 23) / 23.0f - 0.5f;
    }
  };
  const auto bytes = [](int64_t count) { return static_cast<size_t>(count) * sizeof(float); };
  const Aligned a(bytes(p.m * p.k)), b(bytes(p.k * p.n)), y(bytes(p.m * p.n));
  fill(a, p.m * p.k);
  fill(b, p.k * p.n);
  Ours ours(p, precision, a.floats(), b.floats(), y.floats());
  OneDnn theirs(p, precision, a.floats(), b.floats(), y.floats());
  std::vector<double> our_times, their_times;
  for (int round = 0; round < kRounds; ++round) {
    measure(ours, our_times);
    measure(theirs, their_times);
  }
  const double us = median(our_times), their_us = median(their_times);
  std::printf(
      "{\"figure\": \"product %s%s, %d threads, median us\", \"tenon\": %.2f, \"onednn\": %.2f, "
      "\"times faster\": %.2f, \"GFLOP/s\": %.0f}\n",
      p.what, precision == Precision::kBfloat16 ? ", bfloat16" : "", threads, us, their_us,
      their_us / us, 2e-3 * static_cast<double>(p.m * p.k * p.n) / us);
  std::fflush(stdout);
}

}  // namespace
}  // namespace tenon::kernels

int main(int argc, char** argv) {
  int64_t threads = 0;
  if (argc > 1 && !tenon::parse_number(argv[1], threads)) return 2;
  tenon::ThreadPool::configure(static_cast<int>(threads));
  const int team = tenon::ThreadPool::configured_threads();
  tenon::set_team_size(team);
  omp_set_num_threads(team);
  const bool bfloat16 = argc > 2 && std::string_view(argv[2]) == "bf16";
  const auto precision = bfloat16 ? tenon::Precision::kBfloat16 : tenon::Precision::kFloat32;
  for (const auto& product : tenon::kernels::kProducts) {
    tenon::kernels::compare(product, precision, team);
  }
}
