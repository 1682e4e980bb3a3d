#include "tenon/kernels/processor.h"

#include <cstdlib>

#include "tenon/kernels/simd/dispatch.h"
#include "tenon/kernels/simd/native_bfloat16.h"
#include "tenon/kernels/simd/native_dots.h"
#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif
#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace tenon::kernels {
namespace {

#if defined(__x86_64__)

// Linux gives the 8 KiB of tile registers to processes that ask for them
// (Documentation/arch/x86/xstate.rst): ARCH_REQ_XCOMP_PERM of component 18.
bool tiles_are_permitted() {
  constexpr int kRequestPermission = 0x1023;
  constexpr int kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Intel's manual, volume 2A, CPUID: leaf 7, sub-leaf 1, EAX bit 5; sub-leaf 0, EDX bits 22 and 24.
NativeBfloat16 detect_bfloat16() {
  NativeBfloat16 found;
  if (instruction_set() != InstructionSet::kAvx3) return found;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0) found.vectors = (a >> 5 & 1) != 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) != 0) {
    found.tiles = found.vectors && (d >> 22 & 1) != 0 && (d >> 24 & 1) != 0;
  }
  found.tiles = found.tiles && tiles_are_permitted();
  return found;
}

// The same, leaf 7, sub-leaf 0, ECX bit 11.
bool detect_dots() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return instruction_set() == InstructionSet::kAvx3 &&
         __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c >> 11 & 1) != 0;
}

#else

NativeBfloat16 detect_bfloat16() { return {}; }

bool detect_dots() {
#if defined(__aarch64__) && defined(__linux__)
  constexpr unsigned long kDotProducts = 1 << 20;  // HWCAP_ASIMDDP
  return (getauxval(AT_HWCAP) & kDotProducts) != 0 && !std::getenv("TENON_MAX_ISA");
#else
  return false;
#endif
}

#endif

}  // namespace

const NativeBfloat16& native_bfloat16() {
  static const NativeBfloat16 found = detect_bfloat16();
  return found;
}

bool native_dots() {
  static const bool found = detect_dots();
  return found;
}

std::vector<std::string> missing_instruction_levels() {
  const InstructionSet best = instruction_set();
  std::vector<std::string> missing;
  if (best == InstructionSet::kBaseline) missing.emplace_back("AVX2");
  if (best != InstructionSet::kAvx3) missing.emplace_back("AVX-512");
  if (!native_dots()) missing.emplace_back("AVX-512 VNNI");
  if (!native_bfloat16().vectors) missing.emplace_back("AVX-512 bfloat16");
  if (!native_bfloat16().tiles) missing.emplace_back("AMX");
  return missing;
}

}  // namespace tenon::kernels
