// The sizes of the recurrent ops, read from their inputs' shapes.
#pragma once

#include "tenon/core/shape_context.h"

namespace tenon {

// -1: not known.
struct LstmSizes {
  int64_t batch = -1, input = -1, cell = -1;
};

// Inputs from `first` on: x, cs_prev, h_prev, w, wci, wcf, wco, b; `sequence`: x has steps before
// its rows. INVALID_ARGUMENT when they do not go together.
StatusOr<LstmSizes> lstm_sizes(const ShapeContext& c, int first, bool sequence);

// Inputs 0 to 5: x, h_prev, w_ru, w_c, b_ru, b_c.
StatusOr<LstmSizes> gru_sizes(const ShapeContext& c);

}  // namespace tenon
