// The pieces of SVDF that floats and levels share.
#pragma once

#include "tenon/lite/operator_context.h"

namespace tenon::lite {

// A filter of rank 1s: each of `filters` = units * rank features is a product with the input, whose
// last `memory` values are weighed and added up.
struct SvdfForm {
  int64_t filters, memory, rank;
};

// Fails where the weights and the state, [batch, filters * memory], do not go together.
SvdfForm svdf_form(OperatorContext& c);

// The state, [batch, filters, memory], after `now`, [batch, filters], has come in at its end; it is
// assigned.
Endpoint svdf_remember(OperatorContext& c, const SvdfForm& form, Endpoint now);

// [batch, units] of [batch, filters, memory].
Endpoint svdf_sum(OperatorContext& c, const SvdfForm& form, Endpoint products);

}  // namespace tenon::lite
