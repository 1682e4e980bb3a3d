// A row of floats as LiteRT's hybrid kernels see it: rounded to 8 bits with a scale of its own.
#pragma once

#include <cstdint>

namespace tenon::lite {

// Rows of at least one element. `y` may be `x`.
void round_row(const float* x, int64_t count, bool asymmetric, float* y);

// How a recurrent layer rounds what it multiplies with weights of 8 bits.
enum class RowRounding : int64_t { kNone, kSymmetric, kAsymmetric };

}  // namespace tenon::lite
