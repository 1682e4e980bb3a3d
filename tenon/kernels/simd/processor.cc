#include "tenon/kernels/processor.h"

#include "tenon/kernels/simd/dispatch.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tenon::kernels {
namespace {

struct NativeBfloat16 {
  bool vectors = false;  // AVX-512's
  bool tiles = false;    // AMX'
};

// Intel's manual, volume 2A, CPUID: leaf 7, sub-leaf 1, EAX bit 5 and sub-leaf 0, EDX bit 22.
NativeBfloat16 native_bfloat16() {
  NativeBfloat16 found;
#if defined(__x86_64__)
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) found.vectors = (a >> 5 & 1) != 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) found.tiles = (d >> 22 & 1) != 0;
#endif
  return found;
}

}  // namespace

std::vector<std::string> missing_instruction_levels() {
  const InstructionSet best = instruction_set();
  const bool widest = best == InstructionSet::kAvx3;
  const NativeBfloat16 native = native_bfloat16();
  std::vector<std::string> missing;
  if (best == InstructionSet::kBaseline) missing.emplace_back("AVX2");
  if (!widest) missing.emplace_back("AVX-512");
  if (!widest || !native.vectors) missing.emplace_back("AVX-512 bfloat16");
  if (!widest || !native.tiles) missing.emplace_back("AMX");
  return missing;
}

}  // namespace tenon::kernels
