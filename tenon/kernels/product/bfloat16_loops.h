// The inner loops of matrix products whose operands are bfloat16 and whose sums are float32, for
// processors that multiply so natively: by AMX' tiles or by AVX-512's vectors. One thread runs
// them. Private to this folder.
//
// Each result is summed in the order of k, two terms at a time, by one accumulator: its bits depend
// neither on the rows beside it nor on where a product is cut. Subnormal operands count as 0.
#pragma once

#include <cstdint>
#include <string_view>

namespace tenon::kernels {

// Columns of a panel of the right operand, see bfloat16_panels.h.
constexpr int64_t kBfloat16Panel = 32;
// Terms come in multiples of this, filled up with zeros.
constexpr int64_t kBfloat16Terms = 32;
// The left operand's memory holds rows in multiples of this, whatever stands in the last ones.
constexpr int64_t kBfloat16Rows = 32;

// c[m, n] = a[m, k] b[k, n], or that added to c; n columns of one panel. With `runs`, there are so
// many times k terms: run r reads a[r], b goes on.
struct Bfloat16Tile {
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
  int64_t runs = 1;
  int64_t a_row = 0;  // values from one row to the next
  int64_t c_row = 0;
  bool add = false;
};

struct Bfloat16Loops {
  std::string_view name;
  int64_t whole_rows = 1;  // fewer rows take as long as these
  void (*product)(const Bfloat16Tile& sizes, const uint16_t* const* a, const uint16_t* b, float* c);
  // Values rounded to nearest even, and zeros up to `padded`.
  void (*round)(const float* from, int64_t count, int64_t padded, uint16_t* to);
  // to[2 i] and to[2 i + 1] are even[i] and odd[i] rounded, of a whole panel, with zeros from
  // `count` on. A null `odd` stands for zeros.
  void (*round_pairs)(const float* even, const float* odd, int64_t count, uint16_t* to);
};

// Null where the processor lacks the instructions, or TENON_MAX_ISA keeps them away.
const Bfloat16Loops* bfloat16_vector_loops();
const Bfloat16Loops* bfloat16_tile_loops();

// The faster of both; null where there is neither.
const Bfloat16Loops* bfloat16_loops();

}  // namespace tenon::kernels
