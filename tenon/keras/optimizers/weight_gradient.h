// WeightGradient: what a step knows of the derivative of its loss for one weight. Internal to
// keras/.
#pragma once

#include "tenon/keras/layer.h"

namespace tenon::keras {

// Of a weight that is only looked up in (Embedding), TensorFlow keeps the gradient of each lookup
// (IndexedSlices), and Keras' optimizers clip and square these before they add them up: a row that
// a batch names twice gets the sum of two squares.
struct WeightGradient {
  // Of the whole weight, or of the rows `rows`. Invalid: the loss does not depend on the weight.
  Endpoint values;
  // int64, one for each of `values`; a row may come more than once. Invalid: all rows, in order.
  Endpoint rows;

  explicit operator bool() const { return static_cast<bool>(values); }
};

// Of `loss`, for each weight as it is stored.
StatusOr<std::vector<WeightGradient>> weight_gradients(Trace& trace, Endpoint loss,
                                                       std::span<Weight* const> weights);

// Of the whole weight.
Endpoint sum_rows(GraphBuilder& build, const WeightGradient& gradient, const Weight& weight);

}  // namespace tenon::keras
