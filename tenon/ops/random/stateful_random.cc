// RandomUniform, RandomStandardNormal, TruncatedNormal, RandomUniformInt, NonDeterministicInts.
#include <random>

#include "tenon/ops/random/random_fill.h"
#include "tenon/ops/random/random_stream.h"

namespace tenon {
namespace {

template <Distribution distribution>
StatusOr<Kernel> make_stateful_random(Prepare& p) {
  const RandomFill fill = find_random_fill(distribution, p.output_dtype(0));
  if (!fill) return unimplemented(p.op().name(), " has no kernel for dtype ", p.output_dtype(0));
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  const int64_t count = p.output_shape(0).num_elements();
  return [=](KernelRun& r) {
    if (count == 0) return absl::OkStatus();
    fill(stream->reserve(kernels::reserved_blocks(static_cast<uint64_t>(count)), r.context().seed),
         count, r.output(0).mutable_raw());
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_random_uniform_int(Prepare& p) {
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  const auto count = static_cast<uint64_t>(p.output_shape(0).num_elements());
  return [=](KernelRun& r) {
    const kernels::Philox generator =
        stream->reserve(kernels::reserved_blocks(count), r.context().seed);
    return fill_random_int(generator, r.input(1), r.input(2), r.output(0));
  };
}

// Bits from the machine, not from a generator.
StatusOr<Kernel> make_machine_ints(Prepare& p) {
  const DType dtype = p.output_dtype(0);
  if (!is_integer(dtype) || size_of(dtype) < 4) {
    return unimplemented("NonDeterministicInts has no kernel for dtype ", dtype);
  }
  const size_t words =
      static_cast<size_t>(p.output_shape(0).num_elements()) * (size_of(dtype) / sizeof(uint32_t));
  return Kernel([words](KernelRun& r) {
    std::random_device machine;
    auto* y = static_cast<uint32_t*>(r.output(0).mutable_raw());
    for (size_t i = 0; i < words; ++i) y[i] = machine();
    return absl::OkStatus();
  });
}

template <Distribution distribution>
constexpr OpDecl stateful_random() {
  return {
      .inputs = "shape: T",
      .outputs = "output: dtype",
      .attrs = "seed: int = 0; seed2: int = 0; dtype: {floating}; T: {int32, int64}",
      .effect = Effect::kRandom,
      .host_inputs = {0},
      .shape = random_shape,
      .gradient = not_differentiable,
      .kernels = {make_stateful_random<distribution>},
  };
}

}  // namespace

TENON_OP(RandomUniform) = stateful_random<Distribution::kUniform>();
TENON_OP(RandomStandardNormal) = stateful_random<Distribution::kNormal>();
TENON_OP(TruncatedNormal) = stateful_random<Distribution::kTruncatedNormal>();

TENON_OP(RandomUniformInt) = {
    .inputs = "shape: T, minval: Tout, maxval: Tout",
    .outputs = "output: Tout",
    .attrs = "seed: int = 0; seed2: int = 0; Tout: {int32, int64}; T: {int32, int64}",
    .effect = Effect::kRandom,
    .host_inputs = {0},
    .shape = random_int_shape<1>,
    .gradient = not_differentiable,
    .kernels = {make_random_uniform_int},
};

TENON_OP(NonDeterministicInts) = {
    .inputs = "shape: shape_dtype",
    .outputs = "output: dtype",
    .attrs = "dtype: type = int64; shape_dtype: type = int64",
    .effect = Effect::kRandom,
    .host_inputs = {0},
    .shape = random_shape,
    .gradient = not_differentiable,
    .kernels = {make_machine_ints},
};

}  // namespace tenon
