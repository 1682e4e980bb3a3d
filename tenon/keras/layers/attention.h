// Masks of attention layers.
#pragma once

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras::layers {

// Where both hold; either may be invalid: everywhere.
Endpoint both(GraphBuilder& build, Endpoint a, Endpoint b);

// [1, query steps, value steps]: no step sees a later one.
Endpoint causal_mask(GraphBuilder& build, Endpoint query, Endpoint value);
// Steps see those less than `width` away.
Endpoint window_mask(GraphBuilder& build, Endpoint query, Endpoint value, int64_t width);

}  // namespace tenon::keras::layers
