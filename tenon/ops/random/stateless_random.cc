// Stateless random ops: everything comes from the inputs. V1 takes a seed [2]; V2 takes key,
// counter and algorithm, which StatelessRandomGetKeyCounter makes of a seed.
#include "tenon/ops/random/random_fill.h"

namespace tenon {
namespace {

Status expect_vector(const ShapeContext& c, int index, int64_t length) {
  TENON_RETURN_IF_ERROR(c.expect_rank(index, 1));
  const PartialShape& shape = c.input(index);
  if (!shape.has_rank() || shape[0] < 0 || shape[0] == length) return absl::OkStatus();
  return invalid_argument("input ", index, " must have shape [", length, "], not ", shape);
}

Status stateless_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_vector(c, 1, 2));
  return random_shape(c);
}
Status stateless_int_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_vector(c, 1, 2));
  return random_int_shape<2>(c);
}

// tensorflow/core/framework/rng_alg.h.
constexpr int64_t kPhiloxAlgorithm = 1;
constexpr int64_t kAutoAlgorithm = 3;

Status stateless_v2_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_vector(c, 1, 1));
  TENON_RETURN_IF_ERROR(expect_vector(c, 2, 2));
  TENON_RETURN_IF_ERROR(c.expect_rank(3, 0));
  if (const Tensor* algorithm = c.constant(3)) {
    const int64_t value = integer_at(*algorithm, 0);
    if (value != kPhiloxAlgorithm && value != kAutoAlgorithm) {
      return invalid_argument("Unsupported algorithm id: ", value, ", Philox is ",
                              kPhiloxAlgorithm);
    }
  }
  return random_shape(c);
}
Status stateless_int_v2_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(stateless_v2_shape(c));
  return random_int_shape<4>(c);
}

kernels::Philox generator_of_seed(const Tensor& seed) {
  return kernels::Philox::from_stateless_seed(static_cast<uint64_t>(integer_at(seed, 0)),
                                              static_cast<uint64_t>(integer_at(seed, 1)));
}
kernels::Philox generator_of_key(const KernelRun& r) {
  const uint64_t* counter = r.in<uint64_t>(2);
  return kernels::Philox::from_key_counter(*r.in<uint64_t>(1), counter[0], counter[1]);
}

template <Distribution distribution, bool v2>
StatusOr<Kernel> make_stateless_random(Prepare& p) {
  const RandomFill fill = find_random_fill(distribution, p.output_dtype(0));
  if (!fill) return unimplemented(p.op().name(), " has no kernel for dtype ", p.output_dtype(0));
  const int64_t count = p.output_shape(0).num_elements();
  return [=](KernelRun& r) {
    fill(v2 ? generator_of_key(r) : generator_of_seed(r.input(1)), count,
         r.output(0).mutable_raw());
    return absl::OkStatus();
  };
}

template <bool v2>
StatusOr<Kernel> make_stateless_int(Prepare&) {
  return [](KernelRun& r) {
    constexpr int kLow = v2 ? 4 : 2;
    return fill_random_int(v2 ? generator_of_key(r) : generator_of_seed(r.input(1)), r.input(kLow),
                           r.input(kLow + 1), r.output(0));
  };
}

constexpr OpDecl stateless(ArgsText inputs, AttrsText attrs, HostInputs host, ShapeFn shape,
                           KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: dtype",
      .attrs = attrs,
      .host_inputs = host,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}
template <Distribution distribution>
constexpr OpDecl stateless_v1() {
  return stateless("shape: T, seed: Tseed",
                   "dtype: {floating} = float; T: {int32, int64} = int32; "
                   "Tseed: {int32, int64} = int64",
                   {0}, stateless_shape, make_stateless_random<distribution, false>);
}
template <Distribution distribution>
constexpr OpDecl stateless_v2() {
  return stateless("shape: Tshape, key: uint64, counter: uint64, alg: int32",
                   "dtype: {floating} = float; Tshape: {int32, int64} = int32", {0, 3},
                   stateless_v2_shape, make_stateless_random<distribution, true>);
}

// --- seeds to keys and counters ---

Status key_counter_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(expect_vector(c, 0, 2));
  c.set_output(0, Shape{1});
  c.set_output(1, Shape{2});
  if (c.num_outputs() > 2) c.set_output(2, Shape());
  return absl::OkStatus();
}

StatusOr<Kernel> make_key_counter(Prepare& p) {
  const bool with_algorithm = p.num_outputs() > 2;
  return [with_algorithm](KernelRun& r) {
    const kernels::Philox generator = generator_of_seed(r.input(0));
    *r.out<uint64_t>(0) = generator.key();
    const std::array<uint64_t, 2> counter = generator.counter();
    std::copy(counter.begin(), counter.end(), r.out<uint64_t>(1));
    if (with_algorithm) *r.out<int32_t>(2) = kPhiloxAlgorithm;
    return absl::OkStatus();
  };
}

StatusOr<Kernel> make_get_alg(Prepare&) {
  return [](KernelRun& r) {
    *r.out<int32_t>(0) = kPhiloxAlgorithm;
    return absl::OkStatus();
  };
}

constexpr OpDecl key_counter(ArgsText outputs) {
  return {
      .inputs = "seed: Tseed",
      .outputs = outputs,
      .attrs = "Tseed: {int32, int64} = int64",
      .shape = key_counter_shape,
      .gradient = not_differentiable,
      .kernels = {make_key_counter},
  };
}

}  // namespace

TENON_OP(StatelessRandomUniform) = stateless_v1<Distribution::kUniform>();
TENON_OP(StatelessRandomNormal) = stateless_v1<Distribution::kNormal>();
TENON_OP(StatelessTruncatedNormal) = stateless_v1<Distribution::kTruncatedNormal>();
TENON_OP(StatelessRandomUniformInt) =
    stateless("shape: T, seed: Tseed, minval: dtype, maxval: dtype",
              "dtype: {int32, int64}; T: {int32, int64}; Tseed: {int32, int64} = int64", {0},
              stateless_int_shape, make_stateless_int<false>);
TENON_OP(StatelessRandomUniformFullInt) =
    stateless("shape: T, seed: Tseed",
              "dtype: {int32, int64, uint32, uint64} = uint64; T: {int32, int64} = int32; "
              "Tseed: {int32, int64, uint32, uint64} = int64",
              {0}, stateless_shape, make_stateless_random<Distribution::kFullInt, false>);

TENON_OP(StatelessRandomUniformV2) = stateless_v2<Distribution::kUniform>();
TENON_OP(StatelessRandomNormalV2) = stateless_v2<Distribution::kNormal>();
TENON_OP(StatelessTruncatedNormalV2) = stateless_v2<Distribution::kTruncatedNormal>();
TENON_OP(StatelessRandomUniformIntV2) = stateless(
    "shape: Tshape, key: uint64, counter: uint64, alg: int32, minval: dtype, maxval: dtype",
    "dtype: {int32, int64, uint32, uint64}; Tshape: {int32, int64} = int32", {0, 3},
    stateless_int_v2_shape, make_stateless_int<true>);
TENON_OP(StatelessRandomUniformFullIntV2) =
    stateless("shape: Tshape, key: uint64, counter: uint64, alg: int32",
              "dtype: {int32, int64, uint32, uint64} = uint64; Tshape: {int32, int64} = int32",
              {0, 3}, stateless_v2_shape, make_stateless_random<Distribution::kFullInt, true>);

TENON_OP(StatelessRandomGetKeyCounter) = key_counter("key: uint64, counter: uint64");
TENON_OP(StatelessRandomGetKeyCounterAlg) = key_counter("key: uint64, counter: uint64, alg: int32");

TENON_OP(StatelessRandomGetAlg) = {
    .inputs = "",
    .outputs = "alg: int32",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_get_alg},
};

}  // namespace tenon
