// For which instruction sets the files of this folder are compiled, and which compilation runs.
// Private to kernels/; stands before hwy/foreach_target.h.
//
// Highway's own HWY_DYNAMIC_DISPATCH would do, but for libhwy.so, which measures the processor's
// timer while it is loaded: a sixth of what `tenon --version` takes.
#pragma once

// Fewer instruction sets, for build time: each one above the baseline recompiles every kernel, and
// these add nothing to float32 loops. On ARM, NEON is the baseline and what runs.
#define HWY_DISABLED_TARGETS \
  (HWY_SSE4 | HWY_AVX3_DL | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)

namespace tenon::kernels {

enum class InstructionSet { kBaseline, kAvx2, kAvx3 };

// The best of them that this processor has, or a lesser one that the environment variable
// TENON_MAX_ISA asks for: baseline, avx2 (tests run all of them).
InstructionSet instruction_set();

// A null function was not compiled.
template <class Function>
Function best_function(Function baseline, Function avx2, Function avx3) {
  const InstructionSet best = instruction_set();
  if (best == InstructionSet::kAvx3 && avx3) return avx3;
  return best != InstructionSet::kBaseline && avx2 ? avx2 : baseline;
}

}  // namespace tenon::kernels

// The compilation of `function` for this processor; after hwy/highway.h, in HWY_ONCE.
#define TENON_BEST(function)                                                 \
  ::tenon::kernels::best_function<decltype(&HWY_STATIC_DISPATCH(function))>( \
      &HWY_STATIC_DISPATCH(function), HWY_CHOOSE_AVX2(function), HWY_CHOOSE_AVX3(function))
