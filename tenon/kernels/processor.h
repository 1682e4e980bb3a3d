// What this processor can do, for people.
#pragma once

#include <string>
#include <vector>

namespace tenon::kernels {

// Levels of instructions that kernels make use of and this processor lacks, from the lowest: of
// "AVX2", "AVX-512", "AVX-512 VNNI", "AVX-512 bfloat16", "AMX". Those that TENON_MAX_ISA keeps away
// are lacking.
std::vector<std::string> missing_instruction_levels();

}  // namespace tenon::kernels
