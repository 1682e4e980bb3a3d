// What the files of losses/ share.
#pragma once

#include "tenon/keras/loss.h"

namespace tenon::keras::losses {

// y * (1 - smoothing) + smoothing * share.
Endpoint smooth(GraphBuilder& build, Endpoint y_true, double smoothing, double share);

// Probabilities kept within [1e-7, 1 - 1e-7], Keras' epsilon().
Endpoint clip_probabilities(GraphBuilder& build, Endpoint p);

// The two as floats of one rank.
struct Pair {
  Endpoint y_true, y_pred;
};
Pair standardize(GraphBuilder& build, Endpoint y_true, Endpoint y_pred);

}  // namespace tenon::keras::losses
