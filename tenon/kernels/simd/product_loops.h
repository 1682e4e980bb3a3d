// The inner loops of float32 matrix products, on one thread. Private to this folder.
//
// Each result is summed in the order of k by one accumulator, so that its bits depend neither on
// the size of the tiles nor on the rows beside it.
#pragma once

#include <cstdint>

#include "tenon/kernels/post_ops.h"

namespace tenon::kernels {

// What is done to a result before it is stored: sum + bias + residual, within limits.
struct TileFinish {
  const float* bias = nullptr;      // [n]
  const float* residual = nullptr;  // rows as far apart as c's
  Limits limits;
};

// c[m, n] = sum over k of a[m, k] * b[k, n], or that added to c. Columns of b and c lie side by
// side. With `runs`, there are so many times k terms: run r reads a from r * a_run on, b goes on.
struct TileProduct {
  int64_t m = 0;
  int64_t n = 0;  // b's rows can be read up to the next multiple of ProductLoops::lanes
  int64_t k = 0;
  int64_t a_row = 0;
  int64_t a_column = 1;
  int64_t b_row = 0;
  int64_t c_row = 0;
  bool add = false;
  int64_t runs = 1;
  int64_t a_run = 0;
  const TileFinish* finish = nullptr;  // null: nothing is done
  // What of b the next call is going to read, rows as far apart as here, or null: it is brought
  // into the L2 cache while this one computes.
  const float* next_b = nullptr;
};

struct ProductLoops {
  int64_t lanes = 0;  // of a vector
  int64_t panel = 0;  // columns that are summed at once: a multiple of `lanes`
  void (*product)(const TileProduct& sizes, const float* a, const float* b, float* c);
  // Rows of a where a table says: term k of row m in run r is rows[r * a_run + m][a_column + k].
  void (*product_of_rows)(const TileProduct& sizes, const float* const* rows, const float* b,
                          float* c);
  // to[row, column] = from[column, row] for `rows` rows that lie `to_row` values apart; columns up
  // to the next multiple of `lanes` become 0.
  void (*transpose)(int64_t rows, int64_t columns, const float* from, int64_t from_row, float* to,
                    int64_t to_row);
};

const ProductLoops& product_loops();

// Columns of a where a table says: term k of row m is terms[k][a_column + m]. One run. Training's
// alone, so it stands apart: programs that do not train are linked without it.
void product_of_terms(const TileProduct& sizes, const float* const* terms, const float* b,
                      float* c);

}  // namespace tenon::kernels
