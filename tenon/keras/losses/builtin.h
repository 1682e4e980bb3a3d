// What the files of losses/ share.
#pragma once

#include "tenon/keras/loss.h"

namespace tenon::keras::losses {

inline constexpr double kEpsilon = 1e-7;  // Keras' epsilon()

// y * (1 - smoothing) + smoothing * share.
Endpoint smooth(GraphBuilder& build, Endpoint y_true, double smoothing, double share);

// Probabilities kept within [epsilon, 1 - epsilon].
Endpoint clip_probabilities(GraphBuilder& build, Endpoint p);

// The two as floats of one rank.
struct Pair {
  Endpoint y_true, y_pred;
};
Pair standardize(GraphBuilder& build, Endpoint y_true, Endpoint y_pred);

Endpoint sum_all(GraphBuilder& build, Endpoint x);
Endpoint mean_of_last(GraphBuilder& build, Endpoint each);
// Of the angle between vectors along the last axis.
Endpoint cosine(GraphBuilder& build, Endpoint target, Endpoint output);
// Cross-entropies of each element.
Endpoint binary_entropy(GraphBuilder& build, Endpoint target, Endpoint probabilities);
Endpoint binary_entropy_of_logits(GraphBuilder& build, Endpoint target, Endpoint logits);

LossPtr make_binary_focal();
LossPtr make_categorical_focal();
LossPtr make_tversky();
LossPtr make_dice();
LossPtr make_ctc();
LossPtr make_circle();
LossPtr make_generalized_crossentropy();

// Class numbers, int64, without a last dimension of 1 that predictions have too.
Endpoint class_numbers(GraphBuilder& build, Endpoint y_true, Endpoint y_pred);

}  // namespace tenon::keras::losses
