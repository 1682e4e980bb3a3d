// ParameterizedTruncatedNormal, StatelessParameterizedTruncatedNormal: normal numbers between
// bounds, sample for sample as TensorFlow draws them on one thread
// (tensorflow/core/kernels/parameterized_truncated_normal_op.cc; on several its numbers hang on how
// many there are). Methods: C. Robert, "Simulation of truncated normal variables" (1995).
#include <cmath>
#include <numbers>

#include "tenon/graph/gradient.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/ops/math/value.h"
#include "tenon/ops/random/random_fill.h"
#include "tenon/ops/random/random_stream.h"

namespace tenon {
namespace {

using BoundedTypes = TypeList<float16, float, double>;

constexpr int kMostRejections = 1000;
// Samples of one group where all have the same parameters.
constexpr int64_t kGroup = 100;

// A number that is rounded to T after each operation.
template <class T>
struct Rounded {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  Wide value;

  Rounded(Wide x) : value(static_cast<Wide>(static_cast<T>(x))) {}  // NOLINT: implicit
  friend Rounded operator+(Rounded a, Rounded b) { return a.value + b.value; }
  friend Rounded operator-(Rounded a, Rounded b) { return a.value - b.value; }
  friend Rounded operator-(Rounded a) { return -a.value; }
  friend Rounded operator*(Rounded a, Rounded b) { return a.value * b.value; }
  friend Rounded operator/(Rounded a, Rounded b) { return a.value / b.value; }
  friend auto operator<=>(Rounded a, Rounded b) { return a.value <=> b.value; }
  friend Rounded exp(Rounded a) { return std::exp(a.value); }
  friend Rounded log(Rounded a) { return std::log(a.value); }
  friend Rounded sqrt(Rounded a) { return std::sqrt(a.value); }
};

template <class T>
struct TruncatedParameters {
  T mean, deviation, low, high;
};

// Draws samples of one distribution, one after the other.
template <class T>
class TruncatedSampler {
 public:
  using N = Rounded<T>;

  explicit TruncatedSampler(const TruncatedParameters<T>& p)
      : mean_(static_cast<Wide>(p.mean)), deviation_(static_cast<Wide>(p.deviation)) {
    N low = static_cast<Wide>(p.low), high = static_cast<Wide>(p.high);
    valid_ =
        deviation_ > N(0) && low < high && (std::isfinite(low.value) || std::isfinite(high.value));
    // Bounds become positive, or the lower one finite, where that can be.
    if ((std::isinf(low.value) && low < N(0)) || high < mean_) {
      std::swap(low, high);
      deviation_ = -deviation_;
    }
    low_ = (low - mean_) / deviation_;
    high_ = (high - mean_) / deviation_;
  }

  // Calls put(sample) for each of `count`; takes whole blocks from `generator`.
  template <class Put>
  Status draw(kernels::Philox& generator, int64_t count, const Put& put) const {
    if (count <= 0) return absl::OkStatus();
    if (!valid_) return invalid_argument("Invalid parameters");
    const N far = static_cast<Wide>(T(1.3F));
    const N root = sqrt(low_ * low_ + N(4));
    const N cutoff = N(2) * exp(N(Wide(0.5)) + low_ * (low_ - root) / N(4)) / (low_ + root);
    if ((low_ < -far && high_ >= N(0)) || (high_ > far && low_ <= N(0))) {
      return accept(generator, count, put, [&](kernels::Philox& g, auto& tries) {
        T numbers[kAtOnce];
        kernels::fill_normal<T>(g, kAtOnce, numbers);
        g.skip(1);
        for (const T number : numbers) {
          const N z = static_cast<Wide>(number);
          tries.add(z, z >= low_ && z <= high_);
        }
      });
    }
    return high_ - low_ < cutoff ? draw_from_uniform(generator, count, put)
                                 : draw_from_exponential(generator, count, put);
  }

 private:
  using Wide = typename N::Wide;
  static constexpr int kAtOnce = sizeof(T) == 8 ? 2 : 4;

  // Candidates of one step.
  struct Tries {
    Wide numbers[kAtOnce] = {};
    bool fit[kAtOnce] = {};
    int count = 0;
    void add(N number, bool fits) {
      numbers[count] = number.value;
      fit[count++] = fits;
    }
  };

  template <class Put, class Step>
  Status accept(kernels::Philox& generator, int64_t count, const Put& put, const Step& step) const {
    int rejected = 0;
    while (count > 0) {
      Tries tries;
      step(generator, tries);
      for (int i = 0; i < tries.count && count > 0; ++i) {
        if (tries.fit[i]) {
          put(static_cast<T>((N(tries.numbers[i]) * deviation_ + mean_).value));
          --count;
          rejected = 0;
        } else if (++rejected >= kMostRejections) {
          return absl::InternalError("TruncatedNormal's sampler failed to accept a sample");
        }
      }
    }
    return absl::OkStatus();
  }

  template <class Put>
  Status draw_from_uniform(kernels::Philox& generator, int64_t count, const Put& put) const {
    const N width = high_ - low_;
    const N most = low_ < N(0) ? N(0) : low_ * low_;
    return accept(generator, count, put, [&](kernels::Philox& g, auto& tries) {
      T places[kAtOnce], chances[kAtOnce];
      for (T* numbers : {places, chances}) {
        kernels::fill_uniform<T>(g, kAtOnce, numbers);
        g.skip(1);
      }
      for (int i = 0; i < kAtOnce; ++i) {
        const N z = N(static_cast<Wide>(places[i])) * width + low_;
        tries.add(z, N(static_cast<Wide>(chances[i])) <= exp((most - z * z) / N(2)));
      }
    });
  }

  template <class Put>
  Status draw_from_exponential(kernels::Philox& generator, int64_t count, const Put& put) const {
    const N rate = (low_ + sqrt(low_ * low_ + N(4))) / N(2);
    return accept(generator, count, put, [&](kernels::Philox& g, auto& tries) {
      T numbers[kAtOnce];
      kernels::fill_uniform<T>(g, kAtOnce, numbers);
      g.skip(1);
      for (int i = 0; i < kAtOnce; i += 2) {
        const N z = -log(N(static_cast<Wide>(numbers[i]))) / rate + low_;
        const N x = low_ < rate ? rate - z : low_ - rate;
        const N chance = exp(-x * x / N(2));
        tries.add(z, N(static_cast<Wide>(numbers[i + 1])) <= chance && z < high_);
      }
    });
  }

  N mean_, deviation_, low_ = N(0), high_ = N(0);
  bool valid_ = false;
};

// --- the stateful op: its first dimension has parameters of its own, or all share one ---

Status parameterized_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(random_shape(c));
  if (c.constant(0) && c.constant(0)->num_elements() == 0) {
    return invalid_argument("Shape tensor must not be empty");
  }
  constexpr std::string_view kNames[] = {"means", "stddevs", "minvals", "maxvals"};
  const Tensor* shape = c.constant(0);
  bool shared = true;
  for (int i = 1; i <= 4; ++i) {
    const PartialShape& one = c.input(i);
    if (one.has_rank() && one.rank() > 1) {
      return invalid_argument("Input ", kNames[i - 1],
                              " should be a scalar or vector, got shape: ", one);
    }
    shared &= one.has_rank() && (one.rank() == 0 || (i < 3 && one[0] == 1));
  }
  for (int i = 1; i <= 4 && shape && !shared; ++i) {
    const PartialShape& one = c.input(i);
    if (one.has_rank() && one.rank() == 1 && one[0] >= 0 && one[0] != 1 &&
        one[0] != integer_at(*shape, 0)) {
      return invalid_argument("Input ", kNames[i - 1],
                              " should have length 1 or shape[0], got shape: ", one);
    }
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_parameterized(Prepare& p) {
  const Shape shape = p.output_shape(0).to_shape();
  bool shared = true;
  std::array<bool, 4> single;
  for (int i = 0; i < 4; ++i) {
    const Shape& one = p.input_shape(i + 1);
    single[static_cast<size_t>(i)] = one.num_elements() == 1;
    shared &= one.rank() == 0 || (i < 2 && one[0] == 1);
  }
  const int64_t count = shape.num_elements();
  const int64_t samples = shared ? kGroup : shape.product(1, shape.rank());
  const int64_t groups = shared ? (count + kGroup - 1) / kGroup : shape[0];
  // As TensorFlow counts them, in 32 bits.
  const auto words =
      static_cast<int32_t>(static_cast<uint32_t>(groups * 2 * kMostRejections * (samples + 3)));
  const auto blocks = static_cast<uint64_t>(int64_t{words / 4});
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  Kernel kernel;
  visit<BoundedTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) -> Status {
      if (count == 0) return absl::OkStatus();
      kernels::Philox generator = stream->reserve(blocks, r.context().seed);
      T* y = r.out<T>(0);
      const auto parameter = [&](int i, int64_t group) {
        return r.in<T>(i + 1)[single[static_cast<size_t>(i)] ? 0 : group];
      };
      for (int64_t group = 0; group < groups; ++group) {
        const TruncatedSampler<T> sampler(
            {parameter(0, group), parameter(1, group), parameter(2, group), parameter(3, group)});
        const int64_t drawn = std::min(samples, count - group * samples);
        TENON_RETURN_IF_ERROR(sampler.draw(generator, drawn, [&](T sample) { *y++ = sample; }));
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented(p.op().name(), " takes half, float and double");
  return kernel;
}

// --- the stateless op: the shape ends in that of the parameters ---

Status stateless_parameterized_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  if (c.input(1).has_rank() && c.input(1)[0] >= 0 && c.input(1)[0] != 2) {
    return invalid_argument("seed must have shape [2], not ", c.input(1));
  }
  TENON_RETURN_IF_ERROR(random_shape(c));
  PartialShape all = c.input(2);
  for (int i = 3; i <= 5; ++i) {
    const StatusOr<PartialShape> both = broadcast_shapes(all, c.input(i));
    if (!both.ok()) {
      return invalid_argument(
          "means, stddevs, minvals, maxvals must have compatible batch dimensions: ", c.input(2),
          " vs. ", c.input(3), " vs. ", c.input(4), " vs. ", c.input(5));
    }
    all = *both;
  }
  const Tensor* known = c.constant(0);
  if (!known || !all.has_rank()) return absl::OkStatus();
  const std::vector<int64_t> dims = integers_of(*known);
  bool fits = static_cast<int>(dims.size()) >= all.rank();
  for (int i = 1; fits && i <= all.rank(); ++i) {
    const int64_t size = all[all.rank() - i];
    fits = size < 0 || size == dims[dims.size() - static_cast<size_t>(i)];
  }
  if (!fits) return invalid_argument("Shape passed in must end with broadcasted shape.");
  return absl::OkStatus();
}

StatusOr<Kernel> make_stateless_parameterized(Prepare& p) {
  const Shape shapes[] = {p.input_shape(2), p.input_shape(3), p.input_shape(4), p.input_shape(5)};
  TENON_ASSIGN_OR_RETURN(const kernels::BroadcastPlan plan, kernels::plan_broadcast(shapes));
  const int64_t count = p.output_shape(0).num_elements();
  Kernel kernel;
  visit<BoundedTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) -> Status {
      if (count == 0) return absl::OkStatus();
      std::vector<TruncatedParameters<T>> groups(static_cast<size_t>(plan.count));
      kernels::for_each_run(plan, [&](const int64_t* from, const int64_t* steps, int64_t to,
                                      int64_t length) {
        const auto at = [&](int i, int64_t j) { return r.in<T>(i + 2)[from[i] + j * steps[i]]; };
        for (int64_t j = 0; j < length; ++j) {
          groups[static_cast<size_t>(to + j)] = {at(0, j), at(1, j), at(2, j), at(3, j)};
        }
      });
      auto generator =
          kernels::Philox::from_stateless_seed(static_cast<uint64_t>(integer_at(r.input(1), 0)),
                                               static_cast<uint64_t>(integer_at(r.input(1), 1)));
      for (int64_t group = 0; group < plan.count; ++group) {
        const TruncatedSampler<T> sampler(groups[static_cast<size_t>(group)]);
        T* y = r.out<T>(0) + group;
        const auto put = [&](T sample) {
          *y = sample;
          y += plan.count;
        };
        TENON_RETURN_IF_ERROR(sampler.draw(generator, count / plan.count, put));
      }
      return absl::OkStatus();
    };
  });
  if (!kernel) return unimplemented(p.op().name(), " takes half, float and double");
  return kernel;
}

// The normal distribution function (random_grad.py, _Ndtr).
Value normal_below(Value x) {
  const double half_root = std::numbers::sqrt2 / 2;
  const Value w = x * half_root, z = apply("Abs", w);
  const Value tail = apply("Erfc", z);
  const Value far = select(apply("Greater", w, w.like(0)), 2.0 - tail, tail);
  return 0.5 * select(apply("Less", z, w.like(half_root)), 1.0 + apply("Erf", w), far);
}

// M. Figurnov et al., "Implicit reparameterization gradients" (2018), as in random_grad.py.
Status stateless_parameterized_gradient(Gradient& g) {
  GraphBuilder* b = &g.build();
  const auto input = [&](int i) { return Value{b, g.input(i)}; };
  const Value sample{b, g.output(0)}, dy{b, g.dy()};
  const auto standard = [&](Value x) { return (x - input(2)) / input(3); };
  const Value low = standard(input(4)), high = standard(input(5)), at = standard(sample);
  const Value below_low = normal_below(low);
  const Value part = (normal_below(at) - below_low) / (normal_below(high) - below_low);
  double tiny = 0, epsilon = 0;
  visit<TypeList<float, double>>(sample.dtype(), [&]<class T>() {
    tiny = static_cast<double>(std::numeric_limits<T>::min());
    epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  });
  if (sample.dtype() == DType::kHalf) tiny = 0x1p-14, epsilon = 0x1p-10;
  const Value inside{b, b->op("ClipByValue", {part, part.like(tiny), part.like(1 - epsilon)})};
  const auto slope = [&](Value bound, Value log) {
    return dy * apply("Exp", 0.5 * (square(at) - square(bound)) + log);
  };
  g.set_dx_broadcast(2, dy);
  g.set_dx_broadcast(3, dy * at);
  g.set_dx_broadcast(4, slope(low, apply("Log1p", -inside)));
  g.set_dx_broadcast(5, slope(high, apply("Log", inside)));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(ParameterizedTruncatedNormal) = {
    .inputs = "shape: T, means: dtype, stdevs: dtype, minvals: dtype, maxvals: dtype",
    .outputs = "output: dtype",
    .attrs = "seed: int = 0; seed2: int = 0; dtype: {floating}; T: {int32, int64}",
    .effect = Effect::kRandom,
    .host_inputs = {0},
    .shape = parameterized_shape,
    .gradient = not_differentiable,
    .kernels = {make_parameterized},
};

TENON_OP(StatelessParameterizedTruncatedNormal) = {
    .inputs = "shape: S, seed: Tseed, means: dtype, stddevs: dtype, minvals: dtype, maxvals: dtype",
    .outputs = "output: dtype",
    .attrs = "S: {int32, int64}; Tseed: {int32, int64} = int64; dtype: {half, float, double}",
    .host_inputs = {0},
    .shape = stateless_parameterized_shape,
    .gradient = stateless_parameterized_gradient,
    .kernels = {make_stateless_parameterized},
};

}  // namespace tenon
