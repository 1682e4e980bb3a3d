// RandomGamma, StatelessRandomGammaV2, StatelessRandomGammaV3: gamma distributions by rejection (G.
// Marsaglia, W. W. Tsang, "A simple method for generating gamma variables", 2000), sample for
// sample as TensorFlow draws them.
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/graph/gradient.h"
#include "tenon/ops/random/random_fill.h"
#include "tenon/ops/random/random_stream.h"

namespace tenon {
namespace {

// Blocks of the generator that belong to one sample.
constexpr uint64_t kBlocksOfGamma = 256;

// A block gives two numbers, of which the second is used first.
class NumberPairs {
 public:
  using Fill = void (*)(kernels::Philox, int64_t, double*);
  NumberPairs(Fill fill, kernels::Philox& generator) : fill_(fill), generator_(generator) {}
  double next() {
    if (left_ == 0) {
      fill_(generator_, 2, pair_.data());
      generator_.skip(1);
      left_ = 2;
    }
    return pair_[static_cast<size_t>(--left_)];
  }

 private:
  Fill fill_;
  kernels::Philox& generator_;
  std::array<double, 2> pair_{};
  int left_ = 0;
};

double gamma_sample(double alpha, kernels::Philox generator) {
  NumberPairs uniform(kernels::fill_uniform<double>, generator);
  NumberPairs normal(kernels::fill_normal<double>, generator);
  if (alpha == 1) return -std::log1p(-uniform.next());
  // Below 1 a sample of alpha + 1 is scaled by a power of a uniform one.
  const double d = alpha + (alpha < 1 ? 2.0 / 3 : -1.0 / 3);
  const double c = 1.0 / 3 / std::sqrt(d);
  // alpha that is NaN or far below 0 accepts nothing.
  for (uint64_t trial = 0; trial < kBlocksOfGamma; ++trial) {
    const double x = normal.next();
    double v = 1 + c * x;
    if (v <= 0) continue;
    v = v * v * v;
    const double u = uniform.next();
    if (u < 1 - 0.0331 * (x * x) * (x * x) ||
        std::log(u) < 0.5 * x * x + d * (1 - v + std::log(v))) {
      const double sample = d * v;
      return alpha < 1 ? sample * std::pow(uniform.next(), 1 / alpha) : sample;
    }
  }
  return std::numeric_limits<double>::quiet_NaN();
}

// y[sample, alpha], each from its own part of the generator's numbers.
template <class T>
void draw_gamma(kernels::Philox start, const T* alpha, int64_t alphas, int64_t count, T* y) {
  const int64_t samples = count / alphas;  // of each alpha, which are drawn one after another
  parallel_for(count, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels::Philox generator = start;
      generator.skip(kBlocksOfGamma * static_cast<uint64_t>(i));
      const int64_t which = i / samples, sample = i % samples;
      y[sample * alphas + which] =
          static_cast<T>(gamma_sample(static_cast<double>(alpha[which]), generator));
    }
  });
}

template <int alpha_input>
Status gamma_shape(ShapeContext& c) {
  const auto expect = [&](int input, int64_t length) -> Status {
    TENON_RETURN_IF_ERROR(c.expect_rank(input, 1));
    const PartialShape& shape = c.input(input);
    if (!shape.has_rank() || shape[0] < 0 || shape[0] == length) return absl::OkStatus();
    return invalid_argument("input ", input, " must have shape [", length, "], not ", shape);
  };
  TENON_RETURN_IF_ERROR(expect(1, alpha_input == 2 ? 2 : 1));
  if (alpha_input == 4) {
    TENON_RETURN_IF_ERROR(expect(2, 2));
    TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
    const Tensor* algorithm = c.constant(3);
    const int64_t id = algorithm ? integer_at(*algorithm, 0) : 1;
    if (id != 1 && id != 3) return invalid_argument("Unsupported algorithm id: ", id);
  }
  return random_shape(c);
}

// The last dimensions of the output are alpha's.
Status check_alpha_shape(const Shape& output, const Shape& alpha) {
  bool ends_with = output.rank() >= alpha.rank();
  for (int i = 1; ends_with && i <= alpha.rank(); ++i) {
    ends_with = output[output.rank() - i] == alpha[alpha.rank() - i];
  }
  if (!ends_with) {
    return invalid_argument("Shape passed in must end with broadcasted shape: ", output, " and ",
                            alpha);
  }
  return absl::OkStatus();
}

template <int alpha_input>
kernels::Philox gamma_generator(const KernelRun& r) {
  if (alpha_input == 2) {
    return kernels::Philox::from_stateless_seed(static_cast<uint64_t>(integer_at(r.input(1), 0)),
                                                static_cast<uint64_t>(integer_at(r.input(1), 1)));
  }
  const uint64_t* counter = r.in<uint64_t>(2);
  return kernels::Philox::from_key_counter(*r.in<uint64_t>(1), counter[0], counter[1]);
}

template <int alpha_input>
StatusOr<Kernel> make_gamma(Prepare& p) {
  const int64_t count = p.output_shape(0).num_elements();
  const int64_t alphas = p.input_shape(alpha_input).num_elements();
  if (count > 0) {
    TENON_RETURN_IF_ERROR(
        check_alpha_shape(p.output_shape(0).to_shape(), p.input_shape(alpha_input)));
  }
  Kernel kernel;
  visit<FloatTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [count, alphas](KernelRun& r) {
      if (count == 0) return absl::OkStatus();
      draw_gamma(gamma_generator<alpha_input>(r), r.in<T>(alpha_input), alphas, count, r.out<T>(0));
      return absl::OkStatus();
    };
  });
  return kernel;
}

// The samples' shape, then that of alpha.
Status random_gamma_shape(ShapeContext& c) {
  TENON_ASSIGN_OR_RETURN(const PartialShape samples, c.shape_from_input(0));
  if (c.constant(0)) TENON_RETURN_IF_ERROR(Shape::make(samples.dims()).status());
  if (!samples.has_rank() || !c.input(1).has_rank()) return unknown_shape(c);
  std::vector<int64_t> dims(samples.dims().begin(), samples.dims().end());
  dims.insert(dims.end(), c.input(1).dims().begin(), c.input(1).dims().end());
  c.set_output(0, PartialShape(std::span<const int64_t>(dims)));
  return absl::OkStatus();
}

StatusOr<Kernel> make_random_gamma(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  const int64_t count = p.output_shape(0).num_elements();
  const int64_t alphas = p.input_shape(1).num_elements();
  Kernel kernel;
  visit<FloatTypes>(p.output_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      if (count == 0) return absl::OkStatus();
      const kernels::Philox start =
          stream->reserve(kernels::reserved_blocks(static_cast<uint64_t>(count)), r.context().seed);
      draw_gamma(start, r.in<T>(1), alphas, count, r.out<T>(0));
      return absl::OkStatus();
    };
  });
  return kernel;
}

// random_grad.py: alpha's shape is the last dimensions of the samples'.
template <int alpha>
Status gamma_gradient(Gradient& g) {
  GraphBuilder& b = g.build();
  const Endpoint slope = b.op("RandomGammaGrad", {g.input(alpha), g.output(0)});
  g.set_dx_broadcast(alpha, b.mul(g.dy(), slope));
  return absl::OkStatus();
}

}  // namespace

TENON_OP(RandomGamma) = {
    .inputs = "shape: S, alpha: T",
    .outputs = "output: T",
    .attrs = "seed: int = 0; seed2: int = 0; S: {int32, int64}; T: {half, float, double}",
    .effect = Effect::kRandom,
    .host_inputs = {0},
    .shape = random_gamma_shape,
    .gradient = gamma_gradient<1>,
    .kernels = {make_random_gamma},
};
TENON_OP(StatelessRandomGammaV2) = {
    .inputs = "shape: T, seed: Tseed, alpha: dtype",
    .outputs = "output: dtype",
    .attrs = "dtype: {half, float, double}; T: {int32, int64}; Tseed: {int32, int64} = int64",
    .host_inputs = {0},
    .shape = gamma_shape<2>,
    .gradient = gamma_gradient<2>,
    .kernels = {make_gamma<2>},
};
TENON_OP(StatelessRandomGammaV3) = {
    .inputs = "shape: shape_dtype, key: uint64, counter: uint64, alg: int32, alpha: dtype",
    .outputs = "output: dtype",
    .attrs = "dtype: {half, float, double}; shape_dtype: {int32, int64} = int32",
    .host_inputs = {0, 3},
    .shape = gamma_shape<4>,
    .gradient = gamma_gradient<4>,
    .kernels = {make_gamma<4>},
};

}  // namespace tenon
