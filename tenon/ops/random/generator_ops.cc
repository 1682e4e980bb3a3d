// Random ops on the state of a tf.random.Generator, a variable: StatefulUniform,
// StatefulStandardNormal(V2), StatefulTruncatedNormal, StatefulUniformInt, StatefulUniformFullInt,
// RngSkip, RngReadAndSkip. tensorflow/core/kernels/stateful_random_ops.cc.
#include "tenon/ops/random/generator_state.h"
#include "tenon/ops/random/random_fill.h"
#include "tenon/ops/state/variable_access.h"

namespace tenon {
namespace {

// tensorflow/core/framework/rng_alg.h.
constexpr int64_t kPhilox = 1, kThreefry = 2, kAutomatic = 3;

// Counter and key of Philox: three numbers, which `tagged` follow the algorithm's.
constexpr int64_t kStateSize = 3;

}  // namespace

Status check_random_algorithm(int64_t algorithm) {
  if (algorithm == kPhilox || algorithm == kAutomatic) return absl::OkStatus();
  if (algorithm == kThreefry) return unimplemented("the random algorithm ThreeFry");
  return invalid_argument("Unsupported algorithm id: ", algorithm);
}

StatusOr<kernels::Philox> take_blocks(KernelRun& r, bool tagged, uint64_t blocks, int64_t* before) {
  TENON_ASSIGN_OR_RETURN(Variable * variable, variable_of(r, 0));
  kernels::Philox now({}, {});
  TENON_RETURN_IF_ERROR(variable->update(
      [&](Tensor& held) -> Status {
        if (held.dtype() != DType::kInt64 || held.rank() != 1) {
          return invalid_argument("the state of a generator must be a vector of int64, variable '",
                                  variable->name(), "' holds ", held.dtype(), held.shape());
        }
        if (held.dim(0) < kStateSize + (tagged ? 1 : 0)) {
          return invalid_argument("For the Philox algorithm, the size of state must be at least ",
                                  kStateSize + (tagged ? 1 : 0), "; got ", held.dim(0));
        }
        int64_t* state = held.mutable_data<int64_t>();
        if (tagged) TENON_RETURN_IF_ERROR(check_random_algorithm(*state++));
        if (before) std::copy_n(state, kStateSize, before);
        now = kernels::Philox::from_key_counter(static_cast<uint64_t>(state[2]),
                                                static_cast<uint64_t>(state[0]),
                                                static_cast<uint64_t>(state[1]));
        kernels::Philox next = now;
        next.skip(blocks);
        const std::array<uint64_t, 2> counter = next.counter();
        state[0] = static_cast<int64_t>(counter[0]);
        state[1] = static_cast<int64_t>(counter[1]);
        return absl::OkStatus();
      },
      r.context().stream));
  return now;
}

namespace {

// Input `shape` says what is drawn.
template <int shape>
Status generator_shape(ShapeContext& c) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 0));
  if (shape == 2) TENON_RETURN_IF_ERROR(c.expect_rank(1, 0));
  for (int i = shape + 1; i < c.num_inputs(); ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  if (!is_integer(c.input_dtype(shape))) {
    return invalid_argument("the shape must be integers, it is of ", c.input_dtype(shape));
  }
  TENON_ASSIGN_OR_RETURN(PartialShape y, c.shape_from_input(shape));
  if (c.constant(shape)) TENON_RETURN_IF_ERROR(Shape::make(y.dims()).status());
  c.set_output(0, std::move(y));
  return absl::OkStatus();
}

// `tagged`: the op's state names the algorithm, not an input.
template <Distribution distribution, bool tagged>
StatusOr<Kernel> make_generator(Prepare& p) {
  const RandomFill fill = find_random_fill(distribution, p.output_dtype(0));
  if (!fill) return unimplemented(p.op().name(), " has no kernel for dtype ", p.output_dtype(0));
  const int64_t count = p.output_shape(0).num_elements();
  return Kernel([=](KernelRun& r) -> Status {
    if (!tagged) TENON_RETURN_IF_ERROR(check_random_algorithm(*r.in<int64_t>(1)));
    TENON_ASSIGN_OR_RETURN(const kernels::Philox generator,
                           take_blocks(r, tagged, static_cast<uint64_t>(count) * kBlocksOfResult));
    fill(generator, count, r.output(0).mutable_raw());
    return absl::OkStatus();
  });
}

StatusOr<Kernel> make_generator_int(Prepare& p) {
  const int64_t count = p.output_shape(0).num_elements();
  return Kernel([=](KernelRun& r) -> Status {
    TENON_RETURN_IF_ERROR(check_random_algorithm(*r.in<int64_t>(1)));
    TENON_ASSIGN_OR_RETURN(const kernels::Philox generator,
                           take_blocks(r, false, static_cast<uint64_t>(count) * kBlocksOfResult));
    return fill_random_int(generator, r.input(3), r.input(4), r.output(0));
  });
}

Status skip_shape(ShapeContext& c) {
  for (int i = 0; i < 3; ++i) TENON_RETURN_IF_ERROR(c.expect_rank(i, 0));
  if (c.num_outputs() > 0) c.set_output(0, Shape{kStateSize});
  return absl::OkStatus();
}

StatusOr<Kernel> make_rng_skip(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_RETURN_IF_ERROR(check_random_algorithm(*r.in<int64_t>(1)));
    const auto results = static_cast<uint64_t>(*r.in<int64_t>(2));
    return take_blocks(r, false, results * kBlocksOfResult).status();
  });
}

StatusOr<Kernel> make_rng_read_and_skip(Prepare&) {
  return Kernel([](KernelRun& r) -> Status {
    TENON_RETURN_IF_ERROR(check_random_algorithm(*r.in<int32_t>(1)));
    const uint64_t results = *r.in<uint64_t>(2);
    return take_blocks(r, false, results * kBlocksOfResult, r.out<int64_t>(0)).status();
  });
}

constexpr OpDecl generator_op(ArgsText inputs, AttrsText attrs, HostInputs host, ShapeFn shape,
                              KernelFactory factory) {
  return {
      .inputs = inputs,
      .outputs = "output: dtype",
      .attrs = attrs,
      .effect = Effect::kWrite,
      .host_inputs = host,
      .shape = shape,
      .gradient = not_differentiable,
      .kernels = {factory},
  };
}

#define TENON_GENERATOR_INPUTS "resource: resource, algorithm: int64, shape: shape_dtype"
#define TENON_FLOAT_ATTRS "dtype: type = float; shape_dtype: type = int64"

}  // namespace

TENON_OP(StatefulUniform) = generator_op(TENON_GENERATOR_INPUTS, TENON_FLOAT_ATTRS, {2},
                                         generator_shape<2>,
                                         make_generator<Distribution::kUniform, false>);
TENON_OP(StatefulStandardNormalV2) = generator_op(TENON_GENERATOR_INPUTS, TENON_FLOAT_ATTRS, {2},
                                                  generator_shape<2>,
                                                  make_generator<Distribution::kNormal, false>);
TENON_OP(StatefulStandardNormal) = generator_op("resource: resource, shape: shape_dtype",
                                                TENON_FLOAT_ATTRS, {1}, generator_shape<1>,
                                                make_generator<Distribution::kNormal, true>);
TENON_OP(StatefulTruncatedNormal) =
    generator_op(TENON_GENERATOR_INPUTS, TENON_FLOAT_ATTRS, {2}, generator_shape<2>,
                 make_generator<Distribution::kTruncatedNormal, false>);
TENON_OP(StatefulUniformFullInt) = generator_op(TENON_GENERATOR_INPUTS,
                                                "dtype: type = uint64; shape_dtype: type = int64",
                                                {2}, generator_shape<2>,
                                                make_generator<Distribution::kFullInt, false>);
TENON_OP(StatefulUniformInt) = generator_op(TENON_GENERATOR_INPUTS ", minval: dtype, maxval: dtype",
                                            "dtype: type = int64; shape_dtype: type = int64", {2},
                                            generator_shape<2>, make_generator_int);

#undef TENON_GENERATOR_INPUTS
#undef TENON_FLOAT_ATTRS

TENON_OP(RngSkip) = {
    .inputs = "resource: resource, algorithm: int64, delta: int64",
    .outputs = "",
    .effect = Effect::kWrite,
    .shape = skip_shape,
    .gradient = not_differentiable,
    .kernels = {make_rng_skip},
};
TENON_OP(RngReadAndSkip) = {
    .inputs = "resource: resource, alg: int32, delta: uint64",
    .outputs = "value: int64",
    .effect = Effect::kWrite,
    .shape = skip_shape,
    .gradient = not_differentiable,
    .kernels = {make_rng_read_and_skip},
};

}  // namespace tenon
