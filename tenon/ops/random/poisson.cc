// RandomPoisson, RandomPoissonV2, StatelessRandomPoisson: counts of events at given rates.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/ops/random/backward_uniforms.h"
#include "tenon/ops/random/random_fill.h"
#include "tenon/ops/random/random_stream.h"
#include "tenon/ops/random/simple_philox.h"

namespace tenon {
namespace {

using PoissonTypes = TypeList<float16, float, double, int32_t, int64_t>;

// Blocks set aside for each result (tensorflow/core/kernels/random_poisson_op.cc).
constexpr uint64_t kBlocksOfPoisson = 256;

// Knuth's algorithm: how many numbers it takes for their product to fall below exp(-rate).
template <class T>
T small_poisson(T rate, BackwardUniforms<T>& uniforms) {
  const T least = std::exp(-rate);
  T product = 1;
  for (T x = 0;; x += 1) {
    product *= uniforms.next();
    if (product <= least) return x;
  }
}

// W. Hoermann, "The transformed rejection method for generating Poisson random variables" (1993).
template <class T>
T large_poisson(T rate, T most, BackwardUniforms<T>& uniforms) {
  const T log_rate = std::log(rate);
  const T b = T(0.931) + T(2.53) * std::sqrt(rate);
  const T a = T(-0.059) + T(0.02483) * b;
  const T inverse_alpha = T(1.1239) + T(1.1328) / (b - T(3.4));
  for (;;) {
    const T u = uniforms.next() - T(0.5);
    const T v = uniforms.next();
    const T inside = T(0.5) - std::abs(u);
    const T k = std::floor((T(2) * a / inside + b) * u + rate + T(0.43));
    if (k > most) continue;
    if (inside >= T(0.07) && v <= T(0.9277) - T(3.6224) / (b - T(2))) return k;
    if (k < 0 || (inside < T(0.013) && v > inside)) continue;
    const T s = std::log(v * inverse_alpha / (a / (inside * inside) + b));
    if (s <= -rate + k * log_rate - std::lgamma(k + T(1))) return k;
  }
}

// result[sample, rate], each from its own part of the generator's numbers.
template <class Rate, class Result>
void draw_poisson(kernels::Philox generator, const Rate* rates, int64_t num_rates, int64_t samples,
                  Result* y) {
  using Wide = double;
  const Wide most = std::is_integral_v<Result>
                        ? static_cast<Wide>(std::numeric_limits<Result>::max() / 2)
                        : std::numeric_limits<Wide>::max();
  parallel_for(num_rates * samples, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto rate = static_cast<Wide>(rates[i / samples]);
      Result& result = y[i % samples * num_rates + i / samples];
      // Neither algorithm ends for these.
      if (!std::isfinite(rate) || rate < 0) {
        result = static_cast<Result>(std::is_integral_v<Result> ? -1.0F : std::nanf(""));
        continue;
      }
      if (rate >= most) {
        result = static_cast<Result>(most);
        continue;
      }
      kernels::Philox own = generator;
      own.skip(kBlocksOfPoisson * static_cast<uint64_t>(i));
      BackwardUniforms<Wide> uniforms(own);
      result = static_cast<Result>(rate < Wide(10) ? small_poisson(rate, uniforms)
                                                   : large_poisson(rate, most, uniforms));
    }
  });
}

// `generator_of(run, results)` gives the generator of one run. Input `rate` has the rates.
template <class GeneratorOf>
StatusOr<Kernel> poisson_kernel(Prepare& p, int rate, GeneratorOf generator_of) {
  const int64_t rates = p.input_shape(rate).num_elements();
  const int64_t results = p.output_shape(0).num_elements();
  Kernel kernel;
  visit<PoissonTypes>(p.input_dtype(rate), [&]<class Rate>() {
    visit<PoissonTypes>(p.output_dtype(0), [&]<class Result>() {
      kernel = [=](KernelRun& r) {
        if (results == 0) return absl::OkStatus();
        draw_poisson(generator_of(r, results), r.in<Rate>(rate), rates, results / rates,
                     r.out<Result>(0));
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

// The samples' shape, then that of the rates.
Status random_poisson_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape samples, c.shape_from_input(0));
  if (c.constant(0)) TENON_RETURN_IF_ERROR(Shape::make(samples.dims()).status());
  if (!samples.has_rank() || !c.input(1).has_rank()) return unknown_shape(c);
  std::vector<int64_t> dims(samples.dims().begin(), samples.dims().end());
  dims.insert(dims.end(), c.input(1).dims().begin(), c.input(1).dims().end());
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_random_poisson(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  return poisson_kernel(p, 1, [stream](KernelRun& r, int64_t results) {
    return stream->reserve(kernels::reserved_blocks(static_cast<uint64_t>(results)),
                           r.context().seed);
  });
}

// The shape ends in that of the rates.
Status stateless_poisson_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  if (c.input(1).has_rank() && c.input(1)[0] >= 0 && c.input(1)[0] != 2) {
    return invalid_argument("seed must have shape [2], not ", c.input(1));
  }
  TENON_RETURN_IF_ERROR(random_shape(c));
  const Tensor* shape = c.constant(0);
  const PartialShape& rates = c.input(2);
  if (!shape || !rates.has_rank()) return absl::OkStatus();
  const std::vector<int64_t> dims = integers_of(*shape);
  bool fits = static_cast<int>(dims.size()) >= rates.rank();
  for (int i = 1; fits && i <= rates.rank(); ++i) {
    const int64_t size = rates[rates.rank() - i];
    fits = size < 0 || size == dims[dims.size() - static_cast<size_t>(i)];
  }
  if (!fits) {
    return invalid_argument("Shape passed in must end with broadcasted shape: rates have ", rates);
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_stateless_poisson(Prepare& p) {
  return poisson_kernel(p, 2, [](KernelRun& r, int64_t) {
    return kernels::Philox::from_stateless_seed(static_cast<uint64_t>(integer_at(r.input(1), 0)),
                                                static_cast<uint64_t>(integer_at(r.input(1), 1)));
  });
}

}  // namespace

TENON_OP(RandomPoisson) = {
    .inputs = "shape: S, rate: dtype",
    .outputs = "output: dtype",
    .attrs = "seed: int = 0; seed2: int = 0; S: {int32, int64}; dtype: {half, float, double}",
    .effect = Effect::kRandom,
    .host_inputs = {0},
    .shape = random_poisson_shape,
    .gradient = not_differentiable,
    .kernels = {make_random_poisson},
};
TENON_OP(RandomPoissonV2) = {
    .inputs = "shape: S, rate: R",
    .outputs = "output: dtype",
    .attrs =
        "seed: int = 0; seed2: int = 0; S: {int32, int64}; R: {half, float, double, int32, "
        "int64} = double; dtype: {half, float, double, int32, int64} = int64",
    .effect = Effect::kRandom,
    .host_inputs = {0},
    .shape = random_poisson_shape,
    .gradient = not_differentiable,
    .kernels = {make_random_poisson},
};
TENON_OP(StatelessRandomPoisson) = {
    .inputs = "shape: T, seed: Tseed, lam: Rtype",
    .outputs = "output: dtype",
    .attrs =
        "Rtype: {half, float, double, int32, int64}; dtype: {half, float, double, int32, "
        "int64}; T: {int32, int64}; Tseed: {int32, int64} = int64",
    .host_inputs = {0},
    .shape = stateless_poisson_shape,
    .gradient = not_differentiable,
    .kernels = {make_stateless_poisson},
};

}  // namespace tenon
