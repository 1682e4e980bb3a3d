// RandomUniform, RandomStandardNormal, TruncatedNormal, RandomUniformInt, RandomShuffle.
#include "tenon/ops/array/elements.h"
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

// random_shuffle_op.cc: Fisher-Yates from the front, one 32-bit number a step.
void draw_permutation(kernels::Philox generator, int64_t size, int64_t* permutation) {
  for (int64_t i = 0; i < size; ++i) permutation[i] = i;
  kernels::Philox::Block block{};
  for (int64_t i = 0; i + 1 < size; ++i) {
    if (i % 4 == 0) block = generator.next();
    const uint32_t draw = block[static_cast<size_t>(i % 4)];
    std::swap(permutation[i], permutation[i + draw % static_cast<uint32_t>(size - i)]);
  }
}

StatusOr<Kernel> make_random_shuffle(Prepare& p) {
  const Shape& shape = p.input_shape(0);
  if (shape.num_elements() <= 1 || shape[0] <= 1) return make_copy(p);
  const int64_t size = shape[0];
  if (size > std::numeric_limits<uint32_t>::max()) {
    return unimplemented("RandomShuffle of ", size, " rows");
  }
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  const auto bytes =
      static_cast<size_t>(shape.product(1, shape.rank())) * size_of(p.input_dtype(0));
  p.reserve_scratch(static_cast<size_t>(size) * sizeof(int64_t));
  return [=](KernelRun& r) {
    int64_t* permutation = r.scratch<int64_t>();
    const auto blocks = static_cast<uint64_t>(size - 1 + 3) / 4;
    draw_permutation(stream->reserve(blocks, r.context().seed), size, permutation);
    for (int64_t i = 0; i < size; ++i) {
      std::memcpy(r.out<char>(0) + static_cast<size_t>(i) * bytes,
                  r.in<char>(0) + static_cast<size_t>(permutation[i]) * bytes, bytes);
    }
    own_elements(r, 0, 0);
    return absl::OkStatus();
  };
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

TENON_OP(RandomShuffle) = {
    .inputs = "value: T",
    .outputs = "output: T",
    .attrs = "seed: int = 0; seed2: int = 0; T: type",
    .effect = Effect::kRandom,
    .shape = same_as_input<0>,
    .gradient = not_differentiable,
    .kernels = {make_random_shuffle},
};

}  // namespace tenon
