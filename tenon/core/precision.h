// Precision of the multiplications in matrix products and convolutions (`--precision`).
#pragma once

#include <cstdint>

namespace tenon {

// kBfloat16 multiplies in bfloat16 and adds in float32; inputs and outputs stay float32. Where the
// processor has no such instructions it means kFloat32.
enum class Precision : uint8_t { kFloat32, kBfloat16 };

}  // namespace tenon
