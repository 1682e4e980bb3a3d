// StatelessRandomBinomial, StatefulRandomBinomial: how many of `counts` trials succeed with
// probability `probs`; sample for sample as TensorFlow draws them
// (tensorflow/core/kernels/random_binomial_op.cc).
#include <cmath>

#include "tenon/base/parallel.h"
#include "tenon/kernels/broadcast.h"
#include "tenon/ops/random/backward_uniforms.h"
#include "tenon/ops/random/generator_state.h"
#include "tenon/ops/random/random_fill.h"

namespace tenon {
namespace {

using BinomialTypes = TypeList<float16, float, double, int32_t, int64_t>;

// Blocks set aside for each result of either method.
constexpr uint64_t kBlocksOfRejection = 256, kBlocksOfInversion = 42;

// Geometric variables until their sum exceeds `count` (L. Devroye, "Non-Uniform Random Variate
// Generation", X.4.3).
double binomial_by_inversion(double count, double prob, kernels::Philox generator) {
  BackwardUniforms<double> uniforms(generator);
  double successes = 0;
  for (double sum = 0;; successes += 1) {
    sum += std::ceil(std::log(uniforms.next()) / std::log1p(-prob));
    if (!(sum <= count)) return successes;
  }
}

// What Stirling's approximation of log(k!) leaves out.
double stirling_tail(double k) {
  constexpr double kFirst[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983,
                               0.02079067210376509, 0.0166446911898211, 0.0138761288230707,
                               0.0118967099458917,  0.0104112652619720, 0.00925546218271273,
                               0.00833056343336287};
  if (k >= 0 && k <= 9) return kFirst[static_cast<int>(k)];
  const double square = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

// W. Hoermann, "The generation of binomial random variates" (1993), algorithm BTRS.
double binomial_by_rejection(double count, double prob, kernels::Philox generator) {
  const double deviation = std::sqrt(count * prob * (1 - prob));
  const double b = 1.15 + 2.53 * deviation;
  const double a = -0.0873 + 0.0248 * b + 0.01 * prob;
  const double center = count * prob + 0.5;
  const double box = 0.92 - 4.2 / b;
  const double odds = prob / (1 - prob);
  const double alpha = (2.83 + 5.1 / b) * deviation;
  const double mode = std::floor((count + 1) * prob);
  BackwardUniforms<double> uniforms(generator);
  for (;;) {
    const double u = uniforms.next() - 0.5;
    const double v = uniforms.next();
    const double inside = 0.5 - std::abs(u);
    const double k = std::floor((2 * a / inside + b) * u + center);
    if (inside >= 0.07 && v <= box) return k;
    if (k < 0 || k > count) continue;
    const double bound = (mode + 0.5) * std::log((mode + 1) / (odds * (count - mode + 1))) +
                         (count + 1) * std::log((count - mode + 1) / (count - k + 1)) +
                         (k + 0.5) * std::log(odds * (count - k + 1) / (k + 1)) +
                         stirling_tail(mode) + stirling_tail(count - mode) - stirling_tail(k) -
                         stirling_tail(count - k);
    if (std::log(v * alpha / (a / (inside * inside) + b)) <= bound) return k;
  }
}

// Result `index`. Products are rounded to the parameters' dtype, which decides the method.
template <class T>
double binomial_sample(T count, T prob, uint64_t index, kernels::Philox generator) {
  const auto trials = static_cast<double>(count);
  const auto p = static_cast<double>(prob);
  if (trials <= 0 || p <= 0) return 0;
  if (p >= 1) return trials;
  // Neither method ends for these.
  if (!std::isfinite(trials) || std::isnan(p)) return std::nan("");
  const bool turned = p > 0.5;
  const T rarer = turned ? static_cast<T>(T(1) - prob) : prob;
  const bool many = static_cast<double>(static_cast<T>(count * rarer)) >= 10;
  generator.skip((many ? kBlocksOfRejection : kBlocksOfInversion) * index);
  const double found = many ? binomial_by_rejection(trials, static_cast<double>(rarer), generator)
                            : binomial_by_inversion(trials, static_cast<double>(rarer), generator);
  return turned ? trials - found : found;
}

// What x86 makes of a number that the integer type has not.
template <class Result>
Result binomial_result(double sample) {
  if constexpr (std::is_integral_v<Result>) {
    constexpr auto kEnd = -static_cast<double>(std::numeric_limits<Result>::min());
    if (!(sample >= -kEnd && sample < kEnd)) return std::numeric_limits<Result>::min();
  }
  return static_cast<Result>(sample);
}

// Samples before the parameters' broadcast shape. The shape is input `shape`, counts and
// probabilities follow input `parameters` - 1.
Status check_binomial(ShapeContext& c, int shape, int parameters) {
  const StatusOr<PartialShape> both =
      broadcast_shapes(c.input(parameters), c.input(parameters + 1));
  if (!both.ok()) {
    return invalid_argument("counts and probs must have compatible batch dimensions: ",
                            c.input(parameters), " vs. ", c.input(parameters + 1));
  }
  const Tensor* known = c.constant(shape);
  if (!known || !both->has_rank()) return absl::OkStatus();
  const std::vector<int64_t> dims = integers_of(*known);
  bool fits = static_cast<int>(dims.size()) >= both->rank();
  for (int i = 1; fits && i <= both->rank(); ++i) {
    const int64_t size = (*both)[both->rank() - i];
    fits = size < 0 || size == dims[dims.size() - static_cast<size_t>(i)];
  }
  if (!fits) return invalid_argument("Shape passed in must end with broadcasted shape.");
  return absl::OkStatus();
}

Status binomial_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  if (c.input(1).has_rank() && c.input(1)[0] >= 0 && c.input(1)[0] != 2) {
    return invalid_argument("seed must have shape [2], not ", c.input(1));
  }
  TENON_RETURN_IF_ERROR(random_shape(c));
  return check_binomial(c, 0, 2);
}

Status generator_binomial_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(2));
  if (c.constant(2)) TENON_RETURN_IF_ERROR(Shape::make(y.dims()).status());
  c.set_output(0, std::move(y));
  return check_binomial(c, 2, 3);
}

// Each batch is one pair of parameters, of which there are as many samples.
struct BinomialForm {
  kernels::BroadcastPlan plan;
  int64_t results = 0;
  int parameters = 0;  // the input of the counts
  int64_t samples() const { return plan.count > 0 ? results / plan.count : 0; }
};

using DrawBinomial = void (*)(KernelRun&, const BinomialForm&, kernels::Philox);

template <class T, class Result>
void draw_binomial(KernelRun& r, const BinomialForm& form, kernels::Philox generator) {
  const int64_t batches = form.plan.count, samples = form.samples();
  const T *counts = r.in<T>(form.parameters), *probs = r.in<T>(form.parameters + 1);
  Result* y = r.out<Result>(0);
  kernels::for_each_run(
      form.plan, [&](const int64_t* from, const int64_t* steps, int64_t to, int64_t count) {
        for (int64_t i = 0; i < count; ++i) {
          const T trials = counts[from[0] + i * steps[0]], prob = probs[from[1] + i * steps[1]];
          for (int64_t sample = 0; sample < samples; ++sample) {
            const auto index = static_cast<uint64_t>((to + i) * samples + sample);
            y[sample * batches + to + i] =
                binomial_result<Result>(binomial_sample(trials, prob, index, generator));
          }
        }
      });
}

StatusOr<DrawBinomial> find_binomial(Prepare& p, int parameters) {
  DrawBinomial draw = nullptr;
  visit<FloatTypes>(p.input_dtype(parameters), [&]<class T>() {
    visit<BinomialTypes>(p.output_dtype(0),
                         [&]<class Result>() { draw = draw_binomial<T, Result>; });
  });
  if (!draw) return unimplemented(p.op().name(), " takes half, float and double");
  return draw;
}

StatusOr<BinomialForm> binomial_form(Prepare& p, int parameters) {
  const Shape shapes[] = {p.input_shape(parameters), p.input_shape(parameters + 1)};
  TENON_ASSIGN_OR_RETURN(kernels::BroadcastPlan plan, kernels::plan_broadcast(shapes));
  return BinomialForm{std::move(plan), p.output_shape(0).num_elements(), parameters};
}

StatusOr<Kernel> make_binomial(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const BinomialForm form, binomial_form(p, 2));
  TENON_ASSIGN_OR_RETURN(const DrawBinomial draw, find_binomial(p, 2));
  return Kernel([form, draw](KernelRun& r) {
    if (form.results == 0) return absl::OkStatus();
    draw(r, form,
         kernels::Philox::from_stateless_seed(static_cast<uint64_t>(integer_at(r.input(1), 0)),
                                              static_cast<uint64_t>(integer_at(r.input(1), 1))));
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_generator_binomial(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const BinomialForm form, binomial_form(p, 3));
  TENON_ASSIGN_OR_RETURN(const DrawBinomial draw, find_binomial(p, 3));
  return Kernel([form, draw](KernelRun& r) -> Status {
    if (*r.in<int64_t>(1) != 1) {  // automatic choice is not for this op
      return invalid_argument("Unsupported algorithm id: ", *r.in<int64_t>(1));
    }
    const auto batches = static_cast<uint64_t>(form.plan.count);
    const auto samples = static_cast<uint64_t>(form.samples());
    const uint64_t taken = batches * 2 * 100 * (samples + 3) / 4;
    TENON_ASSIGN_OR_RETURN(const kernels::Philox generator,
                           take_blocks(r, false, taken * kBlocksOfResult));
    if (form.results > 0) draw(r, form, generator);
    return absl::OkStatus();
  });
}

}  // namespace

TENON_OP(StatelessRandomBinomial) = {
    .inputs = "shape: S, seed: Tseed, counts: T, probs: T",
    .outputs = "output: dtype",
    .attrs =
        "S: {int32, int64}; Tseed: {int32, int64} = int64; T: {half, float, double, int32, int64} "
        "= "
        "double; dtype: {half, float, double, int32, int64} = int64",
    .host_inputs = {0},
    .shape = binomial_shape,
    .gradient = not_differentiable,
    .kernels = {make_binomial},
};
TENON_OP(StatefulRandomBinomial) = {
    .inputs = "resource: resource, algorithm: int64, shape: S, counts: T, probs: T",
    .outputs = "output: dtype",
    .attrs =
        "S: {int32, int64}; T: {half, float, double, int32, int64} = double; "
        "dtype: {half, float, double, int32, int64} = int64",
    .effect = Effect::kWrite,
    .host_inputs = {2},
    .shape = generator_binomial_shape,
    .gradient = not_differentiable,
    .kernels = {make_generator_binomial},
};

}  // namespace tenon
