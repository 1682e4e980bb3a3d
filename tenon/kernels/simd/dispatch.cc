#include "tenon/kernels/simd/dispatch.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "tenon/base/log.h"

namespace tenon::kernels {
namespace {

InstructionSet detected() {
#if !defined(__x86_64__)
  return InstructionSet::kBaseline;
#elif defined(__clang__)
  // clang 14 knows no names of levels; the features that came with these are on every processor.
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("bmi2")) {
    return InstructionSet::kBaseline;
  }
  const bool avx3 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
  return avx3 ? InstructionSet::kAvx3 : InstructionSet::kAvx2;
#else
  if (__builtin_cpu_supports("x86-64-v4")) return InstructionSet::kAvx3;
  return __builtin_cpu_supports("x86-64-v3") ? InstructionSet::kAvx2 : InstructionSet::kBaseline;
#endif
}

// TENON_MAX_ISA, which makes a processor pass for a smaller one.
InstructionSet allowed() {
  const char* const text = std::getenv("TENON_MAX_ISA");
  const std::string_view name = text ? text : "";
  if (name == "baseline") return InstructionSet::kBaseline;
  if (name == "avx2") return InstructionSet::kAvx2;
  if (!name.empty() && name != "avx3") {
    log_warning("TENON_MAX_ISA is '", name, "', expected baseline, avx2 or avx3");
  }
  return InstructionSet::kAvx3;
}

}  // namespace

InstructionSet instruction_set() {
  static const InstructionSet best = std::min(detected(), allowed());
  return best;
}

}  // namespace tenon::kernels
