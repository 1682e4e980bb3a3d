// Stateless random numbers, with the bits that the host draws.
#include "plugins/cuda/kernel.h"
#include "plugins/cuda/kernels/kernels.h"

namespace plugin::cuda {
namespace {

template <RandomKind kind>
TenonStatus* prepare_random(TenonPrepare* prepare, RunFunction& run) {
  const TenonType y = host->prepare_output(prepare, 0);
  const bool whole = kind == RandomKind::kFullInt;
  const bool drawn = kind == RandomKind::kUniform ? is_float(y.dtype) : y.dtype == kFloat;
  if (!whole && !drawn) return unimplemented("random numbers of this dtype");
  const int64_t count = element_count(y);
  run = [count, dtype = y.dtype](TenonRun* r) {
    return status_of(random_fill(enqueue(r), kind, dtype, count, input<uint64_t>(r, 1),
                                 input<uint64_t>(r, 2), output<void>(r, 0)),
                     "random numbers");
  };
  return nullptr;
}

TenonStatus* prepare_key_counter(TenonPrepare* prepare, RunFunction& run) {
  const int32_t dtype = host->prepare_input(prepare, 0).dtype;
  if (dtype != kInt32 && dtype != kInt64) return unimplemented("seeds of this dtype");
  run = [dtype](TenonRun* r) {
    return status_of(key_counter(enqueue(r), dtype, input<void>(r, 0), output<uint64_t>(r, 0),
                                 output<uint64_t>(r, 1)),
                     "a key of a seed");
  };
  return nullptr;
}

}  // namespace

void add_random_rows(const AddRow& add) {
  add("StatelessRandomUniformV2", prepare_random<RandomKind::kUniform>);
  add("StatelessRandomNormalV2", prepare_random<RandomKind::kNormal>);
  add("StatelessTruncatedNormalV2", prepare_random<RandomKind::kTruncatedNormal>);
  add("StatelessRandomUniformFullIntV2", prepare_random<RandomKind::kFullInt>);
  add("StatelessRandomGetKeyCounter", prepare_key_counter);
}

}  // namespace plugin::cuda
