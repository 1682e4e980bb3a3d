// RandomShuffle and StatelessShuffle: the rows of a tensor in random order.
#include <cstring>

#include "tenon/ops/array/elements.h"
#include "tenon/ops/random/random_fill.h"
#include "tenon/ops/random/random_stream.h"

namespace tenon {
namespace {

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

// `generator_of(run, blocks)` gives the generator of one run.
template <class GeneratorOf>
StatusOr<Kernel> shuffle_kernel(Prepare& p, GeneratorOf generator_of) {
  const Shape& shape = p.input_shape(0);
  const int64_t size = shape[0];
  if (size > std::numeric_limits<uint32_t>::max()) {
    return unimplemented(p.op().name(), " of ", size, " rows");
  }
  const auto bytes =
      static_cast<size_t>(shape.product(1, shape.rank())) * size_of(p.input_dtype(0));
  p.reserve_scratch(static_cast<size_t>(size) * sizeof(int64_t));
  return Kernel([=](KernelRun& r) {
    int64_t* permutation = r.scratch<int64_t>();
    draw_permutation(generator_of(r, static_cast<uint64_t>(size - 1 + 3) / 4), size, permutation);
    for (int64_t i = 0; i < size; ++i) {
      std::memcpy(r.out<char>(0) + static_cast<size_t>(i) * bytes,
                  r.in<char>(0) + static_cast<size_t>(permutation[i]) * bytes, bytes);
    }
    own_elements(r, 0, 0);
    return absl::OkStatus();
  });
}

bool has_one_order(const Shape& shape) { return shape.num_elements() <= 1 || shape[0] <= 1; }

StatusOr<Kernel> make_random_shuffle(Prepare& p) {
  if (has_one_order(p.input_shape(0))) return make_copy(p);
  TENON_ASSIGN_OR_RETURN(const Ref<RandomStream> stream, stream_of(p));
  return shuffle_kernel(p, [stream](KernelRun& r, uint64_t blocks) {
    return stream->reserve(blocks, r.context().seed);
  });
}

Status stateless_shuffle_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(2, 1));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  // Philox, or left to the op: tensorflow/core/framework/rng_alg.h.
  const int64_t algorithm = c.constant(3) ? integer_at(*c.constant(3), 0) : 1;
  if (algorithm != 1 && algorithm != 3) {
    return invalid_argument("Unsupported algorithm id: ", algorithm);
  }
  for (int i = 1; i < 3; ++i) {
    if (c.input(i).has_rank() && c.input(i)[0] >= 0 && c.input(i)[0] != i) {
      return invalid_argument(i == 1 ? "key" : "counter", " must have shape [", i, "], not ",
                              c.input(i));
    }
  }
  c.set_output(0, c.input(0));
  return absl::OkStatus();
}

StatusOr<Kernel> make_stateless_shuffle(Prepare& p) {
  if (has_one_order(p.input_shape(0))) return make_copy(p);
  return shuffle_kernel(p, [](KernelRun& r, uint64_t) {
    const uint64_t* counter = r.in<uint64_t>(2);
    return kernels::Philox::from_key_counter(*r.in<uint64_t>(1), counter[0], counter[1]);
  });
}

}  // namespace

TENON_OP(RandomShuffle) = {
    .inputs = "value: T",
    .outputs = "output: T",
    .attrs = "seed: int = 0; seed2: int = 0; T: type",
    .effect = Effect::kRandom,
    .shape = same_as_input<0>,
    .gradient = not_differentiable,
    .kernels = {make_random_shuffle},
};

TENON_OP(StatelessShuffle) = {
    .inputs = "value: T, key: uint64, counter: uint64, alg: int32",
    .outputs = "output: T",
    .attrs = "T: type",
    .host_inputs = {3},
    .shape = stateless_shuffle_shape,
    .gradient = not_differentiable,
    .kernels = {make_stateless_shuffle},
};

}  // namespace tenon
