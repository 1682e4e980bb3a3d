#include "tenon/kernels/product/bfloat16_product.h"

#include "tenon/kernels/simd/product_loops.h"

namespace tenon::kernels {

namespace {

// So much of b stays in the L2 cache from one block of rows to the next.
constexpr int64_t kBytesOfColumns = 768 << 10;

CellBlocks::Limits limits_of_blocks(int64_t k) {
  return {.tile_cells = kBfloat16Rows, .columns = kBytesOfColumns / (bfloat16_terms(k) * 2)};
}

}  // namespace

Bfloat16Product::Bfloat16Product(const MatMulSpec& spec, int64_t items)
    : spec_(spec),
      blocks_(spec.m, items, spec.n, spec.k, limits_of_blocks(spec.k)),
      sums_(spec.k, spec.post) {}

// A transposed a is turned round in float32 first.
size_t Bfloat16Product::worker_scratch_bytes() const {
  const size_t turned = spec_.transpose_a ? float_bytes(blocks_.band() * Bfloat16Sums::kDepth) : 0;
  return sums_.scratch_bytes(blocks_.band()) + turned;
}

void Bfloat16Product::run_block(int64_t block, const MatMulPointers& p, char* scratch) const {
  const CellBlock b = blocks_[block];
  const int64_t at = b.first * spec_.n + b.column;
  const Bfloat16Operands operands{.panels = static_cast<const uint16_t*>(p.b),
                                  .y = p.y + at,
                                  .y_row = spec_.n,
                                  .bias = p.bias ? p.bias + b.column : nullptr,
                                  .residual = p.residual ? p.residual + at : nullptr};
  auto* const turned = reinterpret_cast<float*>(scratch + sums_.scratch_bytes(blocks_.band()));
  const auto fill = [&](int64_t first, int64_t terms, uint16_t* left, int64_t left_row) {
    const float* from = p.a + b.first * spec_.k + first;
    int64_t row = spec_.k;
    if (spec_.transpose_a) {
      product_loops().transpose(b.count, terms, p.a + first * spec_.m + b.first, spec_.m, turned,
                                Bfloat16Sums::kDepth);
      from = turned;
      row = Bfloat16Sums::kDepth;
    }
    for (int64_t i = 0; i < b.count; ++i) {
      bfloat16_loops()->round(from + i * row, terms, bfloat16_terms(terms), left + i * left_row);
    }
  };
  sums_.sum(b, operands, fill, scratch);
}

}  // namespace tenon::kernels
