// Multinomial and StatelessMultinomial: classes drawn by their log-probabilities.
#include <cmath>

#include "tenon/core/shape_context.h"
#include "tenon/ops/random/random_stream.h"
#include "tenon/ops/random/simple_philox.h"

namespace tenon {
namespace {

Status multinomial_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  if (c.num_inputs() > 2) {
    TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
    if (c.input(2).has_rank() && c.input(2)[0] >= 0 && c.input(2)[0] != 2) {
      return invalid_argument("seed must have shape [2], not ", c.input(2));
    }
  }
  const PartialShape& logits = c.input(0);
  int64_t samples = -1;
  if (const Tensor* count = c.constant(1)) {
    samples = integer_at(*count, 0);
    if (samples < 0) return invalid_argument("num_samples should be nonnegative, got ", samples);
  }
  const int64_t rows = logits.has_rank() ? logits[0] : -1;
  if (logits.has_rank() && logits[1] == 0) {
    return invalid_argument("num_classes should be positive, got 0");
  }
  if (rows >= 0 && samples >= 0) {
    TENON_RETURN_IF_ERROR(Shape::make({{rows, samples}}, 8).status());
  }
  c.set_output(0, {rows, samples});
  return absl::OkStatus();
}

// multinomial_op.cc: a sample is where a uniform number falls in the running sum of probabilities.
// Classes whose logit is not finite have none.
template <class T, class Index>
void draw_classes(kernels::Philox generator, const T* logits, int64_t rows, int64_t classes,
                  int64_t samples, Index* y) {
  SimplePhilox numbers(generator);
  std::vector<double> sums(static_cast<size_t>(classes));
  for (int64_t row = 0; row < rows; ++row, logits += classes) {
    double largest = std::numeric_limits<double>::lowest();
    for (int64_t i = 0; i < classes; ++i) {
      const auto logit = static_cast<double>(logits[i]);
      if (std::isfinite(logit)) largest = std::max(largest, logit);
    }
    double total = 0;
    for (int64_t i = 0; i < classes; ++i) {
      const auto logit = static_cast<double>(logits[i]);
      if (std::isfinite(logit)) total += std::exp(logit - largest);
      sums[static_cast<size_t>(i)] = total;
    }
    for (int64_t i = 0; i < samples; ++i) {
      const double at = numbers.unit_double() * total;
      *y++ = static_cast<Index>(std::upper_bound(sums.begin(), sums.end(), at) - sums.begin());
    }
  }
}

// `generator_of(run)` gives the generator of one run.
template <class GeneratorOf>
StatusOr<Kernel> multinomial_kernel(Prepare& p, GeneratorOf generator_of) {
  const Shape& logits = p.input_shape(0);
  const int64_t samples = p.output_shape(0)[1];
  Kernel kernel;
  visit<RealTypes>(p.input_dtype(0), [&]<class T>() {
    visit<IndexTypes>(p.output_dtype(0), [&]<class Index>() {
      kernel = [=, rows = logits[0], classes = logits[1]](KernelRun& r) {
        draw_classes(generator_of(r), r.in<T>(0), rows, classes, samples, r.out<Index>(0));
        return absl::OkStatus();
      };
    });
  });
  return kernel;
}

StatusOr<Kernel> make_multinomial(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  // Doubles take two words each; rows are rounded up to whole blocks.
  const auto numbers =
      static_cast<uint64_t>(p.input_shape(0)[0] * ((p.output_shape(0)[1] + 3) / 4 * 4) * 2);
  return multinomial_kernel(p, [stream, numbers](KernelRun& r) {
    return stream->reserve(kernels::reserved_blocks(numbers), r.context().seed);
  });
}

StatusOr<Kernel> make_stateless_multinomial(Prepare& p) {
  return multinomial_kernel(p, [](KernelRun& r) {
    return kernels::Philox::from_stateless_seed(static_cast<uint64_t>(integer_at(r.input(2), 0)),
                                                static_cast<uint64_t>(integer_at(r.input(2), 1)));
  });
}

}  // namespace

TENON_OP(Multinomial) = {
    .inputs = "logits: T, num_samples: int32",
    .outputs = "output: output_dtype",
    .attrs = "seed: int = 0; seed2: int = 0; T: {real}; output_dtype: {int32, int64} = int64",
    .effect = Effect::kRandom,
    .host_inputs = {1},
    .shape = multinomial_shape,
    .gradient = not_differentiable,
    .kernels = {make_multinomial},
};

TENON_OP(StatelessMultinomial) = {
    .inputs = "logits: T, num_samples: int32, seed: Tseed",
    .outputs = "output: output_dtype",
    .attrs = "T: {real}; Tseed: {int32, int64} = int64; output_dtype: {int32, int64} = int64",
    .host_inputs = {1},
    .shape = multinomial_shape,
    .gradient = not_differentiable,
    .kernels = {make_stateless_multinomial},
};

}  // namespace tenon
